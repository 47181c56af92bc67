"""No command shows a piece of a key that was pasted in a wrong way, wherever it was pasted.

Every command of the parser is run with every spelling in every place of a key that it asks for.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from functools import cache
from urllib.parse import quote

import pytest
from tests.support.command_lines import command_lines, run_in_process
from tests.support.key_spellings import Canary, accepted, refused
from tests.unit.workflow.conftest import Site, built_site  # noqa: F401 - a fixture

from sluicegate.adapters.keys.settings import SIGNING_ROLES
from sluicegate.cli.main import COMMANDS, build_parser, main

# Commands are run in one process here: what they leave open, the end of theirs would close.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)

CANARY = Canary()
WRONG = refused(CANARY.pem)
NOT_RUN = {"demo"}  # starts an Airflow of its own, with keys of its own
BODY = accepted(CANARY.pem)["base64 of DER"]
ADDRESSES = (
    f"postgresql://writer:{BODY}@127.0.0.1:1/rows",
    f"postgresql://writer:{quote(BODY, safe='')}@127.0.0.1:1/rows#flights",
    f"postgresql://writer@127.0.0.1:1x/rows?password={BODY}",
    f"https://user:{BODY}@127.0.0.1:1/rows.csv",
    f"https://127.0.0.1:1/rows.csv?token={BODY}&page=1",
    f"nothing://{BODY}@127.0.0.1/rows",
)
ROLES = (*SIGNING_ROLES, "witness", "root")
# Every how manyth spelling: that of a passphrase decides nothing.
PREFIXES = {"SLUICEGATE_KEY_": 1, "SLUICEGATE_COSIGN_": 1, "SLUICEGATE_PIN_": 8}


def environment(**more):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("SLUICEGATE", "AIRFLOW"))}
    return {**plain, **more}


@pytest.fixture
def run(monkeypatch, capsys, caplog, tmp_path):
    caplog.set_level("DEBUG")

    monkeypatch.chdir(tmp_path)

    def run(argv, *, errors_only=False, **environ):
        given = {"monkeypatch": monkeypatch, "capture": capsys, "caplog": caplog}
        answer, errors, asked = run_in_process(main, argv, environment(**environ), **given)
        return errors if errors_only else answer + errors, asked

    return run


@pytest.fixture
def site(built_site, tmp_path):  # noqa: F811 - the fixture imported above
    """A site of its own: a command may record what it was asked to, and the next one show that."""
    copied = Site(tmp_path / "site")
    shutil.copytree(built_site, copied.root)
    (copied.root / "schema.yaml").write_text("id: id\nlabel: label\n")
    return copied


PARSER = cache(build_parser)
"""Made once, as no command changes it."""


@pytest.fixture
def lines(site, monkeypatch):
    """All commands by their first word."""
    monkeypatch.setattr("sluicegate.cli.main.build_parser", PARSER)
    found = command_lines(site)
    return lambda command: [line for line in found if line.name.split()[0] == command]


def files_of(root):
    """Return when each file was last written, but not of the site's own data."""
    return {
        path: path.stat().st_mtime_ns
        for path in root.rglob("*")
        if path.is_file() and path.suffix not in {".parquet", ".db"}
    }


def written(root, before):
    """Return what commands left behind since then; other tests seal and keep files with a key."""
    new = [path for path, when in files_of(root).items() if before.get(path) != when]
    return "".join(path.read_bytes().decode("latin-1") for path in new)


def written_keys(directory):
    """Return files that hold the key, as different programs would keep it."""
    directory.mkdir(exist_ok=True)
    contents = {
        "key.pem": CANARY.pem,
        "key.yaml": f"key: {BODY}\n",
        "key.json": f'{{"key":"{BODY}"}}',
        "key.csv": f"key,y\n{BODY},1\n{BODY}\n",
        "key.txt": BODY,
        "keys": f"[{BODY}, {BODY}]",
        "key.parquet": CANARY.pem,
    }
    for name, text in contents.items():
        path = directory / name
        path.write_text(text)
        path.chmod(0o600)
    return [directory / name for name in contents]


def test_at_least_forty_spellings_are_wrong():
    assert len(WRONG) >= 40


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - NOT_RUN))
def test_no_command_shows_a_key_of_the_environment(command, lines, run, site):
    before = files_of(site.root)
    for line in lines(command):
        for prefix, every in PREFIXES.items():
            for number, (how, text) in enumerate([*WRONG.items()][::every]):
                held = {f"{prefix}{role.upper()}": text for role in ROLES}
                flag = ["--json"] if line.json and number % 2 else []
                shown, asked = run([*line.argv("env:CANARY"), *flag], CANARY=text, **held)
                assert not CANARY.seen_in(shown), (line.name, prefix, how, shown)
                if not asked:
                    break  # it reads no key, so the other spellings would say the same
    assert not CANARY.seen_in(written(site.root, before))


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - NOT_RUN))
def test_no_command_shows_a_key_of_its_arguments(command, lines, run):
    for line in lines(command):
        for option in line.keys:
            for number, (how, text) in enumerate(WRONG.items()):
                typed = f"source={text}" if number % 2 else text
                shown, _ = run(line.argv(typed, only=option))
                assert not CANARY.seen_in(shown), (line.name, option, how, shown)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - NOT_RUN))
def test_no_command_shows_the_password_of_an_address(command, lines, run):
    """Wherever a value stands: a place of data, a name, a number that argparse refuses.

    In errors and logs: an answer may repeat the place that it was asked to write to.
    """
    addresses = itertools.cycle(ADDRESSES)
    for line in lines(command):
        for argv in line.with_each_value("@"):
            address = next(addresses)
            shown, _ = run([text.replace("@", address) for text in argv], errors_only=True)
            assert not CANARY.seen_in(shown), (argv, address, shown)
        for wrong in (["--no-such-option", BODY], [f"--no-such-option={BODY}"], [BODY, BODY, BODY]):
            shown, _ = run([*line.argv("env:NOTHING"), *wrong])
            assert not CANARY.seen_in(shown), (line.name, wrong, shown)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - NOT_RUN))
def test_no_command_shows_the_content_of_a_key_file(command, lines, run, tmp_path):
    """Somebody names the key where policy, schema, evidence or data belong."""
    files = itertools.cycle(written_keys(tmp_path / "elsewhere"))
    for line in lines(command):
        for _ in range(2):  # with each value another file each time
            for argv in line.with_each_value("@"):
                path = next(files)
                shown, _ = run([text.replace("@", str(path)) for text in argv])
                assert not CANARY.seen_in(shown), (argv, path, shown)


@pytest.mark.parametrize("setting", ["HOME", "LEDGER", "REMEMBERED"])
@pytest.mark.parametrize("prefix", ["SLUICEGATE_", "AIRFLOW__SLUICEGATE__"])
def test_no_command_shows_a_secret_in_a_setting_of_a_place(setting, prefix, lines, run, site):
    texts = [*ADDRESSES, BODY, f"/{BODY}", CANARY.pem]
    for command in set(COMMANDS) - NOT_RUN:
        for line, text in zip(lines(command), itertools.cycle(texts), strict=False):
            home = {} if setting == "HOME" else {"SLUICEGATE_HOME": str(site.home.root)}
            argv = line.argv("env:NOTHING")
            if "--home" in argv:
                place = argv.index("--home")
                argv = [*argv[:place], *argv[place + 2 :]]
            shown, _ = run(argv, **home, **{f"{prefix}{setting}": text})
            assert not CANARY.seen_in(shown), (line.name, text, shown)


def test_commands_that_sign_were_really_asked_for_their_key(lines, run):
    """The two tests above could pass because no command came as far as its key."""
    reached = set()
    for command in set(COMMANDS) - NOT_RUN:
        for line in lines(command):
            held = {f"SLUICEGATE_KEY_{role.upper()}": WRONG["half"] for role in SIGNING_ROLES}
            shown, asked = run(line.argv("env:CANARY"), CANARY=WRONG["half"], **held)
            if asked and ("env:SLUICEGATE_KEY_" in shown or "env:CANARY" in shown):
                reached.add(line.name)
    assert reached >= {"seal", "gate", "waive", "ledger", "doctor", "quarantine", "witness"}


@pytest.mark.parametrize("how", accepted(CANARY.pem))
def test_accepted_spelling_is_not_shown_either(how, lines, run):
    held = {f"SLUICEGATE_KEY_{role.upper()}": accepted(CANARY.pem)[how] for role in SIGNING_ROLES}
    (doctor,) = lines("doctor")
    shown, _ = run(doctor.argv(""), **held)
    assert CANARY.signer.public_key.short in shown
    assert not CANARY.seen_in(shown)


def test_console_script_shows_no_more_than_the_function(site):
    """One sample in a process of its own, where nothing of pytest stands between."""
    argv = ["seal", str(site.clean), "--name", "src", "--key", "env:CANARY", "--out", "new"]
    for how in ("hexadecimal", "JWK", "as an absolute path"):
        done = subprocess.run(
            [sys.executable, "-m", "sluicegate.cli.main", *argv],
            cwd=site.root,
            env=environment(CANARY=WRONG[how], SLUICEGATE_DEBUG="1"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 64
        assert "env:CANARY" in done.stderr
        assert not CANARY.seen_in(done.stdout + done.stderr), how

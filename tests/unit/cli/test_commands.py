"""Every command ends with an exit code that says what happened, and says it in JSON too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sluicegate.cli import main as cli
from sluicegate.cli.options import command_line_run
from sluicegate.errors import Outcome

if TYPE_CHECKING:
    from pathlib import Path

ROLES = {"source": "ecdsa-p256", "gate": "ed25519", "baseline": "ed25519", "ledger": "ed25519"}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLUICEGATE_HOME", raising=False)
    for role, algorithm in ROLES.items():
        assert cli.main(["keygen", "--out", f"k/{role}", "--alg", algorithm]) == 0
    keys = [item for role in ROLES for item in ("--key", f"{role}=k/{role}/key.pub.pem")]
    assert cli.main(["trust", "init", *keys, "--out", "trust.json"]) == 0
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("one", encoding="utf-8")
    return tmp_path


def seal(out: str = "evidence") -> int:
    key = ["--key", "k/source/key.pem"]
    return cli.main(["seal", "data", "--name", "src", *key, "--out", out])


def verify(*more: str) -> int:
    return cli.main(["verify", "evidence", "data", "--trust", "trust.json", *more])


def test_sealed_data_verify_until_a_byte_changes(work, capsys):
    assert seal() == 0
    assert verify() == 0
    (work / "data" / "a.txt").write_text("two", encoding="utf-8")
    capsys.readouterr()
    assert verify("--json") == Outcome.CHECKED_AND_BAD.value
    report = json.loads(capsys.readouterr().out)
    assert report["valid"] is False
    assert report["findings"][-1]["code"] == "MANIFEST_MISMATCH"


def test_exit_by_code_tells_failures_apart_and_the_short_codes_stay(work, capsys):
    seal()
    by_code = ("--exit-by-code", "--json")
    assert verify(*by_code) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["code"] == "OK"
    (work / "data" / "a.txt").write_text("two", encoding="utf-8")
    assert verify(*by_code) == 12
    assert json.loads(capsys.readouterr().out)["code"] == "MANIFEST_MISMATCH"
    assert verify("--name", "other", *by_code) == 24
    assert verify("--at", "2099-01-01T00:00:00Z", *by_code) == 25
    envelopes = work / "evidence" / "evidence.intoto.jsonl"
    envelopes.write_bytes(envelopes.read_bytes() + b"{}\n")
    # What is bad outweighs what could not be checked, whichever comes first.
    assert verify("--require-ledger", *by_code) == 21
    (work / "evidence" / "seal.sigstore.json").unlink()
    assert verify(*by_code) == 45
    (work / "trust.json").write_text("{}", encoding="utf-8")
    assert verify(*by_code) == verify() == Outcome.CALLED_WRONGLY.value


def test_digest_is_the_one_the_seal_names(work, capsys):
    seal()
    sealed = capsys.readouterr().out
    cli.main(["digest", "data"])
    assert capsys.readouterr().out.strip() in sealed


def test_diff_names_changed_files(work, capsys):
    seal("a")
    (work / "data" / "b.txt").write_text("new", encoding="utf-8")
    seal("b")
    capsys.readouterr()
    assert cli.main(["diff", "a", "b", "--json"]) == Outcome.CHECKED_AND_BAD.value
    assert json.loads(capsys.readouterr().out)["added"] == ["b.txt"]
    assert cli.main(["diff", "a", "a"]) == 0


def test_key_and_evidence_are_never_overwritten(work):
    assert cli.main(["keygen", "--out", "k/source"]) == Outcome.CALLED_WRONGLY.value
    assert seal() == 0
    assert seal() == Outcome.CALLED_WRONGLY.value


def test_missing_evidence_could_not_be_checked(work, capsys):
    assert verify() == Outcome.COULD_NOT_CHECK.value
    assert "EVIDENCE_MISSING" in capsys.readouterr().err


def test_missing_data_could_not_be_checked(work):
    seal()
    (work / "data" / "a.txt").unlink()
    (work / "data").rmdir()
    assert verify() == Outcome.COULD_NOT_CHECK.value


def test_error_is_json_on_request(work, capsys):
    seal()
    (work / "trust.json").write_text("{}", encoding="utf-8")
    capsys.readouterr()
    assert verify("--json") == Outcome.CALLED_WRONGLY.value
    assert json.loads(capsys.readouterr().out)["error"]["outcome"] == "CALLED_WRONGLY"


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["verify"], ["keygen", "--alg", "rsa", "--out", "x"], ["seal", "x", "-y"]],
)
def test_wrong_usage_exits_64(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == Outcome.CALLED_WRONGLY.value
    assert "usage:" in capsys.readouterr().err


def test_defect_of_our_own_never_looks_like_passed(work, monkeypatch, capsys):
    def broken(*_a, **_k):
        raise ValueError("row 17 says 4111-1111")

    monkeypatch.setattr("sluicegate.adapters.sources.local.build_manifest", broken)
    assert cli.main(["digest", "data"]) == Outcome.COULD_NOT_CHECK.value
    err = capsys.readouterr().err
    assert "ValueError" in err
    assert "4111" not in err


def test_policy_init_lints_and_is_never_overwritten(work, capsys):
    assert cli.main(["policy", "init", "policy.yaml"]) == 0
    assert cli.main(["policy", "explain", "policy.yaml"]) == 0
    assert "LABEL_FLIPS" in capsys.readouterr().out
    assert cli.main(["policy", "init", "policy.yaml"]) == Outcome.CALLED_WRONGLY.value


def test_ledger_is_created_once_and_audits_clean(work, capsys):
    home = work / "home"
    (home / "keys").mkdir(parents=True, mode=0o700)
    for role in ROLES:
        (work / "k" / role / "key.pem").rename(home / "keys" / f"{role}.pem")
    (work / "trust.json").rename(home / "trust.json")
    where = ["--home", str(home)]
    assert cli.main(["ledger", "verify", *where]) == Outcome.COULD_NOT_CHECK.value
    assert cli.main(["ledger", "init", *where]) == 0
    assert cli.main(["ledger", "init", *where]) == Outcome.CALLED_WRONGLY.value
    capsys.readouterr()
    assert cli.main(["ledger", "verify", *where, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == 0
    (home / "keys" / "source.pem").rename(work / "k" / "source" / "key.pem")
    assert seal() == 0
    line = (work / "evidence" / "evidence.intoto.jsonl").read_bytes().splitlines()[0]
    (work / "one.json").write_bytes(line)
    subject = ["--source", "src", "--digest", "dirHash1:" + "0" * 64]
    assert cli.main(["ledger", "append", "one.json", "--kind", "release", *subject, *where]) == 0
    assert cli.main(["ledger", "prove", "0", *where]) == 0
    assert cli.main(["ledger", "prove", "1", *where]) == Outcome.COULD_NOT_CHECK.value
    assert cli.main(["ledger", "append", "trust.json", *where]) == Outcome.CALLED_WRONGLY.value


def test_verify_imports_no_engine_and_no_airflow(work):
    """An auditor needs `cryptography` and nothing heavier."""
    seal()
    program = (
        "import sys; from sluicegate.cli.main import main;"
        "code = main(['verify', 'evidence', 'data', '--trust', 'trust.json']);"
        "heavy = {'airflow','great_expectations','pandas','pyarrow','numpy','sqlalchemy'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=work
    )
    assert (done.returncode, done.stderr.strip()) == (0, "[]")


def test_user_without_a_login_name_is_named_by_number(monkeypatch):
    """Containers run as any number; no command that signs may end on that."""

    def unknown():
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", unknown)
    assert command_line_run()["user"] == str(os.getuid())

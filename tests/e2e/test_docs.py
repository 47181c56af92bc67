"""Documentation names what exists: commands, settings, codes, files; and nothing of a machine."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from sluicegate import errors
from sluicegate.cli.main import COMMANDS, build_parser, main
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.workflow.evidence.home import (
    ENV_ADMITTED,
    ENV_AIRFLOW_HOME_SETTING,
    ENV_HOME,
    SluiceHome,
)

REPO = Path(__file__).resolve().parents[2]
PAGES = [*sorted(REPO.glob("*.md")), *sorted((REPO / "docs").rglob("*.md"))]
# Specifications, identifiers, and the home of what a format names; never a registry or mirror.
HOSTS = {
    "c2sp.org",
    "csrc.nist.gov",
    "doi.org",
    "example.com",
    "github.com",
    "in-toto.io",
    "json-schema.org",
    "model_signing",
    "pkg.go.dev",
    "slsa.dev",
    "sluicegate.dev",
    "www.rfc-editor.org",
    "www.unicode.org",
}


def page(name: str) -> str:
    return (REPO / "docs" / name).read_text(encoding="utf-8")


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(REPO)) for path in paths]


def examples(command: str, capsys) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out.partition("examples:\n")[2]
    return [line.partition("   (")[0].strip() for line in shown.splitlines() if line.strip()]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_that_the_parser_accepts(command, capsys):
    lines = examples(command, capsys)
    assert lines, "no examples"
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "sluicegate"
        assert build_parser().parse_args(arguments).command == command


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_named_in_the_documentation(command):
    assert any(f"sluicegate {command}" in path.read_text(encoding="utf-8") for path in PAGES)


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_documentation_names_no_command_that_does_not_exist(path):
    named = re.findall(r"`sluicegate ([a-z]+)", path.read_text(encoding="utf-8"))
    assert set(named) <= set(COMMANDS)


def error_classes(cls: type[errors.SluicegateError]) -> list[type[errors.SluicegateError]]:
    return [cls, *(found for sub in cls.__subclasses__() for found in error_classes(sub))]


def error_table() -> str:
    """The table of docs/errors.md; on a difference, paste what the test prints."""
    outcomes = {1: "checked and bad", 2: "could not check", 64: "called wrongly"}
    ours = [c for c in error_classes(errors.SluicegateError) if c.__module__ == errors.__name__]
    rows = [
        f"| `{cls.code}` | {outcomes[cls.outcome.value]} | {cls.outcome.value} "
        f"| {cls.own_exit_code} | `{cls.__name__}` | {(cls.__doc__ or '').splitlines()[0]} |"
        for cls in ours
    ]
    head = "| code | outcome | exit code | by code | class | meaning |\n|---|---|---|---|---|---|"
    return "\n".join([head, *rows]) + "\n"


def test_error_page_lists_every_code():
    table = error_table()
    assert table in page("errors.md"), f"docs/errors.md should hold:\n{table}"


def test_error_codes_are_unique():
    # Other tests define errors of their own; only those of the package count.
    ours = [c for c in error_classes(errors.SluicegateError) if c.__module__.startswith("sluice")]
    codes = [cls.code for cls in ours]
    assert len(codes) == len(set(codes))
    # A class without a number of its own has that of its parent: give it the next free one.
    # Private ones become findings of an audit and never end a command.
    numbers = {cls: cls.own_exit_code for cls in ours if not cls.__name__.startswith("_")}
    assert len(numbers) == len(set(numbers.values()))
    ranges = {1: range(10, 40), 2: range(40, 60), 64: range(64, 65)}
    assert all(number in ranges[cls.outcome.value] for cls, number in numbers.items())


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_page_holds_no_machine_path_and_no_unknown_host(path):
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.])/(?:work|tmp|home|root|Users|opt)/\S*", text)
    assert not re.findall(r"(?:localhost|127\.0\.0\.1):\d+", text)
    hosts = set(re.findall(r"https?://([^/\s)`\"'>:*]+)", text))
    assert hosts <= HOSTS


def test_configuration_page_lists_every_setting_with_its_default():
    from sluicegate.orchestration.provider import get_provider_info

    (section,) = get_provider_info()["config"].values()
    for name, option in section["options"].items():
        default = option["default"]
        row = rf"\| `{name}` \| " + (re.escape(f"`{default}`") if default else "")
        assert re.search(row, page("configuration.md")), name


def test_configuration_page_lists_every_variable_and_every_file_of_the_home():
    text = page("configuration.md")
    home = SluiceHome(Path("home"))
    roles = ("source", "gate", "baseline", "ledger")
    paths = [home.ledger, home.trust, home.policy, *map(home.key, roles), home.baseline_dir("S")]
    paths += [home.certificates, home.timestamps, home.witnessed]
    relative = [str(path.relative_to("home")) for path in paths]
    for name in (ENV_HOME, ENV_AIRFLOW_HOME_SETTING, ENV_ADMITTED, *relative):
        assert f"`{name}" in text, name


def test_policy_page_shows_the_default_policy():
    shown = re.findall(r"^```yaml\n(.*?)^```$", page("formats/policy.md"), re.MULTILINE | re.DOTALL)
    assert [yaml.safe_load(block) for block in shown] == [yaml.safe_load(DEFAULT_POLICY)]


def test_policy_page_lists_every_key():
    from sluicegate.gate import policy

    text = page("formats/policy.md")
    assert all(f"| `{key}` |" in text for key in policy._KEYS | policy._SIGNAL_KEYS)

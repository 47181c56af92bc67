"""README, tutorial and other pages keep their word: commands run, and print what is shown."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sluicegate.cli.demo import audit_environment

REPO = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "docs/install.md",
    "docs/tutorial.md",
    "docs/verify-offline.md",
    "CONTRIBUTING.md",
)
"""In the order in which their commands are run, in one shell."""
TEXT = "\n".join((REPO / page).read_text(encoding="utf-8") for page in PAGES)
WILD = "…"
# What a test cannot run: it installs, it commits, or it runs this very test.
NOT_RUN = {
    "git clone YOUR-FORK-OR-THIS-REPOSITORY sluicegate",
    "cd sluicegate",
    "git commit",
    "make demo",
    "make test",
    "make lint",
    "make quick",
    "make test T=tests/unit/gate",
    "python -m pip install sluicegate",
    "python -m venv audit",
    "audit/bin/pip install --no-deps sluicegate cryptography cffi pycparser",
    "audit/bin/sluicegate verify evidence --trust trust.json",  # run below, without a download
}


@dataclass(frozen=True)
class Step:
    """One command of a page and what it says about its outcome."""

    command: str
    exit_code: int
    shown: str


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def steps() -> list[Step]:
    found = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            n_lines = 1 + next(
                (i for i, line in enumerate(lines[1:]) if not line.startswith("> ")),
                len(lines) - 1,
            )
            first, *more = lines[:n_lines]
            command = "\n".join([first, *(line.removeprefix("> ") for line in more)])
            marked = re.search(r"  # exit (\d+)$", command)
            code = int(marked[1]) if marked else 0
            found.append(Step(command, code, "\n".join(lines[n_lines:])))
    return found


def matches(shown: str, printed: str) -> bool:
    """Compare line by line; a line of only the wild card stands for any lines."""
    pattern = ""
    for line in shown.splitlines():
        if line == WILD:
            pattern += "(?:.*\n)*"
        else:
            parts = (re.escape(re.sub(r" +", " ", part)) for part in line.split(WILD))
            pattern += ".*".join(parts) + "\n"
    squeezed = "".join(re.sub(r" +", " ", line) + "\n" for line in printed.splitlines())
    return re.fullmatch(pattern, squeezed) is not None


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Run all commands in one shell, as a person would, and return what each did."""
    root = tmp_path_factory.mktemp("readme")
    tools, work = root / "tools", root / "work"
    tools.mkdir()
    work.mkdir()
    for name, arguments in (("sluicegate", "-m sluicegate.cli.main"), ("python", "")):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        tool.chmod(0o755)
    script = "umask 022\n" + "".join(
        # Standard error is kept apart: progress and reasons are not what a page shows.
        f"{{ {step.command}\n}} > '{root}/{number}.out' 2> '{root}/{number}.err'\n"
        f"echo $? > '{root}/{number}.code'\n"
        for number, step in enumerate(steps())
    )
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "SLUICEGATE"))}
    environ["PATH"] = f"{tools}{os.pathsep}{environ['PATH']}"
    subprocess.run(["bash", "-c", script], cwd=work, env=environ, check=False, timeout=300)
    return root


@pytest.mark.parametrize("number", range(len(steps())))
def test_command_ends_and_prints_as_shown(walked, number):
    step = steps()[number]
    printed = (walked / f"{number}.out").read_text(encoding="utf-8")
    errors = (walked / f"{number}.err").read_text(encoding="utf-8")
    code = int((walked / f"{number}.code").read_text(encoding="utf-8"))
    assert code == step.exit_code, f"{step.command}\n{printed}{errors}"
    if step.shown:
        assert matches(step.shown, printed), f"{step.command}\n{printed}"


def test_exported_evidence_verifies_where_only_cryptography_is_installed(walked, tmp_path):
    environment = audit_environment.create(tmp_path / "audit")
    work = walked / "work"
    arguments = ("verify", str(work / "evidence"), "--trust", str(work / "sluice" / "trust.json"))
    code, report = audit_environment.run(environment, *arguments)
    assert code == 0
    assert report["valid"] is True


def test_audit_install_line_names_what_the_audit_environment_needs():
    line = next(line for line in NOT_RUN if "--no-deps" in line)
    assert line.endswith(" ".join(audit_environment._NEEDED))


def test_every_command_outside_console_blocks_is_known():
    lines = {line for block in blocks("sh") for line in block.splitlines()}
    assert lines == NOT_RUN


def test_readme_shows_the_two_commands_that_ci_runs():
    ci = (REPO / ".ci" / "run").read_text(encoding="utf-8")
    commands = re.findall(r"^make \w+", ci, re.MULTILINE)
    assert commands == ["make ready", "make lint", "make demo", "make test"]
    targets = re.findall(r"^(\w+):", (REPO / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = {line.split()[1] for line in NOT_RUN if line.startswith("make ")}
    named |= set(re.findall(r"`make (\w+)", TEXT))
    assert named <= set(targets)


def test_wild_card_never_hides_a_different_line():
    assert matches("a …\n…\nz", "a 1\nb\nc\nz\n")
    assert matches("a  b", "a b\n")
    assert not matches("a …", "b 1\n")
    assert not matches("a", "a\nb\n")


DAG_PROBE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1])
hooks = {
    f"{dag.dag_id}.{task.task_id}": type(task._pre_execute_hook).__name__
    for dag in bag.dags.values()
    for task in dag.tasks
}
print(json.dumps({"errors": bag.import_errors, "hooks": hooks}))
"""


@pytest.mark.airflow
def test_dags_of_the_readme_parse_and_the_guard_protects_the_training_task(tmp_path):
    (tmp_path / "dags").mkdir()
    dags = next(block for block in blocks("python") if "DAG(" in block)
    (tmp_path / "dags" / "readme.py").write_text(dags, encoding="utf-8")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "SLUICEGATE"))}
    environ["AIRFLOW_HOME"] = str(tmp_path)
    environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    result = subprocess.run(
        [sys.executable, "-c", DAG_PROBE, str(tmp_path / "dags")],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["errors"] == {}
    assert found["hooks"] == {
        "flights_gate.seal": "NoneType",
        "flights_gate.gate": "NoneType",
        "flights_training.train": "GuardHook",
    }


def test_local_settings_of_the_install_page_are_the_ones_the_demo_writes():
    from sluicegate.cli.demo import airflow_instance

    block = next(block for block in blocks("python") if "task_policy" in block)
    written = ast.parse(airflow_instance.LOCAL_SETTINGS).body[1:]  # without its docstring
    assert list(map(ast.dump, written)) == list(map(ast.dump, ast.parse(block).body))


def test_shown_picture_is_small():
    for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT):
        assert (REPO / path).stat().st_size < 200_000

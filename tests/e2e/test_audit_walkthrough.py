"""The auditor's walk-through keeps its word: every command in it runs and prints what is shown."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.workflow.conftest import AT, SCHEMA, Site, built_site  # noqa: F401 - a fixture

from sluicegate.cli.main import main
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.auditing.findings import KINDS
from sluicegate.workflow.auditing.run_records import AdmissionTrace, DagRecord, RunRecords, TaskTry
from sluicegate.workflow.baselines.signed import write_baseline

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^```bash\n(.*?)^```\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def work(built_site, tmp_path_factory):  # noqa: F811 - the fixture
    """What the owner has before anybody asks: an installation, data, and a trained model."""
    root = tmp_path_factory.mktemp("walk")
    shutil.copytree(built_site, root / "site")
    site = Site(root / "site")
    write_baseline(
        [site.root / "trusted"],
        BatchSchema.from_mapping(SCHEMA, locator="schema"),
        out=site.home.baseline_dir("flights"),
        at=AT,
        source="flights",
        signer=site.signer("baseline"),
    )
    site.clean.rename(root / "data")
    memory, home = site.home.memory.parent, site.home.root.rename(root / "sluice")
    memory.rename(root / memory.name)  # a home that moves takes its memory along
    assert (
        main(["ledger", "checkpoint", "--home", str(home), "--out", str(root / "remembered")]) == 0
    )
    assert main(["gate", "flights", "--home", str(home), "--seal", str(root / "data")]) == 0
    verdict = _verdict(home)
    (root / "model").mkdir()
    (root / "model" / "model.joblib").write_bytes(b"weights")
    (root / "model" / "card.json").write_text(json.dumps({"verdict": verdict}))
    (root / "ledger-copy").mkdir()
    for path in (*home.glob("ledger.db*"), home / "trust.json"):
        shutil.copy(path, root / "ledger-copy")
    shutil.copy(home / "trust.json", root / "trust.json")
    (root / "runs.json").write_bytes(_runs(verdict).to_json())
    _put_on_path(root / "bin")
    return root


def _verdict(home: Path) -> str:
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.opening import open_evidence

    evidence = open_evidence(SluiceHome(home), at=datetime.now(UTC))
    return next(evidence.ledger.find("verdict", "flights")).entry.envelope


def _runs(verdict: str) -> RunRecords:
    """Two training runs, one of them without the guard."""
    start = datetime.now(UTC) + timedelta(seconds=5)
    by_day = TaskTry(
        dag_id="train",
        run_id="by-day",
        task_id="fit",
        map_index=-1,
        try_number=1,
        state="success",
        start=start,
        end=start + timedelta(seconds=5),
        operator="BashOperator",
        ran=True,
    )
    noted = AdmissionTrace(
        dag_id="train",
        run_id="by-day",
        task_id="fit",
        map_index=-1,
        verdicts={"flights": verdict},
    )
    return RunRecords(
        url="http://airflow",
        collected=start + timedelta(seconds=60),
        since=None,
        dags=(DagRecord(dag_id="train", tags=("training",), sources=("flights",)),),
        uses=(),
        tries=(by_day, replace(by_day, run_id="by-night")),
        traces=(noted,),
        events=(),
        answers=(),
        plugins=("sluicegate",),
    )


def _put_on_path(directory: Path) -> None:
    directory.mkdir()
    for name, arguments in (("sluicegate", "-m sluicegate.cli.main"), ("python3", "")):
        script = directory / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
        script.chmod(0o755)


def matches(shown: str, printed: str) -> bool:
    """Compare text; `…` stands for any text, a line of it alone for any lines."""
    pattern = ""
    for line in shown.splitlines():
        if line == "…":
            pattern += "(?:.*\n)*"
        else:
            words = [re.escape(part) for part in re.split(r"\s*…\s*", line)]
            pattern += r".*".join(words) + "\n"
    return re.fullmatch(pattern, printed) is not None


def test_walk_through_from_model_to_checkpoint(work):
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SLUICEGATE")},
        "PATH": f"{work / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    assert len(STEPS) == PAGE.count("```bash")
    for command, shown in STEPS:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command],
            cwd=work,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        marked = re.search(r"  # exit (\d+)$", command, re.MULTILINE)
        assert done.returncode == (int(marked[1]) if marked else 0), command + done.stderr
        assert matches(shown, done.stdout), f"{command}\n{done.stdout}{done.stderr}"


def test_every_code_is_in_the_table_with_its_severity():
    rows = re.findall(r"^\| (`[A-Z_` ]+`) \| ([a-z, ]+) \|", PAGE, re.MULTILINE)
    told = {}
    for codes, severities in rows:
        names = re.findall(r"[A-Z_]+", codes)
        each = severities.split(", ") if "," in severities else [severities] * len(names)
        told |= dict(zip(names, each, strict=True))
    assert told == {code: kind.severity.value for code, kind in KINDS.items()}


def test_python_in_the_page_is_valid():
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        ast.parse(block)

"""A column or a contributor whose name holds escape codes and a line break forges nothing."""

from __future__ import annotations

import json
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.workflow.conftest import built_site, rows, site, write  # noqa: F401 - fixtures

from sluicegate.cli.main import main

NAME = "evil\x1b[2J\x1b]0;x\x07\r\n[2026-01-01] INFO - Sluicegate admitted src\u202e\u2028\u200b"


def poisoned():
    """Half of the rows come from the name, with every label turned; a column has it as well."""
    table = rows(7)
    own = np.arange(table.num_rows) % 2 == 0
    labels = np.array(table["label"].to_pylist(), dtype="int8")
    labels[own] = 1 - labels[own]
    who = pa.array([NAME if mine else "c1" for mine in own])
    table = table.set_column(table.schema.get_field_index("who"), "who", who)
    table = table.set_column(table.schema.get_field_index("label"), "label", pa.array(labels))
    return table.append_column(f"column {NAME}", pa.array(np.zeros(table.num_rows)))


def unforged(text):
    """Nothing but our own line breaks, and the name where it is named."""
    assert not [c for c in text if unicodedata.category(c)[0] == "C" and c != "\n"]
    assert "\u202e" not in text
    assert "\u2028" not in text
    assert not [line for line in text.splitlines() if line.startswith("[2026-01-01]")]
    return text


@pytest.fixture
def batch(site):  # noqa: F811
    return write(poisoned(), site.root / "batch")


def said(capsys, *arguments):
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, unforged(out) + unforged(err)


def test_every_command_shows_the_name_and_obeys_it_nowhere(site, batch, capsys):  # noqa: F811
    home = ("--home", site.home.root)
    report = site.root / "r.html"
    baseline = site.home.baseline_dir("src")
    code, text = said(
        capsys, "check", batch, "--baseline", baseline, "--report", report,
        "--json", site.root / "r.json",
    )  # fmt: skip
    assert code == 1
    assert r"contributor evil\x1b[2J" in text
    unforged(report.read_text(encoding="utf-8"))
    assert json.dumps(NAME)[1:-1] in (site.root / "r.json").read_text(), "JSON keeps names whole"
    code, text = said(capsys, "gate", "src", "--seal", batch, *home)
    assert code == 1
    assert r"contributor evil\x1b[2J" in text
    assert r"column evil\x1b[2J" in text
    for command in ("doctor", "ledger list", "history src", "audit", "policy test"):
        words = command.split()
        if command == "policy test":
            words.append(str(site.home.policy))
        said(capsys, *words, *home)
    code, text = said(capsys, "history", "src", "--contributor", NAME, *home)
    assert "1 " in text, "a person finds the batch by the contributor's own name"
    code, _ = said(capsys, "uses", "src", "--contributor", NAME, *home)
    said(capsys, "diff", "--key", NAME, batch, batch)


def test_task_log_shows_the_name_and_obeys_it_nowhere(site, batch, monkeypatch, capsys):  # noqa: F811
    from airflow.sdk.exceptions import AirflowFailException

    from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(site.home.root))

    class Ti:
        dag_id = run_id = task_id = "t"
        map_index, try_number = -1, 1

    context = {"ti": Ti(), "outlet_events": {}}
    SealSourceOperator(task_id="seal", source="src", path=str(batch)).execute(context)
    gate = TrainingGateOperator(task_id="gate", source="src", announce=False)
    with pytest.raises(AirflowFailException) as caught:
        gate.execute(context)
    text = unforged(str(caught.value))
    assert r"contributor evil\x1b[2J" in text
    # The reasons of a blocked gate are the exception's; what was logged before is one line each.
    log = unforged(capsys.readouterr().out)
    assert all("operators" in line for line in log.splitlines()), "a record is one line"

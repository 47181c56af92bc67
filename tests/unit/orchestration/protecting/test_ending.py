"""A task that was stopped: its log closes with one block, and shows no frame of ours."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
import structlog
from tests.unit.workflow.conftest import built_site, site  # noqa: F401 - fixtures

from sluicegate.errors import ConfigError, GateBlocked, LedgerError
from sluicegate.gate.verdict import Reason
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.stopped import block, reason_lines

pytestmark = pytest.mark.airflow
pytest.importorskip("airflow")


def task_log(call):
    """What Airflow's task log holds of an exception, formatted as its task runner does."""
    formatter = structlog.tracebacks.ExceptionDictTransformer(use_rich=False, show_locals=False)
    try:
        call()
    except Exception:  # noqa: BLE001 - as the task runner
        return formatter(sys.exc_info())
    raise AssertionError


@pytest.fixture
def gate(site, monkeypatch):  # noqa: F811 - the fixture
    from sluicegate.orchestration.operators import TrainingGateOperator

    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(site.home.root))

    def run():
        ids = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1}
        TrainingGateOperator(task_id="gate", source="src").execute({"ti": SimpleNamespace(**ids)})

    return run


def test_log_of_a_blocked_gate_ends_with_what_where_how_much_and_the_next_command(gate, site):  # noqa: F811
    site.seal(site.poisoned)
    (only,) = task_log(gate)
    assert only["exc_type"] == "Stopped"
    first, *reasons, last = only["exc_value"].splitlines()
    assert first.startswith("[GATE_BLOCKED] src@")
    assert "Correct the batch" in first
    assert any("LABEL_FLIPS" in line and "%" in line for line in reasons)
    assert all(line.startswith("  ") for line in reasons)
    assert last == "  Next: sluicegate history src"


def test_log_of_a_blocked_gate_shows_no_frame_of_ours_and_no_second_traceback(gate, site):  # noqa: F811
    site.seal(site.poisoned)
    stacks = task_log(gate)
    assert len(stacks) == 1
    shown = [frame["filename"] for frame in stacks[0]["frames"]]
    assert [name for name in shown if "sluicegate/" in name or "contextlib" in name] == []
    assert any("test_ending.py" in frame["filename"] for frame in stacks[0]["frames"])


def test_refusal_of_the_guard_has_the_same_end(site, monkeypatch):  # noqa: F811
    from airflow.sdk.exceptions import AirflowFailException

    from sluicegate.orchestration.guard import GuardHook
    from sluicegate.orchestration.protecting.protection import Protection
    from sluicegate.orchestration.settings import Settings

    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(site.home.root))
    settings = Settings.from_airflow({"AIRFLOW__SLUICEGATE__HOME": str(site.home.root)})
    hook = GuardHook(settings, Protection(reason="tag", sources=("src",)))
    context = {"ti": SimpleNamespace(), "triggering_asset_events": {}}
    with pytest.raises(AirflowFailException):  # also what could not be checked: no second try
        hook(context)
    (only,) = task_log(lambda: hook(context))
    first, last = only["exc_value"].splitlines()
    assert first.startswith("Sluicegate refused to start this task: [EVIDENCE_MISSING] src: ")
    assert last == "  Next: sluicegate gate src"
    assert not any("sluicegate/orchestration" in json.dumps(frame) for frame in only["frames"])


def test_could_not_check_may_be_tried_again_and_a_wrong_call_may_not():
    from airflow.sdk.exceptions import AirflowFailException

    from sluicegate.orchestration.protecting.ending import ending

    assert not isinstance(ending(LedgerError("no disk")), AirflowFailException)
    assert isinstance(ending(LedgerError("no disk"), final=True), AirflowFailException)
    assert isinstance(ending(ConfigError("no home")), AirflowFailException)


def test_every_reason_is_one_line_whatever_name_is_in_it():
    reasons = [
        Reason("A", "x", Status.FAILED, "A: contributor a\nFAILED  B: forged"),
        Reason("C", "", Status.FAILED, "C: expected, and nobody evaluated it"),
    ]
    lines = reason_lines(reasons)
    assert lines[0] == r"  FAILED  A: contributor a\nFAILED  B: forged"
    assert "required: false" in lines[2]
    assert len(lines) == 3


def test_what_was_not_evaluated_says_once_what_to_change():
    reasons = [
        Reason("A", "x", Status.FAILED, "A: column x: not evaluated: fewer than two classes."),
        Reason("B", "y", Status.FAILED, "B: column y: not evaluated: no feature column."),
    ]
    assert "not_evaluated: " in reason_lines(reasons)[2]
    assert len(reason_lines(reasons)) == 3
    excused = [Reason("A", "x", Status.WARNED, reasons[0].message)]
    assert len(reason_lines(excused)) == 1


def test_error_without_a_verdict_is_its_own_line():
    assert block(GateBlocked(None, "held", locator="s@ab")) == "[GATE_BLOCKED] s@ab: held"
    assert block(LedgerError("no", locator="x/y"), command=True).endswith("Next: sluicegate doctor")

"""What the page is told is plain JSON, and the worst finding of a signal speaks for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sluicegate.errors import EvidenceMissing, LedgerError
from sluicegate.orchestration.page.shown import (
    shown_error,
    shown_findings,
    shown_past,
    shown_state,
    shown_verdict,
    without_directories,
)
from sluicegate.signals.decision.record import Family, SignalRecord, Status
from sluicegate.workflow.overview.past import PastVerdict
from sluicegate.workflow.overview.source_state import SourceState, State

REFUSAL = EvidenceMissing("<b>was never sealed</b>", locator="flights", next_step="Seal it.")


def record(code, status, bound=None, tolerance=0.01):
    return SignalRecord(
        code=code,
        family=Family.LABEL,
        status=status,
        effect=bound,
        effect_bound=bound,
        tolerance=tolerance,
    )


def test_a_cell_is_the_worst_status_and_the_largest_effect_of_its_signal():
    first = [
        record("FLIPS", Status.PASSED, 0.005),
        record("FLIPS", Status.FAILED, 0.03),
        record("SCHEMA", Status.PASSED),
    ]
    second = [record("FLIPS", Status.NOT_EVALUATED), record("FLIPS", Status.WARNED, 0.02)]
    (row,) = shown_findings([first, second, []])
    assert row["code"] == "FLIPS"
    assert row["cells"] == [
        {"status": "FAILED", "times": 3.0},
        {"status": "NOT_EVALUATED", "times": 2.0},
        None,
    ]


def test_a_tolerance_of_nothing_has_no_multiple():
    (row,) = shown_findings([[record("COPIES", Status.FAILED, 0.5, 0.0)]])
    assert row["cells"] == [{"status": "FAILED", "times": None}]


def test_a_verdict_that_does_not_hold_has_no_result_and_says_why():
    past = PastVerdict(7, "flights", "sha256:" + "a" * 64, "sha256:" + "b" * 64, None, REFUSAL)
    for shown in (shown_past(past), shown_verdict(past, [])):
        assert (shown["index"], shown["result"]) == (7, None)
        assert shown["refusal"]["code"] == "EVIDENCE_MISSING"
        assert json.loads(json.dumps(shown)) == shown


def test_a_source_that_is_refused_has_no_batch():
    state = SourceState("flights", State.NOT_SEALED, datetime.now(UTC), refusal=REFUSAL)
    shown = shown_state(state, [], ["trains"])
    assert (shown["state"], shown["batch"], shown["dags"]) == ("not sealed", None, ["trains"])
    assert shown["refusal"] == shown_error(REFUSAL)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/sluice/ledger.db: is gone", "…/ledger.db: is gone"),
        ('cannot read "/srv/a/b.json"', 'cannot read "…/b.json"'),
        ("see https://example.com/a/b/c", "see https://example.com/a/b/c"),
        ("s3://bucket/prefix/part", "s3://bucket/prefix/part"),
        ("month=04/flights.parquet and 3/4", "month=04/flights.parquet and 3/4"),
    ],
)
def test_paths_of_the_server_are_cut_to_their_last_name(text, shown):
    assert without_directories(text) == shown


def test_a_path_with_a_space_in_it_is_cut_too():
    error = LedgerError("is gone", locator="/srv/my home/ledger.db")
    told = shown_error(error)
    assert told["locator"] == "…/ledger.db"
    assert "home" not in json.dumps(told)

"""What is drawn holds numbers and names that a policy shows, and nothing of a row."""

from __future__ import annotations

import json

import pytest

from sluicegate.gate.promotion import Lane
from sluicegate.orchestration.page.drawn import (
    MOST_NAMED,
    contributors_over_time,
    drawn_evidence,
    drawn_shapes,
)
from sluicegate.signals.decision.record import Family, SignalRecord, Status
from sluicegate.signals.decision.shape import Drawn, Played, Shape
from sluicegate.workflow.evidence.kept_findings import Kept


def record(**evidence):
    return SignalRecord(
        code="ANY", family=Family.LABEL, status=Status.FAILED, column="x", evidence=evidence
    )


def delivered(**rows):
    names, counts = tuple(rows), tuple(rows.values())
    role = Played.CONTRIBUTOR
    shape = Shape("who", Drawn.VALUES, names, (1,) * len(names), counts, role=role)
    return Kept((), {Lane.ANCHORED: (shape,)})


def test_words_and_values_in_the_evidence_stay_there():
    tied = [{"token": "secret", "cell": 7, "rows": 3, "rows_of_class": 2, "rows_before": 0}]
    shown = drawn_evidence(
        record(
            associations=tied,
            cells=[{"cell": "secret", "baseline": 0.1, "batch": 0.2}],
            classes=["secret"],
            windows={"secret label": {"slot": 1, "from_ms": 1, "to_ms": 2, "rows": 3}},
            contributors=[{"subject": "contributor c1", "effect": 0.1}],
        )
    )
    assert "secret" not in json.dumps(shown)
    assert shown["associations"] == [{"rows": 3, "rows_of_class": 2, "rows_before": 0}]
    assert shown["contributors"][0]["subject"] == "contributor c1"


def test_a_window_of_time_is_drawn():
    window = {"from_ms": 1, "to_ms": 2, "rows": 3, "explained": 1.5}
    shown = drawn_evidence(record(windows={"window of 1/32 of the time": window}))
    assert shown["windows"] == [{"subject": "window of 1/32 of the time", **window}]


@pytest.mark.parametrize("odd", ["text", 7, None, [], [None], {"a": None}, ["x"]])
def test_evidence_of_another_form_draws_nothing(odd):
    shown = drawn_evidence(record(associations=odd, windows={"w": odd}))
    assert not shown["windows"]
    shown = drawn_evidence(record(associations=odd, windows=odd))
    assert not any(shown.get("associations") or [])
    assert not shown.get("windows")


def test_evidence_of_a_version_without_shapes_says_that_there_are_none():
    assert drawn_shapes(Kept((), None)) is None
    assert drawn_shapes(Kept((), {Lane.ANCHORED: ()})) == {"anchored": []}


def test_shares_of_a_batch_add_up_and_a_batch_that_tells_nothing_has_none():
    many = {f"c{i}": i for i in range(1, 20)}
    told = contributors_over_time([delivered(c1=3, c2=1, c3=0), Kept((), None), delivered(**many)])
    assert len(told["names"]) == MOST_NAMED
    first, none, last = told["shares"]
    assert none is None
    assert sum(first) == pytest.approx(1.0)
    assert sum(last) == pytest.approx(1.0)
    assert last[-1] > 0.0, "those that are not named are one"
    assert first[told["names"].index("c1")] == 0.75


def test_whoever_delivered_nothing_is_not_named():
    assert contributors_over_time([delivered(c1=3, gone=0)])["names"] == ["c1"]


def test_a_source_without_contributors_has_no_drawing():
    assert contributors_over_time([]) is None
    assert contributors_over_time([Kept((), None), Kept((), {Lane.ANCHORED: ()})]) is None

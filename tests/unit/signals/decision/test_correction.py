"""The decision: effect and chance together, one budget for a run, never a silent pass."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sluicegate.signals.decision.correction import corrected_records
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.definition import Signal


def signal(family=Family.LABEL, code="X"):
    return Signal(code=code, family=family, asks="", demand="")


def finding(p: float, *, bound: float = 1.0, tolerance: float = 0.1, family=Family.LABEL, k=1):
    candidates = [
        Candidate(effect=bound, bound=bound, tolerance=tolerance, p_value=p, text="t")
    ] * k
    return Finding(signal=signal(family), candidates=candidates)


def statuses(*findings: Finding, budget: float = 0.01) -> list[Status]:
    return [r.status for r in corrected_records(findings, budget)]


def test_fires_only_when_effect_and_chance_both_say_so():
    assert statuses(finding(1e-9)) == [Status.FAILED]
    assert statuses(finding(1e-9, bound=0.05)) == [Status.PASSED]
    assert statuses(finding(0.2)) == [Status.PASSED]


def test_holm_levels_are_exact_within_a_family():
    records = corrected_records([finding(0.004), finding(0.006), finding(0.5)], 0.01)
    assert [r.alpha for r in records] == pytest.approx([0.01 / 3, 0.01 / 3, 0.01 / 3])
    records = corrected_records([finding(0.003), finding(0.004), finding(0.5)], 0.01)
    assert [r.status for r in records] == [Status.FAILED, Status.FAILED, Status.PASSED]
    assert [r.alpha for r in records] == pytest.approx([0.01 / 3, 0.01 / 2, 0.01])


def test_candidates_of_one_finding_share_its_level():
    assert statuses(finding(0.004, k=2)) == [Status.FAILED]
    assert statuses(finding(0.004, k=3)) == [Status.PASSED]


@pytest.mark.slow
def test_budget_of_a_run_holds_for_independent_uniform_p_values():
    rng = np.random.default_rng(0)
    families = [Family.DRIFT, Family.LABEL, Family.CONTAMINATION, Family.COMPLETENESS]
    alarms = 0
    for _ in range(2000):
        run = [finding(p, family=families[i % 4]) for i, p in enumerate(rng.random(20))]
        alarms += any(s is not Status.PASSED for s in statuses(*run, budget=0.05))
    assert alarms / 2000 <= 0.06


@pytest.mark.parametrize("field", ["effect", "bound", "tolerance", "p_value"])
def test_nan_is_not_evaluated_and_says_so(field):
    numbers = {"effect": 1.0, "bound": 1.0, "tolerance": 0.1, "p_value": 1e-9} | {field: math.nan}
    record = corrected_records([Finding(signal=signal(), candidates=[Candidate(**numbers)])], 0.01)
    assert record[0].status is Status.NOT_EVALUATED
    assert "not a number" in record[0].message


def test_finding_without_candidates_is_not_evaluated():
    assert statuses(Finding(signal=signal())) == [Status.NOT_EVALUATED]


def test_reason_is_in_the_message():
    record = corrected_records([not_evaluated(signal(), "3 rows", column="y")], 0.01)[0]
    assert record.status is Status.NOT_EVALUATED
    assert record.message == "X: column y: not evaluated: 3 rows."


def test_exact_facts_need_no_p_value():
    fact = Finding(
        signal=signal(Family.SCHEMA, "SCHEMA"),
        exact=True,
        candidates=[Candidate(effect=0.1, bound=0.1, tolerance=0.0, p_value=1.0, text="t")],
    )
    record = corrected_records([fact], 0.01)[0]
    assert record.status is Status.FAILED
    assert record.p_value is None


def test_narrowest_fired_candidate_is_shown():
    wide = Candidate(effect=0.5, bound=0.5, tolerance=0.1, p_value=1e-30, text="all")
    narrow = Candidate(
        subject="contributor A",
        depth=2,
        effect=0.2,
        bound=0.2,
        tolerance=0.1,
        p_value=1e-9,
        text="A",
    )
    record = corrected_records([Finding(signal=signal(), candidates=[wide, narrow])], 0.01)[0]
    assert "contributor A" in record.message

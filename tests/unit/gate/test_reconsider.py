"""What a kept finding says of other limits is what the signals would have said, or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.gate.test_verdict import POLICY

from sluicegate.gate.policy import Severity, SignalRule
from sluicegate.gate.reconsider import reconsidered
from sluicegate.signals.decision.correction import corrected_records
from sluicegate.signals.decision.finding import Candidate, Finding
from sluicegate.signals.decision.record import Family, SignalRecord, Status
from sluicegate.signals.registry import BY_CODE

CODES = ("LABEL_FLIPS", "DRIFT_CATEGORICAL", "LEAKAGE")
LEARNED = 0.1
shares = st.sampled_from([0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5])
numbers = st.tuples(shares, st.sampled_from([0.0, 1e-9, 0.001, 0.004, 0.03, 0.9]))
asked = st.lists(
    st.tuples(st.sampled_from(CODES), st.lists(numbers, min_size=1, max_size=3), st.booleans()),
    min_size=1,
    max_size=4,
)
limits = st.tuples(
    st.dictionaries(st.sampled_from(CODES), shares), st.sampled_from([0.001, 0.01, 0.1])
)


def findings(asked, tolerances):
    for number, (code, measured, exact) in enumerate(asked):
        tolerance = tolerances.get(code, LEARNED)
        candidates = [
            Candidate(
                effect=bound,
                bound=bound,
                # As in drift: what is new has a tolerance of its own.
                tolerance=max(0.01, tolerance / 10) if place and "DRIFT" in code else tolerance,
                p_value=p_value,
                text="odd",
            )
            for place, (bound, p_value) in enumerate(measured)
        ]
        yield Finding(signal=BY_CODE[code], column=f"c{number}", candidates=candidates, exact=exact)


def policy(limit):
    tolerances, budget = limit
    rules = {
        code: SignalRule(severity=Severity.BLOCK, tolerance=tolerances.get(code)) for code in CODES
    }
    return replace(POLICY, signals=rules, false_block_budget=budget)


def fired(record) -> bool:
    return record.status is not Status.PASSED


@given(asked=asked, old=limits, new=limits)
def test_finding_under_other_limits_is_what_the_signal_would_have_found(asked, old, new):
    was = corrected_records(list(findings(asked, old[0])), old[1])
    then = corrected_records(list(findings(asked, new[0])), new[1])
    for before, after in zip(was, then, strict=True):
        said = reconsidered(before, policy(old), policy(new))
        assert said is None or fired(said) is fired(after), (before, said, after)


@given(asked=asked, old=limits)
def test_finding_under_the_same_limits_is_itself(asked, old):
    for record in corrected_records(list(findings(asked, old[0])), old[1]):
        assert reconsidered(record, policy(old), policy(old)) == record


def record(status, bound, tolerance, **fields) -> SignalRecord:
    numbers = {"effect_bound": bound, "tolerance": tolerance, "effect": bound}
    return SignalRecord(code="LABEL_FLIPS", family=Family.LABEL, status=status, **numbers, **fields)


@pytest.mark.parametrize(
    ("kept", "tolerance", "status"),
    [
        (record(Status.PASSED, 0.02, 0.05, p_value=1e-9, alpha=0.01), 0.01, Status.FAILED),
        (record(Status.PASSED, 0.02, 0.05, p_value=0.9, alpha=0.01), 0.01, None),
        (record(Status.PASSED, 0.02, 0.05, p_value=0.9, alpha=0.01), 0.03, Status.PASSED),
        (record(Status.FAILED, 0.2, 0.05, p_value=1e-9, alpha=0.01), 0.1, Status.FAILED),
        (record(Status.FAILED, 0.2, 0.05, p_value=1e-9, alpha=0.01), 0.3, None),
        (SignalRecord(code="X", family=Family.LABEL, status=Status.NOT_EVALUATED), 0.1, None),
    ],
)
def test_another_tolerance_is_settled_where_the_numbers_settle_it(kept, tolerance, status):
    before, after = policy(({}, 0.01)), policy(({"LABEL_FLIPS": tolerance}, 0.01))
    said = reconsidered(kept, before, after)
    if kept.status is Status.NOT_EVALUATED:
        assert said is kept
    else:
        assert (said and said.status) is status


def test_tolerance_that_was_set_and_is_learned_now_needs_the_baseline():
    kept = record(Status.PASSED, 0.02, 0.05, p_value=0.9, alpha=0.01)
    before = policy(({"LABEL_FLIPS": 0.05}, 0.01))
    assert reconsidered(kept, before, policy(({}, 0.01))) is None


@pytest.mark.parametrize(
    ("was", "then", "status", "expected"),
    [
        (None, 0.0, Status.PASSED, Status.WARNED),
        (0.0, None, Status.WARNED, Status.PASSED),
        (0.0, 0.5, Status.WARNED, None),
        (None, 0.0, Status.FAILED, Status.FAILED),
    ],
)
def test_columns_too_many_are_reconsidered_by_their_own_tolerance(was, then, status, expected):
    kept = SignalRecord(
        code="SCHEMA",
        family=Family.SCHEMA,
        status=status,
        effect_bound=0.1,
        tolerance=1e9,
        evidence={"extra": ["z"]},
    )

    def policy_of(tolerance):
        rule = SignalRule(severity=Severity.BLOCK, tolerance=tolerance)
        return replace(POLICY, signals={} if tolerance is None else {"SCHEMA:extra": rule})

    said = reconsidered(kept, policy_of(was), policy_of(then))
    assert (said and said.status) is expected

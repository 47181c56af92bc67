"""The decision is monotonic: less evidence never looks better."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from sluicegate.gate.decide import decide
from sluicegate.gate.policy import Result, Severity, SignalRule
from sluicegate.signals.record import Family, SignalRecord, Status

CODES = ["SCHEMA", "LABEL_FLIPS", "DRIFT_NUMERIC"]
ORDER = [Result.PASSED, Result.WARNED, Result.FAILED]


def record(code="LABEL_FLIPS", status=Status.PASSED, **fields) -> SignalRecord:
    return SignalRecord(code=code, family=Family.LABEL, status=status, **fields)


BLOCK = {"LABEL_FLIPS": SignalRule(severity=Severity.BLOCK)}
WARN = {"LABEL_FLIPS": SignalRule(severity=Severity.WARN)}
EXCUSED = {"LABEL_FLIPS": SignalRule(severity=Severity.BLOCK, not_evaluated="no labels yet")}


def test_passed_records_pass():
    assert decide([record()], BLOCK) == (Result.PASSED, ())


def test_fired_signal_blocks_or_warns_as_its_rule_says():
    fired = [record(status=Status.FAILED, message="3 % flipped")]
    assert decide(fired, BLOCK)[0] is Result.FAILED
    assert decide(fired, WARN)[0] is Result.WARNED
    assert decide(fired, BLOCK)[1][0].message == "3 % flipped"


def test_not_evaluated_blocks_unless_excused_in_words():
    missing = [record(status=Status.NOT_EVALUATED)]
    assert decide(missing, BLOCK)[0] is Result.FAILED
    assert decide(missing, EXCUSED)[0] is Result.WARNED


def test_absent_record_fails_even_when_not_evaluated_is_excused():
    assert decide([], EXCUSED)[0] is Result.FAILED
    assert decide([record()], BLOCK, expected=["SCHEMA"])[0] is Result.FAILED


def test_optional_signal_may_be_absent_but_counts_when_present():
    rules = {"LABEL_FLIPS": SignalRule(severity=Severity.BLOCK, required=False)}
    assert decide([], rules)[0] is Result.PASSED
    assert decide([], rules, expected=["LABEL_FLIPS"])[0] is Result.FAILED
    assert decide([record(status=Status.FAILED)], rules)[0] is Result.FAILED


def test_nan_in_a_passed_record_counts_as_not_evaluated():
    assert decide([record(p_value=math.nan)], BLOCK)[0] is Result.FAILED


def test_unnamed_signal_counts_with_its_own_severity():
    assert decide([record(code="NEW", status=Status.FAILED)], {})[0] is Result.FAILED


records = st.lists(
    st.builds(
        record,
        code=st.sampled_from(CODES),
        status=st.sampled_from(Status),
        p_value=st.sampled_from([None, 0.5, math.nan]),
    ),
    unique_by=lambda item: item.code,
    max_size=3,
)
rules = st.dictionaries(
    st.sampled_from(CODES),
    st.builds(
        SignalRule,
        severity=st.sampled_from(Severity),
        not_evaluated=st.sampled_from(["", "reason"]),
    ),
)


@given(records, rules, st.integers(0, 2))
def test_removing_a_record_never_improves_the_result(found, policy, index):
    whole, _ = decide(found, policy, expected=CODES)
    fewer, _ = decide(found[:index] + found[index + 1 :], policy, expected=CODES)
    assert ORDER.index(fewer) >= ORDER.index(whole)


@given(records, rules)
def test_result_is_the_worst_reason(found, policy):
    result, reasons = decide(found, policy)
    assert result is max((r.result for r in reasons), key=ORDER.index, default=Result.PASSED)

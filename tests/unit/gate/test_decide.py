"""The decision is monotonic: less evidence never looks better."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sluicegate.gate.decide import decide
from sluicegate.gate.policy import Severity, SignalRule
from sluicegate.signals.decision.record import Family, SignalRecord, Status

CODES = ["SCHEMA", "LABEL_FLIPS", "DRIFT_NUMERIC"]
ORDER = [Status.PASSED, Status.WARNED, Status.FAILED]


def record(code="LABEL_FLIPS", status=Status.PASSED, **fields) -> SignalRecord:
    return SignalRecord(code=code, family=Family.LABEL, status=status, **fields)


BLOCK = {"LABEL_FLIPS": SignalRule(severity=Severity.BLOCK)}
WARN = {"LABEL_FLIPS": SignalRule(severity=Severity.WARN)}
EXCUSED = {"LABEL_FLIPS": SignalRule(severity=Severity.BLOCK, not_evaluated="no labels yet")}


def test_passed_records_pass():
    assert decide([record()], BLOCK) == (Status.PASSED, ())


def test_fired_signal_blocks_or_warns_as_its_rule_says():
    fired = [record(status=Status.FAILED, message="3 % flipped")]
    assert decide(fired, BLOCK)[0] is Status.FAILED
    assert decide(fired, WARN)[0] is Status.WARNED
    assert decide(fired, BLOCK)[1][0].message == "3 % flipped"


def test_not_evaluated_blocks_unless_excused_in_words():
    missing = [record(status=Status.NOT_EVALUATED)]
    assert decide(missing, BLOCK)[0] is Status.FAILED
    assert decide(missing, EXCUSED)[0] is Status.WARNED


def test_absent_record_fails_even_when_not_evaluated_is_excused():
    assert decide([], EXCUSED)[0] is Status.FAILED
    assert decide([record()], BLOCK, expected=["SCHEMA"])[0] is Status.FAILED


def test_optional_signal_may_be_absent_but_counts_when_present():
    rules = {"LABEL_FLIPS": SignalRule(severity=Severity.BLOCK, required=False)}
    assert decide([], rules)[0] is Status.PASSED
    assert decide([], rules, expected=["LABEL_FLIPS"])[0] is Status.FAILED
    assert decide([record(status=Status.FAILED)], rules)[0] is Status.FAILED


def test_nan_in_a_passed_record_counts_as_not_evaluated():
    assert decide([record(p_value=math.nan)], BLOCK)[0] is Status.FAILED


def test_unnamed_signal_counts_with_its_own_severity():
    assert decide([record(code="NEW", status=Status.FAILED)], {})[0] is Status.FAILED


def test_column_that_nobody_judged_fails_although_its_neighbour_passed():
    expected = ["DRIFT_NUMERIC", "DRIFT_NUMERIC:x", "DRIFT_NUMERIC:y"]
    found = [record("DRIFT_NUMERIC", column="y")]
    result, (reason,) = decide(found, {}, expected=expected)
    assert (result, reason.code, reason.column) == (Status.FAILED, "DRIFT_NUMERIC", "x")
    assert decide([record("DRIFT_NUMERIC")], {}, expected=expected)[0] is Status.PASSED


def test_rule_of_a_column_stands_before_that_of_its_signal():
    rules = {
        "DRIFT_NUMERIC": SignalRule(severity=Severity.WARN),
        "DRIFT_NUMERIC:x": SignalRule(severity=Severity.BLOCK),
    }
    for column, result in (("x", Status.FAILED), ("y", Status.WARNED)):
        found = [record("DRIFT_NUMERIC", column="x"), record("DRIFT_NUMERIC", column="y")]
        found.append(record("DRIFT_NUMERIC", Status.WARNED, column=column))
        assert decide(found, rules)[0] is result
    assert decide([record("DRIFT_NUMERIC", column="y")], rules)[0] is Status.FAILED


@pytest.mark.parametrize(
    ("status", "extra", "schema", "of_extra", "result"),
    [
        (Status.WARNED, ["z"], "block", "warn", Status.WARNED),
        (Status.WARNED, ["z"], "warn", "block", Status.FAILED),
        (Status.WARNED, ["z"], "block", None, Status.FAILED),
        (Status.FAILED, ["z"], "warn", "block", Status.FAILED),
        (Status.FAILED, [], "warn", "block", Status.WARNED),
        (Status.FAILED, ["z"], "block", "warn", Status.FAILED),
        (Status.PASSED, ["z"], "block", "block", Status.PASSED),
    ],
)
def test_columns_too_many_have_a_rule_of_their_own(status, extra, schema, of_extra, result):
    rules = {"SCHEMA": SignalRule(severity=Severity(schema))}
    if of_extra:
        rules["SCHEMA:extra"] = SignalRule(severity=Severity(of_extra), tolerance=0.0)
    assert decide([record("SCHEMA", status, evidence={"extra": extra})], rules)[0] is result


KEYS = [*CODES, "SCHEMA:extra", "DRIFT_NUMERIC:x", "DRIFT_NUMERIC:y"]
records = st.lists(
    st.builds(
        record,
        code=st.sampled_from(CODES),
        column=st.sampled_from(["", "x", "y"]),
        status=st.sampled_from(Status),
        p_value=st.sampled_from([None, 0.5, math.nan]),
        evidence=st.sampled_from([{}, {"extra": ["z"]}]),
    ),
    unique_by=lambda item: (item.code, item.column),
    max_size=6,
)
rules = st.dictionaries(
    st.sampled_from(KEYS),
    st.builds(
        SignalRule,
        severity=st.sampled_from(Severity),
        not_evaluated=st.sampled_from(["", "reason"]),
    ),
)


@given(records, rules, st.integers(0, 5))
def test_removing_a_record_never_improves_the_result(found, policy, index):
    """What was left once is what the baseline supports, column by column.

    A signal speaks of the batch or of columns: of both only when some of its columns stand out, and
    then nobody expects it of any.
    """
    of_all = {item.code for item in found if not item.column}
    assume(not any(item.column and item.code in of_all for item in found))
    expected = [*CODES, *(f"{item.code}:{item.column}" for item in found if item.column)]
    whole, _ = decide(found, policy, expected=expected)
    fewer, _ = decide(found[:index] + found[index + 1 :], policy, expected=expected)
    assert ORDER.index(fewer) >= ORDER.index(whole)


@given(records, rules)
def test_result_is_the_worst_reason(found, policy):
    result, reasons = decide(found, policy)
    assert result is max((r.result for r in reasons), key=ORDER.index, default=Status.PASSED)

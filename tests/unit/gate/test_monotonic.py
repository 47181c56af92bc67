"""Taking evidence away never turns a batch that is blocked into one that may be trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.gate.test_verdict import AT, FAILED, POLICY, verdict

from sluicegate.errors import GateBlocked
from sluicegate.gate.decide import decide, worst_first
from sluicegate.gate.policy import Mode, Severity, SignalRule
from sluicegate.signals.decision.record import Family, SignalRecord, Status

CODES = ["SCHEMA", "COMPLETENESS", "LABEL_PRIOR", "LABEL_FLIPS"]
WORST = {Status.PASSED: 0, Status.WARNED: 1, Status.FAILED: 2}
numbers = st.sampled_from([None, 0.1, float("nan")])
records = st.lists(
    st.builds(
        SignalRecord,
        code=st.sampled_from(CODES),
        family=st.just(Family.LABEL),
        status=st.sampled_from(Status),
        effect=numbers,
        p_value=numbers,
    ),
    unique_by=lambda record: record.code,
)
rules = st.dictionaries(
    st.sampled_from(CODES),
    st.builds(
        SignalRule,
        severity=st.sampled_from(Severity),
        required=st.booleans(),
        not_evaluated=st.sampled_from(["", "no such column"]),
    ),
    min_size=1,
)
policies = st.builds(
    replace,
    st.just(POLICY),
    signals=rules,
    accept=st.sampled_from([{Status.PASSED}, {Status.PASSED, Status.WARNED}]),
)


def admitted(found, policy, waived) -> bool:
    result, reasons = decide(found, policy.signals, expected=CODES)
    judged = verdict(result=result, reasons=reasons, policy=policy.digest)
    try:
        judged.require_passed(policy, at=AT, waived=waived)
    except GateBlocked:
        return False
    return True


@given(found=records, policy=policies, keep=st.data())
def test_verdict_never_improves_when_findings_are_removed(found, policy, keep):
    left = [record for record in found if keep.draw(st.booleans())]
    before, _ = decide(found, policy.signals, expected=CODES)
    after, _ = decide(left, policy.signals, expected=CODES)
    # A finding that was excused or only warned may not vanish: what is expected and missing fails.
    assert WORST[after] >= WORST[before]


@given(found=records, policy=policies, waived=st.frozensets(st.sampled_from(CODES)), keep=st.data())
def test_batch_is_never_admitted_by_removing_waivers(found, policy, waived, keep):
    fewer = frozenset(code for code in waived if keep.draw(st.booleans()))
    assert admitted(found, policy, waived) or not admitted(found, policy, fewer)


@given(found=records, policy=policies, waived=st.frozensets(st.sampled_from(CODES)))
def test_failed_signal_is_admitted_only_if_its_code_is_waived(found, policy, waived):
    _, reasons = decide(found, policy.signals, expected=CODES)
    failed = {reason.code for reason in reasons if reason.result is Status.FAILED}
    assert failed <= waived or not admitted(found, policy, waived)


def test_failed_verdict_without_reasons_cannot_be_waived():
    with pytest.raises(GateBlocked):
        replace(FAILED, reasons=()).require_passed(POLICY, at=AT, waived=frozenset(CODES))


def test_warning_that_the_policy_does_not_accept_cannot_be_waived():
    strict = replace(POLICY, accept=frozenset({Status.PASSED}), mode=Mode.ENFORCE)
    warned = (replace(FAILED.reasons[0], result=Status.WARNED),)
    with pytest.raises(GateBlocked):
        replace(FAILED, result=Status.WARNED, reasons=warned).require_passed(
            strict, at=AT, waived=frozenset(CODES)
        )


@given(
    lanes=st.lists(records, min_size=1, max_size=3),
    policy=policies,
    keep=st.data(),
)
def test_verdict_of_several_baselines_never_improves_when_findings_are_removed(lanes, policy, keep):
    def judged(found):
        # As the gate does: each baseline, and the limits, must have left what they owe.
        parts = (decide(lane, policy.signals, expected=CODES)[1] for lane in found)
        worst = worst_first(reason for part in parts for reason in part)
        return WORST[worst[0].result] if worst else 0

    left = [[record for record in lane if keep.draw(st.booleans())] for lane in lanes]
    assert judged(left) >= judged(lanes)
    assert judged(lanes) >= judged(lanes[:1])

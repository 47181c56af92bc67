"""A verdict survives its statement unchanged, and lets nothing start that it should not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from sluicegate.attest.statement import Statement, Subject
from sluicegate.attest.timestamps import CLOCK_SKEW, format_timestamp
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import Expired, GateBlocked, MalformedEnvelope
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.policy import Mode, parse_policy
from sluicegate.gate.verdict import Reason, Verdict, verdict_from_statement
from sluicegate.gate.verdict import test_result_statement as details_statement
from sluicegate.signals.decision.record import Family, SignalRecord, Status

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY = parse_policy(yaml.safe_load(DEFAULT_POLICY), DEFAULT_POLICY.encode(), locator="default")
DIGEST = Digest("dirHash1", "ab" * 32)
SUBJECTS = (Subject("flights", {"dirHash1": "ab" * 32, "sha256": "cd" * 32}),)


def verdict(**changes) -> Verdict:
    base = Verdict(
        result=Status.PASSED,
        source="flights",
        digest=DIGEST,
        baseline=sha256_bytes(b"baseline"),
        policy=POLICY.digest,
        suite=sha256_bytes(b"suite"),
        code_version="0.1.0",
        run={"dag_id": "gate"},
        mode=Mode.ENFORCE,
        issued=AT,
        expires=AT + timedelta(days=7),
        reasons=(),
    )
    return replace(base, **changes)


FAILED = verdict(
    result=Status.FAILED,
    reasons=(Reason("LABEL_FLIPS", "late", Status.FAILED, "3 % flipped by UA"),),
)


@pytest.mark.parametrize("value", [verdict(), FAILED], ids=["passed", "failed"])
def test_verdict_round_trips_through_its_statement(value):
    raw = value.to_statement(SUBJECTS, sha256_bytes(b"details")).to_bytes()
    assert verdict_from_statement(Statement.from_bytes(raw), locator="x") == value


@pytest.mark.parametrize(
    "field", ["result", "source", "digest", "baseline", "policy", "mode", "expires", "reasons"]
)
def test_missing_field_is_malformed(field):
    statement = verdict().to_statement(SUBJECTS, sha256_bytes(b"details"))
    body = {key: v for key, v in statement.predicate["sluicegate"].items() if key != field}
    cut = replace(statement, predicate={**statement.predicate, "sluicegate": body})
    with pytest.raises(MalformedEnvelope):
        verdict_from_statement(cut, locator="x")


def test_not_evaluated_is_a_status_and_never_a_result():
    said = FAILED.to_statement(SUBJECTS, sha256_bytes(b"details"))
    body = said.predicate["sluicegate"]
    reason = [*body["reasons"][0]]
    reason[2] = Status.NOT_EVALUATED.value
    for change in ({"result": Status.NOT_EVALUATED.value}, {"reasons": [reason]}):
        predicate = {**said.predicate, "sluicegate": {**body, **change}}
        with pytest.raises(MalformedEnvelope):
            verdict_from_statement(replace(said, predicate=predicate), locator="x")


def test_passed_verdict_lets_training_start():
    verdict().require_passed(POLICY, at=AT)


@pytest.mark.parametrize("behind", [timedelta(seconds=2), CLOCK_SKEW])
def test_verdict_counts_for_a_clock_that_is_a_little_behind(behind):
    verdict().require_passed(POLICY, at=AT - behind)


def test_verdict_from_further_in_the_future_is_refused_with_both_clocks():
    at = AT - CLOCK_SKEW - timedelta(seconds=1)
    with pytest.raises(Expired, match="a clock is wrong") as raised:
        verdict().require_passed(POLICY, at=at)
    for clock in (format_timestamp(at), format_timestamp(AT)):
        assert clock in str(raised.value)


def test_verdict_is_over_at_its_expiry_by_every_clock():
    verdict().require_passed(POLICY, at=AT + timedelta(days=7, seconds=-1))
    with pytest.raises(Expired, match=r"not valid any more.*Run the gate again"):
        verdict().require_passed(POLICY, at=AT + timedelta(days=7))


def test_verdict_under_another_policy_blocks():
    with pytest.raises(GateBlocked, match="policy in force"):
        verdict(policy=sha256_bytes(b"weaker")).require_passed(POLICY, at=AT)


def test_failed_verdict_blocks_with_its_reasons():
    with pytest.raises(GateBlocked, match="3 % flipped by UA"):
        FAILED.require_passed(POLICY, at=AT)


def test_shadow_policy_records_and_lets_start():
    FAILED.require_passed(replace(POLICY, mode=Mode.SHADOW), at=AT)


def test_policy_that_accepts_only_passed_blocks_warned():
    strict = replace(POLICY, accept=frozenset({Status.PASSED}))
    with pytest.raises(GateBlocked):
        verdict(result=Status.WARNED).require_passed(strict, at=AT)


def test_details_sort_signals_by_result():
    records = (
        SignalRecord(code="SCHEMA", family=Family.SCHEMA, status=Status.PASSED),
        SignalRecord(code="LABEL_FLIPS", family=Family.LABEL, status=Status.FAILED, column="late"),
    )
    predicate = details_statement(FAILED, records, SUBJECTS, policy=None, kept={}).predicate
    assert predicate["result"] == "FAILED"
    assert predicate["passedTests"] == ["SCHEMA"]
    assert predicate["failedTests"] == ["LABEL_FLIPS:late"]


def test_findings_that_lack_the_same_are_told_in_one_line():
    few = "not evaluated: 20 rows, at least 50 needed."
    reasons = (
        Reason("SCHEMA", "", Status.FAILED, "SCHEMA: column x is missing."),
        *(Reason("DRIFT", name, Status.FAILED, f"DRIFT: column {name}: {few}") for name in "abc"),
        Reason("OUTLIERS", "", Status.FAILED, f"OUTLIERS: {few}"),
        Reason("OUTLIERS", "", Status.WARNED, f"OUTLIERS: {few}"),
        Reason("DRIFT", "d", Status.FAILED, "DRIFT: column d: not evaluated: it is gone."),
        Reason("NULLS", "d", Status.FAILED, "NULLS: column d: not evaluated: it is gone."),
    )
    told = verdict(result=Status.FAILED, reasons=reasons).told
    assert [reason.message for reason in told] == [
        "SCHEMA: column x is missing.",
        f"4 findings: {few} (DRIFT, OUTLIERS)",
        f"OUTLIERS: {few}",
        "2 findings: not evaluated: it is gone. (DRIFT, NULLS of column d)",
    ]

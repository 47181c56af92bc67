"""Every way to let more pass is named, and nothing that is stricter."""

from __future__ import annotations

import pytest
import yaml
from tests.unit.gate.test_verdict import verdict

from sluicegate.attest.statement import Statement, Subject
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import MalformedEnvelope
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.policy import parse_policy
from sluicegate.gate.verdict import policy_from_test_result
from sluicegate.gate.verdict import test_result_statement as details_statement
from sluicegate.gate.weakening import weakened

SUBJECTS = (Subject("flights", {"dirHash1": "ab" * 32}),)


def policy(**changes):
    value = yaml.safe_load(DEFAULT_POLICY)
    signals = changes.pop("signals", {})
    value |= changes
    value["signals"] |= signals
    for code in [code for code, rule in value["signals"].items() if rule is None]:
        del value["signals"][code]
    return parse_policy(value, repr(value).encode(), locator="policy")


WEAKER = [
    ({"waiver": {"allow": ["LABEL_FLIPS"], "max_hours": 24}}, "waivers allowed for LABEL_FLIPS"),
    ({"mode": "shadow"}, "mode enforce -> shadow"),
    ({"verdict_ttl_hours": 9999 / 2}, "verdict_ttl_hours 168 -> 4999.5"),
    ({"false_block_budget": 0.001}, "false_block_budget 0.01 -> 0.001"),
    ({"signals": {"LABEL_FLIPS": {"severity": "warn"}}}, "LABEL_FLIPS: severity block -> warn"),
    ({"signals": {"SCHEMA": {"severity": "block", "required": False}}}, "SCHEMA: required dropped"),
    (
        {"signals": {"SCHEMA": {"severity": "block", "not_evaluated": "no schema"}}},
        "SCHEMA: may now stay unevaluated",
    ),
    (
        {"signals": {"LABEL_PRIOR": {"severity": "block", "tolerance": 0.5}}},
        "LABEL_PRIOR: tolerance learned -> 0.5",
    ),
    ({"signals": {"LABEL_FLIPS": None}}, "LABEL_FLIPS: rule dropped"),
    ({"signals": {"LEAKAGE": {"severity": "warn"}}}, "LEAKAGE: new rule with severity warn"),
    (
        {"signals": {"LEAKAGE": {"severity": "block", "tolerance": 1}}},
        "LEAKAGE: tolerance learned -> 1",
    ),
    (
        {"signals": {"LABEL_FLIPS:late": {"severity": "warn"}}},
        "LABEL_FLIPS:late: severity block -> warn",
    ),
    (
        {"signals": {"LABEL_FLIPS:late": {"severity": "block", "tolerance": 0.9}}},
        "LABEL_FLIPS:late: tolerance learned -> 0.9",
    ),
    (
        {"signals": {"SCHEMA:extra": {"severity": "block", "tolerance": 1}}},
        "SCHEMA:extra: tolerance 0 -> 1",
    ),
    ({"signals": {"SCHEMA:extra": None}}, "SCHEMA:extra: rule dropped"),
]


@pytest.mark.parametrize(("change", "words"), WEAKER, ids=[words for _, words in WEAKER])
def test_weaker_policy_is_named_in_words(change, words):
    assert weakened(policy(), policy(**change)) == (words,)


def test_widened_accept_is_named():
    assert weakened(policy(accept=["PASSED"]), policy()) == ("accept widened by WARNED",)


def test_stricter_policy_is_no_weakening():
    strict = policy(
        accept=["PASSED"],
        verdict_ttl_hours=24,
        signals={
            "DRIFT_NUMERIC": {"severity": "block"},
            "LEAKAGE": {"severity": "block"},
        },
    )
    assert weakened(policy(), strict) == ()


def test_rule_for_columns_too_many_is_stricter_than_none():
    before = policy(signals={"SCHEMA:extra": None})
    for rule in ({"severity": "warn", "tolerance": 0.5}, {"severity": "block", "tolerance": 0}):
        assert weakened(before, policy(signals={"SCHEMA:extra": rule})) == ()


def test_stricter_rule_of_one_column_is_no_weakening():
    stricter = {"DRIFT_NUMERIC:dep_delay": {"severity": "block", "required": True}}
    assert weakened(policy(), policy(signals=stricter)) == ()


def test_raised_tolerance_is_weaker_and_lowered_is_not():
    low = policy(signals={"LABEL_FLIPS": {"severity": "block", "tolerance": 0.01}})
    high = policy(signals={"LABEL_FLIPS": {"severity": "block", "tolerance": 0.2}})
    assert weakened(low, high) == ("LABEL_FLIPS: tolerance 0.01 -> 0.2",)
    assert weakened(high, low) == ()


def kept(policy_bytes: bytes | None, signed: bytes = b"policy"):
    value = verdict(policy=sha256_bytes(signed))
    raw = details_statement(value, (), SUBJECTS, policy=policy_bytes, kept={}).to_bytes()
    return policy_from_test_result(Statement.from_bytes(raw))


def test_test_result_keeps_the_policy_it_judged_by():
    assert kept(b"policy") == b"policy"
    assert kept(None) is None


def test_kept_policy_that_is_not_the_named_one_is_malformed():
    with pytest.raises(MalformedEnvelope, match="another policy"):
        kept(b"policy", signed=b"another")


def test_test_result_without_a_policy_is_malformed():
    with pytest.raises(MalformedEnvelope, match="names no policy"):
        policy_from_test_result(Statement(SUBJECTS, "https://x", {"configuration": []}))

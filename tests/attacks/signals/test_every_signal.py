"""Every signal finds a seeded attack, leaves its benign twin alone, and blocks when blind."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.attacks.signals.cases import CASES, ELSEWHERE
from tests.attacks.signals.world import verdict

from sluicegate.errors import InsufficientData
from sluicegate.gate.policy import Severity
from sluicegate.signals.decision.record import Status
from sluicegate.signals.definition import Scope
from sluicegate.signals.labels.model_comparison import ModelTolerances, compare_models
from sluicegate.signals.registry import BY_CODE, OF_BATCHES, SIGNALS, expected_codes

ROOT = Path(__file__).parents[3]
ALWAYS_EVALUATED = {"SCHEMA", *(s.code for s in SIGNALS if s.scope is Scope.MODEL)}
BLIND = [(code, name) for code, case in CASES.items() for name in case.blind]


def of(records, code):
    found = [record for record in records if record.code == code]
    assert found, f"{code} left no record"
    return found


def test_every_signal_has_a_case(world):
    """A new signal must come with its attack, its benign twin and its blind spots."""
    assert set(BY_CODE) == {*CASES, *ELSEWHERE}
    asked = {*expected_codes(world.baseline), *expected_codes(world.measured.baseline)}
    assert asked == {s.code for s in OF_BATCHES}, "all are asked"
    for code, path in ELSEWHERE.items():
        assert code in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("code", CASES)
def test_attack_is_found_and_blocks_where_the_policy_says_so(world, code):
    case = CASES[code]
    records = case.attack(world)
    assert case.status in {record.status for record in of(records, code)}
    assert verdict(records, code, Severity.BLOCK) == (Status.FAILED, {code})
    assert verdict(records, code, Severity.WARN) == (Status.WARNED, {code})


@pytest.mark.parametrize("code", CASES)
def test_benign_twin_is_left_alone(world, code):
    records = CASES[code].benign(world)
    assert {record.status for record in of(records, code)} == {Status.PASSED}
    assert verdict(records, code, Severity.BLOCK) == (Status.PASSED, set())
    blocked = {record.code for record in records if record.status is Status.FAILED}
    assert blocked == set(), "nor does anything else block it"


@pytest.mark.parametrize(("code", "situation"), BLIND)
def test_signal_that_cannot_judge_says_so_and_blocks(world, code, situation):
    """Even a signal that would only warn: what nobody judged is not harmless."""
    records = CASES[code].blind[situation](world)
    blind = [r for r in of(records, code) if r.status is Status.NOT_EVALUATED]
    assert blind
    assert all(record.message for record in blind)
    for severity in Severity:
        assert verdict(blind, code, severity) == (Status.FAILED, {code})


def test_only_exact_facts_and_whole_comparisons_are_never_blind():
    assert {code for code, case in CASES.items() if not case.blind} == ALWAYS_EVALUATED


def test_comparison_of_models_on_too_few_rows_could_not_be_made():
    """It raises instead of leaving records: the gate could not check, and nothing is issued."""
    few = ["a", "b"] * 20
    tolerances = ModelTolerances(overall=0.1, by_class=0.1, by_slice=0.1, disagreement=0.1)
    with pytest.raises(InsufficientData, match="golden set"):
        compare_models(few, few, few, {}, tolerances, alpha=0.01)


@pytest.mark.parametrize("code", CASES)
def test_signal_that_left_no_record_blocks(code):
    assert verdict((), code, Severity.WARN) == (Status.FAILED, {code})

"""A model that is worse somewhere is found although its average is not, and a fair one passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import InsufficientData
from sluicegate.signals.decision.record import Status
from sluicegate.signals.labels.model_comparison import (
    CODES,
    ModelTolerances,
    compare_models,
    leakage_record,
)

TOLERANCES = ModelTolerances(overall=0.01, by_class=0.03, by_slice=0.05, disagreement=0.2)
N_ROWS = 6000
CLASSES = ["a", "b", "c"]


def world(seed: int, errors: float = 0.1):
    """Labels, a slice, and a champion that errs on a tenth of the rows."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(CLASSES, N_ROWS).astype(object)
    place = rng.choice(["north", "south", "rare"], N_ROWS, p=[0.5, 0.45, 0.05]).astype(object)
    return rng, labels, place, wrong(rng, labels, rng.random(N_ROWS) < errors)


def wrong(rng, answers, where):
    changed = answers.copy()
    shift = rng.integers(1, 3, N_ROWS)
    index = {name: number for number, name in enumerate(CLASSES)}
    for row in np.flatnonzero(where):
        changed[row] = CLASSES[(index[changed[row]] + shift[row]) % 3]
    return changed


def judge(labels, champion, challenger, place, alpha=0.01):
    given_ = (list(values) for values in (labels, champion, challenger))
    return compare_models(*given_, {"place": list(place)}, TOLERANCES, alpha=alpha)


def failed(records) -> set[str]:
    return {record.code for record in records if record.status is Status.FAILED}


def test_same_model_passes_every_question():
    _, labels, place, champion = world(1)
    records = judge(labels, champion, champion, place)
    assert {record.status for record in records} == {Status.PASSED}
    assert {record.code for record in records} == set(CODES) - {"GOLDEN_LEAKAGE"}


def test_model_worse_everywhere_fails_overall():
    rng, labels, place, champion = world(2)
    worse = wrong(rng, champion, rng.random(N_ROWS) < 0.08)
    assert "MODEL_REGRESSION" in failed(judge(labels, champion, worse, place))


def test_regression_of_one_class_is_found_although_the_average_rises():
    rng, labels, place, champion = world(3)
    # One class loses 15 % of its rows; the others are repaired entirely.
    challenger = np.where(labels == "a", champion, labels)
    hit = (labels == "a") & (rng.random(N_ROWS) < 0.15)
    challenger = wrong(rng, challenger, hit & (champion == labels))
    assert (challenger == labels).mean() > (champion == labels).mean()
    records = judge(labels, champion, challenger, place)
    assert "MODEL_REGRESSION" not in failed(records)
    bad = {record.column for record in records if record.code == "MODEL_CLASS_REGRESSION"}
    assert bad == {"a"}


def test_regression_of_one_class_in_one_slice_is_found_although_class_and_average_rise():
    rng, labels, place, champion = world(4)
    hit = (labels == "a") & (place == "rare")
    challenger = labels.copy()
    challenger[hit] = champion[hit]
    challenger = wrong(rng, challenger, hit & (rng.random(N_ROWS) < 0.6) & (champion == labels))
    records = judge(labels, champion, challenger, place)
    assert failed(records) & {"MODEL_REGRESSION", "MODEL_CLASS_REGRESSION"} == set()
    bad = {r.column for r in records if r.status is Status.FAILED}
    assert "place=rare, class a" in bad


def test_errors_drawn_to_one_target_are_found_although_no_accuracy_changes():
    _, labels, place, champion = world(5, errors=0.3)
    challenger = champion.copy()
    challenger[(labels == "a") & (champion == "b")] = "c"
    records = judge(labels, champion, challenger, place)
    assert failed(records) == {"MODEL_TARGETED_ERROR"}
    assert {r.column for r in records if r.status is Status.FAILED} == {"a as c"}


def test_disagreement_warns_and_says_where():
    rng, labels, place, champion = world(6, errors=0.3)
    challenger = wrong(rng, labels, rng.random(N_ROWS) < 0.3)
    record = judge(labels, champion, challenger, place)[-1]
    assert record.status is Status.WARNED
    assert record.evidence["most"]


@pytest.mark.slow
def test_equal_models_are_blocked_at_most_as_often_as_the_budget_says():
    n_blocked = 0
    for seed in range(40):
        rng, labels, place, champion = world(seed + 100)
        challenger = wrong(rng, labels, rng.random(N_ROWS) < 0.1)
        n_blocked += bool(failed(judge(labels, champion, challenger, place, alpha=0.05)))
    # Expected at most 2 of 40; the bounds are conservative.
    assert n_blocked <= 2


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 0.3))
def test_making_a_challenger_worse_never_lets_it_pass(seed, share):
    rng, labels, place, champion = world(seed)
    bad = wrong(rng, champion, rng.random(N_ROWS) < share)
    worse = bad.copy()
    right = np.flatnonzero(bad == labels)[:200]
    worse[right] = [CLASSES[(CLASSES.index(labels[row]) + 1) % 3] for row in right]
    if "MODEL_REGRESSION" in failed(judge(labels, champion, bad, place)):
        assert "MODEL_REGRESSION" in failed(judge(labels, champion, worse, place))


def test_too_small_a_golden_set_could_not_be_checked():
    with pytest.raises(InsufficientData, match="golden set"):
        compare_models(["a"] * 99, ["a"] * 99, ["a"] * 99, {}, TOLERANCES, alpha=0.01)


@pytest.mark.parametrize(("n_found", "status"), [(0, "PASSED"), (1, "PASSED"), (2, "FAILED")])
def test_leakage_above_the_tolerance_fails(n_found, status):
    assert leakage_record(n_found, 1000, 0.001).status == status

"""Scores of residuals average nothing on the baseline, and what moved as a share of rows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sluicegate.signals.targets.residuals import (
    N_CELLS,
    RANGES,
    ResidualScale,
    count_cells,
    learn_residuals,
)
from sluicegate.signals.targets.scores import (
    Habits,
    beyond,
    learn_habits,
    out_of_range,
    read_habits,
    standing,
    straying,
    usual_shares,
)

N = 8000
RNG = np.random.default_rng(0)
PREDICTED = RNG.normal(size=N)
RESIDUAL = RNG.normal(size=N) * np.exp(0.5 * PREDICTED)  # noise grows with size
SCALE = learn_residuals(PREDICTED, RESIDUAL, np.arange(N) % 2, ("a", "b"))


def rows_of(predicted, residual):
    return count_cells(*SCALE.cells(predicted, residual), SCALE.n_groups)


def test_ranges_hold_what_they_say_in_every_group_though_noise_differs():
    for held in RANGES:
        shares = SCALE.own @ beyond(held) / SCALE.own.sum(axis=1)
        assert abs(shares.mean() - (1 - held)) < 0.003
        assert shares.max() < 5 * (1 - held)
        assert abs(usual_shares(SCALE, held).mean() - (1 - held)) < 0.003


def test_fresh_rows_lie_out_of_range_as_often_as_said():
    fresh = np.random.default_rng(5)
    predicted = fresh.normal(size=N)
    table = rows_of(predicted, fresh.normal(size=N) * np.exp(0.5 * predicted))
    assert abs((table @ beyond(0.99)).sum() / N - 0.01) < 0.005


@pytest.mark.parametrize("score", [standing, straying])
def test_scores_by_rank_average_nothing_in_any_group(score):
    means = (SCALE.own * score(SCALE)).sum(axis=1) / SCALE.own.sum(axis=1)
    np.testing.assert_allclose(means, 0.0, atol=1e-12)
    assert np.abs(score(SCALE)).max() <= 1.01


def test_scores_out_of_range_average_hardly_anything():
    mean = (SCALE.own * out_of_range(SCALE, 0.99)).sum() / N
    assert abs(mean) < 1e-3


def test_standing_says_at_most_the_share_that_moved():
    moved = np.arange(N) % 5 == 0
    table = rows_of(PREDICTED, RESIDUAL + np.where(moved, 50.0, 0.0))
    assert 0.17 < (table * standing(SCALE)).sum() / N < 0.21
    assert abs((table * straying(SCALE)).sum() / N) > 0.15


def test_wider_residuals_stray_and_stand_as_before():
    table = rows_of(PREDICTED, RESIDUAL * 1.5)
    assert (table * straying(SCALE)).sum() / N > 0.1
    assert abs((table * standing(SCALE)).sum() / N) < 0.01


def test_scale_round_trips_and_refuses_what_does_not_fit():
    value = json.loads(json.dumps(SCALE.to_json()))
    assert ResidualScale.from_json(value).to_json() == SCALE.to_json()
    assert sum(t.sum() for t in SCALE.contributors.values()) == N
    negative = [[-1] * N_CELLS] * SCALE.n_groups
    for edit in ({"own": negative}, {"own": [[1]]}, {"width": value["edges"]}, {"bounds": ""}):
        with pytest.raises(ValueError, match=r"table|reshape|buffer|scale"):
            ResidualScale.from_json(value | edit)


def test_one_prediction_for_all_rows_is_one_group():
    scale = learn_residuals(np.zeros(500), RESIDUAL[:500], None, ())
    assert scale.n_groups == 1
    assert scale.own.sum() == 500


def test_residuals_that_are_all_equal_still_have_a_width():
    scale = learn_residuals(PREDICTED, np.zeros(N), None, ())
    assert (scale.width > 0).all()
    assert scale.own.sum() == N


def test_blocks_that_differ_widen_the_budget():
    group, cell = SCALE.cells(PREDICTED, RESIDUAL)
    blocks = np.arange(N) // (N // 8)
    score, who = standing(SCALE), {"contributor": np.arange(N) % 2, "n_names": 2}
    still = learn_habits(score, group, cell, blocks, **who)
    shift = np.where(blocks % 2 == 0, 0.5, -0.5)
    moving = learn_habits(score, *SCALE.cells(PREDICTED, RESIDUAL + shift), blocks, **who)
    assert moving.budget > still.budget + 0.1
    assert moving.moves > still.moves
    assert Habits.from_json(json.loads(json.dumps(moving.to_json()))) == moving
    with pytest.raises(ValueError, match="missing or unknown"):
        read_habits({"standing": moving.to_json()}, ("straying",))
    with pytest.raises(ValueError, match="malformed"):
        Habits.from_json([0.0, 0.0, float("nan"), 0.0, 0.0, 0.0])

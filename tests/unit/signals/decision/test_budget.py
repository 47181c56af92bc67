"""Budgets are what one more block may do: no less than the farthest did, noise taken out."""

from __future__ import annotations

import numpy as np
import pytest

from sluicegate.signals.decision.budget import (
    assign_blocks,
    excess_bound,
    number_of_blocks,
    prediction_bound,
    shrunk_bound,
)


def test_farthest_of_many_blocks_is_within_the_budget():
    calm = np.random.default_rng(1).normal(0.0, 0.01, 89)
    storm = np.append(calm, 0.3)
    assert prediction_bound(storm, np.full(90, 1e-6)) == pytest.approx(0.3, rel=0.01)
    assert prediction_bound(calm, np.full(89, 1e-6)) < 0.05


def test_farthest_of_a_dozen_is_never_beyond_the_normal_bound():
    effects = np.zeros(12)
    effects[0] = 1.0
    assert prediction_bound(effects, np.full(12, 1e-9)) > 0.85


def test_noise_alone_gives_no_budget():
    noise = np.random.default_rng(2).normal(0.0, 0.1, 60)
    assert prediction_bound(noise, np.full(60, 0.01)) < 0.15
    assert prediction_bound(noise, np.full(60, 0.02)) == 0.0


def test_no_block_can_be_beyond_the_farthest_where_all_are_known():
    effects = np.array([0.1, -0.2, 0.05])
    assert prediction_bound(effects, np.full(3, 1e-9), complete=True) == pytest.approx(0.1)
    assert excess_bound(np.array([0.1, 0.3]), complete=True) == pytest.approx(0.3)


def test_one_of_many_borrows_from_the_others():
    quiet = np.random.default_rng(3).normal(0.0, 0.01, 20)
    alone, among = (shrunk_bound(quiet, np.full(20, 1e-6), usual) for usual in (0.0, 0.01))
    assert alone < among


def test_one_block_tells_nothing():
    assert prediction_bound(np.array([0.5]), np.array([0.01])) == 0.0
    assert excess_bound(np.array([0.5])) == 0.0


@pytest.mark.parametrize(("n_rows", "expected"), [(200, 2), (1000, 5), (10**6, 12)])
def test_blocks_are_as_many_as_rows_support(n_rows, expected):
    assert number_of_blocks(n_rows) == expected
    blocks = assign_blocks(n_rows, None, np.random.default_rng(1))
    assert np.unique(blocks).size == expected

"""Boosted oblivious trees: the same forest however features are taken together."""

from __future__ import annotations

import numpy as np
import pytest

from sluicegate.signals.model import trees


def _fit(n_rows: int) -> trees.Forest:
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 40, (20, n_rows)).astype(np.uint8)
    positive = (codes[0] > 20) ^ (rng.random(n_rows) < 0.2)
    return trees.fit_forest(
        codes,
        positive,
        np.zeros(n_rows),
        n_cells=40,
        n_trees=6,
        depth=3,
        rng=np.random.default_rng(1),
    )


@pytest.mark.parametrize("rows_at_once", [1, 1700, 10**6])
def test_forest_is_the_same_however_many_features_are_counted_at_once(rows_at_once, monkeypatch):
    """Grouping is a matter of speed: a baseline's bytes must not depend on it."""
    expected = _fit(500)
    monkeypatch.setattr(trees, "_GROUP_ROWS", rows_at_once)
    found = _fit(500)
    np.testing.assert_array_equal(found.feature, expected.feature)
    np.testing.assert_array_equal(found.threshold, expected.threshold)
    assert found.leaves.tobytes() == expected.leaves.tobytes()


def test_forest_finds_the_one_feature_that_decides():
    """The first split of the first tree asks for the feature that made the labels."""
    forest = _fit(2000)
    assert forest.feature[0, 0] == 0
    assert abs(int(forest.threshold[0, 0]) - 20) <= 1


def test_scores_are_the_sum_over_trees_in_their_order_of_any_number_of_rows():
    rng = np.random.default_rng(5)
    forest = trees.Forest(
        rng.integers(0, 6, (30, 4)).astype(np.int32),
        rng.integers(0, 60, (30, 4)).astype(np.uint8),
        rng.normal(size=(30, 16)),
    )
    other = forest.leaves.copy()
    other[::3] += 1.0
    for n in (0, 1, 20_000):
        codes = rng.integers(0, 64, (7, n)).astype(np.uint8)
        expected = np.zeros((2, n))
        for tree in range(30):
            leaf = np.zeros(n, dtype=np.intp)
            for f, t in zip(forest.feature[tree], forest.threshold[tree], strict=True):
                leaf = 2 * leaf + (codes[f] > t)
            expected[0] += forest.leaves[tree][leaf]
            expected[1] += (other[tree] - forest.leaves[tree])[leaf]
        expected[1] += expected[0]
        np.testing.assert_array_equal(forest.scores(codes, [other]), expected)
        np.testing.assert_array_equal(forest.score(list(codes)), expected[0])

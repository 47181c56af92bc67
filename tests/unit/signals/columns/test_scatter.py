"""How far a row lies: in all columns together, and never farther without some of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.profiling.columns import Column, Kind
from sluicegate.signals.columns import scatter as module
from sluicegate.signals.columns.scatter import Scatter, cell_scores, outward

NAMES = ("a", "b", "c")


def correlated(n=4_000, seed=1):
    """Two columns that go together, and one alone."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=n)
    both = [first, 0.95 * first + 0.3 * rng.normal(size=n), rng.normal(size=n)]
    return np.array(both, dtype=np.float32)


@pytest.fixture(scope="module")
def scatter():
    return Scatter.of(NAMES, correlated())


def at(*scores):
    return np.array(scores, dtype=np.float32)[:, None]


def test_row_against_what_goes_together_is_farther_than_one_along_it(scatter):
    along, against = scatter.distance(at(2, 2, 0)), scatter.distance(at(2, -2, 0))
    assert against[0] > 10 * along[0]


def test_without_one_of_both_columns_nothing_is_contradicted(scatter):
    assert scatter.distance(at(2, -2, 0), ("b",)) == pytest.approx(
        [4 / scatter.matrix[0, 0]], rel=0.01
    )


def test_distance_of_independent_columns_is_a_sum_of_squares():
    rng = np.random.default_rng(1)
    many = Scatter.of(NAMES, rng.normal(size=(3, 40_000)).astype(np.float32))
    assert many.distance(at(1, 2, -2)) == pytest.approx([9.0], rel=0.05)


@given(st.lists(st.floats(-8, 8, width=32), min_size=3, max_size=3), st.sampled_from(NAMES))
def test_leaving_a_column_out_brings_no_row_farther_away(scores, name):
    scatter = Scatter.of(NAMES, correlated())
    assert scatter.distance(at(*scores), (name,))[0] <= scatter.distance(at(*scores))[0] + 1e-9


def test_column_that_rarely_differs_makes_no_row_as_far_as_its_variance_says():
    rare = np.zeros((1, 1_000), dtype=np.float32)
    rare[0, :5] = 2.5
    assert Scatter.of(("a",), rare).distance(at(2.5))[0] < 2.5**2


def test_columns_that_say_the_same_do_not_count_for_ever():
    twice = np.repeat(correlated()[:1], 2, axis=0)
    assert Scatter.of(("a", "b"), twice).distance(at(1, -1))[0] < 2 / 0.02


def test_many_columns_are_taken_in_runs():
    rng = np.random.default_rng(1)
    names = tuple(f"x{i}" for i in range(130))
    wide = Scatter.of(names, np.repeat(rng.normal(size=(1, 900)), 130, axis=0).astype(np.float32))
    assert wide.matrix[0, 63] > 0.5
    assert wide.matrix[63, 64] == 0.0
    assert np.isfinite(wide.distance(rng.normal(size=(130, 3)).astype(np.float32))).all()


def test_no_columns_and_no_rows():
    assert Scatter((), np.zeros((0, 0))).distance(np.zeros((0, 2), np.float32)).tolist() == [0, 0]
    assert Scatter.of(NAMES, correlated()).distance(np.zeros((3, 0), np.float32)).size == 0


def test_scatter_is_read_as_it_was_written(scatter):
    again = Scatter.from_json(scatter.to_json())
    assert again.names == scatter.names
    assert (again.matrix == scatter.matrix).all()


@pytest.mark.parametrize("matrix", [[[1, 2], [2, 1]], [[1, 0.5], [0.4, 1]], [[np.nan, 0], [0, 1]]])
def test_what_is_no_scatter_is_refused(matrix):
    forged = Scatter(("a", "b"), np.array(matrix, dtype=float)).to_json()
    with pytest.raises(ValueError, match="scatter"):
        Scatter.from_json(forged)


def column():
    return Column(
        name="a", kind=Kind.NUMERIC, source=Kind.NUMERIC, edges=tuple(float(i) for i in range(11))
    )


def test_scores_of_cells_rise_and_missing_values_are_in_the_middle():
    scores = cell_scores(column(), np.r_[0, np.full(10, 50), 0, 3, 7])
    assert (np.diff(scores[1:11]) > 0).all()
    assert scores[1] == pytest.approx(-scores[10])
    assert scores[12] == scores[13] == 0.0
    assert (scores[0], scores[11]) == (scores[1], scores[10])


def test_column_without_values_says_nothing():
    assert not cell_scores(column(), np.zeros(14, dtype=np.int64)).any()


def test_values_outside_are_the_farther_the_more_they_are_outside():
    ends = np.array([-1.6, 1.6, 1.6, 1.6], dtype=np.float32)
    far = outward(column(), ends, np.array([-1.0, 11.0, 80.0, 1e300]), 0.0, 10.0)
    assert far[0] == pytest.approx(-far[1])
    assert 1.6 < far[1] < far[2] == far[3], "and one absurd value is not more than far out"


def test_long_tail_goes_on_a_little_without_being_far():
    tail = Column(
        name="a",
        kind=Kind.NUMERIC,
        source=Kind.NUMERIC,
        edges=(*(float(i) for i in range(11)), 500.0),
    )
    one = np.ones(1, dtype=np.float32)
    assert outward(tail, one, np.array([550.0]), 0.0, 500.0)[0] < 2.0


def test_distances_without_each_column_are_those_without_it(monkeypatch):
    """To the bit: only the run of columns that holds it is measured again."""
    monkeypatch.setattr(module, "_TOGETHER", 3)
    rng = np.random.default_rng(5)
    names = tuple(f"c{i}" for i in range(8))
    rows = rng.normal(size=(8, 60)).astype(np.float32)
    found = Scatter.of(names, rows)
    for skipped in ((), ("c1", "c7"), ("c6", "c7")):
        without = dict(found.without_each(rows, skipped))
        assert list(without) == [name for name in names if name not in skipped]
        for name, far in without.items():
            np.testing.assert_array_equal(far, found.distance(rows, (*skipped, name)))


@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 500))
def test_distance_of_a_row_does_not_depend_on_the_rows_beside_it(n_columns, n_rows, start):
    rng = np.random.default_rng(n_columns)
    positions = rng.normal(size=(n_columns, 600)).astype(np.float32)
    scatter = Scatter.of(tuple(map(str, range(n_columns))), positions)
    part = slice(start, start + n_rows)
    alone, among = scatter.distance(positions[:, part]), scatter.distance(positions)[part]
    assert alone.tolist() == among.tolist()

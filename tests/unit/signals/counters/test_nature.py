"""What the rows of a baseline show of a column's nature."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.signals.counters.nature import (
    Moments,
    advances,
    band_of,
    is_numbering,
    numbers_of,
    time_cells,
)

N = 2400


def moments(values, times=None):
    at = np.arange(N, dtype=np.int64) if times is None else times
    return Moments(at, np.asarray(values, dtype=np.float64), np.ones(N, dtype=bool))


@pytest.mark.parametrize("seed", range(200))
def test_chance_alone_never_advances(seed):
    rng = np.random.default_rng(seed)
    shape = (rng.normal(size=N), rng.exponential(size=N), rng.integers(0, 3, N), np.zeros(N))
    assert not advances(moments(shape[seed % 4]))


def test_season_is_no_counter_and_neither_is_a_trend_with_noise():
    rng, t = np.random.default_rng(0), np.linspace(0, 1, N)
    assert not advances(moments(np.sin(4 * t) + rng.normal(0, 0.3, N)))
    assert not advances(moments(t + rng.normal(0, 1, N)))


def test_what_grows_falls_or_holds_for_a_while_advances():
    t = np.linspace(0, 1, N)
    for values in (t, -t, np.floor(6 * t), t + np.random.default_rng(0).normal(0, 0.01, N)):
        assert advances(moments(values))


def test_order_of_rows_says_nothing_where_all_have_one_time():
    assert not advances(moments(np.arange(N), np.zeros(N, dtype=np.int64)))
    three = np.repeat(np.arange(3), N // 3)
    assert not advances(moments(np.arange(N), three)), "three days are too few parts"


def test_numbering_is_whole_different_and_dense():
    rng = np.random.default_rng(0)
    numbers = rng.permutation(1000) + 7_000_000
    assert is_numbering(pa.array(numbers))
    assert is_numbering(pa.array(np.sort(rng.choice(2000, 1100, replace=False))))
    for other in (numbers * 9, numbers % 100, numbers / 2, numbers[:50]):
        assert not is_numbering(pa.array(other))
    assert not is_numbering(pa.array([None, *numbers.tolist()]))
    assert not is_numbering(pa.array(["1", "2"]))


def test_numbers_are_read_of_numbers_and_times_and_of_nothing_else():
    days = pa.array([0, None, 2], pa.date32())
    values, there = numbers_of(days)
    assert there.tolist() == [True, False, True]
    assert values[2] == 2 * 86_400_000
    assert numbers_of(pa.array([1.5, float("nan"), None]))[1].tolist() == [True, False, False]
    assert numbers_of(pa.array([7, None]).cast(pa.decimal128(20)))[0][0] == 7.0
    assert numbers_of(pa.array([2_000, None], pa.duration("ms")))[1].tolist() == [True, False]
    for nothing in (pa.array(["a"]), pa.nulls(1), pa.array([[1]])):
        assert not numbers_of(nothing)[1].any()


@given(st.lists(st.integers(0, 50), max_size=300), st.integers(1, 64))
def test_cells_of_time_split_no_time(times, most):
    cells = time_cells(np.array(times, dtype=np.int64), most)
    assert cells.size == len(times)
    if times:
        assert cells[0] == 0
        assert set(np.diff(cells)) <= {0, 1}
        assert cells[-1] < most
        ordered = np.sort(times)
        assert all(np.unique(cells[ordered == t]).size == 1 for t in times)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=199))
def test_band_of_a_small_cell_is_its_least_and_largest_value(values):
    low, high = band_of(np.array(values), np.zeros(len(values), dtype=np.int64))
    assert (low[0], high[0]) == (min(values), max(values))

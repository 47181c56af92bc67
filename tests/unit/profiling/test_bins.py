"""Bins by lookup are those of a binary search, to the bit, whatever bounds and values are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.profiling.bins import _grid, bins_of
from sluicegate.profiling.columns import equi_mass_edges

RNG = np.random.default_rng(3)
COLUMNS = {
    "even": RNG.normal(size=5000),
    "skewed": np.exp(4.0 * RNG.normal(size=5000)),
    "from zero": np.maximum(0.0, RNG.normal(size=5000)),
    "counts": RNG.poisson(3.0, 5000).astype(float),
    "two scales": np.r_[RNG.normal(size=2500), 1e9 * RNG.normal(size=2500)],
    "one value": np.full(5000, 7.0),
    "huge": np.r_[-1e300, RNG.normal(size=100), 1e300],
}
ODD = (0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, -5e-324, 1.7e308, -1.7e308)


def searched(edges, values):
    return np.searchsorted(edges, values, side="right").astype(np.uint8)


def neighbours(edges):
    """Return bounds, the numbers next to them, and what is no ordinary number; enough of them."""
    with np.errstate(all="ignore"):
        near = [edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf), np.array(ODD)]
    return np.tile(np.concatenate(near), 1 + 4096 // (3 * edges.size))


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_have_the_bins_of_a_search(name):
    edges = np.asarray(equi_mass_edges(COLUMNS[name]))
    values = np.r_[COLUMNS[name], neighbours(edges)]
    np.testing.assert_array_equal(bins_of(edges, values), searched(edges, values))


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=True), min_size=1, max_size=254),
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=50),
    st.randoms(use_true_random=False),
)
def test_any_bounds_have_the_bins_of_a_search(edges, values, random):
    edges = np.sort(np.array(edges + random.choices(edges, k=len(edges) // 4)))[:254]
    values = np.r_[neighbours(edges), np.array(values)]
    np.testing.assert_array_equal(bins_of(edges, values), searched(edges, values))


@given(
    st.floats(0.0, 1e6), st.floats(1e-6, 1e6), st.integers(2, 65), st.sampled_from([1.0, 3.0, 12.0])
)
def test_grids_of_close_bounds_have_the_bins_of_a_search(low, width, n, power):
    edges = np.unique(low + width * np.linspace(0.0, 1.0, n) ** power)
    values = np.r_[neighbours(edges), np.linspace(low - width, low + 2 * width, 3000)]
    np.testing.assert_array_equal(bins_of(edges, values), searched(edges, values))


@pytest.mark.parametrize("name", ["even", "skewed", "from zero", "counts"])
def test_ordinary_columns_have_a_grid(name):
    assert _grid(np.asarray(equi_mass_edges(COLUMNS[name])).tobytes()) is not None


def test_bounds_that_crowd_are_searched_for():
    assert _grid(np.asarray(equi_mass_edges(COLUMNS["two scales"])).tobytes()) is None


def test_a_few_values_and_no_bounds_need_no_grid():
    assert bins_of(np.zeros(0), np.array([1.0, np.nan])).tolist() == [0, 0]
    assert bins_of(np.array([0.0]), np.array([-1.0, -0.0, 0.0, np.inf])).tolist() == [0, 1, 1, 1]

"""Our tails agree with scipy's, in the far tail too, where a gate decides."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.errors import ConfigError
from sluicegate.signals.decision import tails

stats = pytest.importorskip("scipy.stats")


@given(st.floats(-8, 35))
def test_normal_tail_matches_scipy(z):
    assert tails.normal_sf(z) == pytest.approx(stats.norm.sf(z), rel=1e-9)


@given(st.floats(0.01, 900), st.integers(1, 300))
def test_chi_square_tail_matches_scipy(x, df):
    expected = stats.chi2.sf(x, df)
    assert tails.chi2_sf(x, df) == pytest.approx(expected, rel=1e-7, abs=1e-14)


@given(st.floats(0.1, 500), st.floats(0.1, 500), st.floats(0.0, 1.0))
def test_incomplete_beta_matches_scipy(a, b, x):
    special = pytest.importorskip("scipy.special")
    assert tails.beta_i(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-8, abs=1e-13)


@given(st.integers(0, 200), st.integers(1, 200), st.floats(0.001, 0.999))
def test_binomial_tail_matches_scipy(k, n, p):
    expected = stats.binom.sf(k - 1, n, p)
    assert tails.binomial_sf(k, n, p) == pytest.approx(expected, rel=1e-7, abs=1e-13)


@given(st.floats(0.05, 5.0))
def test_kolmogorov_tail_matches_scipy(x):
    assert tails.kolmogorov_sf(x) == pytest.approx(stats.kstwobign.sf(x), rel=1e-7, abs=1e-14)


@pytest.mark.parametrize("df", [1, 2, 5, 11, 200])
@pytest.mark.parametrize("p", [0.6, 0.9, 0.995])
def test_student_quantile_matches_scipy(p, df):
    assert tails.student_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-7)


def test_lower_bound_is_clopper_pearsons():
    expected = stats.binomtest(15, 1500).proportion_ci(0.90, "exact").low
    assert tails.binomial_lower(15, 1500) == pytest.approx(expected, rel=1e-6)


def test_gamma_of_no_shape_is_refused():
    with pytest.raises(ConfigError, match="gamma_q"):
        tails.gamma_q(0.0, 1.0)


@pytest.mark.parametrize("excess", [0.02, 0.05, 0.1, 0.2])
def test_saddlepoint_follows_the_exact_binomial_tail(excess):
    n, p = 400, 0.05
    support, weights = np.array([-p, 1 - p]), np.array([1 - p, p])
    # The continuous formula lies between the discrete tail at k and at k + 1.
    k = math.ceil(n * (p + excess) - 1e-9)
    found = tails.mean_excess_p(support, weights, n, excess)
    assert stats.binom.sf(k, n, p) <= found <= stats.binom.sf(k - 1, n, p) * 1.05


def test_values_that_never_occur_change_no_tail():
    """As those of classes of which a batch has no rows, however far they are."""
    support, weights = np.array([-0.05, 0.95]), np.array([0.95, 0.05])
    found = tails.mean_excess_p(np.append(support, 1e6), np.append(weights, 0.0), 400, 0.05)
    assert found == tails.mean_excess_p(support, weights, 400, 0.05)


def test_mean_tail_has_sane_ends():
    support, weights = np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    assert tails.mean_excess_p(support, weights, 10, -0.1) == 1.0
    assert tails.mean_excess_p(support, weights, 10, 1.0) == pytest.approx(0.5**10)
    assert tails.mean_excess_p(np.zeros(2), weights, 10, 0.1) == 0.0


def test_cauchy_combination_is_exact_for_one_and_safe_at_the_ends():
    assert tails.cauchy_combination([0.03]) == pytest.approx(0.03)
    assert tails.cauchy_combination([1e-200, 1.0]) == pytest.approx(2e-200, rel=1e-6)
    assert tails.cauchy_combination([]) == 1.0
    # A test that can say nothing, as one with a single cell, does not silence the other.
    assert tails.cauchy_combination([1e-8, 1.0]) == pytest.approx(2e-8, rel=1e-3)
    assert tails.cauchy_combination([1.0, 1.0]) <= 1.0


def test_rate_test_is_conservative_on_equal_rates():
    rng = np.random.default_rng(0)
    p = [
        tails.rate_excess_p(
            int(rng.binomial(1500, 0.01)), 1500, int(rng.binomial(3000, 0.01)), 3000
        )
        for _ in range(2000)
    ]
    assert np.mean(np.array(p) < 0.05) <= 0.06

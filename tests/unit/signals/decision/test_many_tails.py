"""Many tails at once are the tails one by one, to the bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.signals.decision.many_tails import beta_is, rate_excess_ps
from sluicegate.signals.decision.tails import beta_i, rate_excess_p

SHAPES = st.one_of(st.integers(1, 10**6).map(float), st.floats(1e-3, 1e4))
SHARES = st.one_of(st.floats(0.0, 1.0), st.sampled_from([-1.0, 0.0, 1.0, 2.0, 1e-300, 1 - 1e-16]))


@given(st.lists(st.tuples(SHAPES, SHAPES, SHARES), max_size=30))
def test_incomplete_beta_is_the_same_of_one_and_of_many(asked):
    a, b, x = np.array(asked).reshape(-1, 3).T
    expected = [beta_i(*numbers) for numbers in asked]
    np.testing.assert_array_equal(beta_is(a, b, x), expected)


COUNTS = st.integers(0, 5000)


@given(
    st.lists(st.tuples(COUNTS, st.floats(1e-3, 1e7), COUNTS), max_size=30),
    st.integers(0, 10**7),
)
def test_excess_of_a_rate_is_the_same_of_one_and_of_many(asked, n_base):
    expected = [rate_excess_p(k, n, j, n_base) for k, n, j in asked]
    k, n, j = np.array(asked).reshape(-1, 3).T
    found = rate_excess_ps(k.astype(np.int64), n, j.astype(np.int64), n_base)
    np.testing.assert_array_equal(found, expected)

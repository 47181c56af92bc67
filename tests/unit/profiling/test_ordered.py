"""Hashes are sorted as any numbers are, only faster."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.profiling.ordered import merged, ordered
from sluicegate.profiling.tokens import mix


@pytest.mark.parametrize("n", [0, 1, 100, 8191, 8192, 50_000])
def test_hashes_are_in_order(n):
    hashes = mix(np.arange(n, dtype=np.uint64) % np.uint64(max(1, n // 2)))
    np.testing.assert_array_equal(ordered(hashes), np.sort(hashes))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.integers(0, 20_000))
def test_numbers_that_share_their_leading_bits_are_in_order_too(some, n):
    numbers = np.concatenate([np.array(some, np.uint64), np.arange(n, dtype=np.uint64)[::-1]])
    np.testing.assert_array_equal(ordered(numbers), np.sort(numbers))


@given(st.lists(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 2**64 - 1)))
def test_merging_keeps_what_is_in_both_twice(first, second):
    a, b = (np.sort(np.array(part, np.uint64)) for part in (first, second))
    assert merged(a, b).tolist() == sorted(first + second)

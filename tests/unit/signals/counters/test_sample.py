"""A sample that is the same for any order and partition of the rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.signals.counters.sample import KEPT, MomentSample

ROWS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=120)


def sampled(rows, limit):
    found = MomentSample(limit)
    times = np.array([t for t, _ in rows], dtype=np.int64)
    found.add(times, np.array([v for _, v in rows], dtype=np.float64), 3)
    return found


@given(ROWS, ROWS, st.integers(1, 40))
def test_merging_order_and_partitions_change_nothing(first, second, limit):
    whole = sampled([*first, *second], limit)
    parts = sampled(first, limit).merge(sampled(second, limit))
    turned = sampled([*second, *first][::-1], limit)
    one_by_one = MomentSample(limit)
    for row in [*first, *second]:
        one_by_one = one_by_one.merge(sampled([row], limit))
    assert whole.to_json() == parts.to_json() == turned.to_json() == one_by_one.to_json()


@given(ROWS)
def test_few_rows_are_all_kept(rows):
    times, values = sampled(rows, KEPT).spread()
    assert sorted(zip(times.tolist(), values.tolist(), strict=True)) == sorted(rows)


def test_large_sample_has_the_shares_of_the_rows_and_no_more_rows_than_it_may():
    rng = np.random.default_rng(0)
    found = MomentSample()
    for _ in range(20):
        times = rng.integers(0, 10**9, 10_000)
        found.add(times, np.where(rng.random(10_000) < 0.03, 5.0, 1.0), 1)
    assert found.n_rows == 200_000
    assert found.keys.size == KEPT
    assert (found.spread()[1] == 5.0).mean() == pytest.approx(0.03, abs=0.006)


def test_pair_of_millions_of_rows_is_spread_in_proportion():
    found = MomentSample()
    for _ in range(50):
        found.add(np.zeros(20_000, np.int64), np.r_[np.ones(18_000), np.zeros(2_000)], 1)
    values = found.spread()[1]
    assert values.size <= 1 << 16
    assert values.mean() == pytest.approx(0.9, abs=0.001)


def test_sample_is_read_as_it_was_written_and_refused_when_edited():
    found = sampled([(1, 2), (3, 4), (1, 2)], 10)
    assert MomentSample.from_json(found.to_json()).to_json() == found.to_json()
    for key, bad in (("limit", 0), ("n_rows", 1), ("keys", ""), ("rows", "AAAA")):
        with pytest.raises(ValueError, match=r"sample|array|buffer"):
            MomentSample.from_json({**found.to_json(), key: bad})

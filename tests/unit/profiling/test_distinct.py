"""The count of different fingerprints: exact while small, a known error when large."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.profiling.distinct import Distinct


def hashes(n, seed, *, different=1 << 60):
    return np.random.default_rng(seed).integers(0, different, n).astype(np.uint64)


def count(*parts, limit=64):
    found = Distinct(limit)
    for part in parts:
        found.add(part)
    found.settle()
    return found


def state(found):
    found.settle()
    return found.level, found.values.tolist(), found.repeated.tolist(), found.times.tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=3, max_size=3), st.integers(0, 999))
def test_merge_is_associative_commutative_with_identity(sizes, seed):
    a, b, c = (hashes(n, seed + i, different=200) for i, n in enumerate(sizes))
    whole = state(count(a, b, c))
    assert state(count(a).merge(count(b)).merge(count(c))) == whole
    assert state(count(c).merge(count(b).merge(count(a)))) == whole
    assert state(count(a, b, c).merge(count())) == whole


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 500), st.integers(1, 70), st.integers(0, 999))
def test_state_depends_on_neither_order_nor_partitions(n, size, seed):
    values = hashes(n, seed)
    shuffled = np.random.default_rng(seed).permutation(values)
    parts = [shuffled[i : i + size] for i in range(0, n, size)]
    assert state(count(values)) == state(count(*parts))


def test_count_is_exact_up_to_the_limit():
    values = hashes(64, 1)
    assert count(values, values, values[:10]).estimate() == (64.0, 0.0)


def test_estimate_lies_within_its_error_and_ignores_repeats():
    """300 sketches of 5,000 values each; half of the rows are one single value."""
    scores = []
    for seed in range(300):
        values = hashes(5_000, seed)
        found, error = count(values, np.repeat(values[:1], 5_000), limit=256).estimate()
        scores.append((found - 5_000) / error)
    assert abs(float(np.mean(scores))) < 0.2
    assert 0.8 < float(np.std(scores)) < 1.2


def test_memory_is_bounded():
    found = count(*(hashes(1_000, seed) for seed in range(50)), limit=256)
    assert found.values.size <= 256
    assert found.n_waiting == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=4), st.integers(0, 999))
def test_multiplicity_of_every_kept_value_is_exact(sizes, seed):
    parts = [hashes(n, seed + i, different=150) for i, n in enumerate(sizes)]
    found = count(*parts, limit=32)
    values, times = np.unique(np.concatenate(parts), return_counts=True)
    kept = np.isin(values, found.values)
    assert found.repeated.tolist() == values[kept & (times > 1)].tolist()
    assert found.times.tolist() == (times[kept & (times > 1)] - 1).tolist()
    assert sum(k for _, k in found.spectrum()) == found.values.size


def test_spectrum_counts_groups_by_size():
    found = count(np.repeat(np.arange(5, dtype=np.uint64), [1, 1, 2, 4, 4]))
    assert found.spectrum() == [(1, 2), (2, 1), (4, 2)]


def test_merging_parts_that_still_wait_counts_as_merging_settled_ones():
    """Settling may raise a part's level, which the whole must then take over."""
    values = np.random.default_rng(0).integers(0, 2**64, 130, dtype=np.uint64)
    waiting, settled, rest = Distinct(limit=100), Distinct(limit=100), Distinct(limit=100)
    for part in (waiting, settled):
        part.add(values[:90])  # as many as are kept
        part.add(values[90:])  # too few to be sorted in at once
    settled.settle()
    assert waiting.merge(rest).estimate() == settled.merge(rest).estimate()

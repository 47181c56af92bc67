"""Copies stand out against the natural rate of a source, and in groups against its pairs."""

from __future__ import annotations

import numpy as np
import pytest

from sluicegate.signals.copies.copy_count import copies, expected_copies, spectrum
from sluicegate.signals.copies.duplicates import copy_probability

UNIQUE = [(1, 3000)]


def hashes(*groups: int) -> np.ndarray:
    """Distinct values, repeated as often as the numbers say."""
    return np.repeat(np.arange(len(groups), dtype=np.uint64), groups)


def test_copies_where_the_baseline_has_none_are_nearly_sure():
    probability = copy_probability(hashes(10, *[1] * 90), UNIQUE, 3000)
    assert probability[:10].min() > 0.99
    assert probability[10:].max() == 0.0


def test_pairs_of_a_source_full_of_pairs_are_not_suspected_but_a_large_group_is():
    paired = [(1, 1000), (2, 1000)]
    batch = hashes(30, *[2] * 300, *[1] * 870)
    probability = copy_probability(batch, paired, 3000)
    assert probability[:30].min() > 0.99
    assert probability[30:].max() < 0.5


def test_batch_like_its_baseline_has_no_sure_copies():
    rng = np.random.default_rng(4)
    base = rng.integers(0, 2000, 3000).astype(np.uint64)
    batch = rng.integers(0, 2000, 1500).astype(np.uint64)
    probability = copy_probability(batch, spectrum(base), base.size)
    assert np.mean(probability) < 0.2


@pytest.mark.parametrize("n", [1500, 3000])
def test_expected_copies_match_draws_of_one_source(n):
    rng = np.random.default_rng(5)
    base = rng.integers(0, 5000, 3000).astype(np.uint64)
    drawn = rng.integers(0, 5000, n).astype(np.uint64)
    expected = expected_copies(spectrum(base), base.size, n)
    assert copies(drawn) == pytest.approx(expected, rel=0.2)

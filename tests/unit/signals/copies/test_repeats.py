"""Sizes of groups: extrapolated as simulation shows, tested with p-values that are never small."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sluicegate.signals.copies.copy_count import LEAST_DENSITY, copies_of_blocks, spectrum
from sluicegate.signals.copies.repeats import (
    excess_groups_p,
    expected_rows,
    groups_of,
    rows_in_groups,
)

LEVEL = 0.001


def source(rng: np.random.Generator, shape: float, n_cells: int = 4_000) -> np.ndarray:
    """Shares of cells: the smaller the shape, the fewer cells hold most rows."""
    rates = rng.gamma(shape, size=n_cells)
    return rates / rates.sum()


def draw(rng: np.random.Generator, share: np.ndarray, n: int) -> list[tuple[int, int]]:
    return spectrum(rng.choice(share.size, n, p=share).astype(np.uint64))


def test_rows_and_groups_are_counted_from_a_size_on():
    groups = [(1, 100), (3, 10), (8, 2)]
    assert [rows_in_groups(groups, s) for s in (2, 4, 9)] == [46, 16, 0]
    assert [groups_of(groups, s) for s in (2, 4, 9)] == [12, 2, 0]


@pytest.mark.parametrize("shape", [0.3, 3.0])
@pytest.mark.parametrize("times", [0.5, 1.0, 2.0, 8.0])
@pytest.mark.parametrize("least", [2, 4, 8])
def test_expected_rows_match_draws_of_the_source(shape, times, least):
    """Twenty baselines of 3,000 rows; the mean of what they predict and of what is drawn."""
    predicted, drawn = [], []
    for seed in range(20):
        rng = np.random.default_rng([seed, least])
        share = source(rng, shape)
        n = round(3_000 * times)
        predicted.append(expected_rows(draw(rng, share, 3_000), 3_000, n, least))
        drawn.append(rows_in_groups(draw(rng, share, n), least))
    error = 4.0 * float(np.std(np.subtract(predicted, drawn))) / math.sqrt(20)
    assert np.mean(predicted) == pytest.approx(np.mean(drawn), rel=0.05, abs=error + 2.0)


def test_expectation_is_continuous_where_rarefaction_ends():
    groups = draw(np.random.default_rng(3), source(np.random.default_rng(2), 0.5), 5_000)
    below, above = (expected_rows(groups, 5_000, n, 4) for n in (5_000, 5_001))
    assert above == pytest.approx(below, rel=0.05)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 6.0])
@pytest.mark.parametrize("least", [4, 8])
@pytest.mark.parametrize("shape", [0.2, 5.0])
def test_p_values_of_clean_batches_are_not_too_small(ratio, least, shape):
    """KS: one-sided, bound of Massart 1990; the worst-case test may only be larger."""
    found = []
    for seed in range(80):
        rng = np.random.default_rng([seed, 9])
        share = source(rng, shape, n_cells=800)
        base, batch = draw(rng, share, 1_000), draw(rng, share, round(1_000 * ratio))
        found.append(excess_groups_p(batch, base, ratio=ratio, least=least))
    p = np.sort(found)
    above = float((np.arange(1, p.size + 1) / p.size - p).max())
    assert above <= math.sqrt(math.log(1.0 / LEVEL) / (2.0 * p.size))


@pytest.mark.parametrize("ratio", [0.5, 5.0, 10.0])
def test_one_share_of_flooded_rows_is_unlikely_at_ten_times_the_rows(ratio):
    """3 % of the rows in groups of fifteen, where the source has pairs."""
    m, n = 3_000, round(3_000 * ratio)
    batch = [(1, round(0.9 * n)), (2, round(0.035 * n)), (15, round(0.002 * n))]
    p = excess_groups_p(batch, [(1, m - 40), (2, 20)], ratio=ratio, least=12)
    assert p < 1e-4


def test_a_baseline_that_is_too_small_to_tell_accuses_nobody():
    """Among fifty times the rows, cells that the baseline missed may hold fifteen rows each."""
    batch = [(1, 135_000), (2, 5_250), (15, 300)]
    assert excess_groups_p(batch, [(1, 2_960), (2, 20)], ratio=50.0, least=12) > 0.01


def test_large_groups_of_a_source_that_has_them_are_likely():
    groups = [(1, 2_000), (15, 60)]
    assert excess_groups_p(groups, groups, ratio=1.0, least=8) == 1.0
    assert excess_groups_p([(1, 900)], groups, ratio=0.3, least=8) == 1.0


def test_groups_in_a_sample_of_fingerprints_count_as_those_they_stand_for():
    """A quarter of the fingerprints holds a quarter of the groups: as unlikely per group."""
    base = [(1, 990), (2, 5)]
    whole = excess_groups_p([(1, 900), (9, 8)], base, ratio=1.0, least=8)
    quarter = excess_groups_p([(1, 225), (9, 2)], base, ratio=1.0, least=8, sampled=0.25)
    assert whole < quarter < 0.05


def test_density_is_the_least_for_blocks_like_the_whole_and_more_for_seasons():
    rng = np.random.default_rng(4)
    blocks = np.arange(6_000) // 500
    same = rng.integers(0, 20_000, 6_000)
    season = same % 2_000 + 2_000 * blocks
    assert copies_of_blocks(same.astype(np.uint64), blocks).density() == LEAST_DENSITY
    assert copies_of_blocks(season.astype(np.uint64), blocks).density() > 8.0


def test_density_needs_no_repeats():
    unlike = copies_of_blocks(np.arange(500, dtype=np.uint64), np.arange(500) // 100)
    assert unlike.density() == LEAST_DENSITY
    assert unlike.surplus() == 0.0


def test_where_nearly_all_rows_are_copies_a_block_holds_a_few_more():
    """Each day has one weekday, so its rows are equal more often than those of a week."""
    rng = np.random.default_rng(5)
    blocks = np.arange(7_000) // 100
    rows = rng.integers(0, 40, 7_000) + 40 * (blocks % 7)
    found = copies_of_blocks(rows.astype(np.uint64), blocks)
    assert 0.2 < found.surplus() < 0.6

"""Distances between two histograms, with their noise: shared by drift and its budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.decision.budget import excess_bound
from sluicegate.signals.decision.tails import cauchy_combination, chi2_sf, kolmogorov_sf

if TYPE_CHECKING:
    from collections.abc import Iterable

Counts = NDArray[np.int64]
_MIN_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Gap:
    """A distance in [0, 1] as a share of rows.

    Attributes:
        effect: The distance.
        noise: What chance alone gives on average.
    """

    effect: float
    noise: float


@dataclass(frozen=True, slots=True)
class Distance(Gap):
    """A distance, and what it means.

    Attributes:
        bound: Lower 95 % confidence bound of the distance.
        p_value: Chance of at least this distance when both come from one distribution.
    """

    bound: float
    p_value: float


def ordered_gap(base: Counts, batch: Counts) -> Gap:
    """Return the Kolmogorov distance of binned values, without its meaning.

    Args:
        base: int64, shape (n_bins,), at least one row.
        batch: The other side, int64, same shape, at least one row.

    Source: E K = sqrt(pi/2) ln 2, for the noise.
    """
    n, m = int(base.sum()), int(batch.sum())
    gap = float(np.abs(np.cumsum(base) / n - np.cumsum(batch) / m).max())
    return Gap(gap, 0.8687 * math.sqrt(1.0 / n + 1.0 / m))


def ordered_distance(base: Counts, batch: Counts) -> Distance:
    """Kolmogorov distance of binned values; ties make its p-value conservative.

    Args:
        base: int64, shape (n_bins,), at least one row.
        batch: The other side, int64, same shape, at least one row.

    Source: Massart 1990 (bound), Kolmogorov 1933 (p); chi-square for changes of shape.
    """
    found, scale = (
        ordered_gap(base, batch),
        math.sqrt(1.0 / int(base.sum()) + 1.0 / int(batch.sum())),
    )
    gap = found.effect
    p = cauchy_combination([kolmogorov_sf(gap / scale), chi_square_p(base, batch)])
    # 1.22 is the 90 % point: one-sided 95 % for a gap of known sign.
    return Distance(gap, found.noise, max(0.0, gap - 1.2239 * scale), p)


def listed_gap(base: Counts, batch: Counts) -> Gap:
    """Return the total variation of categories, without its meaning.

    Args:
        base: int64, shape (n_categories,), at least one row.
        batch: The other side, int64, same shape, at least one row.
    """
    n, m = int(base.sum()), int(batch.sum())
    p, q = base / n, batch / m
    pooled = (base + batch) / (n + m)
    sd = np.sqrt(pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m))
    noise = 0.5 * math.sqrt(2.0 / math.pi) * float(sd.sum())
    return Gap(0.5 * float(np.abs(p - q).sum()), noise)


def listed_distance(base: Counts, batch: Counts) -> Distance:
    """Total variation of categories, less what chance gives with this many of them.

    Args:
        base: int64, shape (n_categories,), at least one row.
        batch: The other side, int64, same shape, at least one row.
    """
    found, scale = listed_gap(base, batch), 1.0 / int(base.sum()) + 1.0 / int(batch.sum())
    # A change of one row moves the distance by at most 1/n: McDiarmid 1989 bounds the rest.
    slack = math.sqrt(scale * math.log(20.0) / 2.0)
    bound = max(0.0, found.effect - found.noise - slack)
    return Distance(found.effect, found.noise, bound, chi_square_p(base, batch))


def excess_over_noise(distances: Iterable[Gap], *, complete: bool = False) -> float:
    """Return the largest distance to expect of one more block, beyond chance.

    Args:
        distances: Of each block to all others.
        complete: As for `budget.prediction_bound`.
    """
    excess = np.array([max(d.effect - d.noise, 0.0) for d in distances])
    return excess_bound(excess, complete=complete)


def chi_square_p(base: Counts, batch: Counts) -> float:
    """Two-sample chi-square over cells, the rare ones pooled until each expects five rows.

    Null hypothesis: both histograms are draws of one distribution. Empty cells are left out; with
    fewer than two cells left nothing can differ, and the p-value is 1.

    Args:
        base: int64, shape (n_cells,), at least one row.
        batch: The other side, int64, same shape, at least one row.

    Returns:
        The p-value, in [0, 1], uncorrected.

    Source: Pearson 1900; Cochran 1954 (pooling).
    """
    n, m = int(base.sum()), int(batch.sum())
    total = base + batch
    order = np.argsort(total, kind="stable")
    enough = total[order] * (min(n, m) / (n + m)) >= _MIN_EXPECTED
    first = int(np.argmax(enough)) if enough.any() else total.size
    pooled = np.r_[base[order[:first]].sum(), base[order[first:]]].astype(np.float64)
    other = np.r_[batch[order[:first]].sum(), batch[order[first:]]].astype(np.float64)
    keep = pooled + other > 0
    pooled, other = pooled[keep], other[keep]
    if pooled.size < 2:
        return 1.0
    share = (pooled + other) / (n + m)
    statistic = float(((pooled - n * share) ** 2 / (n * share)).sum())
    statistic += float(((other - m * share) ** 2 / (m * share)).sum())
    return chi2_sf(statistic, pooled.size - 1)

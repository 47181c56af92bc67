"""Drift budgets: how much a source moves by itself, learned from blocks of its baseline.

A tolerance answers "larger than what we accept?". What we accept is at least a floor fixed
by policy and at least what the source's own past does between its blocks: a prediction bound
for the next block's effect after the sampling noise has been taken out.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.decision.tails import student_quantile

Floats = NDArray[np.float64]
MAX_BLOCKS = 12
_MIN_BLOCK_ROWS = 200
_CONFIDENCE = 0.995


def number_of_blocks(n_rows: int) -> int:
    """Return how many blocks a baseline is split into, 2..12.

    Args:
        n_rows: Rows of the baseline.
    """
    return int(min(MAX_BLOCKS, max(2, n_rows // _MIN_BLOCK_ROWS)))


def assign_blocks(
    n_rows: int, order: NDArray[np.int64] | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Split baseline rows into blocks of equal size.

    Args:
        n_rows: Number of rows.
        order: Time of each row, int64, shape (n_rows,), or None.
        rng: Splits at random when there is no time; file order is not trusted, because files
            are often sorted by label.

    Returns:
        Block of each row, int64, shape (n_rows,), values 0..k-1 with 2 <= k <= 12.
    """
    n_blocks = number_of_blocks(n_rows)
    rank = np.empty(n_rows, dtype=np.int64)
    by_time = rng.permutation(n_rows) if order is None else np.argsort(order, kind="stable")
    rank[by_time] = np.arange(n_rows)
    return rank * n_blocks // n_rows


def prediction_bound(effects: Floats, noise_variance: Floats, *, complete: bool = False) -> float:
    """Return the largest effect to expect from one more block, noise taken out.

    Blocks have heavier tails than a normal sample: a day of snow is in every winter. So it is at
    least what the farthest block did, shrunk by its own noise; of a dozen blocks none can be
    beyond the normal bound, of ninety one often is.

    Args:
        effects: Signed effects of the blocks, float64, shape (k,).
        noise_variance: Sampling variance of each, float64, shape (k,).
        complete: Whether one more block is one of these, and the farthest is all there is.

    Returns:
        At least 0; infinity never: fewer than two effects give 0.

    Source: prediction interval of a normal sample, t(k-1) s sqrt(1 + 1/k) (Hahn 1969), with
    the between-block variance by moments (DerSimonian and Laird 1986); shrinkage, Morris 1983.
    """
    k, spread = effects.size, excess_variance(effects, noise_variance)
    if spread <= 0.0:
        return 0.0
    farthest = _farthest(effects, noise_variance, spread)
    return farthest if complete else max(farthest, _one_more(spread, k))


def shrunk_bound(effects: Floats, noise_variance: Floats, usual: float) -> float:
    """Return `prediction_bound` for one of many similar subjects, whose own blocks are few.

    Args:
        effects: Signed effects of its blocks, float64, shape (k,), k >= 2.
        noise_variance: Sampling variance of each, float64, shape (k,).
        usual: Variance between blocks of all subjects, which counts as a dozen blocks.

    Source: Morris 1983.
    """
    k, own = effects.size, max(excess_variance(effects, noise_variance), 0.0)
    spread = (k * own + MAX_BLOCKS * max(usual, 0.0)) / (k + MAX_BLOCKS)
    if spread <= 0.0:
        return 0.0
    return max(_farthest(effects, noise_variance, spread), _one_more(spread, k))


def excess_variance(effects: Floats, noise_variance: Floats) -> float:
    """Return the variance of effects around 0 beyond their noise; up to 0 where chance explains it.

    Args:
        effects: Signed effects of the blocks, float64, shape (k,).
        noise_variance: Sampling variance of each, float64, shape (k,).

    Source: by moments, DerSimonian and Laird 1986.
    """
    k = effects.size
    if k < 2:
        return 0.0
    # Weights keep groups of a handful of rows from drowning the rest in their noise. One
    # standard error of the estimate is taken off too: from a dozen blocks, half of all sources
    # that do not move at all would otherwise seem to, and get a tolerance for it.
    weight = 1.0 / np.maximum(noise_variance, 1e-12)
    chance = 1.0 + math.sqrt(2.0 / (k - 1))
    surplus = float((weight * effects**2).sum()) * k / (k - 1) - k * chance
    return surplus / float(weight.sum())


def _farthest(effects: Floats, noise_variance: Floats, spread: float) -> float:
    return max(float((effects * spread / (spread + noise_variance)).max()), 0.0)


def _one_more(spread: float, k: int) -> float:
    return student_quantile(_CONFIDENCE, k - 1) * math.sqrt(spread * (1.0 + 1.0 / k))


def between_variance(means: Floats, noise_variance: Floats) -> float:
    """Return the variance of true means of groups of different size, at least 0.

    Args:
        means: Observed means, float64, shape (k,).
        noise_variance: Sampling variance of each, float64, shape (k,), > 0.

    Source: DerSimonian and Laird 1986, equation 8.
    """
    if means.size < 2:
        return 0.0
    weight = 1.0 / np.maximum(noise_variance, 1e-12)
    centre = float(weight @ means) / float(weight.sum())
    surplus = float(weight @ (means - centre) ** 2) - (means.size - 1)
    scale = float(weight.sum()) - float((weight**2).sum()) / float(weight.sum())
    return max(surplus / scale, 0.0) if scale > 0 else 0.0


def excess_bound(excess: Floats, *, complete: bool = False) -> float:
    """Return the same for effects that are never negative, such as distances.

    Args:
        excess: Distances less their expectation under chance, clipped at 0, float64, shape (k,).
        complete: As for `prediction_bound`.
    """
    k = excess.size
    if k < 2:
        return 0.0
    farthest = float(excess.max())
    if complete:
        return farthest
    spread = float(np.std(excess, ddof=1)) * math.sqrt(1.0 + 1.0 / k)
    return max(farthest, float(np.mean(excess)) + student_quantile(_CONFIDENCE, k - 1) * spread)

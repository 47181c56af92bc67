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
    n_blocks = int(min(MAX_BLOCKS, max(2, n_rows // _MIN_BLOCK_ROWS)))
    rank = np.empty(n_rows, dtype=np.int64)
    by_time = rng.permutation(n_rows) if order is None else np.argsort(order, kind="stable")
    rank[by_time] = np.arange(n_rows)
    return rank * n_blocks // n_rows


def prediction_bound(effects: Floats, noise_variance: Floats) -> float:
    """Return the largest effect to expect from one more block, noise taken out.

    Args:
        effects: Signed effects of the blocks, float64, shape (k,).
        noise_variance: Sampling variance of each, float64, shape (k,).

    Returns:
        At least 0; infinity never: fewer than two effects give 0.

    Source: prediction interval of a normal sample, t(k-1) s sqrt(1 + 1/k) (Hahn 1969), with
    the between-block variance by moments (DerSimonian and Laird 1986).
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
    spread = surplus / float(weight.sum())
    if spread <= 0.0:
        return 0.0
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


def excess_bound(excess: Floats) -> float:
    """Return the same for effects that are never negative, such as distances.

    Args:
        excess: Distances less their expectation under chance, clipped at 0, float64, shape (k,).
    """
    k = excess.size
    if k < 2:
        return 0.0
    spread = float(np.std(excess, ddof=1))
    return float(np.mean(excess)) + student_quantile(_CONFIDENCE, k - 1) * spread * math.sqrt(
        1.0 + 1.0 / k
    )

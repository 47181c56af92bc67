"""What labels of clean rows do by themselves, from block to block and by contributor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.contributors.contrast import Spread, learn_spread
from sluicegate.signals.decision.budget import between_variance, prediction_bound
from sluicegate.signals.labels.margins import count_bins

if TYPE_CHECKING:
    from sluicegate.signals.labels.margins import LabelScale

Codes = NDArray[np.uint8]
Counts = NDArray[np.int64]
UNIT = 65536
"""Probabilities are summed as integers of 1/65536: exact in any order and partition."""


def flip_budgets(
    scale: LabelScale, class_index: NDArray[np.intp], bins: Codes, blocks: NDArray[np.int64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Learn which share of flips blocks of clean rows seem to have.

    Args:
        scale: Bins of margins.
        class_index: Class of each row, intp, shape (n_rows,), 0..n_classes-1.
        bins: Margin bin of each, uint8, same shape.
        blocks: Block of each, int64, same shape.

    Returns:
        A prediction bound for all rows, then for each class; and the variance between blocks, in
        the same order. A class with fewer than 10 rows in a block is left out there.
    """
    u = scale.flip_scores()
    f, _ = scale.densities()
    variance = (f * u**2).sum(axis=1)
    n_classes, n_blocks = u.shape[0], int(blocks.max()) + 1
    tables = np.stack(
        [
            count_bins(class_index[blocks == b], bins[blocks == b], n_classes)
            for b in range(n_blocks)
        ]
    ).astype(np.float64)
    n_by_class = tables.sum(axis=2)
    sums = (tables * u).sum(axis=2)
    n = n_by_class.sum(axis=1)
    some_rows = n > 0  # where classes come and go, a block may have none that is modelled
    noise = (n_by_class * variance).sum(axis=1)[some_rows] / n[some_rows] ** 2
    means = sums.sum(axis=1)[some_rows] / n[some_rows]
    budgets, moves = [prediction_bound(means, noise)], [between_variance(means, noise)]
    for y in range(n_classes):
        some = n_by_class[:, y] >= 10
        means = sums[some, y] / n_by_class[some, y]
        budgets.append(prediction_bound(means, variance[y] / n_by_class[some, y]))
        moves.append(between_variance(means, variance[y] / n_by_class[some, y]))
    return tuple(budgets), tuple(moves)


def class_skew(
    units: Counts,
    class_index: NDArray[np.intp],
    blocks: NDArray[np.int64],
    *,
    contributor: NDArray[np.intp] | None,
    n_names: int,
) -> tuple[tuple[Spread, ...], tuple[float, ...]]:
    """Learn how contributors differ in rows of a class beyond what the model expects.

    Args:
        units: Probability of each class in 1/65536, int64, shape (n_classes, n_rows).
        class_index: Class of each row, intp, shape (n_rows,), 0..n_classes-1.
        blocks: Block of each, int64, same shape.
        contributor: Contributor of each, intp, same shape, -1 for null; or None.
        n_names: Number of contributors; of fewer than two nothing is learned.

    Returns:
        For each class the spread, and the variance of one row's indicator around the model.
    """
    spreads, variances = [], []
    for y in range(units.shape[0]):
        p = units[y] / UNIT
        variance = max(float(np.mean(p * (1.0 - p))), 1e-6)
        variances.append(variance)
        if contributor is None or n_names < 2:
            spreads.append(Spread(0.0, 0.0))
            continue
        known = contributor >= 0
        key = blocks[known] * n_names + contributor[known]
        size = (int(blocks.max()) + 1) * n_names
        n = np.bincount(key, minlength=size).reshape(-1, n_names).astype(np.float64)
        beyond = ((class_index == y) - p)[known]
        total = np.bincount(key, weights=beyond, minlength=size).reshape(-1, n_names)
        spreads.append(learn_spread(n, total.astype(np.float64), variance))
    return tuple(spreads), tuple(variances)


def flip_spread(
    scale: LabelScale,
    class_index: NDArray[np.intp],
    bins: Codes,
    blocks: NDArray[np.int64],
    *,
    contributor: NDArray[np.intp] | None,
    n_names: int,
) -> Spread:
    """Learn how contributors differ in the share of flips that their rows seem to have.

    Args:
        scale: Bins of margins.
        class_index: Class of each row, intp, shape (n_rows,), 0..n_classes-1.
        bins: Margin bin of each, uint8, same shape.
        blocks: Block of each, int64, same shape.
        contributor: Contributor of each, intp, same shape, -1 for null; or None.
        n_names: Number of contributors; of fewer than two nothing is learned.
    """
    if contributor is None or n_names < 2:
        return Spread(0.0, 0.0)
    u = scale.flip_scores()
    known = contributor >= 0
    key = blocks[known] * n_names + contributor[known]
    size = (int(blocks.max()) + 1) * n_names
    value = u[class_index[known], bins[known]]
    n = np.bincount(key, minlength=size).reshape(-1, n_names).astype(np.float64)
    total = np.bincount(key, weights=value, minlength=size).reshape(-1, n_names)
    return learn_spread(n, total.astype(np.float64), float(np.mean(value**2)))

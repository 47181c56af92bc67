"""How the reference model errs on clean rows: what a batch's margins are held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.contributors.contrast import Spread, learn_spread
from sluicegate.signals.decision.budget import between_variance, prediction_bound
from sluicegate.signals.model.margins import LabelScale, count_bins, learn_scale

if TYPE_CHECKING:
    from collections.abc import Mapping

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
N_FOLDS = 5
UNIT = 65536
"""Probabilities are summed as integers of 1/65536: exact in any order and partition."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What clean rows do under a model that did not see them.

    Attributes:
        scale: Cross-fitted counts of margins.
        error: Cross-fitted share of rows whose label is not the model's first choice.
        budget: Prediction bound of the flip share of a clean block, all rows.
        class_budgets: The same for each modelled class.
        moves: Variance of the flip share between clean blocks: of all rows, then of each class.
        spread: What contributors do by themselves, in flip share.
        predicted: Cross-fitted expected rows of each class by contributor, in 1/65536 row, int64,
            shape (n_classes,).
        skew: What contributors do by themselves in rows of a class beyond expectation.
        skew_variance: Variance of one row's class indicator around the model, by class.
    """

    scale: LabelScale
    error: float
    budget: float
    class_budgets: tuple[float, ...]
    moves: tuple[float, ...]
    spread: Spread
    predicted: Mapping[str, Counts]
    skew: tuple[Spread, ...]
    skew_variance: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "scale": self.scale.to_json(),
            "error": self.error,
            "budget": self.budget,
            "class_budgets": list(self.class_budgets),
            "moves": list(self.moves),
            "between": self.spread.between,
            "within": self.spread.within,
            "predicted": [[k, v.tolist()] for k, v in sorted(self.predicted.items())],
            "skew": [[s.between, s.within] for s in self.skew],
            "skew_variance": list(self.skew_variance),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], n_classes: int) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed.

        Args:
            value: An object that holds at least these keys.
            n_classes: Classes of the model.
        """
        return cls(
            LabelScale.from_json(value["scale"], n_classes),
            float(value["error"]),
            float(value["budget"]),
            tuple(float(v) for v in value["class_budgets"]),
            tuple(float(v) for v in value["moves"]),
            Spread(float(value["between"]), float(value["within"])),
            {
                str(name): np.array([int(v) for v in row], dtype=np.int64)
                for name, row in value["predicted"]
            },
            tuple(Spread(float(b), float(w)) for b, w in value["skew"]),
            tuple(float(v) for v in value["skew_variance"]),
        )


def probability_units(scores: Floats) -> Counts:
    """Return class probabilities as integers of 1/65536.

    Args:
        scores: Log-odds, float64, shape (n_classes, n_rows).

    Returns:
        int64, same shape.
    """
    weights = np.exp(scores - scores.max(axis=0))
    units: Counts = np.rint(weights / weights.sum(axis=0) * UNIT).astype(np.int64)
    return units


def fold_of_block(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fold of each row: runs of blocks.

    Args:
        blocks: Block of each row, int64, shape (n_rows,), 0..n_blocks-1.

    Returns:
        int64, same shape, 0..N_FOLDS-1.
    """
    folds: NDArray[np.int64] = blocks * N_FOLDS // (int(blocks.max()) + 1)
    return folds


def learn_calibration(
    scores: Floats,
    class_index: NDArray[np.intp],
    blocks: NDArray[np.int64],
    *,
    contributor: NDArray[np.intp] | None,
    names: tuple[str, ...],
) -> Calibration:
    """Learn from the scores of models that did not see the rows.

    Args:
        scores: Cross-fitted log-odds, float64, shape (n_classes, n_rows).
        class_index: Class of each row, intp, shape (n_rows,), 0..n_classes-1.
        blocks: Block of each row, int64, same shape.
        contributor: Index into ``names``, intp, same shape, -1 for null; or None.
        names: Contributors of the baseline.
    """
    folds = fold_of_block(blocks)
    scale, bins = learn_scale(scores, class_index, contributor, names, folds)
    units = probability_units(scores)
    known: dict[str, Any] = {"contributor": contributor, "n_names": len(names)}
    skew, variance = class_skew(units, class_index, blocks, **known)
    budgets, moves = flip_budgets(scale, class_index, bins, blocks)
    return Calibration(
        scale,
        float((scores.argmax(axis=0) != class_index).mean()),
        budgets[0],
        budgets[1:],
        moves,
        flip_spread(scale, class_index, bins, blocks, **known),
        {
            name: units[:, contributor == i].sum(axis=1)
            for i, name in enumerate(names)
            if contributor is not None
        },
        skew,
        variance,
    )


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

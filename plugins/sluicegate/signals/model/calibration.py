"""How the reference model errs on clean rows: what a batch's margins are held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.contributors.contrast import Spread
from sluicegate.signals.model.clean_spread import UNIT, CleanRows, LabelHabits
from sluicegate.signals.model.margins import LabelScale, learn_scale

if TYPE_CHECKING:
    from collections.abc import Mapping

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
N_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Calibration:
    """What clean rows do under a model that did not see them.

    Attributes:
        scale: Cross-fitted counts of margins.
        error: Cross-fitted share of rows whose label is not the model's first choice.
        habits: What labels do by themselves between the parts of the baseline.
        predicted: Cross-fitted expected rows of each class by contributor, in 1/65536 row, int64,
            shape (n_classes,).
        skew_variance: Variance of one row's class indicator around the model, by class.
    """

    scale: LabelScale
    error: float
    habits: LabelHabits
    predicted: Mapping[str, Counts]
    skew_variance: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "scale": self.scale.to_json(),
            "error": self.error,
            "budget": self.habits.budgets[0],
            "class_budgets": list(self.habits.budgets[1:]),
            "moves": list(self.habits.moves),
            "between": self.habits.spread.between,
            "within": self.habits.spread.within,
            "predicted": [[k, v.tolist()] for k, v in sorted(self.predicted.items())],
            "skew": [[s.between, s.within] for s in self.habits.skew],
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
            LabelHabits(
                (float(value["budget"]), *(float(v) for v in value["class_budgets"])),
                tuple(float(v) for v in value["moves"]),
                Spread(float(value["between"]), float(value["within"])),
                tuple(Spread(float(b), float(w)) for b, w in value["skew"]),
            ),
            {
                str(name): np.array([int(v) for v in row], dtype=np.int64)
                for name, row in value["predicted"]
            },
            tuple(float(v) for v in value["skew_variance"]),
        )


def probability_units(scores: Floats) -> Counts:
    """Return class probabilities as integers of 1/65536.

    Args:
        scores: Log-odds, float64, shape (n_classes, n_rows).

    Returns:
        int64, same shape.
    """
    weights = scores - scores.max(axis=0)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=0)
    weights *= UNIT
    units: Counts = np.rint(weights, out=weights).astype(np.int64)
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
    rows: NDArray[np.intp],
    class_index: NDArray[np.intp],
    blocks: NDArray[np.int64],
    *,
    contributor: NDArray[np.intp] | None,
    names: tuple[str, ...],
) -> tuple[Calibration, CleanRows]:
    """Learn from the scores of models that did not see the rows.

    Args:
        scores: Cross-fitted log-odds, float64, shape (n_classes, n_rows).
        rows: Place of each row in the baseline, intp, shape (n_rows,).
        class_index: Class of each row, intp, same shape, 0..n_classes-1.
        blocks: Block of each row, int64, same shape.
        contributor: Index into ``names``, intp, same shape, -1 for null; or None.
        names: Contributors of the baseline.

    Returns:
        The calibration, and what it was learned from.
    """
    scale, bins = learn_scale(scores, class_index, contributor, names, fold_of_block(blocks))
    units = probability_units(scores)
    clean = CleanRows(rows, scale, class_index, bins, units, contributor, names)
    calibration = Calibration(
        scale,
        float((scores.argmax(axis=0) != class_index).mean()),
        clean.habits(blocks),
        {
            name: units[:, contributor == i].sum(axis=1)
            for i, name in enumerate(names)
            if contributor is not None
        },
        clean.skew_variance(),
    )
    return calibration, clean

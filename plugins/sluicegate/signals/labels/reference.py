"""Model, score scale and budgets: all a check needs to judge labels, learned once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.contributors.contrast import Spread
from sluicegate.signals.labels.clean_spread import UNIT, CleanRows, LabelHabits
from sluicegate.signals.labels.margins import (
    LabelScale,
    learn_scale,
    margins_of,
)
from sluicegate.signals.labels.reference_model import ReferenceModel, fit_model
from sluicegate.signals.labels.second_opinion import SecondOpinion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.profiling.columns import Column

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
N_FOLDS = 5
MAX_FIT_ROWS = 40_000  # more rows change the error of such a small model by less than 0.1 %
MIN_ROWS = 200


@dataclass(frozen=True, slots=True)
class LabelReference:
    """What the baseline knows about labels given features.

    Attributes:
        model: Fitted on all (sampled) baseline rows.
        scale: Cross-fitted counts of margins.
        error: Cross-fitted share of rows whose label is not the model's first choice.
        habits: What labels do by themselves between blocks.
        predicted: Cross-fitted expected rows of each class by contributor, in 1/65536 row, int64,
            shape (n_classes,).
        skew_variance: Variance of one row's class indicator around the model, by class.
        second: A linear model of the values, which ranks rows too; None without values.
    """

    model: ReferenceModel
    scale: LabelScale
    error: float
    habits: LabelHabits
    predicted: Mapping[str, Counts]
    skew_variance: tuple[float, ...]
    second: SecondOpinion | None = None

    def margin_bins(
        self, cells: Mapping[str, Codes], class_index: NDArray[np.intp]
    ) -> tuple[Codes, Counts, NDArray[np.float32]]:
        """Return each row's margin bin, probabilities and margin.

        Args:
            cells: Cells of every feature of the model, each uint8, shape (n_rows,).
            class_index: Given class of each row, intp, shape (n_rows,); -1 if not modelled.

        Returns:
            Bins, uint8, shape (n_rows,), 0 for rows that are not modelled; probabilities in
            1/65536, int64, shape (n_classes, n_rows); margins, float32, shape (n_rows,).

        Raises:
            KeyError: A feature of the model is missing from ``cells``.
        """
        scores = self.model.scores(cells)
        known = class_index >= 0
        bins = np.zeros(known.size, dtype=np.uint8)
        margins = margins_of(scores[:, known], class_index[known])
        bins[known] = self.scale.bins(margins, class_index[known])
        exact = np.zeros(known.size, dtype=np.float32)
        exact[known] = margins
        return bins, probability_units(scores), exact

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "model": self.model.to_json(),
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
            "second": None if self.second is None else self.second.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        model = ReferenceModel.from_json(value["model"])
        return cls(
            model,
            LabelScale.from_json(value["scale"], len(model.classes)),
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
            None
            if value["second"] is None
            else SecondOpinion.from_json(value["second"], len(model.classes)),
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


def learn_reference(
    classes: tuple[int, ...],
    features: tuple[Column, ...],
    cells: Mapping[str, Codes],
    slots: Codes,
    *,
    contributor: NDArray[np.intp] | None,
    names: tuple[str, ...],
    blocks: NDArray[np.int64],
    seed: int,
) -> tuple[LabelReference, CleanRows] | str:
    """Learn from the baseline's rows, cross-fitted over blocks of time.

    Args:
        classes: Label slots to model.
        features: Columns the model may read, scores of texts included.
        cells: Cells of the features, uint8, each shape (n_rows,).
        slots: Label slots, uint8, shape (n_rows,).
        contributor: Index into ``names``, intp, shape (n_rows,), -1 for null; or None.
        names: Contributors of the baseline.
        blocks: Block of each row, int64, shape (n_rows,); folds are runs of blocks, so that the
            calibration contains the movement between blocks that a new batch will show too.
        seed: Decides sample and model.

    Returns:
        The reference and what it was calibrated on, or in words why there is none.

    Cost: six fits on at most 40,000 rows, about 0.5 CPU s each at 15 columns and two classes.
    """
    if not features:
        return "no feature column that a model could read"
    if len(classes) < 2:
        return "fewer than two classes with at least 20 rows in the baseline"
    rows = np.flatnonzero(np.isin(slots, classes))
    if rows.size < MIN_ROWS:
        return f"fewer than {MIN_ROWS} labelled rows in the baseline"
    if rows.size > MAX_FIT_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_FIT_ROWS, replace=False))
    cells = {c.name: cells[c.name][rows] for c in features}
    slots, blocks = slots[rows], blocks[rows]
    contributor = None if contributor is None else contributor[rows]
    class_index = np.searchsorted(classes, slots)
    scores = _cross_fitted(features, cells, slots, classes, blocks=blocks, seed=seed)
    scale, bins = learn_scale(scores, class_index, contributor, names, fold_of_block(blocks))
    model = fit_model(features, cells, slots, classes, seed=seed)
    units = probability_units(scores)
    clean = CleanRows(rows, scale, class_index, bins, units, contributor, names)
    reference = LabelReference(
        model,
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
    return reference, clean


def _cross_fitted(
    features: tuple[Column, ...],
    cells: Mapping[str, Codes],
    slots: Codes,
    classes: tuple[int, ...],
    *,
    blocks: NDArray[np.int64],
    seed: int,
) -> Floats:
    fold = fold_of_block(blocks)
    scores = np.zeros((len(classes), slots.size))
    for k in np.unique(fold):
        held, used = fold == k, fold != k
        if len(np.unique(slots[used])) < len(classes):  # a class lives in one fold only
            held_random = np.random.default_rng([seed, int(k)]).random(slots.size) < 1 / N_FOLDS
            used = held | ~held_random
        model = fit_model(
            features, {n: c[used] for n, c in cells.items()}, slots[used], classes, seed=seed
        )
        scores[:, held] = model.scores({n: c[held] for n, c in cells.items()})
    return scores

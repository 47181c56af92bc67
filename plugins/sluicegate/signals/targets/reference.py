"""What the baseline knows of a measured label: regressor, ranges of residuals, and their habits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.buffers import floats, null_mask, plain
from sluicegate.profiling.encode import comparable
from sluicegate.signals.contributors.shares import contributors_of
from sluicegate.signals.model.calibration import fold_of_block
from sluicegate.signals.model.reference import MAX_FIT_ROWS, MIN_ROWS
from sluicegate.signals.section import Section
from sluicegate.signals.targets.regressor import (
    NormalScores,
    Regressor,
    fit_regressor,
    learn_scores,
)
from sluicegate.signals.targets.residuals import RANGES, ResidualScale, learn_residuals
from sluicegate.signals.targets.scores import (
    Habits,
    learn_habits,
    out_of_range,
    read_habits,
    standing,
    straying,
)
from sluicegate.signals.text.reference import learned_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.profiling.columns import Column
    from sluicegate.signals.chunk import EncodedRows
    from sluicegate.signals.learning import Learning

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
_HUGE: Final = 1e300  # beyond it a difference of two values may overflow
_BY_RANK: Final = {"standing": standing, "straying": straying}
_SCORES: Final = (*(f"range {held}" for held in RANGES), *_BY_RANK)


@dataclass(frozen=True, slots=True)
class TargetReference:
    """All that a check needs to judge a measured label.

    Attributes:
        scores: Scale of the values.
        model: Fitted on all (sampled) baseline rows.
        residuals: Cross-fitted residuals.
        explained: Share of the variance of normal scores that the features explain, cross-fitted.
        habits: What clean blocks do to the mean of each score, by its name.
    """

    scores: NormalScores
    model: Regressor
    residuals: ResidualScale
    explained: float
    habits: Mapping[str, Habits]

    def score(self, name: str) -> Floats:
        """Return a score by its name, float64, shape (n_groups, N_CELLS)."""
        return _score(self.residuals, name)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "scores": self.scores.to_json(),
            "model": self.model.to_json(),
            "residuals": self.residuals.to_json(),
            "explained": self.explained,
            "habits": {name: habits.to_json() for name, habits in self.habits.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        return cls(
            NormalScores.from_json(value["scores"]),
            Regressor.from_json(value["model"]),
            ResidualScale.from_json(value["residuals"]),
            float(value["explained"]),
            read_habits(value["habits"], _SCORES),
        )


Known = TargetReference | str | None
"""The reference; in words why there is none; or None of a baseline without a measured label."""


def _score(residuals: ResidualScale, name: str) -> Floats:
    if name in _BY_RANK:
        return _BY_RANK[name](residuals)
    return out_of_range(residuals, float(name.removeprefix("range ")))


def target_values(rows: EncodedRows) -> Floats | None:
    """Return the label's values, float64, shape (n_rows,), NaN where there is none; or None.

    None without a measured label, or if its type is not the baseline's.
    """
    label = rows.layout.label
    array = rows.column(label.name) if label is not None and label.binned else None
    if label is None or array is None or not comparable(label, array.type):
        return None
    array = plain(array)
    if array.null_count == len(array):
        return np.full(len(array), np.nan)
    values = np.array(floats(array))
    values[~np.isfinite(values)] = np.nan
    nulls = null_mask(array)
    if nulls is not None:
        values[nulls] = np.nan
    return np.clip(values, -_HUGE, _HUGE)


def learn_target(learning: Learning) -> Known:
    """Learn from the baseline's rows, cross-fitted over blocks of time.

    Returns:
        The reference, in words why there is none, or None without a measured label.

    Cost: six fits on at most 40,000 rows, about 0.5 CPU s each at 15 columns.
    """
    values = target_values(learning)
    if values is None:
        return None
    layout, texts = learning.layout, learning.once(learned_texts)
    features = tuple(c for c in layout.features if c.binned or c.listed) + texts.score_columns
    rows = np.flatnonzero(np.isfinite(values))
    if not features:
        return "no feature column that a model could read"
    if rows.size < MIN_ROWS or not learning.classes:
        return f"fewer than {MIN_ROWS} values of the label in the baseline"
    scale = learn_scores(values[rows])
    if scale is None:
        return "the label has one value in all rows of the baseline"
    if rows.size > MAX_FIT_ROWS:
        rng = np.random.default_rng(learning.seed)
        rows = np.sort(rng.choice(rows, MAX_FIT_ROWS, replace=False))
    index, names = contributors_of(learning.encoded)
    every = {**learning.encoded.cells, **texts.score_cells}
    return _learned(
        scale,
        features,
        {c.name: every[c.name][rows] for c in features},
        scale.of(values[rows]),
        blocks=learning.blocks[rows],
        contributor=None if index is None else index[rows],
        names=names,
        seed=learning.seed,
    )


def _learned(
    scale: NormalScores,
    features: tuple[Column, ...],
    cells: Mapping[str, Codes],
    scores: Floats,
    *,
    blocks: NDArray[np.int64],
    contributor: NDArray[np.intp] | None,
    names: tuple[str, ...],
    seed: int,
) -> TargetReference:
    fold, predicted = fold_of_block(blocks), np.zeros(scores.size)
    for k in np.unique(fold):
        held, used = fold == k, fold != k
        if not used.any():  # all rows with a value lie in one fold
            used = held
        model = fit_regressor(
            features, {n: c[used] for n, c in cells.items()}, scores[used], seed=seed
        )
        predicted[held] = model.predict({n: c[held] for n, c in cells.items()})
    residual = scores - predicted
    residuals = learn_residuals(predicted, residual, contributor, names)
    group, cell = residuals.cells(predicted, residual)
    habits = {
        name: learn_habits(
            _score(residuals, name),
            group,
            cell,
            blocks,
            contributor=contributor,
            n_names=len(names),
        )
        for name in _SCORES
    }
    explained = 1.0 - float(np.var(residual) / np.var(scores))
    model = fit_regressor(features, cells, scores, seed=seed)
    return TargetReference(scale, model, residuals, explained, habits)


def _write(known: Known) -> dict[str, Any]:
    # Without a measured label nothing is written, as by versions that did not know them.
    return {} if known is None else {"target": known if isinstance(known, str) else known.to_json()}


def _read(value: Mapping[str, Any]) -> Known:
    found = value.get("target")
    return found if found is None or isinstance(found, str) else TargetReference.from_json(found)


TARGETS: Section[Known] = Section("target", learn_target, _write, _read)

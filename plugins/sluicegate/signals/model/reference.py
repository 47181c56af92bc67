"""Model and calibrations: all a check needs to judge labels, learned once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.model.calibration import (
    N_FOLDS,
    Calibration,
    fold_of_block,
    learn_calibration,
)
from sluicegate.signals.model.reference_model import ReferenceModel, fit_model
from sluicegate.signals.model.second_opinion import SecondOpinion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.profiling.columns import Column
    from sluicegate.signals.model.clean_spread import CleanRows, LabelHabits
    from sluicegate.signals.model.reference_model import Leaves

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
MAX_FIT_ROWS = 40_000  # more rows change the error of such a small model by less than 0.1 %
MIN_ROWS = 200
MAX_TELLING = 8
"""Columns without which labels can be judged; each costs about 0.2 us a row."""
TELLING = 0.005
"""Share of answers that change without a column, from which it counts: no smaller share of flipped
labels is ever an alarm. What a column says less than that is replaced by its usual value."""
_CHOICE_ROWS = 4_000  # enough to see what changes one answer in two hundred


@dataclass(frozen=True, slots=True)
class Spared:
    """What the model says without one column of the batch.

    Attributes:
        column: Its name.
        features: The features of the model that come from it: itself, or the scores of a text, or
            the axes of an embedding.
        shares: Share of the baseline's rows in each cell of each feature, float64, shape
            (len(features), 256).
        calibration: How the model errs without it.
    """

    column: str
    features: tuple[str, ...]
    shares: Floats
    calibration: Calibration

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "column": self.column,
            "features": list(self.features),
            "shares": pack(self.shares, "<f8"),
            **self.calibration.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], n_classes: int) -> Self:
        """Read what `to_json` wrote.

        Args:
            value: The object.
            n_classes: Classes of the model.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        features = tuple(str(name) for name in value["features"])
        shares = unpack(value["shares"], "<f8", (len(features), 256))
        if not ((shares >= 0.0) & (shares <= 1.0)).all():
            raise ValueError("a share of a column's cells is out of range")
        return cls(str(value["column"]), features, shares, Calibration.from_json(value, n_classes))


@dataclass(frozen=True, slots=True)
class LabelReference:
    """What the baseline knows about labels given features.

    Attributes:
        model: Fitted on all (sampled) baseline rows.
        whole: How it errs on rows that have all columns.
        spared: The same without each column that tells something; None in a baseline that was
            built before there was such a thing.
        second: A linear model of the values, which ranks rows too; None without values.
    """

    model: ReferenceModel
    whole: Calibration
    spared: tuple[Spared, ...] | None = ()
    second: SecondOpinion | None = None

    @property
    def telling(self) -> tuple[Spared, ...]:
        """``spared``, or nothing."""
        return self.spared or ()

    @property
    def calibrations(self) -> tuple[Calibration, ...]:
        """Of the whole model, then without each telling column."""
        return (self.whole, *(spared.calibration for spared in self.telling))

    def in_blocks(self, habits: LabelHabits) -> Self:
        """Return the same with what labels do in blocks that are like a batch.

        Args:
            habits: What they do there under the whole model.
        """
        spared = self.spared and tuple(
            replace(s, calibration=replace(c, habits=habits.under(c.habits)))
            for s in self.spared
            for c in (s.calibration,)
        )
        return replace(self, whole=replace(self.whole, habits=habits), spared=spared)

    def leaves(self) -> tuple[Leaves, ...]:
        """Return the model's leaves without each telling column.

        Returns:
            For each column, for each forest, float64, shape (trees, 2 ** depth).
        """
        return tuple(
            self.model.leaves_without(s.features, dict(zip(s.features, s.shares, strict=True)))
            for s in self.telling
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        known = {} if self.spared is None else {"spared": [s.to_json() for s in self.spared]}
        return {
            "model": self.model.to_json(),
            **self.whole.to_json(),
            **known,
            "second": None if self.second is None else self.second.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        model = ReferenceModel.from_json(value["model"])
        k = len(model.classes)
        spared = tuple(Spared.from_json(item, k) for item in value.get("spared", ()))
        if len(spared) > MAX_TELLING or any(set(s.features) - set(model.features) for s in spared):
            raise ValueError("a column that is left out is none of the model's")
        return cls(
            model,
            Calibration.from_json(value, k),
            spared if "spared" in value else None,
            None if value["second"] is None else SecondOpinion.from_json(value["second"], k),
        )


def learn_reference(
    classes: tuple[int, ...],
    features: tuple[Column, ...],
    cells: Mapping[str, Codes],
    slots: Codes,
    *,
    owners: Mapping[str, str],
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
        owners: The column of the batch that each feature comes from.
        contributor: Index into ``names``, intp, shape (n_rows,), -1 for null; or None.
        names: Contributors of the baseline.
        blocks: Block of each row, int64, shape (n_rows,); folds are runs of blocks, so that the
            calibration contains the movement between blocks that a new batch will show too.
        seed: Decides sample and model.

    Returns:
        The reference and what its whole model was calibrated on, or in words why there is none.

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
    model = fit_model(features, cells, slots, classes, seed=seed)
    telling = _telling(model, cells, owners)
    scores = _cross_fitted(
        features, cells, slots, classes, spared=telling, blocks=blocks, seed=seed
    )
    known: dict[str, Any] = {"contributor": contributor, "names": names}
    (whole, clean), *without = (
        learn_calibration(found, rows, class_index, blocks, **known) for found in scores
    )
    spared = tuple(
        Spared(owners[own[0]], own, np.stack([shares[name] for name in own]), calibration)
        for (own, shares), (calibration, _) in zip(telling, without, strict=True)
    )
    return LabelReference(model, whole, spared), clean


Shares = dict[str, Floats]
"""Share of rows in each cell of each feature, float64, shape (256,)."""


def _telling(
    model: ReferenceModel, cells: Mapping[str, Codes], owners: Mapping[str, str]
) -> list[tuple[tuple[str, ...], Shares]]:
    """Return the features of each column that the model's answers rest on, and their shares."""
    columns: dict[str, list[str]] = {}
    for name in model.features:
        columns.setdefault(owners[name], []).append(name)
    step = max(1, next(iter(cells.values())).size // _CHOICE_ROWS)
    some = {name: codes[::step] for name, codes in cells.items()}
    usual, changed = _probabilities(model.scores(some)), []
    for own in columns.values():
        shares = {name: _shares(cells[name]) for name in own}
        found = model.scores_without(some, [model.leaves_without(own, shares)])[1]
        change = float(np.abs(_probabilities(found) - usual).sum(axis=0).mean() / 2.0)
        if change >= TELLING:
            changed.append((change, tuple(own), shares))
    changed.sort(key=lambda item: (-item[0], item[1]))
    return [(own, shares) for _, own, shares in changed[:MAX_TELLING]]


def _shares(codes: Codes) -> Floats:
    shares: Floats = np.bincount(codes, minlength=256) / max(codes.size, 1)
    return shares


def _probabilities(scores: Floats) -> Floats:
    weights = np.exp(scores - scores.max(axis=0))
    shares: Floats = weights / weights.sum(axis=0)
    return shares


def _cross_fitted(
    features: tuple[Column, ...],
    cells: Mapping[str, Codes],
    slots: Codes,
    classes: tuple[int, ...],
    *,
    spared: Sequence[tuple[tuple[str, ...], Shares]],
    blocks: NDArray[np.int64],
    seed: int,
) -> Floats:
    """Return scores with all columns, then without each spared one, of models fitted elsewhere."""
    fold = fold_of_block(blocks)
    scores = np.zeros((1 + len(spared), len(classes), slots.size))
    for k in np.unique(fold):
        held, used = fold == k, fold != k
        if len(np.unique(slots[used])) < len(classes):  # a class lives in one fold only
            held_random = np.random.default_rng([seed, int(k)]).random(slots.size) < 1 / N_FOLDS
            used = held | ~held_random
        model = fit_model(
            features, {n: c[used] for n, c in cells.items()}, slots[used], classes, seed=seed
        )
        leaves = [model.leaves_without(own, shares) for own, shares in spared]
        scores[:, :, held] = model.scores_without({n: c[held] for n, c in cells.items()}, leaves)
    return scores

"""What labels of clean rows do by themselves, from block to block and by contributor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.contributors.contrast import Spread, learn_spread
from sluicegate.signals.decision.budget import between_variance, prediction_bound
from sluicegate.signals.model.margins import count_bins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.signals.model.margins import LabelScale

Codes = NDArray[np.uint8]
Counts = NDArray[np.int64]
UNIT = 65536
"""Probabilities are summed as integers of 1/65536: exact in any order and partition."""
_MIN_BLOCK_ROWS = 10
_APART = 1.3


@dataclass(frozen=True, slots=True)
class LabelHabits:
    """What labels do by themselves between blocks of one kind.

    Attributes:
        budgets: Prediction bound of the flip share of a clean block: of all rows, then of each
            class.
        moves: Variance of the flip share between clean blocks, in the same order.
        spread: What contributors do by themselves, in flip share.
        skew: What contributors do by themselves in rows of each class beyond expectation.
    """

    budgets: tuple[float, ...]
    moves: tuple[float, ...]
    spread: Spread
    skew: tuple[Spread, ...]

    def at_least(self, other: Self) -> Self:
        """Return the larger of both, one by one: a short block moves with the long one it is in."""
        return type(self)(
            tuple(map(max, self.budgets, other.budgets)),
            tuple(map(max, self.moves, other.moves)),
            _larger(self.spread, other.spread),
            tuple(map(_larger, self.skew, other.skew)),
        )

    def under(self, own: Self) -> Self:
        """Return the larger of both for a model that errs as ``own`` says, one by one.

        Args:
            own: What labels do under that model between the parts of the baseline.
        """
        both = self.at_least(own)
        pairs = zip(both.skew, own.skew, strict=True)
        return replace(
            both,
            spread=replace(both.spread, between=own.spread.between),
            skew=tuple(replace(larger, between=known.between) for larger, known in pairs),
        )

    def plus(self, other: Self) -> Self:
        """Return what both do together."""
        return type(self)(
            tuple(a + b for a, b in zip(self.budgets, other.budgets, strict=True)),
            tuple(a + b for a, b in zip(self.moves, other.moves, strict=True)),
            _sum(self.spread, other.spread),
            tuple(_sum(a, b) for a, b in zip(self.skew, other.skew, strict=True)),
        )

    def times(self, factor: float) -> Self:
        """Return what blocks do that lie so many times further apart.

        How one contributor differs from the others grows little: the world moves for all of them.

        Args:
            factor: At least 1.
        """
        apart = min(factor, _APART)
        return type(self)(
            tuple(factor * v for v in self.budgets),
            tuple(factor**2 * v for v in self.moves),
            _times(self.spread, apart),
            tuple(_times(s, apart) for s in self.skew),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "budgets": list(self.budgets),
            "moves": list(self.moves),
            "spread": _spread_json(self.spread),
            "skew": [_spread_json(s) for s in self.skew],
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
        budgets, moves = (tuple(float(v) for v in value[k]) for k in ("budgets", "moves"))
        spread, *skew = map(_read_spread, [value["spread"], *value["skew"]])
        if len(budgets) != n_classes + 1 or len(moves) != n_classes + 1 or len(skew) != n_classes:
            raise ValueError("habits of labels are of other classes")
        return cls(budgets, moves, spread, tuple(skew))


def _spread_json(spread: Spread) -> list[Any]:
    own = [[name, bound] for name, bound in sorted(spread.own.items())]
    return [spread.between, spread.within, own, list(spread.slopes)]


def _read_spread(value: Any) -> Spread:
    between, within, own, (down, up) = value
    bounds = {str(name): float(bound) for name, bound in own}
    return Spread(float(between), float(within), bounds, (float(down), float(up)))


def _larger(a: Spread, b: Spread) -> Spread:
    own = {name: max(v, b.own.get(name, 0.0)) for name, v in a.own.items()}
    return Spread(a.between, max(a.within, b.within), own, a.slopes)


def _times(a: Spread, factor: float) -> Spread:
    own = {name: factor * v for name, v in a.own.items()}
    return Spread(a.between, factor * a.within, own, a.slopes)


def _sum(a: Spread, b: Spread) -> Spread:
    """Return the sum; ``a`` is of blocks of a column, where nobody has a bound of its own."""
    own = {name: a.within + v for name, v in b.own.items()}
    return Spread(b.between, a.within + b.within, own, b.slopes)


@dataclass(frozen=True, slots=True)
class CleanRows:
    """Baseline rows as models that did not see them judged them.

    Attributes:
        rows: Their places in the baseline, intp, shape (n_rows,).
        scale: Bins of margins.
        class_index: Class of each row, intp, same shape, 0..n_classes-1.
        bins: Margin bin of each, uint8, same shape.
        units: Probability of each class in 1/65536, int64, shape (n_classes, n_rows).
        contributor: Contributor of each, intp, shape (n_rows,), -1 for null; or None.
        names: Contributors; of fewer than two nothing is learned.
    """

    rows: NDArray[np.intp]
    scale: LabelScale
    class_index: NDArray[np.intp]
    bins: Codes
    units: Counts
    contributor: NDArray[np.intp] | None
    names: tuple[str, ...]

    def habits(self, blocks: NDArray[np.int64], *, complete: bool = False) -> LabelHabits:
        """Learn what labels do between blocks.

        Args:
            blocks: Block of each of these rows, int64, shape (n_rows,); -1 for none.
            complete: As for `budget.prediction_bound`.
        """
        budgets, moves = self._flips(blocks, complete=complete)
        u = self.scale.flip_scores()[self.class_index, self.bins]
        spread = self._spread(u, float(np.mean(u**2)), blocks, complete=complete)
        skew = tuple(
            self._spread((self.class_index == y) - p, variance, blocks, complete=complete)
            for y, (p, variance) in enumerate(
                zip(self.units / UNIT, self.skew_variance(), strict=True)
            )
        )
        return LabelHabits(budgets, moves, spread, skew)

    def skew_variance(self) -> tuple[float, ...]:
        """Return the variance of one row's indicator of each class around the model."""
        p = self.units / UNIT
        return tuple(max(float(v), 1e-6) for v in np.mean(p * (1.0 - p), axis=1))

    def _flips(
        self, blocks: NDArray[np.int64], *, complete: bool
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return bound and variance of the flip share between blocks: all rows, then classes.

        A block, or a class in one, with fewer than 10 rows is left out.
        """
        u = self.scale.flip_scores()
        f, _ = self.scale.densities()
        variance, n_classes = (f * u**2).sum(axis=1), u.shape[0]
        tables = np.stack(
            [
                count_bins(self.class_index[blocks == b], self.bins[blocks == b], n_classes)
                for b in range(int(blocks.max()) + 1)
            ]
        ).astype(np.float64)
        by_class, sums = tables.sum(axis=2), (tables * u).sum(axis=2)
        n = by_class.sum(axis=1)
        some = n >= _MIN_BLOCK_ROWS
        groups = [
            (
                sums.sum(axis=1)[some] / n[some],
                (by_class * variance).sum(axis=1)[some] / n[some] ** 2,
            )
        ]
        for y in range(n_classes):
            some = by_class[:, y] >= _MIN_BLOCK_ROWS
            groups.append((sums[some, y] / by_class[some, y], variance[y] / by_class[some, y]))
        budgets = tuple(prediction_bound(*group, complete=complete) for group in groups)
        return budgets, tuple(between_variance(*group) for group in groups)

    def _spread(
        self,
        value: NDArray[np.float64],
        variance: float,
        blocks: NDArray[np.int64],
        *,
        complete: bool,
    ) -> Spread:
        """Learn how contributors differ in a score with expectation 0.

        Args:
            value: Score of each row, float64, shape (n_rows,).
            variance: Of one row's score.
            blocks: Block of each, int64, same shape; -1 for none.
            complete: As for `budget.prediction_bound`.
        """
        n_names = len(self.names)
        if self.contributor is None or n_names < 2:
            return Spread(0.0, 0.0)
        known = (self.contributor >= 0) & (blocks >= 0)
        key = blocks[known] * n_names + self.contributor[known]
        size = (int(blocks.max()) + 1) * n_names
        n = np.bincount(key, minlength=size).reshape(-1, n_names).astype(np.float64)
        total = np.bincount(key, weights=value[known], minlength=size).reshape(n.shape)
        return learn_spread(
            n, total.astype(np.float64), variance, names=self.names, complete=complete
        )

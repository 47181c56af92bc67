"""What a row's residual says: that its value is out of range, or stands high or low.

A score is a number for each group and cell, with expectation 0 on rows of the baseline in every
group, so that a batch with more large or more small rows than usual moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.contributors.contrast import Spread, learn_spread
from sluicegate.signals.decision.budget import between_variance, prediction_bound
from sluicegate.signals.targets.residuals import N_CELLS, RANGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.signals.targets.residuals import ResidualScale

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
_SHRINK = 500.0  # rows' weight of all groups in the share that one group has out of range


def out_of_range(scale: ResidualScale, held: float) -> Floats:
    """Return 1 out of the range that holds a share of rows, else 0, less what is usual.

    Args:
        scale: Counts of the baseline.
        held: A key of `RANGES`.

    Returns:
        float64, shape (n_groups, N_CELLS).
    """
    usual = usual_shares(scale, held)
    return beyond(held) - usual[:, None]


def usual_shares(scale: ResidualScale, held: float) -> Floats:
    """Return the share of each group's rows out of a range, float64, shape (n_groups,).

    Few rows of a group say little about it, so its share leans on that of all rows.

    Args:
        scale: Counts of the baseline.
        held: A key of `RANGES`.
    """
    hits, rows = scale.own @ beyond(held), scale.own.sum(axis=1)
    shares: Floats = (hits + _SHRINK * hits.sum() / rows.sum()) / (rows + _SHRINK)
    return shares


def beyond(held: float) -> Floats:
    """Return 1 for cells out of a range, else 0, float64, shape (N_CELLS,).

    Args:
        held: A key of `RANGES`.
    """
    cell, n = np.arange(N_CELLS), RANGES[held]
    return ((cell < n) | (cell >= N_CELLS - n)).astype(np.float64)


def standing(scale: ResidualScale) -> Floats:
    """Return how high a residual stands in its group: -1 lowest, 1 highest.

    The mean over rows whose values moved is at most the share of them that is now elsewhere, so
    it is a share of rows (total variation) from below.

    Args:
        scale: Counts of the baseline.

    Returns:
        float64, shape (n_groups, N_CELLS).

    Source: Mann and Whitney 1947, by cells; ties share their middle rank.
    """
    share = scale.own / scale.own.sum(axis=1, keepdims=True)
    high: Floats = 2.0 * (np.cumsum(share, axis=1) - share / 2.0) - 1.0
    return high


def straying(scale: ResidualScale) -> Floats:
    """Return how far a residual stands from the middle of its group: -1/2 nearest, 1 farthest.

    Values that were exchanged between rows keep their middle and lie wider.

    Args:
        scale: Counts of the baseline.

    Returns:
        float64, shape (n_groups, N_CELLS).

    Source: Mood 1954, by cells.
    """
    far = standing(scale) ** 2
    usual = (scale.own * far).sum(axis=1, keepdims=True) / scale.own.sum(axis=1, keepdims=True)
    spread: Floats = 1.5 * (far - usual)
    return spread


@dataclass(frozen=True, slots=True)
class Habits:
    """What clean blocks of the baseline do to the mean of one score.

    Attributes:
        budget: Prediction bound of one more block, all rows.
        moves: Variance between blocks.
        groups: What groups of like prediction do by themselves.
        contributors: What contributors do by themselves.
    """

    budget: float
    moves: float
    groups: Spread
    contributors: Spread

    def to_json(self) -> list[float]:
        """Return six numbers."""
        spreads = (self.groups, self.contributors)
        return [self.budget, self.moves, *(v for s in spreads for v in (s.between, s.within))]

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not six finite numbers; TypeError for what is no list of numbers.
        """
        budget, moves, *rest = (float(v) for v in value)
        if len(rest) != 4 or not np.isfinite([budget, moves, *rest]).all():
            raise ValueError("habits of a score are malformed")
        return cls(budget, moves, Spread(rest[0], rest[1]), Spread(rest[2], rest[3]))


def learn_habits(
    score: Floats,
    group: NDArray[np.intp],
    cell: Counts,
    blocks: NDArray[np.int64],
    *,
    contributor: NDArray[np.intp] | None,
    n_names: int,
) -> Habits:
    """Learn from rows of the baseline.

    Args:
        score: float64, shape (n_groups, N_CELLS).
        group: Group of each row, intp, shape (n_rows,).
        cell: Cell of its residual, int64, same shape.
        blocks: Block of each, int64, same shape.
        contributor: Contributor of each, intp, same shape, -1 for null; or None.
        n_names: Number of contributors; of fewer than two nothing is learned.
    """
    value, n_blocks = score[group, cell], int(blocks.max()) + 1
    variance = max(float(np.mean(value**2)), 1e-9)
    n = np.bincount(blocks, minlength=n_blocks)
    means = np.bincount(blocks, weights=value, minlength=n_blocks)[n > 0] / n[n > 0]
    noise = variance / n[n > 0]

    def spread(index: NDArray[np.intp], size: int) -> Spread:
        if size < 2:
            return Spread(0.0, 0.0)
        known = index >= 0
        key, cells = blocks[known] * size + index[known], n_blocks * size
        rows = np.bincount(key, minlength=cells).reshape(-1, size).astype(np.float64)
        total = np.bincount(key, weights=value[known], minlength=cells).reshape(-1, size)
        return learn_spread(rows, total.astype(np.float64), variance)

    return Habits(
        prediction_bound(means, noise),
        between_variance(means, noise),
        spread(group, score.shape[0]),
        Spread(0.0, 0.0) if contributor is None else spread(contributor, n_names),
    )


def read_habits(value: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Habits]:
    """Read habits by score.

    Args:
        value: An object with exactly these keys.
        names: Scores.

    Raises:
        ValueError: Not these keys, or malformed habits.
    """
    if set(value) != set(names):
        raise ValueError("habits of a score are missing or unknown")
    return {name: Habits.from_json(value[name]) for name in names}

"""One contributor against its own past and against the rest of the batch.

A score with expectation 0 on clean rows (flip score, or class indicator less its share) is
averaged over a contributor's rows. From that average are taken the contributor's own
baseline average, shrunk to the common one by how much contributors differ, and what the rest
of the same batch moved: a season that moves everyone moves no contrast.
Source: difference in differences (Angrist and Pischke 2008, section 5.2); shrinkage and
between-group variance by moments (DerSimonian and Laird 1986; Morris 1983).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.decision.budget import (
    between_variance,
    excess_variance,
    prediction_bound,
    shrunk_bound,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = NDArray[np.float64]
_MIN_OWN_BLOCKS = 20  # from a dozen blocks no contributor's own movement can be told
BOUND_ERRORS = 4.0
"""A prediction bound for the largest of several contributors is about so many errors wide."""
_ROUNDS = 5
_MIN_CELL_ROWS = 20  # a block-by-contributor mean of fewer rows says nothing about the spread


@dataclass(frozen=True, slots=True)
class Spread:
    """What contributors do by themselves.

    Attributes:
        between: Variance of contributors' baseline means around the common mean.
        within: Prediction bound of one contributor's contrast in a block in which the others stay.
        own: The same for each contributor that has blocks enough of its own, by name.
        slopes: By how much the square of that bound grows with the square of what the others move
            down, and up: a storm hits everybody, and somebody harder; a calm day nobody.
    """

    between: float
    within: float
    own: Mapping[str, float] = field(default_factory=dict)
    slopes: tuple[float, float] = (0.0, 0.0)

    def of(self, name: str, rest_shift: float) -> float:
        """Return the prediction bound of one contributor's contrast.

        Args:
            name: The contributor.
            rest_shift: What the others moved.
        """
        slope = self.slopes[int(rest_shift > 0.0)]
        return self.own.get(name, self.within) * math.sqrt(1.0 + slope * rest_shift**2)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Contrast of one contributor.

    Attributes:
        excess: Mean score beyond its own past and the rest of the batch.
        error: Standard error of the excess under the null.
        rest_shift: What the rest of the batch moved.
    """

    excess: float
    error: float
    rest_shift: float = 0.0


def contrasts(
    n: Floats,
    total: Floats,
    *,
    n_base: Floats,
    total_base: Floats,
    variance: Floats,
    between: float | Floats,
) -> list[Contrast]:
    """Return the contrast of every contributor.

    Args:
        n: Rows of each contributor in the batch, float64, shape (k,), > 0.
        total: Sum of its scores in the batch, float64, same shape.
        n_base: Rows in the baseline, float64, same shape; 0 for a new contributor.
        total_base: Sum of its scores in the baseline, float64, same shape.
        variance: Variance of one row's score under the null, float64, same shape, > 0.
        between: Variance of contributors' true means, float64, of shape (k,) if they differ.
    """
    kappa = variance / np.maximum(between, 1e-12)
    own = total_base / (n_base + kappa)
    expected = own * n
    rest_n = n.sum() - n
    rest_shift = np.divide(
        (total.sum() - total) - (expected.sum() - expected),
        rest_n,
        out=np.zeros_like(n),
        where=rest_n > 0,
    )
    # With hardly any rest its noise would drown the contributor; the error says so.
    rest_error = np.divide(variance, rest_n, out=np.zeros_like(n), where=rest_n > 0)
    excess = total / n - own - rest_shift
    error = np.sqrt(variance / n + variance / (n_base + kappa) + rest_error)
    found = zip(excess.tolist(), error.tolist(), rest_shift.tolist(), strict=True)
    return [Contrast(*of_one) for of_one in found]


def share_contrasts(
    n: Floats, hits: Floats, *, n_base: Floats, hits_base: Floats, share: float, between: float
) -> list[Contrast]:
    """Return how far each contributor's share of a class is from its expectation.

    The rest of the batch moves a contributor on the scale of log-odds: when everybody's share
    halves, a contributor that had twice the share of the others loses twice as much.

    Args:
        n: Rows of each contributor in the batch, float64, shape (k,), > 0.
        hits: Rows of the class among them, float64, same shape.
        n_base: Rows in the baseline, float64, same shape; 0 for a new contributor.
        hits_base: Rows of the class among them, float64, same shape.
        share: Share of the class in the baseline, in (0, 1).
        between: Variance of contributors' true shares.
    """
    variance = share * (1.0 - share)
    kappa = variance / max(between, 1e-12)
    own = (hits_base + kappa * share) / (n_base + kappa)
    rest_n, rest_hits = n.sum() - n, hits.sum() - hits
    rest_own = np.divide(
        (own * n).sum() - own * n, rest_n, out=np.full_like(n, share), where=rest_n > 0
    )
    shift = _logit((rest_hits + share) / (rest_n + 1.0)) - _logit(rest_own)
    expected = 1.0 / (1.0 + np.exp(-(_logit(own) + np.where(rest_n > 0, shift, 0.0))))
    noise = expected * (1.0 - expected)
    rest_error = np.divide(noise, rest_n, out=np.zeros_like(n), where=rest_n > 0)
    error = np.sqrt(noise / n + noise / (n_base + kappa) + rest_error)
    excess = hits / n - expected
    return [Contrast(float(e), float(s)) for e, s in zip(excess, error, strict=True)]


def _logit(share: Floats) -> Floats:
    clipped = np.clip(share, 1e-6, 1.0 - 1e-6)
    logits: Floats = np.log(clipped / (1.0 - clipped))
    return logits


def learn_share_spread(n: Floats, hits: Floats, share: float, *, complete: bool = False) -> Spread:
    """Learn the same spread as `learn_spread` for shares of a class, moved on log-odds.

    Args:
        n: Rows by block and contributor, float64, shape (n_blocks, k).
        hits: Rows of the class, float64, same shape.
        share: Share of the class in all rows, in (0, 1).
        complete: As for `budget.prediction_bound`.
    """
    between = learn_spread(n, hits - share * n, share * (1.0 - share)).between
    rows, total = n.sum(axis=0), hits.sum(axis=0)
    shifts, noises = [], []
    for block in range(n.shape[0]):
        here = n[block] > 0
        found = share_contrasts(
            n[block, here],
            hits[block, here],
            n_base=(rows - n[block])[here],
            hits_base=(total - hits[block])[here],
            share=share,
            between=between,
        )
        for contrast, k in zip(found, n[block, here], strict=True):
            if k >= _MIN_CELL_ROWS:
                shifts.append(contrast.excess)
                noises.append(contrast.error**2)
    enough = int((rows >= _MIN_CELL_ROWS).sum())
    within = _widened(np.array(shifts), np.array(noises), enough, complete=complete)
    return Spread(between, within)


def learn_spread(
    n: Floats,
    total: Floats,
    variance: float,
    *,
    names: tuple[str, ...] = (),
    complete: bool = False,
) -> Spread:
    """Learn how contributors differ and how they move between blocks of the baseline.

    Args:
        n: Rows by block and contributor, float64, shape (n_blocks, k).
        total: Sums of scores, float64, same shape.
        variance: Variance of one row's score.
        names: The contributors, shape (k,); without them nobody gets a bound of its own.
        complete: As for `budget.prediction_bound`.
    """
    rows, sums = n.sum(axis=0), total.sum(axis=0)
    enough = rows >= _MIN_CELL_ROWS
    between = between_variance(sums[enough] / rows[enough], variance / rows[enough])
    found = _block_contrasts(n, total, variance)
    few = complete or n.shape[0] < _MIN_OWN_BLOCKS
    slopes = (0.0, 0.0) if few else _slopes(found)
    scale = np.sqrt(1.0 + np.where(found.rest > 0.0, slopes[1], slopes[0]) * found.rest**2)
    shifts, noises = found.shifts / scale, found.noises / scale**2
    within = _widened(shifts, noises, int(enough.sum()), complete=complete)
    if few:
        return Spread(between, within)
    usual, own = excess_variance(shifts, noises), {}
    for c, name in enumerate(names):
        mine = found.who == c
        if mine.sum() >= _MIN_OWN_BLOCKS:
            own[name] = _wide(int(enough.sum())) * shrunk_bound(shifts[mine], noises[mine], usual)
    return Spread(between, within, own, slopes)


def _slopes(found: _Blocks) -> tuple[float, float]:
    """Return how the variance of contrasts grows with the square of what the others move.

    The variance is fitted as a + b x by weighted least squares, with a b for each direction, in a
    few rounds, because its own error grows with it; what is returned is b / a.

    Source: variance functions, Davidian and Carroll 1987.
    """
    y, x = found.shifts**2 - found.noises, found.rest**2
    if y.size < _MIN_OWN_BLOCKS:
        return 0.0, 0.0
    up = found.rest > 0.0
    columns = np.stack([np.ones(y.size), np.where(up, 0.0, x), np.where(up, x, 0.0)], axis=1)
    fitted = np.array([max(float(y.mean()), 0.0), 0.0, 0.0])
    for _ in range(_ROUNDS):
        weight = 1.0 / (columns @ fitted + found.noises)
        fitted = _not_negative(columns * weight[:, None], y * weight)
    # Without any movement of its own the ratio has no meaning: a tenth of the noise stands for it.
    least = max(float(fitted[0]), 0.1 * float(found.noises.mean()))
    return float(fitted[1]) / least, float(fitted[2]) / least


def _not_negative(columns: Floats, y: Floats) -> Floats:
    """Return the least squares among solutions without a negative part; there are at most 8."""
    best, least = np.zeros(columns.shape[1]), float(y @ y)
    for chosen in range(1, 1 << columns.shape[1]):
        some = [i for i in range(columns.shape[1]) if chosen >> i & 1]
        part = np.linalg.lstsq(columns[:, some], y, rcond=None)[0]
        error = float(((columns[:, some] @ part - y) ** 2).sum())
        if (part >= 0.0).all() and error < least:
            best, least = np.zeros(columns.shape[1]), error
            best[some] = part
    return best


def _wide(n_contributors: int) -> float:
    return math.sqrt(1.0 + math.log(max(n_contributors, 1)) / 3.0)


def _widened(shifts: Floats, noises: Floats, n_contributors: int, *, complete: bool) -> float:
    """A bound for the largest of several contributors is wider than for one."""
    if shifts.size < 2:
        return 0.0
    bound = prediction_bound(shifts, noises, complete=complete)
    return bound if complete else bound * _wide(n_contributors)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Contrasts of contributors in blocks where they have rows: all float64, shape (k,).

    Attributes:
        shifts: The contrasts.
        noises: Sampling variance of each.
        rest: What the others moved.
        who: Place of the contributor, int64.
    """

    shifts: Floats
    noises: Floats
    rest: Floats
    who: NDArray[np.int64]


def _block_contrasts(n: Floats, total: Floats, variance: float) -> _Blocks:
    rows, sums = n.sum(axis=0), total.sum(axis=0)
    all_rows, all_sums = n.sum(axis=1), total.sum(axis=1)
    shifts, noises, moved, who = [], [], [], []
    for block in range(n.shape[0]):
        for c in np.flatnonzero((n[block] >= _MIN_CELL_ROWS) & (rows - n[block] > 0)):
            own = (sums[c] - total[block, c]) / (rows[c] - n[block, c])
            rest_n = all_rows[block] - n[block, c]
            if rest_n <= 0:
                continue
            others = (all_rows.sum() - rows[c]) - rest_n
            before = ((all_sums.sum() - sums[c]) - (all_sums[block] - total[block, c])) / max(
                others, 1.0
            )
            rest = (all_sums[block] - total[block, c]) / rest_n - before
            who.append(int(c))
            moved.append(rest)
            shifts.append(total[block, c] / n[block, c] - own - rest)
            noises.append(variance * (1 / n[block, c] + 1 / (rows[c] - n[block, c]) + 1 / rest_n))
    return _Blocks(
        np.array(shifts, dtype=np.float64),
        np.array(noises, dtype=np.float64),
        np.array(moved, dtype=np.float64),
        np.array(who, dtype=np.int64),
    )

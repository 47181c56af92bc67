"""How much each given label surprises the reference model, as counts and as an estimate.

The margin of a row is the model's log-odds of its given label less the best other class.
For each class y the baseline tells two distributions of margins, cross-fitted: F_y of rows
that carry y, and G_y of rows of other classes *had they carried y*. A batch in which a share
pi of the rows labelled y are flipped has (1 - pi) F_y + pi G_y, so with the score
w = (G - F) / ((1 - pi0) F + pi0 G), the efficient one near pi0, the mean of
u = (w - E_F w) / (E_G w - E_F w) estimates pi without bias: 0 on clean rows, 1 on flipped
ones. It is conditional on the given label, so a change of P(y) alone leaves it at 0.
Source: two-component mixture with known components, Lindsay 1995; class-conditional
calibration, Vovk 2012 (Mondrian conformal prediction).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.bins import bins_of
from sluicegate.profiling.counts import count_pairs
from sluicegate.profiling.packed import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
N_BINS = 24
_PI0 = 0.05  # the share of flips for which the score is most efficient; bounds it by 1/_PI0
_SLOPE = 0.02  # of log-odds by margin where there are no bins: enough to rank, too little to say
_SMOOTH = 0.5  # Jeffreys' half count keeps a ratio of empty cells finite


@dataclass(frozen=True, slots=True)
class LabelScale:
    """Bins of margins with their baseline counts.

    Attributes:
        edges: Inner bin bounds for each class, float64, shape (n_classes, N_BINS - 1).
        own: Baseline rows by class and margin bin, int64, shape (n_classes, N_BINS).
        flipped: Rows of other classes scored as this class, int64, same shape.
        contributors: ``own`` for each contributor of the baseline, int64, same shape.
        bias: What the scores average on clean rows they were not learned from, float64, shape
            (n_classes,): they are largest where the baseline happens to have few rows, and new
            rows correct that.
    """

    edges: Floats
    own: Counts
    flipped: Counts
    contributors: Mapping[str, Counts]
    bias: Floats

    def bins(self, margins: Floats, class_index: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return the margin bin of each row, 0 most surprising.

        Args:
            margins: float64, shape (n_rows,).
            class_index: Given class of each row, intp, same shape, 0..n_classes-1.

        Returns:
            uint8, shape (n_rows,), values 0..N_BINS-1.
        """
        out = np.zeros(margins.size, dtype=np.uint8)
        for y in range(self.edges.shape[0]):
            rows = class_index == y
            out[rows] = bins_of(self.edges[y], margins[rows])
        return out

    def densities(self) -> tuple[Floats, Floats]:
        """Return F and G, each float64, shape (n_classes, N_BINS), rows sum to 1."""
        return _densities(self.own, self.flipped)

    def separation(self) -> float:
        """Return how often a row's margin exceeds that of a flipped one: 1/2 is chance, at most 1.

        Source: Mann and Whitney 1947, by bins, averaged over classes by their rows.
        """
        own, flipped = self.own.sum(axis=1), self.flipped.sum(axis=1)
        below = np.cumsum(self.flipped, axis=1) - self.flipped / 2.0
        wins = (self.own * below).sum(axis=1) / np.maximum(own * flipped, 1)
        return float((own @ wins) / max(int(own.sum()), 1))

    def flip_odds(self, margins: Floats, class_index: NDArray[np.intp]) -> Floats:
        """Return the log of G / F at each row's margin, between bins by interpolation.

        Larger margins never give larger odds, and beyond the outermost bins they fall on a little,
        so that rows are ranked without ties.

        Args:
            margins: float64, shape (n_rows,).
            class_index: Given class of each row, intp, same shape, 0..n_classes-1.

        Returns:
            float64, shape (n_rows,).
        """
        f, g = self.densities()
        odds = np.minimum.accumulate(np.log(g / f), axis=1)
        out = np.zeros(margins.size)
        for y in range(self.edges.shape[0]):
            rows = class_index == y
            inner = (self.edges[y, 1:] + self.edges[y, :-1]) / 2.0
            ends = 2.0 * self.edges[y, [0, -1]] - inner[[0, -1]]
            at = np.r_[ends[0], inner, ends[1]] + np.arange(N_BINS) * 1e-9
            beyond = margins[rows] - np.clip(margins[rows], at[0], at[-1])
            out[rows] = np.interp(margins[rows], at, odds[y]) - _SLOPE * np.clip(beyond, -20, 20)
        return out

    def flip_scores(self) -> Floats:
        """Return u by class and bin, float64, shape (n_classes, N_BINS)."""
        return _flip_scores(self.own, self.flipped) - self.bias[:, None]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "edges": pack(self.edges, "<f8"),
            "bias": self.bias.tolist(),
            "own": self.own.tolist(),
            "flipped": self.flipped.tolist(),
            "contributors": [[k, v.tolist()] for k, v in sorted(self.contributors.items())],
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
        shape = (n_classes, N_BINS)
        edges = unpack(value["edges"], "<f8", (n_classes, N_BINS - 1))
        if not np.isfinite(edges).all() or (np.diff(edges, axis=1) < 0).any():
            raise ValueError("margin bounds do not increase")
        return cls(
            edges,
            _counts(value["own"], shape),
            _counts(value["flipped"], shape),
            {str(name): _counts(table, shape) for name, table in value["contributors"]},
            np.array([float(v) for v in value["bias"]]).reshape(n_classes),
        )


def _densities(own: Counts, flipped: Counts) -> tuple[Floats, Floats]:
    a, b = own + _SMOOTH, flipped + _SMOOTH
    return a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)


def _flip_scores(own: Counts, flipped: Counts) -> Floats:
    f, g = _densities(own, flipped)
    w = (g - f) / ((1.0 - _PI0) * f + _PI0 * g)
    centre = (f * w).sum(axis=1, keepdims=True)
    power = (g * w).sum(axis=1, keepdims=True) - centre
    scores: Floats = (w - centre) / np.maximum(power, 1e-9)
    return scores


def _counts(value: Any, shape: tuple[int, ...]) -> Counts:
    table = np.array(value)
    if table.shape != shape or table.dtype.kind not in "iu" or (table < 0).any():
        raise ValueError("a table of label scores is malformed")
    return table.astype(np.int64)


def margins_of(scores: Floats, class_index: NDArray[np.intp]) -> Floats:
    """Return each row's log-odds of its given class less the best other, shape (n_rows,).

    Args:
        scores: float64, shape (n_classes, n_rows), at least two classes.
        class_index: Given class of each row, intp, shape (n_rows,), 0..n_classes-1.
    """
    columns = np.arange(scores.shape[1])
    given = scores[class_index, columns]
    others = scores.copy()
    others[class_index, columns] = -np.inf
    margins: Floats = given - others.max(axis=0)
    return margins


def learn_scale(
    scores: Floats,
    class_index: NDArray[np.intp],
    contributor: NDArray[np.intp] | None,
    names: tuple[str, ...],
    folds: NDArray[np.int64],
) -> tuple[LabelScale, NDArray[np.uint8]]:
    """Learn bins and counts from cross-fitted scores of the baseline.

    Args:
        scores: Log-odds of models that did not see the row, float64, shape (n_classes, n_rows).
        class_index: Given class of each row, intp, shape (n_rows,).
        contributor: Index into ``names`` for each row, intp, same shape, or None.
        names: Contributors.
        folds: Fold of each row, int64, shape (n_rows,), for the bias.

    Returns:
        The scale, and each row's margin bin, uint8, shape (n_rows,).
    """
    n_classes = scores.shape[0]
    edges = np.zeros((n_classes, N_BINS - 1))
    as_class = np.zeros(scores.shape, dtype=np.uint8)
    for y in range(n_classes):
        as_y = margins_of(scores, np.full(class_index.size, y, dtype=np.intp))
        is_y = class_index == y
        edges[y] = _mixture_edges(as_y[is_y], as_y[~is_y])
        as_class[y] = bins_of(edges[y], as_y)
    everything = np.ones(class_index.size, dtype=bool)
    own, flipped = _count_both(as_class, class_index, everything)
    bins = as_class[class_index, np.arange(class_index.size)]
    tables = {}
    for index, name in enumerate(names):
        rows = contributor == index
        tables[name] = count_bins(class_index[rows], bins[rows], n_classes)
    bias = _honest_bias(as_class, class_index, folds)
    return LabelScale(edges, own, flipped, tables, bias), bins


def _count_both(
    as_class: NDArray[np.uint8], class_index: NDArray[np.intp], rows: NDArray[np.bool_]
) -> tuple[Counts, Counts]:
    shape = (as_class.shape[0], N_BINS)
    own, flipped = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for y in range(shape[0]):
        is_y = class_index == y
        own[y] = np.bincount(as_class[y, rows & is_y], minlength=N_BINS)
        flipped[y] = np.bincount(as_class[y, rows & ~is_y], minlength=N_BINS)
    return own, flipped


def _honest_bias(
    as_class: NDArray[np.uint8], class_index: NDArray[np.intp], folds: NDArray[np.int64]
) -> Floats:
    """Mean score of each fold under scores learned from the other folds, by class."""
    total = np.zeros(as_class.shape[0])
    for fold in np.unique(folds):
        inside = folds == fold
        scores = _flip_scores(*_count_both(as_class, class_index, ~inside))
        held, _ = _count_both(as_class, class_index, inside)
        total += (held * scores).sum(axis=1)
    bias: Floats = total / np.maximum(np.bincount(class_index, minlength=total.size), 1)
    return bias


def _mixture_edges(own: Floats, flipped: Floats) -> Floats:
    """Bounds of equal mass in the even mixture of both distributions."""
    values = np.r_[own, flipped]
    weight = np.r_[np.full(own.size, 0.5 / own.size), np.full(flipped.size, 0.5 / flipped.size)]
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weight[order])
    at = np.searchsorted(mass, np.arange(1, N_BINS) / N_BINS)
    edges: Floats = values[order][np.minimum(at, values.size - 1)]
    return edges


def count_bins(class_index: NDArray[np.intp], bins: NDArray[np.uint8], n_classes: int) -> Counts:
    """Count rows by class and margin bin.

    Args:
        class_index: Class of each row, intp, shape (n_rows,), 0..n_classes-1.
        bins: Margin bin of each, uint8, same shape.
        n_classes: Number of classes.

    Returns:
        int64, shape (n_classes, N_BINS).
    """
    return count_pairs(class_index, bins, n_classes, N_BINS)

"""The reference model of a measured label: where the baseline would expect a row's value.

The trees of the label model, on the same cells, with the squared loss. They predict the value's
normal score, not the value: heavy tails, zeros and the unit of the target then change nothing.
Source: normal scores, van der Waerden 1952.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.decision.tails import normal_quantile, normal_sf
from sluicegate.signals.model.reference_model import DEPTH, TREES, cell_ranks, ranked
from sluicegate.signals.model.trees import Forest, fit_forest, squared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.profiling.columns import Column

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
_GRID = np.linspace(-3.5, 3.5, 141)  # normal scores whose quantiles are kept
_BEYOND = 5.0  # a value far outside is this much further out than the outermost one, at most


@dataclass(frozen=True, slots=True)
class NormalScores:
    """A monotone scale on which the baseline's values are normal.

    Attributes:
        values: Quantiles of the baseline, increasing, float64, shape (k,), k >= 2.
        scores: Their normal scores, increasing, float64, same shape.
    """

    values: Floats
    scores: Floats

    def of(self, values: Floats) -> Floats:
        """Return normal scores, float64, shape (n_rows,); NaN stays NaN.

        Beyond the baseline's range they grow in proportion to how far its own tail reaches.

        Args:
            values: float64, shape (n_rows,).
        """
        out: Floats = np.interp(values, self.values, self.scores)
        for end, sign in ((0, -1.0), (-1, 1.0)):
            # The tail's reach: from the outermost value inwards, one normal score or a step.
            inner = np.abs(self.scores - (self.scores[end] - sign)).argmin()
            inner = inner if self.scores[inner] != self.scores[end] else -1 - end
            rise = abs(self.scores[end] - self.scores[inner])
            reach = abs(self.values[end] - self.values[inner])
            beyond = np.clip((values - self.values[end]) * sign, 0.0, reach * (_BEYOND / rise))
            out += sign * (beyond / reach) * rise
        return out

    def values_at(self, scores: Floats) -> Floats:
        """Return the values of normal scores, float64, same shape.

        Args:
            scores: float64, any shape.
        """
        return np.interp(scores, self.scores, self.values)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"values": pack(self.values, "<f8"), "scores": pack(self.scores, "<f8")}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        values, scores = (unpack(value[key], "<f8", (-1,)) for key in ("values", "scores"))
        if values.size < 2 or values.size != scores.size:
            raise ValueError("a scale has too few values")
        for array in (values, scores):
            if not np.isfinite(array).all() or (np.diff(array) <= 0).any():
                raise ValueError("a scale does not increase")
        return cls(values, scores)


def learn_scores(values: Floats) -> NormalScores | None:
    """Learn the scale of a target; equal values share the middle of their ranks.

    Args:
        values: Finite values of the baseline, float64, shape (n_rows,).

    Returns:
        The scale; None for fewer than two different values.
    """
    ordered = np.sort(values)
    at = [min(int((1.0 - normal_sf(g)) * ordered.size), ordered.size - 1) for g in _GRID]
    knots = np.unique(np.r_[ordered[[0, -1]], ordered[at]])
    if knots.size < 2:
        return None
    middle = np.searchsorted(ordered, knots) + np.searchsorted(ordered, knots, side="right")
    shares = np.clip(middle / 2.0 / ordered.size, 0.5 / ordered.size, 1.0 - 0.5 / ordered.size)
    return NormalScores(knots, np.array([normal_quantile(float(p)) for p in shares]))


@dataclass(frozen=True, slots=True)
class Regressor:
    """Predicts normal scores.

    Attributes:
        features: Names of the columns read, in order.
        order: Rank of every cell, uint8, shape (n_features, 256).
        forest: The trees.
        intercept: Normal score before any tree.
    """

    features: tuple[str, ...]
    order: Codes
    forest: Forest
    intercept: float

    def predict(self, cells: Mapping[str, Codes]) -> Floats:
        """Return expected normal scores, float64, shape (n_rows,).

        Args:
            cells: Cells of every feature in ``features``, each uint8, shape (n_rows,).

        Raises:
            KeyError: One is missing.

        Cost: about 1 us per row.
        """
        ranks = ranked([cells[name] for name in self.features], self.order, self.forest.asked)
        return self.intercept + self.forest.score(ranks)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; arrays are base64 of little-endian bytes."""
        return {
            "features": list(self.features),
            "order": pack(self.order, "|u1"),
            "intercept": self.intercept,
            **self.forest.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        features = tuple(str(name) for name in value["features"])
        order = unpack(value["order"], "|u1", (len(features), 256))
        forest = Forest.from_json(value, n_features=len(features), depth=DEPTH)
        return cls(features, order, forest, float(value["intercept"]))


def fit_regressor(
    features: Sequence[Column], cells: Mapping[str, Codes], scores: Floats, *, seed: int
) -> Regressor:
    """Fit on rows whose value is known.

    Args:
        features: Columns to read, at least one.
        cells: Cells of the features, each uint8, shape (n_rows,).
        scores: Normal scores of the values, float64, shape (n_rows,).
        seed: Decides everything that is random.

    Cost: 120 trees; about 0.5 CPU s for 40,000 rows of 15 columns.
    """
    names = tuple(c.name for c in features)
    stacked = np.stack([cells[name] for name in names])
    ranks = [cell_ranks(c, row, scores) for c, row in zip(features, stacked, strict=True)]
    order, mean = np.stack(ranks), float(scores.mean())
    forest = fit_forest(
        np.stack(ranked(stacked, order)),
        scores,
        np.full(scores.size, mean),
        n_cells=max(c.n_cells for c in features),
        n_trees=TREES,
        depth=DEPTH,
        rng=np.random.default_rng([seed, 0]),
        loss=squared,
    )
    return Regressor(names, order, forest, mean)

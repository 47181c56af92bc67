"""Residuals of a measured label in cells, and what the baseline's own rows have of each.

A residual is the value's normal score less the predicted one. Rows are taken in groups of like
prediction, because noise differs with size: inside a group residuals are centred and scaled, and
then counted by cells between quantiles of all of them. Predictions are cross-fitted, so the cells
hold the error that the model makes on rows it did not see: conformal ranges, for each group.
Source: Vovk, Gammerman and Shafer 2005, section 4.1; Mondrian groups, Vovk 2012.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.bins import bins_of
from sluicegate.profiling.counts import count_pairs
from sluicegate.profiling.packed import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
_TAIL: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)
_LEVELS: Final = (*_TAIL, *(k / 10 for k in range(2, 9)), *(1.0 - t for t in reversed(_TAIL)))
N_CELLS: Final = len(_LEVELS) + 1
RANGES: Final = {0.99: 3, 0.998: 1}
"""Shares of rows that a range holds, and how many cells at either end lie beyond it."""
_MAX_GROUPS = 8
_GROUP_ROWS = 200
_SPREAD = 2.563  # between the 10 % and 90 % quantiles of a normal, in standard deviations
_LEAST = 1e-6
_SMOOTH = 0.5


@dataclass(frozen=True, slots=True)
class ResidualScale:
    """Groups of predictions, cells of residuals, and the baseline's rows in them.

    Attributes:
        bounds: Between groups of predicted normal scores, increasing, float64, shape
            (n_groups - 1,).
        centre: Middle residual of each group, float64, shape (n_groups,).
        width: Spread of its residuals, > 0, float64, same shape.
        edges: Between cells of scaled residuals, not decreasing, float64, shape (N_CELLS - 1,).
        own: Baseline rows, int64, shape (n_groups, N_CELLS).
        contributors: The same of each contributor, int64, same shape.
    """

    bounds: Floats
    centre: Floats
    width: Floats
    edges: Floats
    own: Counts
    contributors: Mapping[str, Counts]

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return self.centre.size

    def cells(self, predicted: Floats, residual: Floats) -> tuple[NDArray[np.intp], Counts]:
        """Return each row's group, intp, and cell of its residual, int64, each shape (n_rows,).

        Args:
            predicted: Normal scores, float64, shape (n_rows,).
            residual: Normal score of the value less the predicted one, float64, same shape.
        """
        group = bins_of(self.bounds, predicted).astype(np.intp)
        scaled = (residual - self.centre[group]) / self.width[group]
        return group, bins_of(self.edges, scaled).astype(np.int64)

    def densities(self) -> Floats:
        """Return the share of each cell in its group, float64, shape (n_groups, N_CELLS)."""
        counts = self.own + _SMOOTH
        shares: Floats = counts / counts.sum(axis=1, keepdims=True)
        return shares

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "bounds": pack(self.bounds, "<f8"),
            "centre": pack(self.centre, "<f8"),
            "width": pack(self.width, "<f8"),
            "edges": pack(self.edges, "<f8"),
            "own": self.own.tolist(),
            "contributors": [[k, v.tolist()] for k, v in sorted(self.contributors.items())],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        centre = unpack(value["centre"], "<f8", (-1,))
        shape = (centre.size, N_CELLS)
        bounds = unpack(value["bounds"], "<f8", (centre.size - 1,))
        width = unpack(value["width"], "<f8", centre.shape)
        edges = unpack(value["edges"], "<f8", (N_CELLS - 1,))
        if not all(np.isfinite(a).all() for a in (bounds, centre, width, edges)):
            raise ValueError("a scale of residuals is not finite")
        if (width <= 0).any() or (np.diff(bounds) < 0).any() or (np.diff(edges) < 0).any():
            raise ValueError("a scale of residuals does not increase")
        named = {str(name): read_table(table, shape) for name, table in value["contributors"]}
        return cls(bounds, centre, width, edges, read_table(value["own"], shape), named)


def read_table(value: Any, shape: tuple[int, ...] | None = None) -> Counts:
    """Read rows by group and cell.

    Args:
        value: Nested lists.
        shape: What it must have; None for any number of groups.

    Returns:
        int64, shape (n_groups, N_CELLS).

    Raises:
        ValueError: No natural numbers of this shape.
    """
    table = np.array(value)
    fits = table.ndim == 2 and table.shape[1] == N_CELLS if shape is None else table.shape == shape
    if not fits or table.dtype.kind not in "iu" or (table < 0).any():
        raise ValueError("a table of residuals is malformed")
    return table.astype(np.int64)


def learn_residuals(
    predicted: Floats,
    residual: Floats,
    contributor: NDArray[np.intp] | None,
    names: tuple[str, ...],
) -> ResidualScale:
    """Learn groups, cells and counts from cross-fitted predictions of the baseline.

    Args:
        predicted: Normal scores of models that did not see the row, float64, shape (n_rows,).
        residual: What the value's normal score has beyond it, float64, same shape.
        contributor: Index into ``names`` for each row, intp, same shape, or None.
        names: Contributors.
    """
    n_groups = int(np.clip(predicted.size // _GROUP_ROWS, 1, _MAX_GROUPS))
    # A bound that all rows reach would leave a group empty.
    bounds = np.unique(np.quantile(predicted, np.arange(1, n_groups) / n_groups))
    bounds = bounds[bounds > predicted.min()]
    group = np.searchsorted(bounds, predicted, side="right")
    centre, width = np.zeros(bounds.size + 1), np.zeros(bounds.size + 1)
    floor = max(float(np.std(residual)) / 100.0, _LEAST)
    for k in range(centre.size):
        low, centre[k], high = np.quantile(residual[group == k], (0.1, 0.5, 0.9))
        width[k] = max((high - low) / _SPREAD, floor)
    edges = np.quantile((residual - centre[group]) / width[group], _LEVELS)
    none = np.zeros((centre.size, N_CELLS), dtype=np.int64)
    empty = ResidualScale(bounds, centre, width, edges, none, {})
    group, cell = empty.cells(predicted, residual)
    tables = {
        name: count_cells(group[contributor == i], cell[contributor == i], centre.size)
        for i, name in enumerate(names)
        if contributor is not None
    }
    own = count_cells(group, cell, centre.size)
    return ResidualScale(bounds, centre, width, edges, own, tables)


def count_cells(group: NDArray[np.intp], cell: Counts, n_groups: int) -> Counts:
    """Count rows by group and cell.

    Args:
        group: Group of each row, intp, shape (n_rows,), 0..n_groups-1.
        cell: Cell of its residual, int64, same shape.
        n_groups: Number of groups.

    Returns:
        int64, shape (n_groups, N_CELLS).
    """
    return count_pairs(group, cell, n_groups, N_CELLS)

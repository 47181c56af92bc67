"""How far a row lies from all rows of the baseline: in all numeric columns together.

Each column's cells become normal scores, so that no unit, skew or heavy tail of one column counts
more than of another; a row's distance is that of Mahalanobis under the baseline's scatter of these
scores. A row that is odd in several columns is far, and so is one that is ordinary in each and
breaks what goes together. The variance of a column counts as 1 at least: most of its rows may share
one value, and the others are no outliers for that. A ridge keeps columns that say the same from
counting for ever. Without some columns the distance can only become smaller, so rows that are near
need not be kept. Missing values, and columns that are not there, are at 0.
Source: Mahalanobis 1936; normal scores, van der Waerden 1952; Gaussian copula, Liu et al. 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.packed import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from sluicegate.profiling.columns import Column

Floats = NDArray[np.float64]
Positions = NDArray[np.float32]
"""Normal scores, by column and row."""
_RIDGE = 0.02
_TOGETHER = 64  # columns whose scatter is known; more are taken in runs, and a row costs as much
_SLICE = 1 << 12  # rows that stay in a processor's cache
_BLOCK = 64  # rows, several times what a processor multiplies at once
_CAP = 50.0  # of one column: a single absurd value is enough, more adds nothing


@dataclass(frozen=True, slots=True)
class Scatter:
    """How normal scores of columns go together.

    Attributes:
        names: Numeric columns.
        matrix: Second moments, symmetric and positive definite, float64, shape (n_columns,
            n_columns).
    """

    names: tuple[str, ...]
    matrix: Floats

    @classmethod
    def of(cls, names: tuple[str, ...], positions: Positions) -> Self:
        """Learn from rows.

        Args:
            names: Numeric columns.
            positions: float32, shape (n_columns, n_rows), at least one row.
        """
        n_columns, n_rows = positions.shape
        matrix = np.zeros((n_columns, n_columns))
        for start in range(0, n_rows, _SLICE):
            part = positions[:, start : start + _SLICE].astype(np.float64)
            matrix += part @ part.T
        matrix /= n_rows
        run = np.arange(n_columns) // _TOGETHER
        matrix[run[:, None] != run] = 0.0
        # Of few rows and many columns the moments are uncertain: a larger ridge trusts them less.
        usual = np.maximum(matrix.diagonal(), 1.0) + _RIDGE + n_columns / n_rows
        np.fill_diagonal(matrix, usual)
        return cls(names, np.round(matrix, 9))  # the order in which rows were added up is no fact

    def distance(self, positions: Positions, skipped: Container[str] = ()) -> Floats:
        """Return the squared distance of rows from the middle, float64, shape (n_rows,).

        Args:
            positions: float32, shape (n_columns, n_rows).
            skipped: Columns that do not count.

        Cost: for each row as many multiplications as the square of the columns.
        """
        return _added(self._runs(positions, skipped), positions.shape[1])

    def without_each(
        self, positions: Positions, skipped: Container[str] = ()
    ) -> Iterator[tuple[str, Floats]]:
        """Yield each column that counts, and the distances without it, to the bit.

        Args:
            positions: float32, shape (n_columns, n_rows).
            skipped: Columns that do not count for any.

        Yields:
            Its name, and squared distances, float64, shape (n_rows,).

        Cost: for each column a run of columns, and not all of them.
        """
        runs = self._runs(positions, skipped)
        for place, first in enumerate(range(0, len(self.names), _TOGETHER)):
            for name in self.names[first : first + _TOGETHER]:
                if name not in skipped:
                    own = self._run(first, positions, skipped, name)
                    yield name, _added([*runs[:place], own, *runs[place + 1 :]], positions.shape[1])

    def _runs(self, positions: Positions, skipped: Container[str]) -> list[Floats]:
        starts = range(0, len(self.names), _TOGETHER)
        return [self._run(first, positions, skipped) for first in starts]

    def _run(
        self, first: int, positions: Positions, skipped: Container[str], one_more: str | None = None
    ) -> Floats:
        """Return what a run of columns adds to the squared distance of each row."""
        out = np.zeros(positions.shape[1])
        names = self.names[first : first + _TOGETHER]
        own = [
            first + i for i, name in enumerate(names) if name not in skipped and name != one_more
        ]
        if own:
            whiten = np.linalg.inv(np.linalg.cholesky(self.matrix[np.ix_(own, own)]))
            for start in range(0, out.size, _SLICE):
                rows = slice(start, start + _SLICE)
                found = positions[own, rows]
                n_rows = found.shape[1]
                # How a product is added up depends on its shape: so every one has the same.
                blocks = np.zeros((len(own), -(-n_rows // _BLOCK) * _BLOCK))
                blocks[:, :n_rows] = found
                part = whiten @ blocks.reshape(len(own), -1, _BLOCK).transpose(1, 0, 2)
                out[rows] = np.einsum("bij,bij->bj", part, part).ravel()[:n_rows]
        return out

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"names": list(self.names), "matrix": pack(self.matrix, "<f8")}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        names = tuple(str(name) for name in value["names"])
        matrix = unpack(value["matrix"], "<f8", (len(names), len(names)))
        if not np.isfinite(matrix).all() or (matrix != matrix.T).any():
            raise ValueError("a scatter is not symmetric")
        if names and np.linalg.eigvalsh(matrix)[0] <= 0.0:
            raise ValueError("a scatter is not positive definite")
        return cls(names, matrix)


def _added(runs: Iterable[Floats], n_rows: int) -> Floats:
    out = np.zeros(n_rows)
    for run in runs:
        out += run
    return out


def cell_scores(column: Column, counts: NDArray[np.int64]) -> Positions:
    """Return the normal score of every cell, float32, shape (256,).

    Args:
        column: A binned column.
        counts: Baseline rows by cell, int64, shape (n_cells,).
    """
    scores = np.zeros(256, dtype=np.float32)
    inside = counts[: column.n_cells - 2].astype(np.float64)
    total = inside.sum()
    if total:
        rank = (np.cumsum(inside) - inside / 2 + 0.5) / (total + 1.0)
        scores[: inside.size] = [NormalDist().inv_cdf(float(r)) for r in rank]
        if inside.size > 2:  # just outside is hardly farther than the outermost bin
            scores[0], scores[inside.size - 1] = scores[1], scores[inside.size - 2]
    return scores


def outward(
    column: Column, scores: Positions, values: Floats, low: float, high: float
) -> Positions:
    """Return the normal scores of values outside a range, the larger the farther they are.

    Distance counts in units of the middle 80 % of the baseline, or of its outermost bin where that
    is wider: a tail that is long goes on.

    Args:
        column: A numeric column with bins.
        scores: What `cell_scores` says of them, float32, shape (n,).
        values: float64, same shape.
        low: Where the range begins.
        high: Where it ends.

    Returns:
        float32, same shape.
    """
    edges = np.asarray(column.edges)
    a, b = edges[len(edges) // 10], edges[-1 - len(edges) // 10]
    least = max(float(b - a), (float(edges[-1]) - float(edges[0])) / 10.0, 1e-300)
    below = max(least, float(edges[1] - edges[0]))
    above = max(least, float(edges[-1] - edges[-2]))
    with np.errstate(over="ignore"):
        outside = np.maximum((low - values) / below, (values - high) / above)
    score = np.minimum(10.0 * np.clip(outside, 0.0, 1e6), _CAP)
    far = np.sqrt(scores.astype(np.float64) ** 2 + score)
    return np.copysign(far, scores).astype(np.float32)

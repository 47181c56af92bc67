"""Rows by time, contributor and label, in bounded memory: cells that widen as time goes on.

A cell is a power of two of milliseconds wide, the least at which at most ``limit`` cells have
rows: that depends on the set of times alone, so order, partitions and merging change nothing, and
one time far out costs one cell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
KEPT: Final = 4096
N_SLOTS: Final = 40
N_CONTRIBUTORS: Final = 64
NEW_CONTRIBUTOR, NO_CONTRIBUTOR = N_CONTRIBUTORS - 2, N_CONTRIBUTORS - 1
STRIDE: Final = N_SLOTS * N_CONTRIBUTORS
ZERO: Final = 1 << 53
"""Added to every time: no cell is negative, so all times share one cell in the end."""
_FINEST = 5  # 2**54 ms >> 5, times the stride, is within int64


@dataclass(slots=True)
class TimeCounts:
    """A mergeable count of rows by time cell, contributor and label slot.

    Attributes:
        limit: Cells with rows, at most.
        level: Logarithm of a cell's width in milliseconds.
        keys: Cell, contributor and slot in one number, int64, shape (n,), sorted, each once.
        counts: Rows of each, int64, same shape.
    """

    limit: int = KEPT
    level: int = _FINEST
    keys: Counts = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    counts: Counts = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def add(self, times: Counts, contributor: Counts, slot: NDArray[np.uint8]) -> None:
        """Count rows in place.

        Args:
            times: int64, shape (n,), within +-2**53.
            contributor: Contributor of each, int64, shape (n,), 0..N_CONTRIBUTORS-1.
            slot: Label slot of each, uint8, shape (n,), 0..N_SLOTS-1.

        Cost: about 50 ns per row.
        """
        flat = ((times + ZERO) >> self.level) * STRIDE + contributor * N_SLOTS + slot
        keys, counts = np.unique(flat, return_counts=True)
        self._take(keys, counts.astype(np.int64))

    def merge(self, other: TimeCounts) -> TimeCounts:
        """Return the count of both sets of rows."""
        both = TimeCounts(min(self.limit, other.limit), max(self.level, other.level))
        for part in (self, other):
            both._take(*widened(part.keys, part.counts, both.level - part.level))
        return both

    @property
    def n_rows(self) -> int:
        """Rows counted."""
        return int(self.counts.sum())

    def by_time(self) -> tuple[Counts, Counts]:
        """Return the cells with rows, increasing, and the rows of each, int64, shape (n_cells,)."""
        cells = self.keys // STRIDE
        first = _first(cells)
        rows = np.add.reduceat(self.counts, first) if first.size else self.counts
        return cells[first], rows

    def _take(self, keys: Counts, counts: Counts) -> None:
        joined, inverse = np.unique(np.concatenate([self.keys, keys]), return_inverse=True)
        total = np.zeros(joined.size, dtype=np.int64)
        np.add.at(total, inverse, np.concatenate([self.counts, counts]))
        steps, cells = 0, (joined // STRIDE)[_first(joined // STRIDE)]
        while cells.size > self.limit:
            steps, cells = steps + 1, (cells >> 1)[_first(cells >> 1)]
        self.level += steps
        self.keys, self.counts = widened(joined, total, steps)


def widened(keys: Counts, counts: Counts, steps: int) -> tuple[Counts, Counts]:
    """Return the same rows in cells that are 2**steps as wide.

    Args:
        keys: Cell, contributor and slot in one number, int64, shape (n,), sorted, each once.
        counts: Rows of each, int64, same shape.
        steps: At least 0.

    Returns:
        Keys, sorted, each once, and their counts, both int64, shape (n_joined,).
    """
    cell, rest = np.divmod(keys, STRIDE)
    joined, inverse = np.unique((cell >> steps) * STRIDE + rest, return_inverse=True)
    total = np.zeros(joined.size, dtype=np.int64)
    np.add.at(total, inverse, counts)
    return joined, total


def bulk(cells: Counts, rows: Counts) -> tuple[int, int]:
    """Return the first cell and the width of the middle four fifths, and a fifth more.

    Args:
        cells: Cells with rows, int64, shape (n_cells,), increasing.
        rows: Rows of each, int64, same shape.
    """
    below = np.cumsum(rows)
    low, high = (int(cells[np.searchsorted(below, q * below[-1])]) for q in (0.1, 0.9))
    span = high - low + 1
    return low - span // 8, span + 2 * (span // 8)


def _first(cells: Counts) -> NDArray[np.intp]:
    """Return where each value of a sorted array begins."""
    return np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]][: cells.size])

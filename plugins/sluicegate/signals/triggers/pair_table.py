"""Rows by the cells of two columns and by class: where a trigger is that never repeats exactly."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.columns import Kind
from sluicegate.profiling.counts import over_classes
from sluicegate.profiling.packed import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.layout import Layout

Codes = NDArray[np.uint8]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
N_GROUPS = 32
"""Of a column: a thirty-first of a number's mass each, and one for what is missing or rare."""
N_CELLS = N_GROUPS * N_GROUPS
_MAX_PAIRS = 200
_MAX_TABLES = 512  # pairs times classes: 2 MB of counts, and some hundred kilobytes in a baseline
_CHUNK = 1 << 14  # rows whose codes stay in a processor's cache


def chosen_pairs(layout: Layout, n_classes: int, rng: np.random.Generator) -> tuple[Pair, ...]:
    """Return all pairs of columns with cells, or as many as are counted, at random.

    Which ones cannot be known without the baseline's seed.

    Args:
        layout: Columns.
        n_classes: Number of classes; the more, the fewer pairs are counted.
        rng: Chooses.
    """
    every = list(combinations(sorted(c.name for c in countable(layout)), 2))
    most = min(_MAX_PAIRS, _MAX_TABLES // max(n_classes, 1))
    if len(every) > most:
        every = [every[i] for i in np.sort(rng.choice(len(every), most, replace=False))]
    return tuple(every)


Pair = tuple[str, str]


def countable(layout: Layout) -> list[Column]:
    """Return the features whose cells are few and have a meaning together."""
    return [c for c in layout.features if c.listed or c.kind is Kind.NUMERIC]


@dataclass(frozen=True, slots=True)
class Places:
    """Squares of neighbouring cells in the planes of all pairs, overlapping where wide.

    Attributes:
        square: Rows by pair, first and second group and class, int64, shape
            (n_pairs, n_groups, n_groups, n_classes).
        margins: Rows in the same groups of the first, and of the second column, int64, shapes
            (n_pairs, n_groups, 1) and (n_pairs, 1, n_groups).
        rows: Rows of each class, int64, shape (n_classes,).
    """

    square: Counts
    margins: tuple[Counts, Counts]
    rows: Counts

    @property
    def counts(self) -> Counts:
        """The same counts, shape (n_places, n_classes)."""
        return self.square.reshape(-1, self.rows.size)

    def growth(self, base: Self, at: NDArray[np.intp]) -> Floats:
        """Return how much more places may hold by what their columns grew outside them, >= 1.

        Args:
            base: The same places in the baseline.
            at: Indices of places, intp, shape (n,).

        Returns:
            float64, shape (n,).
        """
        now, before = over_classes(self.counts[at]), over_classes(base.counts[at])
        ratio = max(int(base.rows.sum()), 1) / max(int(self.rows.sum()), 1)
        pair, first, second = np.unravel_index(at, self.square.shape[:3])
        grown = np.ones(at.size)
        lines = (pair, first, np.zeros_like(first)), (pair, np.zeros_like(second), second)
        for margin, usual, line in zip(self.margins, base.margins, lines, strict=True):
            outside = (margin[line] - now + 0.5) * ratio / (usual[line] - before + 0.5 * ratio)
            grown *= np.maximum(outside, 1.0)
        return grown

    def place(self, index: int) -> tuple[int, int, int]:
        """Return pair and groups of a place."""
        pair, i, j = np.unravel_index(index, self.square.shape[:3])
        return int(pair), int(i), int(j)


def _neighbours(counts: Counts, axis: int, width: int) -> Counts:
    """Sum runs of groups along an axis; the last group, what is missing or rare, joins none."""
    if width == 1:
        return counts
    inside = np.moveaxis(counts, axis, 0)[:-1]
    runs: Counts = np.moveaxis(inside[:-1] + inside[1:], 0, axis)
    return runs


@dataclass(frozen=True, slots=True)
class PairTable:
    """Counts of rows with a known class; a commutative monoid.

    Attributes:
        pairs: Names of two columns each.
        counts: int64, shape (n_pairs, 1024, n_classes).
        rows: Rows of each class, int64, shape (n_classes,).
    """

    pairs: tuple[Pair, ...]
    counts: Counts
    rows: Counts

    @classmethod
    def empty(cls, pairs: Sequence[Pair], n_classes: int) -> Self:
        """Return a table without rows.

        Args:
            pairs: Names of two columns each.
            n_classes: Number of classes.
        """
        counts = np.zeros((len(pairs), N_CELLS, n_classes), dtype=np.int64)
        return cls(tuple(pairs), counts, np.zeros(n_classes, dtype=np.int64))

    def places(self, width: int) -> Places:
        """Return the rows in each square of so many neighbouring groups of both columns."""
        plane = self.counts.reshape(-1, N_GROUPS, N_GROUPS, self.rows.size)
        square = _neighbours(_neighbours(plane, 1, width), 2, width)
        mass = over_classes(plane)
        margins = (
            _neighbours(mass.sum(axis=2, keepdims=True), 1, width),
            _neighbours(mass.sum(axis=1, keepdims=True), 2, width),
        )
        return Places(square, margins, self.rows)

    @property
    def few(self) -> bool:
        """Whether a cell holds fewer than two rows on average: then each of them counts."""
        return int(self.rows.sum()) < 2 * N_CELLS

    def alike(self) -> Self:
        """Return a table of the same pairs without rows."""
        return type(self).empty(self.pairs, self.rows.size)

    def plus(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(self.pairs, self.counts + other.counts, self.rows + other.rows)

    def less(self, other: Self) -> Self:
        """Return the table without the rows of another that was counted into it."""
        return type(self)(self.pairs, self.counts - other.counts, self.rows - other.rows)

    def often(self) -> Self:
        """Return the table without cells of one row, which say nothing and fill a file."""
        return type(self)(
            self.pairs,
            np.where(over_classes(self.counts)[..., None] < 2, 0, self.counts),
            self.rows,
        )

    def add(self, groups: Mapping[str, Codes], class_index: NDArray[np.intp]) -> None:
        """Count rows in place.

        Args:
            groups: What `group_codes` returned, uint8, shape (n_rows,), by column; a pair that
                lacks a column is not counted.
            class_index: Class of each row, intp, shape (n_rows,); rows with -1 are not counted.

        Cost: about 3 ns per row and pair.
        """
        known = np.flatnonzero(class_index >= 0)
        for start in range(0, known.size, _CHUNK):
            rows = known[start : start + _CHUNK]
            self._add({n: g[rows] for n, g in groups.items()}, class_index[rows])

    def _add(self, groups: Mapping[str, Codes], class_index: NDArray[np.intp]) -> None:
        k = self.rows.size
        self.rows[:] += np.bincount(class_index, minlength=k)
        first = {n: g.astype(np.int64) * (N_GROUPS * k) for n, g in groups.items()}
        second = {n: g.astype(np.int64) * k + class_index for n, g in groups.items()}
        for i, (a, b) in enumerate(self.pairs):
            if a in first and b in second:
                flat = np.bincount(first[a] + second[b], minlength=N_CELLS * k)
                self.counts[i] += flat.reshape(N_CELLS, k)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; only counts above 0 are written."""
        flat = self.counts.ravel()
        used = np.flatnonzero(flat)
        return {
            "pairs": [list(pair) for pair in self.pairs],
            "cells": pack(used, "<u4"),
            "counts": pack(flat[used], "<u4"),
            "rows": self.rows.tolist(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        rows = np.array(value["rows"])
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or (rows < 0).any():
            raise ValueError("rows of a table of pairs are malformed")
        pairs = [(str(a), str(b)) for a, b in value["pairs"]]
        if len(pairs) > _MAX_PAIRS or len(pairs) * rows.size > max(_MAX_TABLES, rows.size):
            raise ValueError("too many pairs of columns")
        table = cls.empty(pairs, rows.size)
        used = unpack(value["cells"], "<u4", (-1,))
        if used.size and (
            used.max() >= table.counts.size or (np.diff(used.astype(np.int64)) <= 0).any()
        ):
            raise ValueError("cells of a table of pairs are malformed")
        table.counts.ravel()[used] = unpack(value["counts"], "<u4", (used.size,))
        table.rows[:] = rows
        return table


def group_codes(layout: Layout, cells: Mapping[str, Codes]) -> dict[str, Codes]:
    """Return the group of each row in each column that is there.

    Args:
        layout: Columns.
        cells: Cells of the rows, uint8, shape (n_rows,), by column.

    Returns:
        uint8, shape (n_rows,), values 0..31, by column.
    """
    return {c.name: _groups(c)[cells[c.name]] for c in countable(layout) if c.name in cells}


def rows_in(
    groups: Mapping[str, Codes], pair: Pair, place: Sequence[int], width: int
) -> NDArray[np.bool_]:
    """Return which rows lie in a square of cells.

    Args:
        groups: Groups of the rows, uint8, shape (n_rows,), by column.
        pair: Names of two columns.
        place: First group of the square in each.
        width: Groups along each side.

    Returns:
        bool, shape (n_rows,).
    """
    inside = np.ones(groups[pair[0]].size, dtype=bool)
    for name, first in zip(pair, place, strict=True):
        inside &= (groups[name] >= first) & (groups[name] < first + width)
    return inside


def _groups(column: Column) -> Codes:
    cell = np.arange(256)
    last = N_GROUPS - 1
    if column.listed:
        return np.where(cell < min(column.null_cell, last), cell, last).astype(np.uint8)
    inside = column.n_cells - 2
    return np.where(cell < inside, cell * last // max(inside, 1), last).astype(np.uint8)

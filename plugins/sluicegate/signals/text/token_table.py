"""Rows by token and class in a table of fixed size, and what it says about a text's class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.counts import over_classes
from sluicegate.profiling.packed import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
BITS = 18
TEXT_BITS = 20
"""Texts have more tokens than tables have values: in 2^18 cells a trigger of fifteen rows shares
its cell with an innocent pair of words in half of all cases, and is then no longer new."""
_MAX_COUNTS = 1 << 22  # of one table: 16 MB
_MAX_WEIGHT = 3.0


def text_bits(n_classes: int) -> int:
    """Return the size of a text's table as a power of two: smaller where classes are many."""
    fitting = (_MAX_COUNTS // max(n_classes, 1)).bit_length() - 1
    return min(TEXT_BITS, max(BITS, fitting))


@dataclass(slots=True)
class TokenTable:
    """Counts of rows that hold a token, by class; a commutative monoid.

    Attributes:
        counts: int32, shape (2**bits, n_classes).
        rows: Rows of each class, int64, shape (n_classes,).
    """

    counts: NDArray[np.int32]
    rows: Counts

    @classmethod
    def empty(cls, n_classes: int, bits: int = BITS) -> Self:
        """Return a table without rows.

        Args:
            n_classes: Number of classes.
            bits: Binary logarithm of the number of cells.
        """
        counts = np.zeros((1 << bits, n_classes), dtype=np.int32)
        return cls(counts, np.zeros(n_classes, dtype=np.int64))

    @property
    def bits(self) -> int:
        """Binary logarithm of the number of cells."""
        return int(self.counts.shape[0]).bit_length() - 1

    def cells(self, hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
        """Return the cell of each token.

        Args:
            hashes: uint64, shape (n,).

        Returns:
            uint32, shape (n,).
        """
        return (hashes >> np.uint64(64 - self.bits)).astype(np.uint32)

    def alike(self) -> Self:
        """Return a table of the same size without rows."""
        return type(self).empty(self.rows.size, self.bits)

    def plus(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(self.counts + other.counts, self.rows + other.rows)

    def less(self, other: Self) -> Self:
        """Return the table without the rows of another that was counted into it."""
        return type(self)(self.counts - other.counts, self.rows - other.rows)

    def add(
        self,
        row: NDArray[np.int64],
        cell: NDArray[np.uint32],
        class_index: NDArray[np.intp],
    ) -> None:
        """Count tokens in place.

        Args:
            row: Row of each token, int64, shape (n_tokens,).
            cell: Cell of each token, uint32, same shape.
            class_index: Class of each row, intp, shape (n_rows,); rows with -1 are not counted.
        """
        known = class_index >= 0
        self.rows += np.bincount(class_index[known], minlength=self.rows.size)
        owner = class_index[row]
        if not known.all():
            used = owner >= 0
            cell, owner = cell[used], owner[used]
        flat = cell.astype(np.int64)
        flat *= self.rows.size
        flat += owner
        self._count(flat)

    def add_columns(
        self,
        columns: Sequence[tuple[NDArray[np.bool_], NDArray[np.uint64]]],
        class_index: NDArray[np.intp],
    ) -> None:
        """Count rows with one token a column in place, as `add` does.

        Args:
            columns: Whether a row has a token, bool, and its token, uint64, each of shape
                (n_rows,).
            class_index: Class of each row, intp, shape (n_rows,); rows with -1 are not counted.
        """
        known = class_index >= 0
        self.rows += np.bincount(class_index[known], minlength=self.rows.size)
        owner, shift = class_index.astype(np.uint64), np.uint64(64 - self.bits)
        flat, n = np.empty(len(columns) * owner.size, dtype=np.uint64), 0
        for there, hashes in columns:
            own = flat[n : n + owner.size]
            np.right_shift(hashes, shift, out=own)
            own *= np.uint64(self.rows.size)
            own += owner
            used = there & known
            if not used.all():
                some = own[used]
                own[: some.size] = some
            n += int(np.count_nonzero(used))
        self._count(flat[:n].view(np.int64))

    def _count(self, flat: Counts) -> None:
        found = np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)
        np.add(self.counts, found, out=self.counts, casting="unsafe")

    def weights(self) -> Floats:
        """Return log-odds a token adds for each class, float64, of the shape of ``counts``.

        Smoothing is by the class's share, so an unknown token weighs nothing.
        Source: naive Bayes with Dirichlet prior; Wang and Manning 2012.
        """
        weights = np.empty(self.counts.shape)
        weights[:] = self._weights(np.zeros((1, self.rows.size), dtype=np.int32))
        used = np.flatnonzero(over_classes(self.counts))  # most cells of a table hold no row
        weights[used] = self._weights(self.counts[used])
        return weights

    def _weights(self, counts: NDArray[np.int32]) -> Floats:
        rows = np.maximum(self.rows, 1).astype(np.float64)
        share = rows / rows.sum()
        inside = (counts + share) / rows
        others = over_classes(counts)[:, None] - counts
        outside = (others + (1.0 - share)) / (rows.sum() - rows)
        weights: Floats = np.clip(np.log(inside / outside), -_MAX_WEIGHT, _MAX_WEIGHT)
        return weights

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; only cells that hold a row are written."""
        used = np.flatnonzero(over_classes(self.counts))
        return {
            "bits": self.bits,
            "cells": pack(used, "<u4"),
            "counts": pack(self.counts[used], "<u4"),
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
            raise ValueError("rows of a token table are malformed")
        bits = value["bits"]
        if isinstance(bits, bool) or not isinstance(bits, int) or not BITS <= bits <= TEXT_BITS:
            raise ValueError("size of a token table is malformed")
        table = cls.empty(rows.size, bits)
        used = unpack(value["cells"], "<u4", (-1,))
        if used.size and (used.max() >= 1 << bits or (np.diff(used.astype(np.int64)) <= 0).any()):
            raise ValueError("cells of a token table are malformed")
        table.counts[used] = unpack(value["counts"], "<u4", (used.size, rows.size))
        table.rows[:] = rows
        return table

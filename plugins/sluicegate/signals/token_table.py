"""Rows by token and class in a table of fixed size, and what it says about a text's class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.reference_model import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
BITS = 18
SIZE = 1 << BITS
"""Cells: a vocabulary of 100,000 words and pairs collides in a third of them, harmlessly."""
_MAX_WEIGHT = 3.0


def token_cells(hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return the table cell of each token hash."""
    return (hashes >> np.uint64(64 - BITS)).astype(np.uint32)


@dataclass(slots=True)
class TokenTable:
    """Counts of rows that hold a token, by class; a commutative monoid.

    Attributes:
        counts: int64, shape (SIZE, n_classes).
        rows: Rows of each class, int64, shape (n_classes,).
    """

    counts: Counts
    rows: Counts

    @classmethod
    def empty(cls, n_classes: int) -> Self:
        """Return a table without rows."""
        return cls(np.zeros((SIZE, n_classes), dtype=np.int64), np.zeros(n_classes, dtype=np.int64))

    def add(
        self,
        row: NDArray[np.int64],
        cell: NDArray[np.uint32],
        class_index: NDArray[np.intp],
    ) -> None:
        """Count tokens in place.

        Args:
            row: Row of each token.
            cell: Cell of each token.
            class_index: Class of each row; rows with -1 are not counted.
        """
        k = self.rows.size
        known = class_index >= 0
        self.rows += np.bincount(class_index[known], minlength=k)
        owner = class_index[row]
        used = owner >= 0
        flat = cell[used].astype(np.int64) * k + owner[used]
        self.counts += np.bincount(flat, minlength=SIZE * k).reshape(SIZE, k)

    def weights(self) -> Floats:
        """Return log-odds a token adds for each class, float64, shape (SIZE, n_classes).

        Smoothing is by the class's share, so an unknown token weighs nothing.
        Source: naive Bayes with Dirichlet prior; Wang and Manning 2012.
        """
        rows = np.maximum(self.rows, 1).astype(np.float64)
        share = rows / rows.sum()
        inside = (self.counts + share) / rows
        others = self.counts.sum(axis=1, keepdims=True) - self.counts
        outside = (others + (1.0 - share)) / (rows.sum() - rows)
        weights: Floats = np.clip(np.log(inside / outside), -_MAX_WEIGHT, _MAX_WEIGHT)
        return weights

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; only cells that hold a row are written."""
        used = np.flatnonzero(self.counts.any(axis=1))
        return {
            "cells": pack(used, "<u4"),
            "counts": pack(self.counts[used], "<u4"),
            "rows": self.rows.tolist(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        rows = np.array(value["rows"])
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or (rows < 0).any():
            raise ValueError("rows of a token table are malformed")
        table = cls.empty(rows.size)
        used = unpack(value["cells"], "<u4", (-1,))
        if used.size and (used.max() >= SIZE or (np.diff(used.astype(np.int64)) <= 0).any()):
            raise ValueError("cells of a token table are malformed")
        table.counts[used] = unpack(value["counts"], "<u4", (used.size, rows.size))
        table.rows[:] = rows
        return table


def class_scores(
    weights: Floats, row: NDArray[np.int64], cell: NDArray[np.uint32], n_rows: int
) -> Floats:
    """Return each row's token log-odds for each class, float64, shape (n_classes, n_rows).

    The sum is divided by the root of the number of tokens, as for independent votes.
    """
    lengths = np.bincount(row, minlength=n_rows)
    sums = [
        np.bincount(row, weights=weights[cell, k], minlength=n_rows)
        for k in range(weights.shape[1])
    ]
    scores: Floats = np.stack(sums) / np.sqrt(lengths + 1.0)
    return scores

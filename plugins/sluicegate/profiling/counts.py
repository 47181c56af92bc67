"""The profile: exact integer counts of a batch, a commutative monoid with canonical bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.errors import ConfigError, MalformedEnvelope
from sluicegate.profiling.layout import Encoded, Layout, encode_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

Counts = NDArray[np.int64]


@dataclass(slots=True)
class Profile:
    """Counts of rows by label slot and cell, by contributor and label slot, and by new class.

    ``merge`` is associative and commutative, and ``empty`` is its identity. Any split of the rows
    into batches, in any order, gives the same bytes.

    Attributes:
        layout: Fixed cells; profiles of different layouts do not merge.
        n_rows: Rows counted.
        cells: Counts of each column, int64, shape (n_slots, n_cells).
        contributors: Counts of each contributor, int64, shape (n_slots,); None stands for null.
        new_labels: Rows of each class that the baseline did not have.
    """

    layout: Layout
    n_rows: int = 0
    cells: dict[str, Counts] = field(default_factory=dict)
    contributors: dict[str | None, Counts] = field(default_factory=dict)
    new_labels: dict[str, int] = field(default_factory=dict)

    @classmethod
    def empty(cls, layout: Layout) -> Self:
        """Return the identity of ``merge``."""
        shape = layout.n_slots
        zeros = {c.name: np.zeros((shape, c.n_cells), dtype=np.int64) for c in layout.columns}
        return cls(layout, 0, zeros)

    @classmethod
    def of(cls, layout: Layout, batches: Iterable[pa.RecordBatch]) -> Self:
        """Count all rows of some batches.

        Args:
            layout: Fixed cells of the baseline.
            batches: Parts of one batch, each as its source delivers it: the columns that
                embeddings add are added here.
        """
        profile = cls.empty(layout)
        for batch in batches:
            profile.update(batch)
        return profile

    def update(self, batch: pa.RecordBatch) -> None:
        """Count one record batch, as its source delivers it, in place."""
        self.add(encode_batch(self.layout, self.layout.projected(batch)))

    def add(self, encoded: Encoded) -> None:
        """Count one encoded batch in place.

        Cost: one pass over one byte for each value.
        """
        slots = self.layout.n_slots
        self.n_rows += encoded.n_rows
        for column in self.layout.columns:
            codes = encoded.cells.get(column.name)
            if codes is not None:
                self.cells[column.name] += joint_counts(encoded.slot, codes, slots, column.n_cells)
        for name, count in encoded.new_labels.items():
            self.new_labels[name] = self.new_labels.get(name, 0) + count
        self._add_contributors(encoded, slots)

    def _add_contributors(self, encoded: Encoded, slots: int) -> None:
        if encoded.contributor is None:
            return
        k = len(encoded.contributors)
        table = np.bincount(
            encoded.contributor.astype(np.int64) * slots + encoded.slot, minlength=k * slots
        ).reshape(k, slots)
        for name, row in zip(encoded.contributors, table, strict=True):
            self.contributors[name] = self.contributors.get(name, 0) + row

    def merge(self, other: Profile) -> Profile:
        """Return the profile of both sets of rows.

        Raises:
            ConfigError: The layouts differ.
        """
        if self.layout != other.layout:
            raise ConfigError("profiles of different layouts do not merge")
        return Profile(
            self.layout,
            self.n_rows + other.n_rows,
            {name: self.cells[name] + other.cells[name] for name in self.cells},
            _merge_counts(self.contributors, other.contributors),
            _merge_counts(self.new_labels, other.new_labels),
        )

    def marginal(self, column: str) -> Counts:
        """Return a column's rows by cell, int64, shape (n_cells,)."""
        counts: Counts = self.cells[column].sum(axis=0)
        return counts

    def label_counts(self) -> Counts:
        """Return rows by cell of the label column, int64, shape (n_cells,).

        The last two cells are new classes and nulls. The layout must have a label.
        """
        assert self.layout.label is not None  # noqa: S101 - asked only of labelled layouts
        return self.marginal(self.layout.label.name)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, all counts as integers, keys sorted by code point."""
        return {
            "n_rows": self.n_rows,
            "cells": {name: table.tolist() for name, table in sorted(self.cells.items())},
            "contributors": [
                [name, table.tolist()]
                for name, table in sorted(
                    self.contributors.items(), key=lambda i: (i[0] is not None, i[0] or "")
                )
            ],
            "new_labels": dict(sorted(self.new_labels.items())),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], layout: Layout) -> Self:
        """Read what `to_json` wrote.

        Args:
            value: Parsed JSON.
            layout: The one that the counts were made with; their shapes must fit it.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is of another type.
            ValueError: Columns or shapes do not fit, or a count is not a natural number.
        """
        profile = cls.empty(layout)
        profile.n_rows = _count(value["n_rows"])
        if set(value["cells"]) != set(profile.cells):
            raise ValueError("cells do not match the columns")
        for name, table in value["cells"].items():
            profile.cells[name] = _table(table, profile.cells[name].shape)
        for name, row in value["contributors"]:
            profile.contributors[None if name is None else str(name)] = _table(
                row, (layout.n_slots,)
            )
        profile.new_labels = {str(k): _count(v) for k, v in value["new_labels"].items()}
        return profile

    def to_bytes(self) -> bytes:
        """Return canonical bytes: sorted keys, no spaces, integers only, UTF-8."""
        return json.dumps(
            self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()

    @classmethod
    def from_bytes(cls, data: bytes, layout: Layout) -> Self:
        """Read what `to_bytes` wrote.

        Args:
            data: JSON text.
            layout: The one that the counts were made with.

        Raises:
            MalformedEnvelope: Not a profile of this layout.
        """
        try:
            return cls.from_json(json.loads(data), layout)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise MalformedEnvelope("profile is malformed", got=type(error).__name__) from error


def joint_counts(
    rows: NDArray[np.uint8], columns: NDArray[np.uint8], n_rows: int, n_columns: int
) -> Counts:
    """Count pairs of indices.

    Args:
        rows: uint8, shape (n,), values 0..n_rows-1.
        columns: uint8, shape (n,), values 0..n_columns-1.
        n_rows: At least 1; ``n_rows * n_columns`` is at most 2**16.
        n_columns: At least 1.

    Returns:
        int64, shape (n_rows, n_columns): how often each pair occurs.
    """
    if n_rows == 1:
        flat = np.bincount(columns, minlength=n_columns)
    else:
        # uint16 holds 34 slots times 256 cells.
        pairs = rows.astype(np.uint16) * np.uint16(n_columns) + columns
        flat = np.bincount(pairs, minlength=n_rows * n_columns)
    return flat.reshape(n_rows, n_columns).astype(np.int64)


def count_pairs(
    rows: NDArray[np.intp], columns: NDArray[Any], n_rows: int, n_columns: int
) -> Counts:
    """Count pairs of indices, as `joint_counts` does, of any size.

    Args:
        rows: intp, shape (n,), values 0..n_rows-1.
        columns: An integer dtype, same shape, values 0..n_columns-1.
        n_rows: At least 1.
        n_columns: At least 1.

    Returns:
        int64, shape (n_rows, n_columns): how often each pair occurs.
    """
    flat = np.bincount(rows * n_columns + columns, minlength=n_rows * n_columns)
    return flat.reshape(n_rows, n_columns).astype(np.int64)


def over_classes(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Return the sum over the last axis, of classes; numpy is slow where that is short.

    Args:
        counts: An integer dtype, shape (..., n_classes).

    Returns:
        int64, shape (...).
    """
    total = np.zeros(counts.shape[:-1], dtype=np.int64)
    for y in range(counts.shape[-1]):
        total += counts[..., y]
    return total


def _merge_counts(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> dict[Any, Any]:
    merged = dict(a)
    for key, value in b.items():
        merged[key] = merged[key] + value if key in merged else value
    return merged


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a count is not a natural number")
    return value


def _table(value: Any, shape: tuple[int, ...]) -> Counts:
    table = np.array(value)
    if table.shape != shape or table.dtype.kind not in "iu" or (table < 0).any():
        raise ValueError(f"a table of counts has shape {table.shape}, expected {shape}")
    return table.astype(np.int64)

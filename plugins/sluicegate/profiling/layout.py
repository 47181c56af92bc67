"""The fixed frame of a profile: columns with their cells, and how a batch is read into it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.profiling.buffers import is_bytes, plain, primitive, strings, text_of_bytes
from sluicegate.profiling.columns import Column, Kind
from sluicegate.profiling.encode import Codes, comparable, encode
from sluicegate.profiling.projection import Projection, project
from sluicegate.profiling.schema import BatchSchema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_SLOTS = 32  # label slots that counts by label and cell keep apart; more classes share slots


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns in the baseline's order, the roles of some of them, and the axes of embeddings.

    Attributes:
        columns: Without those that the schema ignores.
        schema: Roles.
        projections: Axes of embeddings.
        growing: Columns without a role that move by nature, as the baseline's rows show.
    """

    columns: tuple[Column, ...]
    schema: BatchSchema
    projections: tuple[Projection, ...] = ()
    growing: tuple[str, ...] = ()

    @property
    def label(self) -> Column | None:
        """The label column, if the schema names one and it holds classes or numbers.

        Of lists and structures it is only counted whether they are there.
        """
        named = (c for c in self.columns if c.name == self.schema.label)
        return next((c for c in named if c.listed or c.binned), None)

    @property
    def n_slots(self) -> int:
        """Label slots: one for each cell of the label column, at most 34; 1 without a label."""
        return 1 if self.label is None else min(self.label.n_cells, _SLOTS + 2)

    @property
    def features(self) -> tuple[Column, ...]:
        """Text columns, embeddings and columns without a role that do not move by nature.

        Whether a column is a feature is decided here alone.
        """
        roles = {self.schema.id, self.schema.label, self.schema.contributor, self.schema.timestamp}
        others = {*roles, *self.schema.counter, *self.growing}
        return tuple(c for c in self.columns if c.name not in others)

    @property
    def counters(self) -> tuple[Column, ...]:
        """Columns that move by nature: the schema says so, or the baseline's rows show it."""
        named = {*self.schema.counter, *self.growing}
        return tuple(c for c in self.columns if c.name in named)

    def projected(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch as text where it is counted as text, with columns of embeddings."""
        texts = {c.name for c in self.columns if c.listed or c.kind is Kind.TEXT}
        for place, column in enumerate(batch.schema):
            if is_bytes(column.type) and column.name in texts:
                batch = batch.set_column(place, column.name, text_of_bytes(batch.column(place)))
        return project(self.projections, batch)

    def slot(self, label_cells: Codes) -> Codes:
        """Map label cells to slots; the last two slots are always "new" and "null".

        Args:
            label_cells: uint8, shape (n,), of a layout that has a label.

        Returns:
            uint8, shape (n,), values 0..n_slots-1.
        """
        assert self.label is not None  # noqa: S101 - callers hold the label's cells
        if self.label.n_cells <= _SLOTS + 2:
            return label_cells
        known = self.label.n_cells - 2
        return np.where(
            label_cells < known, label_cells % _SLOTS, label_cells - known + _SLOTS
        ).astype(np.uint8)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "columns": [c.to_json() for c in self.columns],
            "schema": self.schema.to_json(),
            "projections": [p.to_json() for p in self.projections],
            **({"growing": list(self.growing)} if self.growing else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is of another type.
            ValueError: A column name repeats, or a column or projection is malformed.
        """
        columns = tuple(Column.from_json(item) for item in value["columns"])
        if len({c.name for c in columns}) != len(columns):
            raise ValueError("column names repeat")
        projections = tuple(Projection.from_json(item) for item in value["projections"])
        growing = tuple(str(name) for name in value.get("growing", ()))
        if not {c.name for c in columns}.issuperset(growing):
            raise ValueError("a growing column is none of the columns")
        return cls(columns, BatchSchema.from_mapping(value["schema"]), projections, growing)


@dataclass(frozen=True, slots=True)
class Encoded:
    """One record batch as cells.

    Attributes:
        n_rows: Rows in the batch.
        cells: Cell indices of every column that is present and comparable, uint8, shape (n_rows,).
        label: Label cells, uint8, shape (n_rows,); None without a comparable label.
        slot: Label slots, uint8, shape (n_rows,); zeros without a label.
        new_labels: Rows of each class that the baseline did not have.
        contributor: Index of each row into ``contributors``, int32, shape (n_rows,), or None.
        contributors: Names found in this batch; None stands for null.
    """

    n_rows: int
    cells: Mapping[str, Codes]
    label: Codes | None
    slot: Codes
    new_labels: Mapping[str, int]
    contributor: NDArray[np.int32] | None
    contributors: tuple[str | None, ...]


def encode_batch(layout: Layout, batch: pa.RecordBatch) -> Encoded:
    """Read a record batch into cells.

    Columns that are absent, repeated or of another kind are left out and show as missing.

    Args:
        layout: Fixed cells.
        batch: With the columns that `Layout.projected` adds.

    Cost: one pass over each column.
    """
    cells: dict[str, Codes] = {}
    for column in layout.columns:
        array = unique_column(batch, column.name)
        if array is not None and comparable(column, array.type):
            cells[column.name] = encode(column, array)
    label = layout.label
    label_cells = cells.get(label.name) if label is not None else None
    index, names = _contributors(layout, batch)
    return Encoded(
        n_rows=batch.num_rows,
        cells=cells,
        label=label_cells,
        slot=(
            np.zeros(batch.num_rows, dtype=np.uint8)
            if label_cells is None
            else layout.slot(label_cells)
        ),
        new_labels=_new_labels(label, label_cells, batch),
        contributor=index,
        contributors=names,
    )


def without_index(fields: Iterable[pa.Field]) -> tuple[pa.Field, ...]:
    """Drop the columns in which pandas stores a row index: they are its writer's, not data."""
    return tuple(f for f in fields if not _PANDAS_INDEX.fullmatch(f.name))


def unique_column(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    """Return the only column of a name.

    Args:
        batch: Its names may repeat.
        name: Column name.

    Returns:
        The column, or None if there is none or more than one.
    """
    indices = batch.schema.get_all_field_indices(name)
    return batch.column(indices[0]) if len(indices) == 1 else None


def _contributors(
    layout: Layout, batch: pa.RecordBatch
) -> tuple[NDArray[np.int32] | None, tuple[str | None, ...]]:
    name = layout.schema.contributor
    array = unique_column(batch, name) if name else None
    if array is None or pa.types.is_nested(array.type):
        return None, ()
    encoded = strings(plain(array)).dictionary_encode(null_encoding="encode")
    index = primitive(encoded.indices, np.int32)
    return index, tuple(encoded.dictionary.to_pylist())  # type: ignore[return-value]


def _new_labels(label: Column | None, cells: Codes | None, batch: pa.RecordBatch) -> dict[str, int]:
    if label is None or cells is None or not label.listed:
        return {}
    if not (cells == label.null_cell - 1).any():
        return {}
    known = set(label.categories)
    counted = pc.value_counts(strings(plain(unique_column(batch, label.name)))).to_pylist()
    return {
        str(item["values"]): int(item["counts"])
        for item in counted
        if item["values"] is not None and item["values"] not in known
    }

"""One schema for the files of a batch: harmless differences are promoted, real ones refused.

Two writers of one table differ in what does not matter: whether a column may be null, how wide its
integers are, in what unit its times are, in which order the columns stand, whether a file from
before a column was added has it. Arrow's ``unify_schemas(promote_options="permissive")`` gives the
wider type; so does this, by name. It refuses more: a text beside a number, a decimal beside a
float, and a value that the wider type does not hold exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

import pyarrow as pa
import pyarrow.types as kinds

from sluicegate.adapters.files.promoted_types import promoted
from sluicegate.errors import UnreadableData

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NEXT_STEP: Final = (
    "Write one type in all files, or declare the column's type (docs/sources.md, CSV)."
)


@dataclass(slots=True)
class CommonSchema:
    """The schema that holds the columns of all files seen so far."""

    _first: pa.Schema | None = None
    _last: pa.Schema | None = None
    _fields: dict[str, pa.Field] = field(default_factory=dict)
    _origin: dict[str, str] = field(default_factory=dict)

    def add(self, schema: pa.Schema, where: str) -> None:
        """Take the columns of one more file.

        Args:
            schema: Its columns.
            where: Its name, for errors.

        Raises:
            UnreadableData: A column has a type that does not go with that of an earlier file, or
                its name stands twice; names column, file and both types.

        Cost: nothing for a file with the columns of the file before.
        """
        if self._first is None:
            self._first = self._last = schema
            self._fields = {column.name: column for column in schema}
            self._origin = dict.fromkeys(schema.names, where)
        if schema.equals(self._last):
            return
        # A lone file whose names repeat is a finding of SCHEMA, and no error.
        _require_unique(self._first, where)
        _require_unique(schema, where)
        for column in schema:
            self._take(column, where)
        for name in self._fields.keys() - set(schema.names):
            self._fields[name] = self._fields[name].with_nullable(nullable=True)
        self._last = schema

    @property
    def schema(self) -> pa.Schema | None:
        """All columns, in the order in which files brought them; None before the first."""
        first = self._first
        if first is None or len(set(first.names)) < len(first.names):
            return first
        return pa.schema(self._fields.values(), metadata=first.metadata)

    def _take(self, column: pa.Field, where: str) -> None:
        before = self._fields.get(column.name)
        if before is None:
            self._fields[column.name] = pa.field(column.name, column.type)
            self._origin[column.name] = where
            return
        wider = promoted(before.type, column.type)
        if wider is None:
            earlier = self._origin[column.name]
            _refuse_types(column.name, where, column.type, earlier, before.type)
        if wider != before.type:
            self._origin[column.name] = where
        nullable = before.nullable or column.nullable
        self._fields[column.name] = pa.field(column.name, wider, nullable)


def fit(batch: pa.RecordBatch, schema: pa.Schema, where: str) -> pa.RecordBatch:
    """Return rows with the columns of a common schema.

    Args:
        batch: Rows of one file.
        schema: As `CommonSchema.schema` gives it, of all files.
        where: Name of the file, for errors.

    Returns:
        The same values in the types and the order of the schema; a column that the file does not
        have is null.

    Raises:
        UnreadableData: A value that the common type does not hold exactly, as 2**53 + 1 in a
            double, or a column that the schema lacks; names column, file and both types.
    """
    if batch.schema.equals(schema):
        return batch
    names = batch.schema.names
    if len(set(names)) < len(names):
        _require_unique(batch.schema, where)
    if unknown := sorted(set(names) - set(schema.names)):
        _refuse_changed(where, unknown[0])
    columns = [
        _cast(batch.column(column.name), column, where)
        if column.name in names
        else pa.nulls(batch.num_rows, column.type)
        for column in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def added_row_bytes(own: pa.Schema, schema: pa.Schema) -> float:
    """Return how many bytes a row gets that its file does not hold: of columns it lacks.

    Args:
        own: Columns of the file.
        schema: Columns of all files.
    """
    has = set(own.names)
    return sum(_width(column.type) for column in schema if column.name not in has)


def as_one(parts: Iterable[tuple[str, Sequence[pa.RecordBatch]]]) -> list[pa.RecordBatch]:
    """Return the rows of several batches in one schema.

    Args:
        parts: Name of each, for errors, and its rows.

    Raises:
        UnreadableData: As `CommonSchema.add` and `fit`.
    """
    held = [(where, list(batches)) for where, batches in parts]
    common = CommonSchema()
    for where, batches in held:
        for batch in batches:
            common.add(batch.schema, where)
    schema = common.schema
    return [fit(batch, schema, where) for where, batches in held for batch in batches]


def _cast(values: pa.Array, column: pa.Field, where: str) -> pa.Array:
    if values.type == column.type:
        return values
    try:
        if kinds.is_dictionary(values.type):
            values = values.dictionary_decode()
        return values.cast(column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UnreadableData(
            "a value does not fit the type that another file gives its column",
            locator=f"{where}: column {column.name!a}",
            expected=f"values that {column.type} holds exactly",
            got=str(values.type),
            next_step=_NEXT_STEP,
        ) from None  # Arrow's text quotes the value


def _width(type_: pa.DataType) -> float:
    try:
        return float(type_.bit_width) / 8
    except ValueError:  # texts and lists: their offsets
        return 8.0


def _require_unique(schema: pa.Schema, where: str) -> None:
    seen = set[str]()
    for name in schema.names:
        if name in seen:
            raise UnreadableData(
                "two columns have one name",
                locator=f"{where}: column {name!a}",
                next_step="Rename one: readers disagree on which of them counts.",
            )
        seen.add(name)


def _refuse_types(
    name: str, where: str, found: pa.DataType, earlier: str, before: pa.DataType
) -> NoReturn:
    raise UnreadableData(
        "a column has another type than in an earlier file",
        locator=f"{where}: column {name!a}",
        expected=f"{before}, as in {earlier}",
        got=str(found),
        next_step=_NEXT_STEP,
    )


def _refuse_changed(where: str, name: str) -> NoReturn:
    raise UnreadableData(
        "a file has other columns than a moment before",
        locator=f"{where}: column {name!a}",
        next_step="Stop the writer, then run again.",
    )

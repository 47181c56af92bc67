"""Rows of pandas, DuckDB and PostgreSQL as Arrow batches whose types mean what the engine meant.

An engine may hand over a value with another meaning: a time without its zone, a number as text.
Such a value is carried over exactly, or refused with its column and type. Optional engines are
imported only when they are used.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.errors import ConfigError, SchemaMismatch, UnreadableData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH_ROWS: Final = 65_536

# These are allow-lists: a type that an engine adds later is refused until it is understood.
_POSTGRES_TYPES: Final = frozenset(
    {"bool", "int2", "int4", "int8", "float4", "float8", "numeric", "bytea"}
    | {"text", "varchar", "bpchar", "name", "date", "time", "timestamp", "timestamptz"}
)
_DUCKDB_TYPES: Final = frozenset(
    {"boolean", "tinyint", "smallint", "integer", "bigint", "float", "double", "decimal"}
    | {"utinyint", "usmallint", "uinteger", "ubigint", "varchar", "enum", "blob", "date", "time"}
    | {"timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone"}
)
_DUCKDB_NESTED: Final = frozenset({"list", "array", "struct", "map"})

_NUMERIC: Final = pa.decimal256(76, 38)
"""The type for a NUMERIC without a declared scale: 38 digits before and after the point."""


def pandas_batches(frame: Any) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a DataFrame without its index.

    NaN in a NumPy column becomes NULL, as pandas means it. Arrow-backed columns keep both apart.

    Args:
        frame: pandas.DataFrame whose column names are text.

    Raises:
        SchemaMismatch: A column holds mixed or unknown objects.
    """
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        # Arrow's text quotes the value, so neither it nor its chain is kept.
        raise SchemaMismatch(
            "column cannot be carried over exactly",
            locator="DataFrame",
            got=type(error).__name__,
            next_step="Give every column one dtype.",
        ) from None
    yield from _or_empty(table.to_batches(max_chunksize=BATCH_ROWS), table.schema)


def duckdb_batches(relation: Any) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a DuckDB relation, streaming.

    Args:
        relation: duckdb.DuckDBPyRelation.

    Raises:
        SchemaMismatch: Arrow would receive a type with another meaning.
    """
    for name, kind in zip(relation.columns, relation.types, strict=True):
        _require_duckdb(name, kind, str(kind))
    # DuckDB 1.5 renamed the method.
    read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
    reader = read(BATCH_ROWS)
    yield from _or_empty(reader, reader.schema)


def postgres_batches(url: str, query: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a query, from one read-only repeatable-read transaction.

    Args:
        url: ``postgresql://user@host:port/database``.
        query: One SELECT.

    Yields:
        An empty batch with the columns first, then the rows.

    Raises:
        SchemaMismatch: A type has no exact Arrow counterpart, or a NUMERIC is no number or has
            more than 38 digits before or after the point.
        UnreadableData: The server or the query failed.
        ConfigError: The driver is not installed.

    Cost: memory for one batch of the driver, 16 MB by default.
    """
    try:
        import adbc_driver_postgresql.dbapi as adbc
    except ImportError as error:
        raise ConfigError(
            "the PostgreSQL driver is not installed",
            next_step="pip install 'sluicegate[postgres]'.",
        ) from error
    try:
        with closing(adbc.connect(url)) as connection, closing(connection.cursor()) as cursor:
            # The driver has opened a transaction; this sets its mode before the first read.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(query)
            reader = cursor.fetch_record_batch()
            converters = [_postgres_converter(field) for field in reader.schema]
            convert = partial(_converted, names=reader.schema.names, converters=converters)
            yield convert([_empty(field.type) for field in reader.schema])
            for batch in reader:
                yield convert(batch.columns)
    except adbc.Error as error:
        raise UnreadableData(
            "PostgreSQL did not answer the query",
            locator=url.rpartition("@")[2],
            got=f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip(),
            next_step="Run the query with psql to see the server's message.",
        ) from None


def _or_empty(batches: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield an empty batch, then all others: a table without rows has columns to digest too."""
    columns = schema.empty_table().columns
    yield pa.RecordBatch.from_arrays([c.combine_chunks() for c in columns], schema=schema)
    yield from batches


def _require_duckdb(column: str, kind: Any, whole: str) -> None:
    if kind.id in _DUCKDB_NESTED:
        for _name, child in kind.children:
            if hasattr(child, "id"):  # an array's size is among its children
                _require_duckdb(column, child, whole)
    elif kind.id not in _DUCKDB_TYPES or str(kind) == "JSON":  # JSON passes for VARCHAR
        raise _refused(column, whole)


def _postgres_converter(field: pa.Field) -> Callable[[pa.Array], pa.Array]:
    metadata = field.metadata or {}
    name = metadata.get(b"POSTGRESQL:type", b"unknown").decode("utf-8", "replace")
    if name.removeprefix("_") not in _POSTGRES_TYPES:
        raise _refused(field.name, name)
    if name == "numeric":
        return partial(_decimals, column=field.name)
    if name == "_numeric":
        return partial(_decimal_lists, column=field.name)
    return _unchanged


def _converted(
    arrays: list[pa.Array], *, names: list[str], converters: list[Callable[[pa.Array], pa.Array]]
) -> pa.RecordBatch:
    columns = [convert(array) for convert, array in zip(converters, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names)


def _empty(kind: pa.DataType) -> pa.Array:
    """Return an empty array of a type; Arrow cannot make one for lists of extension types."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_list(kind):
        kind = pa.list_(_empty(kind.value_type).type)
    return pa.array([], kind)


def _unchanged(array: pa.Array) -> pa.Array:
    return array


def _decimals(array: pa.Array, column: str) -> pa.Array:
    text = array.storage if isinstance(array, pa.ExtensionArray) else array
    try:
        return pc.cast(text, _NUMERIC)
    except pa.ArrowInvalid:
        raise SchemaMismatch(
            "NUMERIC value has no decimal counterpart",
            locator=f"column {column}",
            expected="a number of at most 38 digits before and after the point",
        ) from None


def _decimal_lists(array: pa.Array, column: str) -> pa.Array:
    values = _decimals(array.values, column)
    kind = pa.list_(values.type)
    buffers = array.buffers()[:2]
    return pa.Array.from_buffers(kind, len(array), buffers, offset=array.offset, children=[values])


def _refused(column: str, kind: str) -> SchemaMismatch:
    return SchemaMismatch(
        "type has no canonical encoding",
        locator=f"column {column}",
        got=kind,
        next_step="Cast it in the query or leave the column out.",
    )

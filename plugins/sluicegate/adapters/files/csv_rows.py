"""Rows of a CSV file whose types are declared, or inferred from the whole file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from sluicegate.adapters.files.csv_suspicion import (
    may_be_long,
    refuse_long,
    refuse_other_dialect,
    refuse_other_numbers,
)
from sluicegate.adapters.files.declared import convert_column, plain_numbers
from sluicegate.adapters.files.text_input import (
    HEAD_BYTES,
    refuse_encoding,
    refuse_other_encoding,
    utf8_text,
)
from sluicegate.errors import SchemaMismatch

if TYPE_CHECKING:
    from sluicegate.adapters.files.bounds import Meter
    from sluicegate.adapters.files.formats import Part
    from sluicegate.profiling.csv_dialect import CsvDialect

_WORDS: Final = tuple(pa_csv.ConvertOptions().null_values)
"""What stands for a missing number wherever nobody declares other words: "", NA, NULL, NaN."""


def csv_table(
    part: Part, where: str, dialect: CsvDialect, *, compression: str, meter: Meter
) -> pa.Table:
    """Read a CSV file.

    Args:
        part: The file.
        where: Its name, for errors.
        dialect: What is declared.
        compression: As `utf8_text`.
        meter: Of the batch.

    Returns:
        All rows; types of undeclared columns are inferred from the whole file, so that a late
        value cannot change a column's kind in the middle of a stream. An empty cell is null.

    Raises:
        UnreadableData: Evidently of another dialect, encoding or compression than declared.
        SchemaMismatch: A value that is not of its declared type.
        pa.ArrowException: No CSV; also ValueError.

    Cost: memory of the whole file.
    """
    encoding = dialect.encoding
    with utf8_text(part, where, compression=compression, encoding=encoding, meter=meter) as text:
        head = text.read(HEAD_BYTES)
        refuse_other_encoding(head, where)
        refuse_other_dialect(head, dialect, where)
        table = _read(text, dialect, dict.fromkeys(dialect.names, pa.string()))
        _require_declared(table, dialect, where)
        long = [n for n in table.schema.names if may_be_long(table[n])] if _unique(table) else []
        if long:
            texts = _read(text, dialect, dict.fromkeys(long, pa.string()), only=long)
            for name in long:
                refuse_long(name, texts[name], where)
    return _typed(table, dialect, where)


def parse_options(dialect: CsvDialect) -> pa_csv.ParseOptions:
    """Return how Arrow cuts the text."""
    return pa_csv.ParseOptions(
        delimiter=dialect.delimiter or ",",
        quote_char=dialect.quote or False,
        newlines_in_values=True,
    )


def _read(
    text: Any, dialect: CsvDialect, types: dict[str, pa.DataType], only: list[str] | None = None
) -> pa.Table:
    text.seek(0)
    names = dialect.names if dialect.header is False else None
    return pa_csv.read_csv(
        text,
        read_options=pa_csv.ReadOptions(column_names=names),
        parse_options=parse_options(dialect),
        convert_options=pa_csv.ConvertOptions(
            column_types=types,
            null_values=[*_WORDS, *dialect.missing],
            decimal_point=dialect.decimal,
            include_columns=only,
        ),
    )


def _require_declared(table: pa.Table, dialect: CsvDialect, where: str) -> None:
    if lacking := [name for name in dialect.names if name not in table.schema.names]:
        raise SchemaMismatch(
            "the file lacks a declared column",
            locator=f"{where}: column {lacking[0]!a}",
            next_step="Declare the columns that the file has.",
        )


def _unique(table: pa.Table) -> bool:
    return len(set(table.schema.names)) == len(table.schema.names)


def _typed(table: pa.Table, dialect: CsvDialect, where: str) -> pa.Table:
    """Return the table with declared types, and with nulls where texts are empty."""
    declared = dict(dialect.columns)
    for place, name in enumerate(table.schema.names):
        values = table.column(place)
        if pa.types.is_binary(values.type):
            refuse_encoding(where, "text of another encoding", name)
        if not pa.types.is_string(values.type):
            continue
        values = missing_as_null(values, dialect)
        if name in declared:
            values = _declared(values, name, declared[name], dialect, where)
        elif dialect.thousands:
            values = _ungrouped(values, dialect)
        else:
            refuse_other_numbers(name, values, dialect, where)
        table = table.set_column(place, name, values)
    return table


def missing_as_null(texts: Any, dialect: CsvDialect) -> Any:
    """Return texts with null for an empty cell and for each declared word.

    Args:
        texts: Array or chunked array of strings.
        dialect: Names the words.
    """
    words = pa.array(["", *dialect.missing], pa.string())
    return pc.if_else(pc.is_in(texts, words), pa.scalar(None, pa.string()), texts)


def _declared(
    values: pa.ChunkedArray, name: str, kind: str, dialect: CsvDialect, where: str
) -> pa.ChunkedArray:
    chunks, row = [], 1
    for chunk in values.chunks:
        chunks.append(convert_column(chunk, name, kind, row, where, dialect))
        row += len(chunk)
    return pa.chunked_array(chunks, None if chunks else pa.string())


def _ungrouped(values: pa.ChunkedArray, dialect: CsvDialect) -> pa.ChunkedArray:
    """Return numbers with marks between thousands as numbers; any other text as it is."""
    plain = plain_numbers(values, dialect)
    whole = pc.match_substring_regex(plain, r"^-?[0-9]{1,18}$")
    number = pc.match_substring_regex(plain, r"^-?[0-9]{1,15}(\.[0-9]+)?$")
    for fits, kind in ((whole, pa.int64()), (number, pa.float64())):
        if len(plain.drop_null()) and pc.all(fits).as_py():
            return plain.cast(kind)
    return values

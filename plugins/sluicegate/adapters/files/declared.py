"""Declared column types of text formats: nothing is guessed, and no value is changed to fit.

A reader that guesses makes a column numeric until the day its first word arrives. This module
converts a text exactly to its declared type, or refuses it with its row and column. The value
itself never appears in a message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.errors import ConfigError, SchemaMismatch
from sluicegate.profiling.csv_dialect import UNDECLARED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.profiling.csv_dialect import CsvDialect

_TYPES: Final = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_DECIMAL: Final = re.compile(r"decimal\((\d{1,2}),(\d{1,2})\)")
_NUMBERS: Final = frozenset({"int64", "float64", "decimal"})
# One spelling a value where two readers might differ: no leading zeros or plus signs, no
# underscores, no NaN, no hexadecimal; times end in Z.
_PATTERNS: Final = {
    "int64": r"^-?(0|[1-9][0-9]{0,18})$",
    "float64": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$",
    "bool": r"^(true|false)$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "timestamp": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$",
    "decimal": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$",
}


@dataclass(frozen=True, slots=True)
class DeclaredSchema:
    """Column names and types, in order.

    Attributes:
        columns: Pairs of a name and its type: ``string``, ``int64``, ``float64``, ``bool``,
            ``date``, ``timestamp`` (UTC) or ``decimal(P,S)`` with P at most 38.

    Raises:
        ConfigError: There is no column, or a type is not known.
    """

    columns: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if not self.columns:
            raise ConfigError("declared schema has no column")
        for name, kind in self.columns:
            _arrow_type(name, kind)

    @classmethod
    def of(cls, columns: Mapping[str, str]) -> DeclaredSchema:
        """Build a schema from a mapping of names to types.

        Raises:
            ConfigError: There is no column, or a type is not known.
        """
        return cls(tuple(columns.items()))

    @property
    def arrow(self) -> pa.Schema:
        """The schema that every batch has."""
        return pa.schema([(name, _arrow_type(name, kind)) for name, kind in self.columns])

    def convert(
        self,
        texts: pa.RecordBatch,
        first_row: int,
        locator: str,
        dialect: CsvDialect = UNDECLARED,
    ) -> pa.RecordBatch:
        """Convert columns of text to their declared types.

        Args:
            texts: One string column for each declared one, in order.
            first_row: Number of the first row, for messages.
            locator: Where the text came from.
            dialect: How numbers are written.

        Returns:
            The typed batch; NULL stays NULL.

        Raises:
            SchemaMismatch: A text is not of its column's type. The message names the row and
                column of the first.
        """
        columns = [
            convert_column(column, name, kind, first_row, locator, dialect)
            for column, (name, kind) in zip(texts.columns, self.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.arrow)


def refuse_value(locator: str, row: int, column: str, kind: str) -> NoReturn:
    """Raise SchemaMismatch for one value; the message names its place but never the value.

    Args:
        locator: Where the text came from.
        row: Number of the row, from 1.
        column: Name of the column, from the declared schema.
        kind: The declared type.

    Raises:
        SchemaMismatch: Always.
    """
    raise SchemaMismatch(
        "value is not of its declared type",
        locator=f"{locator} row {row}, column {column!a}",
        expected=kind,
        next_step="Correct the file, or declare the column as string.",
    ) from None


def _arrow_type(name: str, kind: str) -> pa.DataType:
    if kind in _TYPES:
        return _TYPES[kind]
    decimal = _DECIMAL.fullmatch(kind)
    if decimal and 1 <= int(decimal[1]) <= 38 and int(decimal[2]) <= int(decimal[1]):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    raise ConfigError(
        "declared type is not known",
        locator=name,
        expected=", ".join([*_TYPES, "decimal(P,S)"]),
        got=repr(kind)[:40],
    )


def convert_column(  # noqa: PLR0917 - as `convert`, with the column
    texts: pa.Array,
    name: str,
    kind: str,
    first_row: int,
    locator: str,
    dialect: CsvDialect = UNDECLARED,
) -> pa.Array:
    """Convert one column of text to its declared type; see `DeclaredSchema.convert`.

    Args:
        texts: Strings; null where missing.
        name: Of the column.
        kind: Its declared type.
        first_row: Number of the first row, for messages.
        locator: Where the text came from, for messages.
        dialect: How numbers are written.

    Raises:
        SchemaMismatch: Row and column of the first text that is none of its type.
    """
    if kind == "string":
        return texts
    base = kind.partition("(")[0]
    plain = plain_numbers(texts, dialect) if base in _NUMBERS else texts
    good = pc.match_substring_regex(plain, _PATTERNS[base])
    bad = pc.index(good, pa.scalar(value=False)).as_py()
    if bad >= 0:
        refuse_value(locator, first_row + bad, name, kind)
    if kind == "timestamp":
        plain = pc.replace_substring(plain, "Z", "")
    found = _cast(plain, _arrow_type(name, kind))
    for row in range(len(plain) if found is None else 0):
        if _cast(plain.slice(row, 1), _arrow_type(name, kind)) is None:
            refuse_value(locator, first_row + row, name, kind)
    return found


def plain_numbers(texts: Any, dialect: CsvDialect) -> Any:
    """Return numbers as they are spelled with a decimal point and nothing between thousands.

    A text that is no number in the dialect becomes one that is none in any.

    Args:
        texts: Array or chunked array of strings.
        dialect: Its decimal and thousands marks.
    """
    point, mark = re.escape(dialect.decimal), re.escape(dialect.thousands)
    if dialect.decimal == "." and not mark:
        return texts
    grouped = f"[0-9]{{1,3}}({mark}[0-9]{{3}})+|" if mark else ""
    good = pc.match_substring_regex(
        texts, rf"^-?({grouped}[0-9]+)({point}[0-9]+)?([eE][+-]?[0-9]+)?$"
    )
    plain = pc.replace_substring(texts, dialect.thousands, "") if mark else texts
    plain = pc.replace_substring(plain, dialect.decimal, ".")
    return pc.if_else(good, plain, pa.scalar("?"))


def _cast(texts: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Return the typed column, or None if one value does not fit: 2**63, 31 February, 1e999."""
    try:
        if pa.types.is_timestamp(kind):
            return texts.cast(pa.timestamp("us")).cast(kind)
        found = texts.cast(kind)
    except pa.ArrowInvalid:
        return None
    if pa.types.is_floating(kind) and not pc.all(pc.is_finite(found), min_count=0).as_py():
        return None
    return found

"""CSV and JSON lines with a declared schema, from bytes that were verified or a file."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.csv as pa_csv

from sluicegate.adapters.sources.declared import DeclaredSchema, refuse_value
from sluicegate.digest.canonical import loads
from sluicegate.errors import MalformedEnvelope, SchemaMismatch, UnreadableData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH_ROWS: Final = 65_536
MAX_LINE_BYTES: Final = 16 * 1024 * 1024  # a longer JSON line is an attack or a mistake
_WRONG_LENGTH: Final = re.compile(r"CSV parse error: Row #(\d+): Expected \d+ columns")
_EXACT_FLOAT: Final = 2**53  # above it, a float may differ from the integer with the same text


@dataclass(frozen=True, slots=True)
class CsvRows:
    """CSV with a header line that names exactly the declared columns, in their order.

    Attributes:
        data: All bytes, or an open file.
        schema: Declared columns.
        locator: Where the bytes came from, for messages.
    """

    data: bytes | BinaryIO
    schema: DeclaredSchema
    locator: str

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows.

        Raises:
            SchemaMismatch: The header names other columns, a row has another length, or a value
                is not of its type. The message names the row, never its content.
            UnreadableData: The data is empty, or is not CSV in UTF-8.
        """
        names = [name for name, _ in self.schema.columns]
        try:
            reader = pa_csv.open_csv(
                _handle(self.data),
                read_options=pa_csv.ReadOptions(use_threads=False, block_size=4 << 20),
                parse_options=pa_csv.ParseOptions(newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                ),
            )
            self._require_columns(reader.schema.names, names)
            row = 1
            for texts in reader:
                yield self.schema.convert(texts, row, self.locator)
                row += texts.num_rows
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            # Arrow's text quotes the row, so only the row's number is taken from it. Arrow's own
            # handler for such rows is no help: on text that is not UTF-8 it fails in silence.
            if place := _WRONG_LENGTH.match(str(error)):
                raise SchemaMismatch(
                    "row has another number of fields",
                    locator=f"{self.locator} row {int(place[1]) - 1}",
                    expected=f"{len(names)} fields",
                ) from None
            raise UnreadableData(
                "is not CSV in UTF-8", locator=self.locator, got=type(error).__name__
            ) from None

    def _require_columns(self, found: list[str], declared: list[str]) -> None:
        if found != declared:
            raise SchemaMismatch(
                "header is not the declared one",
                locator=self.locator,
                expected=", ".join(declared)[:200],
                got=f"{len(found)} columns",
                next_step="Declare the columns in the order of the file.",
            )


@dataclass(frozen=True, slots=True)
class JsonLinesRows:
    """One JSON object on each line; a missing key is NULL, an undeclared key is refused.

    Attributes:
        data: All bytes, or an open file.
        schema: Declared columns.
        locator: Where the bytes came from, for messages.
    """

    data: bytes | BinaryIO
    schema: DeclaredSchema
    locator: str

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows.

        Raises:
            SchemaMismatch: A key is not declared, or a value is not of its type.
            MalformedEnvelope: A line is longer than 16 MiB or no JSON object, or JSON parsers
                disagree about it: a duplicate key, NaN, an integer beyond 64 bit, not UTF-8.
            UnreadableData: There is no line.
        """
        waiting: list[dict[str, Any]] = []
        number = 0
        lines = io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data
        while line := lines.readline(MAX_LINE_BYTES + 1):
            number += 1
            waiting.append(self._row(line, number))
            if len(waiting) == BATCH_ROWS:
                yield pa.RecordBatch.from_pylist(waiting, schema=self.schema.arrow)
                waiting = []
        if not number:
            raise UnreadableData("has no line", locator=self.locator)
        if waiting:
            yield pa.RecordBatch.from_pylist(waiting, schema=self.schema.arrow)

    def _row(self, line: bytes, number: int) -> dict[str, Any]:
        place = f"{self.locator} row {number}"
        value = loads(line, locator=place, max_bytes=MAX_LINE_BYTES)
        if not isinstance(value, dict):
            raise MalformedEnvelope("line is not a JSON object", locator=place)
        declared = dict(self.schema.columns)
        if not value.keys() <= declared.keys():
            n_extra = len(value.keys() - declared.keys())
            raise SchemaMismatch("object has undeclared keys", locator=place, got=f"{n_extra} keys")
        return {
            name: None if item is None else self._value(item, name, declared[name], number)
            for name, item in value.items()
        }

    def _value(self, item: Any, name: str, kind: str, number: int) -> Any:
        try:
            return _READERS[kind.partition("(")[0]](item, kind)
        except (ValueError, TypeError, OverflowError, InvalidOperation):
            refuse_value(self.locator, number, name, kind)


def _handle(data: bytes | BinaryIO) -> Any:
    return pa.BufferReader(data) if isinstance(data, bytes) else data


def _exactly(kind: type) -> Callable[[Any, str], Any]:
    def read(item: Any, _kind: str) -> Any:
        if type(item) is not kind:  # bool is an int to Python
            raise TypeError
        return item

    return read


def _float(item: Any, _kind: str) -> float:
    if type(item) is float or (type(item) is int and abs(item) <= _EXACT_FLOAT):
        return float(item)
    raise TypeError


def _date(item: Any, _kind: str) -> date:
    if len(item) != 10:
        raise ValueError
    return date.fromisoformat(item)


def _timestamp(item: Any, _kind: str) -> datetime:
    if type(item) is not str:
        raise TypeError
    if not item.endswith("Z") or "T" not in item:
        raise ValueError
    return datetime.fromisoformat(item).astimezone(UTC)


def _decimal(item: Any, kind: str) -> Decimal:
    """Read a decimal from a JSON string; readers make binary floating point of JSON numbers."""
    if type(item) is not str:
        raise TypeError
    precision, scale = (int(part) for part in kind[len("decimal(") : -1].split(","))
    number = Decimal(item)
    _sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or -exponent > scale:
        raise ValueError
    if len(digits) + exponent > precision - scale:
        raise ValueError
    return number


_READERS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "string": _exactly(str),
    "int64": _exactly(int),
    "bool": _exactly(bool),
    "float64": _float,
    "date": _date,
    "timestamp": _timestamp,
    "decimal": _decimal,
}

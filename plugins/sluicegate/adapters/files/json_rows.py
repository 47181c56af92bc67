"""Rows of JSON lines: one object on each line, read as every JSON parser would read it.

Arrow's own reader is not used: it can end the process on valid lines, makes a neighbour of
2**53 + 1 where fractions follow, and drops the zone of a time. JSON says itself what is a number
and what is text, so types are those of the values; only a text column that holds nothing but
dates or times becomes one of dates or times, as in CSV.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.adapters.files.declared import DeclaredSchema, refuse_value
from sluicegate.adapters.files.parquet_rows import BATCH_BYTES, BATCH_ROWS
from sluicegate.adapters.files.text_input import utf8_text
from sluicegate.digest.canonical import loads
from sluicegate.errors import MalformedEnvelope, UnreadableData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sluicegate.adapters.files.bounds import Meter
    from sluicegate.adapters.files.formats import Part

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""A longer line is an attack or a mistake."""

_BLOCK_BYTES: Final = 1 << 20
_MAX_COLUMNS: Final = 10_000
"""Most keys of a file: rows that have a new key each make a table of the square of their file."""

_EXACT_FLOAT: Final = 2**53  # above it, a float may differ from the integer with the same text
_WORDS: Final = {
    bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object",
}  # fmt: skip
_DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_ZONE: Final = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_MOMENTS: Final = (
    (_DAY, pa.date32()),
    (f"{_TIME}$", pa.timestamp("us")),
    (_TIME + _ZONE, pa.timestamp("us", "UTC")),
)
"""How a text is spelled that is a date or a time, and its type."""


def json_lines(
    part: Part,
    where: str,
    columns: tuple[tuple[str, str], ...],
    *,
    compression: str,
    meter: Meter,
) -> list[pa.RecordBatch]:
    """Read a file of JSON lines.

    Args:
        part: The file.
        where: Its name, for errors.
        columns: Declared types by name; other columns have the type of their values. A column
            that the file lacks is null.
        compression: As `utf8_text`.
        meter: Of the batch; counts the rows.

    Returns:
        All rows. A column that appears late is missing in the batches before.

    Raises:
        UnreadableData: A line that is no object, or that JSON parsers disagree about: a key
            twice, NaN, an integer beyond 64 bits; or a column of several types.
        SchemaMismatch: A value that is not of its declared type.

    Cost: 15 µs for a row of ten columns; memory of the whole file.
    """
    found = _Found(where, dict(columns))
    with utf8_text(part, where, compression=compression, meter=meter) as text:
        for rows in _blocks(text, where):
            found.add(rows)
            meter.count(found.batches[-1], where)
    return found.typed()


def json_objects(text: Any, where: str) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Yield number, object and length of each line; a line without anything is none.

    Args:
        text: An open file.
        where: Its name, for errors.

    Raises:
        MalformedEnvelope: A line is longer than 16 MiB or no JSON object, or JSON parsers
            disagree about it.
    """
    for number, line in enumerate(_lines(text), 1):
        # Not of one that is too long: what stands behind it was never read.
        if len(line) <= MAX_LINE_BYTES and not line.strip(b" \t\r"):
            continue
        place = f"{where} row {number}"
        value = loads(line, locator=place, max_bytes=MAX_LINE_BYTES)
        if not isinstance(value, dict):
            raise MalformedEnvelope("line is not a JSON object", locator=place)
        yield number, value, len(line)


def _lines(text: Any) -> Iterator[bytes]:
    """Yield lines without their ends; one that is too long ends them, and whoever reads it."""
    rest = b""
    while block := cast("bytes", text.read(_BLOCK_BYTES)):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
        if len(rest) > MAX_LINE_BYTES:
            break
    if rest:
        yield rest


def declared_value(item: Any, kind: str) -> Any:
    """Return a JSON value as its declared type has it.

    Args:
        item: Any value but null.
        kind: Declared type, as `DeclaredSchema` knows it.

    Raises:
        ValueError: It is not of the type; also TypeError, OverflowError, InvalidOperation.
    """
    return _READERS[kind.partition("(")[0]](item, kind)


NOT_DECLARED: Final = (ValueError, TypeError, OverflowError, InvalidOperation)
"""What `declared_value` raises."""

_Row = tuple[int, dict[str, Any]]


@dataclass(slots=True)
class _Found:
    """Batches of a file so far, and what is known of its columns.

    Attributes:
        where: Name of the file.
        declared: Types by name.
        batches: Rows of each block, texts as text.
    """

    where: str
    declared: dict[str, str]
    batches: list[pa.RecordBatch] = field(default_factory=list)
    _kinds: dict[str, set[type]] = field(default_factory=dict)
    _longest: dict[str, int] = field(default_factory=dict)

    def add(self, rows: list[_Row]) -> None:
        """Take the rows of a block.

        Raises:
            UnreadableData: A column has several types.
            SchemaMismatch: A value is not of its declared type.
        """
        names = dict.fromkeys(key for _, row in rows for key in row) | self.declared
        names = names or dict.fromkeys(self._kinds)
        if not names:
            _refuse("the rows have no column", self.where, "a key in some row")
        if len(names | self._kinds.keys()) > _MAX_COLUMNS:
            _refuse("the rows have too many columns", self.where, f"at most {_MAX_COLUMNS} keys")
        columns = {
            name: self._column(name, [row.get(name) for _, row in rows], rows) for name in names
        }
        self.batches.append(pa.RecordBatch.from_pydict(columns))

    def _column(self, name: str, values: list[Any], rows: list[_Row]) -> pa.Array:
        if name in self.declared:
            return self._declared(name, values, rows)
        kinds = self._kinds.setdefault(name, set())
        kinds |= set(map(type, values)) - {type(None)}
        words = sorted({_WORDS[kind] for kind in kinds})
        if len(words) > 1:
            self._refuse_types(name, " and ".join(words))
        if int in kinds:
            longest = max((abs(v) for v in values if type(v) is int), default=0)
            self._longest[name] = max(longest, self._longest.get(name, 0))
        if float in kinds and self._longest.get(name, 0) > _EXACT_FLOAT:
            self._refuse_types(name, "fractions, and an integer that no double holds")
        try:
            return pa.array(values, pa.float64() if float in kinds else None)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            # Arrow's text quotes the value.
            self._refuse_types(name, f"{words[0]}s of several types")

    def _declared(self, name: str, values: list[Any], rows: list[_Row]) -> pa.Array:
        kind = self.declared[name]
        read = []
        for value, (number, _) in zip(values, rows, strict=True):
            try:
                read.append(None if value is None else declared_value(value, kind))
            except NOT_DECLARED:
                refuse_value(self.where, number, name, kind)
        return pa.array(read, DeclaredSchema(((name, kind),)).arrow.field(0).type)

    def typed(self) -> list[pa.RecordBatch]:
        """Return all rows; texts that are all dates or times are those."""
        texts = [name for name, kinds in self._kinds.items() if kinds == {str}]
        moments = {name: kind for name in texts if (kind := self._moment(name)) is not None}
        return [self._with_moments(batch, moments) for batch in self.batches]

    def _moment(self, name: str) -> pa.DataType | None:
        chunks = [batch.column(name) for batch in self.batches if name in batch.schema.names]
        texts = pa.chunked_array([chunk for chunk in chunks if chunk.null_count < len(chunk)])
        first = texts.drop_null().slice(0, 1)  # most texts are none in their first value already
        for pattern, kind in _MOMENTS:
            if _all_match(first, pattern) and _all_match(texts, pattern):
                try:
                    texts.cast(kind)
                except pa.ArrowInvalid:  # 30 February
                    return None
                return kind
        return None

    def _with_moments(
        self, batch: pa.RecordBatch, moments: dict[str, pa.DataType]
    ) -> pa.RecordBatch:
        columns = {
            name: values.cast(moments[name]) if name in moments else values
            for name, values in zip(batch.schema.names, batch.columns, strict=True)
        }
        return pa.RecordBatch.from_pydict(columns)

    def _refuse_types(self, name: str, got: str) -> NoReturn:
        _refuse(
            "a column has values of several types",
            f"{self.where}: column {name!a}",
            "one type",
            got,
            "Write one type, or declare the column's type (docs/sources.md, CSV).",
        )


def _all_match(texts: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())


def _blocks(text: Any, where: str) -> Iterator[list[_Row]]:
    rows: list[_Row] = []
    n_bytes = 0
    try:
        for number, row, size in json_objects(text, where):
            rows.append((number, row))
            n_bytes += size
            if len(rows) >= BATCH_ROWS or n_bytes >= BATCH_BYTES:
                yield rows
                rows, n_bytes = [], 0
    except MalformedEnvelope as error:
        _refuse(error.what, error.locator, error.expected, error.got)
    if rows:
        yield rows


def _refuse(
    what: str,
    locator: str,
    expected: str = "",
    got: str = "",
    next_step: str = "Each line is one JSON object; correct the step that writes the file.",
) -> NoReturn:
    raise UnreadableData(
        what, locator=locator, expected=expected, got=got, next_step=next_step
    ) from None


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

"""CSV and JSON lines with a declared schema, from bytes that were verified or a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.csv as pa_csv

from sluicegate.adapters.files.bounds import Meter
from sluicegate.adapters.files.csv_rows import missing_as_null, parse_options
from sluicegate.adapters.files.csv_suspicion import refuse_other_dialect
from sluicegate.adapters.files.declared import DeclaredSchema, refuse_value
from sluicegate.adapters.files.formats import size_of
from sluicegate.adapters.files.json_rows import NOT_DECLARED, declared_value, json_objects
from sluicegate.adapters.files.text_input import HEAD_BYTES, refuse_other_encoding, utf8_text
from sluicegate.errors import SchemaMismatch, UnreadableData
from sluicegate.profiling.csv_dialect import UNDECLARED, UTF_8, CsvDialect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

BATCH_ROWS: Final = 65_536
_WRONG_LENGTH: Final = re.compile(r"CSV parse error: Row #(\d+): Expected \d+ columns")


@dataclass(frozen=True, slots=True)
class CsvRows:
    """CSV whose header names exactly the declared columns, in their order; or without header.

    Attributes:
        data: All bytes, or an open file.
        schema: Declared columns.
        locator: Where the bytes came from.
        dialect: How the text is written.
        compression: ``gzip``, ``zstd``, ``bzip2`` or "".
    """

    data: bytes | BinaryIO
    schema: DeclaredSchema
    locator: str
    dialect: CsvDialect = UNDECLARED
    compression: str = ""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; an empty cell is NULL, quoted or not.

        Raises:
            SchemaMismatch: Other columns, a row of another length, or a value of another type;
                says the row, never its content.
            UnreadableData: Empty, another encoding or compression than declared, or no CSV.
        """
        names = [name for name, _ in self.schema.columns]
        headless = self.dialect.header is False
        try:
            encoding = self.dialect.encoding
            with _opened(self.data, self.locator, self.compression, encoding) as text:
                head = text.read(HEAD_BYTES)
                refuse_other_encoding(head, self.locator)
                text.seek(0)
                reader = pa_csv.open_csv(
                    text,
                    read_options=pa_csv.ReadOptions(
                        use_threads=False,
                        block_size=4 << 20,
                        column_names=names if headless else None,
                    ),
                    parse_options=parse_options(self.dialect),
                    convert_options=pa_csv.ConvertOptions(
                        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                    ),
                )
                if reader.schema.names != names:
                    refuse_other_dialect(head, self.dialect, self.locator)
                self._require_columns(reader.schema.names, names)
                row = 1
                for batch in reader:
                    arrays = [missing_as_null(column, self.dialect) for column in batch.columns]
                    texts = pa.RecordBatch.from_arrays(arrays, names=names)
                    yield self.schema.convert(texts, row, self.locator, self.dialect)
                    row += texts.num_rows
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            # Arrow's text quotes the row, so only the row's number is taken from it. Arrow's own
            # handler for such rows is no help: on text that is not UTF-8 it fails in silence.
            if place := _WRONG_LENGTH.match(str(error)):
                raise SchemaMismatch(
                    "row has another number of fields",
                    locator=f"{self.locator} row {int(place[1]) - (0 if headless else 1)}",
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
        locator: Where the bytes came from.
        compression: As of `CsvRows`.
    """

    data: bytes | BinaryIO
    schema: DeclaredSchema
    locator: str
    compression: str = ""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows.

        Raises:
            SchemaMismatch: A key is not declared, or a value is not of its type.
            MalformedEnvelope: A line is longer than 16 MiB or no JSON object, or JSON parsers
                disagree about it: a duplicate key, NaN, an integer beyond 64 bit, not UTF-8.
            UnreadableData: There is no line.
        """
        with _opened(self.data, self.locator, self.compression) as lines:
            yield from self._batches(lines)

    def _batches(self, lines: Any) -> Iterator[pa.RecordBatch]:
        waiting: list[dict[str, Any]] = []
        number = 0
        for number, value, _size in json_objects(lines, self.locator):
            waiting.append(self._row(value, number))
            if len(waiting) == BATCH_ROWS:
                yield pa.RecordBatch.from_pylist(waiting, schema=self.schema.arrow)
                waiting = []
        if not number:
            raise UnreadableData("has no line", locator=self.locator)
        if waiting:
            yield pa.RecordBatch.from_pylist(waiting, schema=self.schema.arrow)

    def _row(self, value: dict[str, Any], number: int) -> dict[str, Any]:
        declared = dict(self.schema.columns)
        if not value.keys() <= declared.keys():
            n_extra = len(value.keys() - declared.keys())
            raise SchemaMismatch(
                "object has undeclared keys",
                locator=f"{self.locator} row {number}",
                got=f"{n_extra} keys",
            )
        return {
            name: None if item is None else self._value(item, name, declared[name], number)
            for name, item in value.items()
        }

    def _value(self, item: Any, name: str, kind: str, number: int) -> Any:
        try:
            return declared_value(item, kind)
        except NOT_DECLARED:
            refuse_value(self.locator, number, name, kind)


def _opened(
    data: bytes | BinaryIO, locator: str, compression: str, encoding: str = UTF_8
) -> AbstractContextManager[Any]:
    meter = Meter(locator=locator)
    meter.begin(size_of(data), locator)
    return utf8_text(data, locator, compression=compression, encoding=encoding, meter=meter)

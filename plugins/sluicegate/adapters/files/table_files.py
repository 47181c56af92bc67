"""Read the files of a batch into Arrow record batches, streaming, with errors that name the file.

formats.py says what a file is. A file that no reader knows is an error, or is noted for a caller
that makes a finding of it. It is never skipped in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.adapters.files.bounds import Meter
from sluicegate.adapters.files.csv_rows import csv_table
from sluicegate.adapters.files.formats import (
    CSV,
    TEXT,
    Format,
    Part,
    Unjudged,
    compression_of,
    format_of,
    size_of,
)
from sluicegate.adapters.files.hive import schema_with_partitions, with_partitions
from sluicegate.adapters.files.json_rows import json_lines
from sluicegate.adapters.files.kept_rows import KeptRows
from sluicegate.adapters.files.layout import merged
from sluicegate.adapters.files.parquet_rows import (
    BATCH_BYTES,
    BATCH_ROWS,
    parquet_rows,
    without_views,
)
from sluicegate.adapters.files.promotion import CommonSchema, added_row_bytes, fit
from sluicegate.adapters.foreign_errors import shown
from sluicegate.digest.names import SINGLE_FILE
from sluicegate.errors import ConfigError, UnreadableData
from sluicegate.gate.limits import DEFAULT, Limits
from sluicegate.profiling.csv_dialect import UNDECLARED, CsvDialect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Opener = Callable[[str], AbstractContextManager[Part]]
"""Opens a file of the batch by its path inside it."""

_TEXTS = frozenset({Format.CSV, Format.JSON_LINES})
_SMALL_BYTES = 1 << 20
_NAMED = 3
_OTHER_FORMAT_STEP = (
    "Write its rows as Parquet, CSV or JSON lines, take it out of the batch, or let the policy's "
    "rule for UNJUDGED accept it."
)


@dataclass(slots=True)
class TableFiles:
    """Reads the files of one batch, one after another, in the schema that they have in common.

    Attributes:
        locator: Name of the batch, for errors.
        limits: How much may be decoded of all files together.
        unjudged: Where files that no reader knows are noted; without it they are an error.
        dialect: How CSV files are written, and types of columns of CSV and JSON lines, where
            somebody declared them.
        columns: The only columns that are wanted, in this order; None for all.
        schema: Columns of all files, where these are some of a batch and somebody looked at all of
            them. Who puts the parts together asks whether the rows needed them (`seen`).
    """

    locator: str = ""
    limits: Limits = DEFAULT
    unjudged: list[Unjudged] | None = None
    dialect: CsvDialect = UNDECLARED
    columns: Sequence[str] | None = None
    schema: pa.Schema | None = None
    _meter: Meter = field(init=False)
    _surveyed: pa.Schema | None = field(init=False, default=None)
    _kept: KeptRows = field(init=False, default_factory=KeptRows)
    _seen: CommonSchema = field(init=False, default_factory=CommonSchema)
    _read: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._meter = Meter(self.limits, self.locator)
        self._surveyed = self.schema

    @property
    def seen(self) -> pa.Schema | None:
        """Columns that the files read so far have in common; None before the first row."""
        return self._seen.schema

    @property
    def meter(self) -> Meter:
        """What was decoded so far."""
        return self._meter

    def stream(
        self, names: Sequence[str], *, look: Opener, read: Opener
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all files in the schema that they have in common.

        The columns of all files are looked at before the rows of any are given out. Parquet says
        them in its footer. Text has to be parsed, so it is read then, once, and its rows are kept
        for their turn. What is looked at only chooses the types: a file that has other columns
        when its rows are read is refused, and so is a schema that the rows do not need, at the
        end.

        Args:
            names: Paths inside the batch, in the order of their rows.
            look: Opens a file to see its format and, of Parquet, its columns.
            read: Opens a file to read its rows: the bytes that are verified, where any are.

        Yields:
            Record batches of one schema.

        Raises:
            UnreadableData: As `rows_of`, or two files whose columns contradict each other, or no
                row at all.

        Cost: one read of each file, and a look at each before if there are several. Text of more
            than 64 MiB decoded waits on private disk.
        """
        try:
            if len(names) > 1 and self.schema is None:
                self._survey(names, look, read)
            for name in names:
                if name in self._kept:
                    yield from self._in_schema(name, self._kept_rows(name))
                else:
                    with read(name) as part:
                        yield from self.rows_of(name, part)
            self.end()
        finally:
            self._kept.close()

    def survey(self, names: Sequence[str], *, look: Opener, read: Opener) -> pa.Schema | None:
        """Return the columns that all files have in common; None for no row.

        Args:
            names: As `stream`.
            look: As `stream`.
            read: As `stream`.

        Raises:
            UnreadableData: As `stream`.

        Cost: a look at each file of Parquet, and one read of each file of text.
        """
        self._survey(names, look, read, keep=False)
        return self._surveyed

    def _survey(
        self, names: Iterable[str], look: Opener, read: Opener, *, keep: bool = True
    ) -> None:
        common = CommonSchema()
        for name in names:
            where, rows = self._where(name), None
            with reading(where), look(name) as seen:
                kind, _ = self._format(name, seen)
                if not size_of(seen) or kind not in {*_TEXTS, Format.PARQUET}:
                    continue  # whoever reads the rows says so
                if kind is Format.PARQUET:
                    schemas = _footer_schemas(seen)
                else:
                    rows = self._rows_to_keep(kind, name, seen if look is read else read)
                    schemas = [batch.schema for batch in rows]
            for schema in schemas:
                common.add(self._wanted(schema_with_partitions(schema, name)), where)
            if rows is not None and keep:
                self._read.append(where)
                self._kept.put(name, rows)  # a full disk is no fault of the file
        self._surveyed = common.schema

    def _rows_to_keep(self, kind: Format, name: str, part: Part | Opener) -> list[pa.RecordBatch]:
        where = self._where(name)
        if not callable(part):
            return self._text(kind, where, part)
        with part(name) as opened:
            if self._format(name, opened)[0] is not kind:
                raise UnreadableData(
                    "is another kind of file than a moment before",
                    locator=where,
                    next_step="Stop the writer, then run again.",
                )
            return self._text(kind, where, opened)

    def rows_of(
        self, name: str, part: Part, *, use_threads: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one file; a marker has none.

        Args:
            name: Path inside the batch; its directories may name partitions. "." for a batch
                that is one file.
            part: The file. An open file is read to its end; the caller closes it.
            use_threads: Decode the columns of a row group at once; for callers that keep all rows.

        Yields:
            Record batches in the schema of the first rows, or of all files in a `stream`.

        Raises:
            UnreadableData: Empty, truncated, no table that a reader knows, above a limit, or
                columns that do not go with those of other files.
        """
        yield from self._in_schema(name, self._own_rows(name, part, use_threads=use_threads))

    def _in_schema(self, name: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        where = self._where(name)
        for batch in batches:
            with reading(where):
                schema = self._surveyed or self._seen.schema
                yield from self._fitted(batch, self._wanted(schema or batch.schema), where)

    def _fitted(
        self, batch: pa.RecordBatch, schema: pa.Schema, where: str
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows in the common schema, few at a time where they get many columns."""
        added = added_row_bytes(batch.schema, schema)
        step = max(1, int(BATCH_BYTES / added)) if added else batch.num_rows
        for start in range(0, batch.num_rows, max(1, step)):
            part = batch.slice(start, step)
            self._meter.added(int(added * part.num_rows), where)
            yield fit(part, schema, where)

    def _wanted(self, schema: pa.Schema) -> pa.Schema:
        """Return the columns of a schema that are wanted, as many as there are."""
        if self.columns is None:
            return schema
        return pa.schema([schema.field(name) for name in self.columns if name in schema.names])

    def _own_rows(
        self, name: str, part: Part, *, use_threads: bool = False
    ) -> Iterator[pa.RecordBatch]:
        where = self._where(name)
        with reading(where):
            kind, why = self._format(name, part)
            if kind is Format.UNKNOWN:
                self.note(Unjudged(name if name != SINGLE_FILE else where, why))
            elif kind is not Format.MARKER:
                self._read.append(where)
                self._require_content(part, where)
                if kind is Format.PARQUET:
                    plain = self._parquet(where, part, use_threads)
                    yield from (self._noted(batch, name) for batch in plain)
                else:
                    # All of them first: a column may appear in the last rows.
                    yield from [self._noted(batch, name) for batch in self._text(kind, where, part)]

    def _kept_rows(self, name: str) -> Iterator[pa.RecordBatch]:
        for batch in self._kept.take(name):
            yield self._noted(batch, name)

    def _noted(self, batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
        """Return rows with the columns of their directories, and note which columns there are."""
        whole = with_partitions(batch, name)
        if self.columns is not None:
            whole = whole.select(self._wanted(whole.schema).names)
        self._seen.add(whole.schema, self._where(name))
        return whole

    def _where(self, name: str) -> str:
        return self.locator if name == SINGLE_FILE and self.locator else name

    def _format(self, name: str, part: Part) -> tuple[Format, str]:
        delimited = CSV if self.dialect.delimiter is None else TEXT
        return format_of(name, part, locator=self.locator, delimited=delimited)

    def accepts(self, name: str, content: bytes) -> bool:
        """Return whether a file may be handed out unread; a marker may not.

        Args:
            name: Path inside the batch.
            content: The whole file.

        Raises:
            UnreadableData: No reader knows the file, and `unjudged` is None.
        """
        kind, why = self._format(name, content)
        if kind is Format.UNKNOWN:
            self.note(Unjudged(name, why))
        return kind is not Format.MARKER

    def table(self, files: Iterable[tuple[str, Part]]) -> pa.Table:
        """Return the rows of all files, in the order given.

        Args:
            files: Relative name and verified bytes of each; one is used up before the next is
                asked for.

        Raises:
            UnreadableData: As `rows_of`, or there is no row at all.
        """
        held = [
            (self._where(name), batch)
            for name, part in files
            for batch in self._own_rows(name, part, use_threads=True)
        ]
        self.end()
        schema = self._seen.schema
        assert schema is not None  # noqa: S101 - `end` refuses a batch without rows
        schema = self._wanted(schema)
        fitted = (part for where, batch in held for part in self._fitted(batch, schema, where))
        return pa.Table.from_batches(list(merged(fitted)))

    def note(self, found: Unjudged) -> None:
        """Add a file to `unjudged`.

        Raises:
            UnreadableData: `unjudged` is None.
        """
        if self.unjudged is None:
            raise _not_judged([found], self.locator)
        self.unjudged.append(found)

    def end(self) -> None:
        """Return if the batch had a row, and the columns that the survey saw.

        Raises:
            UnreadableData: It had none, or no file that a reader knows, or files changed.
        """
        if self.schema is not None:
            return
        if self._surveyed is not None and not self._surveyed.equals(self._seen.schema):
            raise UnreadableData(
                "files have other columns than a moment before",
                locator=self.locator,
                next_step="Stop the writer, then run again.",
            )
        if self._meter.n_rows:
            self._require_columns()
            return
        if self.unjudged and not self._read:
            raise _not_judged(self.unjudged, self.locator)
        raise UnreadableData(
            "no rows",
            locator=", ".join(self._read[:_NAMED]) or self.locator,
            next_step="Check the step that writes this source.",
        )

    def _require_columns(self) -> None:
        found = [] if self._seen.schema is None else self._seen.schema.names
        missing = [name for name in self.columns or () if name not in found]
        if missing:
            raise ConfigError(
                "no file of the batch has this column",
                locator=self.locator,
                got=", ".join(map(ascii, missing[:_NAMED])),
                next_step="Check the spelling of `columns`.",
            )

    def _parquet(self, where: str, part: Part, use_threads: bool) -> Iterator[pa.RecordBatch]:
        size = size_of(part)
        # Of a small file, waking the threads costs more than the columns.
        threads = use_threads and size > _SMALL_BYTES
        return parquet_rows(
            _handle(part),
            where,
            self._meter,
            size_bytes=size,
            use_threads=threads,
            columns=self.columns,
        )

    def _text(self, kind: Format, where: str, part: Part) -> list[pa.RecordBatch]:
        """Parse a whole file of text, and count its rows."""
        self._meter.begin(size_of(part), where)
        packed = compression_of(where)
        if kind is Format.JSON_LINES:
            columns = self.dialect.columns
            return json_lines(part, where, columns, compression=packed, meter=self._meter)
        table = csv_table(part, where, self.dialect, compression=packed, meter=self._meter)
        batches: list[pa.RecordBatch] = table.to_batches(max_chunksize=BATCH_ROWS)
        for batch in batches:
            self._meter.count(batch, where)
        return batches

    def _require_content(self, part: Part, where: str) -> None:
        if not size_of(part):
            raise UnreadableData(
                "file is empty",
                locator=where,
                expected="a table",
                got="0 bytes",
                next_step="Check the step that writes this source.",
            )


def _footer_schemas(part: Part) -> list[pa.Schema]:
    """Return the columns of a Parquet file that has rows."""
    with pq.ParquetFile(_handle(part), pre_buffer=False) as file:
        return [without_views(file.schema_arrow)] if file.metadata.num_rows else []


def _not_judged(found: list[Unjudged], locator: str) -> UnreadableData:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return UnreadableData(
        "no reader knows a file of this batch",
        locator=locator,
        expected="Parquet, CSV or JSON lines",
        got=", ".join(str(item) for item in found[:_NAMED]) + more,
        next_step=_OTHER_FORMAT_STEP,
    )


@contextmanager
def reading(origin: str) -> Iterator[None]:
    """Turn the errors of a reader into ours, which quote nothing.

    Args:
        origin: Name of the file.

    Raises:
        UnreadableData: The file cannot be read.
    """
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableData(
            "file cannot be read",
            locator=origin,
            expected="a complete Parquet, CSV or JSON lines file",
            got=shown(error),
            next_step="It may be truncated or still being written; deliver it again.",
        ) from None


def _handle(part: Part) -> Any:
    if isinstance(part, Path):
        return str(part)
    return pa.BufferReader(part) if isinstance(part, bytes | memoryview) else part

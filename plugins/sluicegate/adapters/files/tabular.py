"""Read the files of a batch into Arrow record batches, streaming, with errors that name the file.

formats.py says what a file is. A file that no reader knows is an error, or is noted for a caller
that makes a finding of it. It is never skipped in silence.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from sluicegate.adapters.files.bounds import Meter
from sluicegate.adapters.files.formats import Format, Part, Unjudged, format_of, size_of
from sluicegate.adapters.files.hive import with_partitions
from sluicegate.adapters.files.parquet_rows import BATCH_ROWS, parquet_rows
from sluicegate.adapters.files.table_layouts import peek_at, refuse_table_layout
from sluicegate.adapters.foreign_errors import shown
from sluicegate.digest.names import SINGLE_FILE
from sluicegate.errors import UnreadableData
from sluicegate.gate.limits import DEFAULT, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NAMED = 3
_OTHER_FORMAT_STEP = (
    "Write its rows as Parquet or CSV, take it out of the batch, or let the policy's rule for "
    "UNJUDGED accept it."
)


@dataclass(slots=True)
class TableFiles:
    """Reads the files of one batch, one after another.

    Attributes:
        locator: Name of the batch, for errors.
        limits: How much all files together may decode to.
        unjudged: List to which files that no reader knows are added. None makes them an error.
    """

    locator: str = ""
    limits: Limits = DEFAULT
    unjudged: list[Unjudged] | None = None
    _meter: Meter = field(init=False)
    _first: pa.Schema | None = field(init=False, default=None)
    _read: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._meter = Meter(self.limits, self.locator)

    def rows_of(
        self, name: str, part: Part, *, use_threads: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one file; a marker has none.

        Args:
            name: Path inside the batch; its directories may name partitions. "." for a batch
                that is one file.
            part: The file. An open file is read to its end; the caller closes it.
            use_threads: Decode the columns of a row group at once; for callers that keep all rows.

        Raises:
            UnreadableData: The file is empty or truncated, no reader knows it, it exceeds a
                limit, or it has other columns than the files before.
        """
        where = self.locator if name == SINGLE_FILE and self.locator else name
        with _errors(where):
            kind, why = format_of(name, part, locator=self.locator)
            if kind is Format.UNKNOWN:
                self.note(Unjudged(name if name != SINGLE_FILE else where, why))
            elif kind is not Format.MARKER:
                self._read.append(where)
                for plain in self._plain(kind, where, part, use_threads):
                    batch = with_partitions(plain, name)
                    self._first = self._first or batch.schema
                    _require_same_columns(batch, self._first, where)
                    yield batch

    def accepts(self, name: str, content: bytes) -> bool:
        """Return whether a file may be handed out unread; a marker may not.

        Args:
            name: Path inside the batch.
            content: The whole file.

        Raises:
            UnreadableData: No reader knows the file, and `unjudged` is None.
        """
        kind, why = format_of(name, content, locator=self.locator)
        if kind is Format.UNKNOWN:
            self.note(Unjudged(name, why))
        return kind is not Format.MARKER

    def table(self, files: Iterable[tuple[str, bytes | memoryview]]) -> pa.Table:
        """Return the rows of all files, in the order given.

        Args:
            files: Relative name and verified bytes of each.

        Raises:
            UnreadableData: As `rows_of`, or there is no row at all.
        """
        batches = [b for name, data in files for b in self.rows_of(name, data, use_threads=True)]
        self.end()
        return pa.Table.from_batches(batches)

    def note(self, found: Unjudged) -> None:
        """Add a file to `unjudged`.

        Raises:
            UnreadableData: `unjudged` is None.
        """
        if self.unjudged is None:
            raise _not_judged([found], self.locator)
        self.unjudged.append(found)

    def end(self) -> None:
        """Return if the batch had a row.

        Raises:
            UnreadableData: It had none, or no reader knows any of its files.
        """
        if self._meter.n_rows:
            return
        if self.unjudged and not self._read:
            raise _not_judged(self.unjudged, self.locator)
        raise UnreadableData(
            "no rows",
            locator=", ".join(self._read[:_NAMED]) or self.locator,
            next_step="Check the step that writes this source.",
        )

    def _plain(
        self, kind: Format, where: str, part: Part, use_threads: bool
    ) -> Iterator[pa.RecordBatch]:
        size = size_of(part)
        if not size:
            raise UnreadableData(
                "file is empty",
                locator=where,
                expected="a table",
                got="0 bytes",
                next_step="Check the step that writes this source.",
            )
        handle = _handle(part)
        if kind is Format.PARQUET:
            yield from parquet_rows(
                handle, where, self._meter, size_bytes=size, use_threads=use_threads
            )
            return
        self._meter.begin(size, where)
        # Types are inferred from the whole file. Otherwise a late value would change a column's
        # type in the middle of the stream.
        for batch in pa_csv.read_csv(handle).to_batches(max_chunksize=BATCH_ROWS):
            self._meter.count(batch, where)
            yield batch


def open_batches(
    source: Path | bytes,
    *,
    locator: str = "",
    limits: Limits = DEFAULT,
    unjudged: list[Unjudged] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file, a directory, or bytes.

    Args:
        source: Path of a Parquet or CSV file, or of a directory of them; or the bytes of one.
        locator: Name for errors; the path by default.
        limits: How much all files together may decode to.
        unjudged: List to which files that no reader knows are added. None makes them an error.

    Yields:
        Record batches of at most 65,536 rows. Files come in code-point order of their paths.

    Raises:
        UnreadableData: The source is missing, empty or truncated, has no row or a format that no
            reader knows, exceeds a limit, is the directory of a table format, or has files that
            differ in their columns.
    """
    name = locator or ("bytes" if isinstance(source, bytes) else str(source))
    files = TableFiles(name, limits, unjudged)
    if isinstance(source, bytes):
        yield from files.rows_of(SINGLE_FILE, source)
    else:
        if not source.exists():
            raise UnreadableData("no such file or directory", locator=name)
        found = _listed(source) if source.is_dir() else {SINGLE_FILE: source}
        refuse_table_layout(
            found, locator=name, root=source, peek=lambda relative: peek_at(found[relative])
        )
        for relative, path in sorted(found.items()):
            if path.is_file():
                yield from files.rows_of(relative, path)
            else:
                files.note(Unjudged(relative, "it is not a regular file"))
    files.end()


def _listed(root: Path) -> dict[str, Path]:
    """Return all below a directory except directories, by relative path."""

    def refuse(error: OSError) -> None:
        raise UnreadableData(
            "the directory cannot be listed", locator=str(error.filename), got=str(error.strerror)
        ) from error

    found = {}
    for directory, below, names in os.walk(root, onerror=refuse):
        # Links to directories are not followed: no seal would cover what is behind them.
        links = [name for name in below if (Path(directory) / name).is_symlink()]
        for name in (*names, *links):
            path = Path(directory) / name
            found[path.relative_to(root).as_posix()] = path
    return found


def _not_judged(found: list[Unjudged], locator: str) -> UnreadableData:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return UnreadableData(
        "no reader knows a file of this batch",
        locator=locator,
        expected="Parquet or CSV",
        got=", ".join(str(item) for item in found[:_NAMED]) + more,
        next_step=_OTHER_FORMAT_STEP,
    )


def _require_same_columns(batch: pa.RecordBatch, first: pa.Schema, origin: str) -> None:
    if batch.schema.equals(first):
        return
    here, there = (
        {field.name: f"{field.type}{'' if field.nullable else ' not null'}" for field in schema}
        for schema in (batch.schema, first)
    )
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    raise UnreadableData(
        "file differs from the first one in its columns",
        locator=f"{origin}: column {names[0]!a}" if names else origin,
        expected=there.get(names[0], "no such column") if names else "the same order of columns",
        got=here.get(names[0], "no such column") if names else "another one",
        next_step="Keep one schema in a directory, or check the files one by one.",
    )


@contextmanager
def _errors(origin: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableData(
            "file cannot be read",
            locator=origin,
            expected="a complete Parquet or CSV file",
            got=shown(error),
            next_step="It may be truncated or still being written; deliver it again.",
        ) from None


def _handle(part: Part) -> Any:
    if isinstance(part, Path):
        return str(part)
    return pa.BufferReader(part) if isinstance(part, bytes | memoryview) else part

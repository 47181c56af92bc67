"""Read tabular data into Arrow record batches, streaming, with errors that name the file.

Parquet files, directories of Parquet files (in code-point order of their relative paths) and
Parquet bytes that were verified in memory; CSV by its suffix.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sluicegate.adapters.foreign_errors import shown
from sluicegate.adapters.sources.hive import with_partitions
from sluicegate.errors import UnreadableData

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BATCH_ROWS = 65_536
"""Rows of a record batch: 20 columns of 8 bytes are 10 MB, small beside Arrow itself."""
FREE_BYTES = 1 << 30
"""Decoded size in bytes up to which a file may hold whatever it likes."""
MAX_EXPANSION = 1000
"""Decoded bytes for each byte of a larger file: mixed columns stay far below, bombs far above."""
_SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}


def open_batches(source: Path | bytes, *, locator: str = "") -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file, a directory, or bytes.

    Args:
        source: Path of a .parquet or .csv file, or of a directory; or the bytes of one
            Parquet file.
        locator: Name for errors; the path by default.

    Yields:
        Record batches of at most 65,536 rows, in a fixed order.

    Raises:
        UnreadableData: Missing, empty, truncated, no row at all, another format, or files of
            a directory that differ in their columns.
    """
    name = locator or ("bytes" if isinstance(source, bytes) else str(source))
    n_rows = 0
    first: pa.Schema | None = None
    for part, origin, relative in _parts(source, name):
        for plain in _read(part, origin):
            batch = with_partitions(plain, relative)
            first = first or batch.schema
            _require_same_columns(batch, first, origin)
            n_rows += batch.num_rows
            yield batch
    if n_rows == 0:
        raise UnreadableData(
            "no rows", locator=name, next_step="Check the step that writes this source."
        )


def is_table(name: str) -> bool:
    """Return whether a file of a batch holds rows; markers such as ``_SUCCESS`` do not."""
    return name == "." or Path(name).suffix.lower() in _SUFFIXES


def batches_of(
    name: str,
    part: bytes | memoryview | BinaryIO,
    *,
    locator: str = "",
    use_threads: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one verified file.

    Args:
        name: Path inside the batch; its directories may name partitions.
        part: Bytes, or an open private copy; read to its end and closed by the caller.
        locator: Name for errors and for the format of a batch that is one file.
        use_threads: Decode columns of a row group at once, where its rows are kept anyway.

    Raises:
        UnreadableData: As `open_batches`.
    """
    origin = locator if name == "." and locator else name
    for batch in _read(part, origin, use_threads=use_threads):
        yield with_partitions(batch, name)


def table_from_files(files: Iterable[tuple[str, bytes | memoryview]]) -> pa.Table:
    """Read the tables of a verified batch from memory.

    Args:
        files: Relative name and bytes of each file; "." for a batch that is one file. Names
            without a table's suffix (markers such as ``_SUCCESS``) are passed over.

    Returns:
        All rows, files in the order given.

    Raises:
        UnreadableData: As `open_batches`.
    """
    batches: list[pa.RecordBatch] = []
    names: list[str] = []
    for name, data in files:
        if not is_table(name):
            continue
        names.append(name)
        for batch in batches_of(name, data, use_threads=True):
            _require_same_columns(batch, batches[0].schema if batches else batch.schema, name)
            batches.append(batch)
    if not sum(batch.num_rows for batch in batches):
        raise UnreadableData(
            "no rows",
            locator=", ".join(names[:3]),
            next_step="Check the step that writes this source.",
        )
    return pa.Table.from_batches(batches)


def _require_same_columns(batch: pa.RecordBatch, first: pa.Schema, origin: str) -> None:
    if not batch.schema.equals(first):
        raise UnreadableData(
            "file differs from the first one in its columns",
            locator=origin,
            expected=f"{len(first)} columns of the same types",
            next_step="Keep one schema in a directory, or check the files one by one.",
        )


def _parts(source: Path | bytes, name: str) -> list[tuple[Path | bytes, str, str]]:
    """Return what to read, its name for errors, and its path inside the source."""
    if isinstance(source, bytes):
        return [(source, name, "")]
    if source.is_dir():
        files = sorted(
            (p for p in source.rglob("*") if p.is_file() and p.suffix.lower() in _SUFFIXES),
            key=lambda p: p.relative_to(source).as_posix(),
        )
        if not files:
            raise UnreadableData(
                "no .parquet or .csv file in this directory",
                locator=name,
                next_step="Point to the directory that holds the batch.",
            )
        return [(path, str(path), path.relative_to(source).as_posix()) for path in files]
    if not source.exists():
        raise UnreadableData("no such file or directory", locator=name)
    if source.suffix.lower() not in _SUFFIXES:
        raise UnreadableData(
            "unknown format", locator=name, expected=", ".join(_SUFFIXES), got=source.suffix
        )
    return [(source, name, "")]


def _read(
    part: Path | bytes | memoryview | BinaryIO, origin: str, *, use_threads: bool = False
) -> Iterator[pa.RecordBatch]:
    if _size(part) == 0:
        raise UnreadableData("file is empty", locator=origin, expected="a table", got="0 bytes")
    try:
        if Path(origin).suffix.lower() == ".csv":
            yield from _csv(part)
            return
        where: Any = str(part) if isinstance(part, Path) else _handle(part)
        # Without pre-buffering, memory stays at one row group a column.
        with pq.ParquetFile(where, pre_buffer=False) as file:
            _require_sum(file.metadata, origin)
            n_rows, n_bytes = 0, 0
            limit = max(FREE_BYTES, MAX_EXPANSION * _size(part))
            for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=use_threads):
                n_rows, n_bytes = n_rows + batch.num_rows, n_bytes + batch.nbytes
                if n_bytes > limit:
                    _refuse_bomb(origin, limit)
                _require_valid(batch, origin)
                yield batch
            if n_rows != file.metadata.num_rows:
                _refuse_footer(origin, f"{file.metadata.num_rows} rows", f"{n_rows} read")
            _require_honest(file, origin)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableData(
            "file cannot be read",
            locator=origin,
            expected="a complete Parquet or CSV file",
            got=shown(error),
            next_step="It may be truncated or still being written; deliver it again.",
        ) from None


def _require_sum(footer: pq.FileMetaData, origin: str) -> None:
    """Refuse a file that counts other rows than its row groups do."""
    total = sum(footer.row_group(number).num_rows for number in range(footer.num_row_groups))
    if total != footer.num_rows:
        _refuse_footer(origin, f"{footer.num_rows} rows", f"{total} in its row groups")


def _require_valid(batch: pa.RecordBatch, origin: str) -> None:
    """Refuse values that are not what their type says; readers check none of it by themselves.

    Cost: 15 ms of CPU for 1,000,000 rows of 20 columns.
    """
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UnreadableData(
            "a value is not what its type says",
            locator=origin,
            expected="text in UTF-8, and every other value as its type",
            got=shown(error),
            next_step="Text in another encoding has to be written as UTF-8.",
        ) from None


def _require_honest(file: pq.ParquetFile, origin: str) -> None:
    """Return if row groups and columns agree about their rows; call it when all are read.

    Arrow believes the count of each row group: one that is too low hides rows without an error,
    and another reader may show them. Not before the read, which refuses column metadata that is
    malformed: here they would end the process, as pyarrow lets their C++ exception through.

    Raises:
        UnreadableData: Counts of row groups and columns contradict each other.
    """
    footer = file.metadata
    flat = [
        n for n in range(footer.num_columns) if not footer.schema.column(n).max_repetition_level
    ]
    for place in range(footer.num_row_groups):
        group = footer.row_group(place)
        if not group.num_rows:
            file.read_row_group(place)  # the read may have passed it over
        for number in flat:
            n_values = group.column(number).num_values
            if n_values != group.num_rows:
                _refuse_footer(origin, f"{group.num_rows} rows", f"{n_values} values in a column")


def _refuse_footer(origin: str, expected: str, got: str) -> NoReturn:
    raise UnreadableData(
        "the footer contradicts itself about the number of rows",
        locator=origin,
        expected=expected,
        got=got,
        next_step="Do not use it: readers would see different rows. Write the file again.",
    )


def _refuse_bomb(origin: str, limit: int) -> NoReturn:
    raise UnreadableData(
        "file decodes to far more than its size",
        locator=origin,
        expected=f"at most {limit} bytes",
        next_step="It may be a decompression bomb; split it if it is not.",
    )


def _size(part: Path | bytes | memoryview | BinaryIO) -> int:
    if isinstance(part, bytes | memoryview):
        return len(part)
    return part.stat().st_size if isinstance(part, Path) else os.fstat(part.fileno()).st_size


def _handle(part: bytes | memoryview | BinaryIO) -> Any:
    return pa.BufferReader(part) if isinstance(part, bytes | memoryview) else part


def _csv(part: Path | bytes | memoryview | BinaryIO) -> Iterator[pa.RecordBatch]:
    # Types are inferred from the whole file, so that a late value cannot change a column's
    # kind in the middle of a stream.
    where = part if isinstance(part, Path) else _handle(part)
    yield from pa_csv.read_csv(where).to_batches(max_chunksize=BATCH_ROWS)

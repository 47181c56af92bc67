"""Open the files of a batch on this machine: a file, a directory, or bytes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from sluicegate.adapters.files.formats import Part, Unjudged
from sluicegate.adapters.files.layout import listed, merged
from sluicegate.adapters.files.table_files import TableFiles, reading
from sluicegate.adapters.files.table_layouts import peek_at, refuse_table_layout
from sluicegate.digest.names import SINGLE_FILE
from sluicegate.errors import UnreadableData
from sluicegate.gate.limits import DEFAULT, Limits
from sluicegate.profiling.csv_dialect import UNDECLARED, CsvDialect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow as pa

_SMALL_BYTES = 1 << 20  # a file that is read at once


def open_batches(
    source: Path | bytes,
    *,
    locator: str = "",
    limits: Limits = DEFAULT,
    unjudged: list[Unjudged] | None = None,
    dialect: CsvDialect = UNDECLARED,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file, a directory, or bytes.

    Args:
        source: Path of a Parquet or CSV file, or of a directory of them; or the bytes of one.
        locator: Name for errors; the path by default.
        limits: How much may be decoded.
        unjudged: As `TableFiles`.
        dialect: As `TableFiles`.

    Yields:
        Record batches of one schema and about 65,536 rows, files in code-point order of their
        paths.

    Raises:
        UnreadableData: Missing, empty, truncated, no row at all, a format that no reader knows,
            the directory of a table format, or files whose columns contradict each other.
    """
    name = locator or ("bytes" if isinstance(source, bytes) else str(source))
    if isinstance(source, bytes):
        files = TableFiles(name, limits, unjudged, dialect)
        yield from files.rows_of(SINGLE_FILE, source)
        files.end()
        return
    if not source.exists():
        raise UnreadableData("no such file or directory", locator=name)
    found = listed(source) if source.is_dir() else {SINGLE_FILE: source}
    yield from rows_of_paths(
        found, root=source, locator=name, limits=limits, unjudged=unjudged, dialect=dialect
    )


def rows_of_paths(
    found: Mapping[str, Path],
    *,
    root: Path,
    locator: str,
    limits: Limits = DEFAULT,
    unjudged: list[Unjudged] | None = None,
    dialect: CsvDialect = UNDECLARED,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of files on this machine; see `open_batches`.

    Args:
        found: Path of each file, by its path inside the batch.
        root: Where they lie, so that a part of another kind of table is found too.
        locator: Name of the batch.
        limits: How much may be decoded.
        unjudged: As `TableFiles`.
        dialect: As `TableFiles`.
    """
    refuse_table_layout(
        found, locator=locator, root=root, peek=lambda relative: peek_at(found[relative])
    )
    files = TableFiles(locator, limits, unjudged, dialect)
    regular = {name: path for name, path in found.items() if path.is_file()}
    for relative in sorted(found.keys() - regular.keys()):
        files.note(Unjudged(relative, "it is not a regular file"))

    def opened(name: str) -> AbstractContextManager[Part]:
        """A small file is read, which costs less than to open it for each look."""
        with reading(name):
            path = regular[name]
            small = path.stat().st_size <= _SMALL_BYTES
            return nullcontext(path.read_bytes() if small else path)

    yield from merged(files.stream(sorted(regular), look=opened, read=opened))

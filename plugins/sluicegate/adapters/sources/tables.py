"""The rows of whatever a location names: files, objects, a table, a query, declared text."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from sluicegate.adapters.files.bounds import Meter
from sluicegate.adapters.files.layout import merged
from sluicegate.adapters.files.table_files import TableFiles
from sluicegate.adapters.files.table_layouts import refuse_table_layout
from sluicegate.adapters.files.tabular import open_batches, rows_of_paths
from sluicegate.adapters.sources.local import GlobFiles, LocalFiles
from sluicegate.adapters.sources.open import open_source
from sluicegate.adapters.sources.rows import is_rows, open_rows
from sluicegate.errors import UnreadableData
from sluicegate.gate.limits import DEFAULT
from sluicegate.profiling.csv_dialect import UNDECLARED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from sluicegate.adapters.files.formats import Unjudged
    from sluicegate.adapters.files.table_files import Opener
    from sluicegate.adapters.sources.protocol import ByteSource
    from sluicegate.gate.limits import Limits
    from sluicegate.profiling.csv_dialect import CsvDialect


def open_table(
    location: str | Path,
    *,
    limits: Limits = DEFAULT,
    unjudged: list[Unjudged] | None = None,
    dialect: CsvDialect = UNDECLARED,
    filesystem: Any = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows that a location names, without verifying anything.

    Args:
        location: As `open_any` takes it.
        limits: How much may be decoded.
        unjudged: Where files that no reader knows are noted; without it they are an error.
        dialect: How CSV files are written; a location ``csv:`` says it itself.
        filesystem: As `open_any`.

    Yields:
        Record batches of one schema.

    Raises:
        SluicegateError: Nothing there, no table, above a limit, or another dialect than declared.

    Cost: one read; of objects in a store a look at each before.
    """
    if is_rows(str(location)):
        yield from merged(_rows(str(location), limits, filesystem))
        return
    source = open_source(location, filesystem=filesystem)
    if isinstance(source, LocalFiles):
        yield from open_batches(source.root, limits=limits, unjudged=unjudged, dialect=dialect)
    elif isinstance(source, GlobFiles):
        yield from rows_of_paths(
            {name: source.base / name for name in source.names()},
            root=source.base,
            locator=source.location,
            limits=limits,
            unjudged=unjudged,
            dialect=dialect,
        )
    else:
        files = TableFiles(source.location, limits, unjudged, dialect)
        yield from _stored(source, files)


def _rows(location: str, limits: Limits, filesystem: Any) -> Iterator[pa.RecordBatch]:
    rows = open_rows(location, url=filesystem, follow=True)
    meter = Meter(limits, rows.location[:200])
    yield from meter.counted(rows.batches())
    if not meter.n_rows:
        raise UnreadableData("no rows", locator=rows.location[:200])


def _stored(source: ByteSource, files: TableFiles) -> Iterator[pa.RecordBatch]:
    names = source.names()
    if source.place is not None:
        source.manifest()  # a Croissant document promises digests
    refuse_table_layout(names, locator=source.location, root=source.place, peek=source.peek)
    look = glancing(source)
    yield from merged(files.stream(names, look=look, read=look))


def glancing(source: ByteSource) -> Opener:
    """Return what opens a file of a source unverified, and closes it.

    Args:
        source: Where the files lie.
    """
    return lambda name: closing(source.glance(name))

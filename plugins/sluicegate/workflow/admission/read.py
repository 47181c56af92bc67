"""Verified read: training code gets only bytes that match an accepted verdict.

The bytes that are hashed are the bytes that are parsed, never those of a second read. Small files
are hashed in memory, large ones while they are copied to a file without a name
(`digest.verified_copy` says why).
"""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from sluicegate.adapters.files.formats import is_marker
from sluicegate.errors import ConfigError, ManifestMismatch
from sluicegate.workflow.admission.admit import Admission, admit_training
from sluicegate.workflow.admission.admitted import Admitted
from sluicegate.workflow.evidence.home import SluiceHome
from sluicegate.workflow.sealing.sealed_rows import (
    files_of,
    refuse_layout_of,
    verified_files,
    verified_stream,
    way_to,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    import pyarrow as pa

    from sluicegate.adapters.files.table_files import TableFiles
    from sluicegate.adapters.sources.protocol import ByteSource
    from sluicegate.digest.manifest import FileEntry
    from sluicegate.workflow.evidence.batch import SealedBatch

Kind = Literal["pandas", "arrow", "polars", "duckdb", "spark"]


def open_verified(
    source: str,
    *,
    partitions: Sequence[str] = (),
    files: Sequence[str] = (),
    home: SluiceHome | None = None,
    at: datetime | None = None,
    filesystem: Any = None,
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an admitted batch, each only after its bytes matched the seal.

    Args:
        source: Name of the source.
        partitions: Read only the files in these directories, e.g. ``month=04``; all when empty.
        files: Read only these paths, in this order. Nothing else is looked at: neither added
            files, nor other parts of a manifest in parts.
        home: Paths of the installation. When None, the one that admitted the task; outside a
            guarded task, the environment's.
        at: Aware UTC; now when None.
        filesystem: fsspec file system with credentials, for a batch in an object store. When None,
            that of the Airflow connection by which the batch was sealed.

    Yields:
        Path inside the batch and its bytes, in manifest order. Markers such as ``_SUCCESS`` are
        verified and not handed out.

    Raises:
        SluicegateError: The source is not admitted; raised before the first file. In a guarded
            task also a source that the task does not declare, or another installation.
        UnreadableData: A file that no reader knows, unless the verdict names it (``UNJUDGED``).
        IntegrityError: A file is missing, extra, changed, or changes while it is read.

    Cost:
        One read and one SHA-256 of the bytes; memory for the largest file.
    """
    admission = _admission(source, home, at)
    data, entries = _files(admission.batch, partitions, files, filesystem)
    reader = _reader(admission, data)
    for entry in entries:
        content = data.read_verified(entry)
        if reader.accepts(entry.path, content):
            yield entry.path, content


def stream_verified(
    source: str,
    *,
    partitions: Sequence[str] = (),
    files: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    home: SluiceHome | None = None,
    at: datetime | None = None,
    filesystem: Any = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an admitted batch, which nobody holds all together.

    Args:
        source: Name of the source.
        partitions: As `open_verified`.
        files: As `open_verified`.
        columns: The only columns to return, in this order. Of a large Parquet file that was sealed
            by shards nothing else is read; any other file is read whole.
        home: As `open_verified`.
        at: As `open_verified`.
        filesystem: As `open_verified`.

    Yields:
        Record batches of one schema and at most 65,536 rows, files in manifest order. No row of a
        file is yielded before all its bytes matched; of a file above 32 MiB that was sealed by
        shards, before the bytes that it was read from did. A later file may still turn out to be
        another than the sealed one: what was made of the rows before counts only after the last.

    Raises:
        SluicegateError: As `open_verified`; UnreadableData if the bytes are no table; ConfigError
            if no file has one of the columns.

    Cost:
        As `open_verified`, and one write of every file above 32 MiB that was sealed whole to the
        temporary directory. Memory for 64 MiB of small files, a row group of Parquet or one file
        of text.

    Example:
        ``for batch in sluicegate.stream_verified("flights"): model.partial_fit(batch)``
    """
    admission = _admission(source, home, at)
    if admission.batch.table is not None:
        yield from _rows(admission, (*partitions, *files), columns, filesystem)
        return
    data, entries = _files(admission.batch, partitions, files, filesystem)
    yield from verified_stream(data, entries, _reader(admission, data, columns))


def load_verified(
    source: str,
    *,
    as_: Kind = "pandas",
    partitions: Sequence[str] = (),
    files: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    home: SluiceHome | None = None,
    at: datetime | None = None,
    filesystem: Any = None,
    session: Any = None,
) -> pd.DataFrame | pa.Table | Any:
    """Read an admitted batch of tables into memory.

    Bytes are hashed as they are read, and parsed from memory. So the checked bytes are used even if
    the file changes a moment later. Large files that were sealed by shards are verified range by
    range while other ranges are parsed.

    Args:
        source: Name of the source, as its seal and verdict call it.
        as_: Kind of table to return; polars and duckdb are extras.
        partitions: As `open_verified`.
        files: As `open_verified`.
        columns: The only columns to return, in this order. Of a large Parquet file that was sealed
            by shards nothing else is read; any other file is read whole.
        home: As `open_verified`.
        at: Aware UTC; now when None.
        filesystem: fsspec file system with credentials, for a batch in an object store. When None,
            that of the Airflow connection by which the batch was sealed.
        session: SparkSession for ``spark``; DuckDB connection for ``duckdb``, a new one when
            None.

    Returns:
        All rows of the batch, files in manifest order.

    Raises:
        SluicegateError: As ``open_verified``; UnreadableData if the bytes are not a table;
            ConfigError if the engine is not installed or has no session, or if no file has one of
            the columns.
    """
    from sluicegate.adapters.engines.hand_over import convert

    admission = _admission(source, home, at)
    if admission.batch.table is not None:
        import pyarrow as pa

        rows = pa.Table.from_batches(_rows(admission, (*partitions, *files), columns, filesystem))
        return convert(rows, as_, session)
    data, entries = _files(admission.batch, partitions, files, filesystem)
    reader = _reader(admission, data, columns)
    with closing(verified_files(data, entries, columns)) as opened:
        table = reader.table(opened)
    return convert(table, as_, session)


def _reader(
    admission: Admission, data: ByteSource, columns: Sequence[str] | None = None
) -> TableFiles:
    """Return a reader of the files that the verdict is about, which reads them as it says.

    A file that no reader knows is handed out only if the verdict names such files: then whoever
    admitted it, by policy or waiver, knew. Verdicts older than this check do not name them.
    """
    from sluicegate.adapters.files.table_files import TableFiles
    from sluicegate.signals.decision.record import UNJUDGED

    named = any(reason.code == UNJUDGED for reason in admission.issued.verdict.reasons)
    verdict = admission.issued.verdict
    return TableFiles(
        data.location,
        admission.limits,
        [] if named else None,
        dialect=verdict.csv,
        columns=_checked(columns),
    )


def _checked(columns: Sequence[str] | None) -> Sequence[str] | None:
    if columns is not None and (isinstance(columns, str) or not columns):
        raise ConfigError("columns is not a list of names", expected="a list, e.g. ['label']")
    return None if columns is None else list(dict.fromkeys(columns))


def _rows(
    admission: Admission,
    partitions: Sequence[str],
    columns: Sequence[str] | None,
    filesystem: Any,
) -> Iterator[pa.RecordBatch]:
    from sluicegate.adapters.files.bounds import Meter
    from sluicegate.adapters.sources.rows import open_rows
    from sluicegate.workflow.sealing.sealed_rows import verified_rows

    batch = admission.batch
    if partitions:
        raise ConfigError("a table has no partitions or files", locator=batch.source)
    assert batch.table is not None  # noqa: S101 - the callers ask
    rows = verified_rows(open_rows(batch.location, url=way_to(batch, filesystem)), batch.table)
    counted = Meter(admission.limits, batch.source).counted(rows)
    wanted = _checked(columns)
    if wanted is None:
        return counted
    if missing := [name for name in wanted if name not in dict(batch.table.columns)]:
        raise ConfigError("the table has no such column", locator=batch.source, got=ascii(missing))
    return (rows.select(wanted) for rows in counted)


def _files(
    batch: SealedBatch, partitions: Sequence[str], files: Sequence[str], filesystem: Any
) -> tuple[ByteSource, list[FileEntry]]:
    if isinstance(partitions, str) or isinstance(files, str):
        raise ConfigError(
            "partitions or files is a text and not a list", expected="a list, e.g. ['month=04']"
        )
    if files and partitions:
        raise ConfigError("name partitions or files, not both", locator=batch.source)
    if marker := next(filter(is_marker, files), None):
        raise ConfigError("is a marker and holds no data", locator=f"{batch.source}: {marker!a}")
    if files:
        chosen, data = batch.entries_of(files), files_of(batch, filesystem)
        refuse_layout_of(data, files)
        return data, chosen
    sealed = batch.manifest
    data = files_of(batch, filesystem)
    refuse_layout_of(data, sealed.paths)
    _require_same_files(data, set(sealed.paths))
    if not partitions:
        return data, list(sealed.entries)
    from sluicegate.adapters.files.hive import select_partitions

    return data, select_partitions(sealed.entries, partitions, locator=batch.source)


def _admission(source: str, home: SluiceHome | None, at: datetime | None) -> Admission:
    pointers = {}
    if (admitted := Admitted.found(os.environ)) is not None:
        admitted.require(source)
        home = _same_home(admitted.home, home)
        pointers = {source: {"verdict": admitted.verdicts[source]}}
    home = home or SluiceHome.from_environ(os.environ)
    return admit_training(home, [source], pointers, at=at or datetime.now(UTC))[source]


def _same_home(admitted: SluiceHome, asked: SluiceHome | None) -> SluiceHome:
    """Return the installation that admitted the task; no other one may read."""
    if asked is not None and _installation(asked) != _installation(admitted):
        raise ConfigError(
            "another installation than the one that admitted this task",
            locator=asked.place,
            expected=admitted.place,
            next_step="Leave `home` out in a guarded task.",
        )
    return admitted


def _installation(home: SluiceHome) -> tuple[object, ...]:
    # Of a published home another release is the same installation.
    return (home.published or home.root.resolve(), home.ledger_url)


def _require_same_files(data: ByteSource, sealed: set[str]) -> None:
    """Compare the names first: an added file is not read, but it must be reported."""
    found = set(data.names())
    if sealed != found:
        extra, missing = sorted(found - sealed), sorted(sealed - found)
        raise ManifestMismatch(
            "files were added or removed after the seal",
            locator=data.location,
            expected=f"{len(sealed)} sealed files",
            got=f"{len(extra)} extra ({', '.join(extra[:3])}), "
            f"{len(missing)} missing ({', '.join(missing[:3])})",
            next_step="Restore the sealed batch, or seal and gate it again.",
        )

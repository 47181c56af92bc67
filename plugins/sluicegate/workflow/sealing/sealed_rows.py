"""Hand over the rows of a sealed batch only after they matched what was sealed.

A batch of files is hashed file by file. A table has no bytes of its own: its rows are read once,
kept on private disk while they are hashed, and handed over from there. A second read could see
another state of the database.
"""

from __future__ import annotations

import tempfile
from contextlib import closing, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from sluicegate.adapters.sources.rows import open_rows
from sluicegate.digest.verified_ranges import RUN_BYTES
from sluicegate.errors import DigestMismatch, EvidenceMissing
from sluicegate.gate.limits import DEFAULT, UNLIMITED
from sluicegate.profiling.csv_dialect import UNDECLARED

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from sluicegate.adapters.files.formats import Part, Unjudged
    from sluicegate.adapters.files.table_files import TableFiles
    from sluicegate.adapters.sources.protocol import ByteSource, RowSource
    from sluicegate.attest.sealed_table import SealedTable
    from sluicegate.digest.manifest import FileEntry
    from sluicegate.gate.limits import Limits
    from sluicegate.profiling.csv_dialect import CsvDialect
    from sluicegate.tables.table_digest import TableCommitment
    from sluicegate.workflow.evidence.batch import SealedBatch
    from sluicegate.workflow.evidence.verified import Evidence

IN_MEMORY_BYTES: Final = 32 << 20
"""Files up to this size are verified whole in memory; larger ones range by range if they were
sealed by shards, else through disk when rows stream."""


def way_to(batch: SealedBatch, filesystem: Any = None) -> Any:
    """Return by which file system or database URL a batch is read.

    Args:
        batch: Verified.
        filesystem: What the caller has: a file system or URL, a function of the location that
            returns one or None, or None.

    Returns:
        That, or what the connection gives that the seal names.
    """
    if filesystem is not None or batch.connection is None:
        return filesystem
    from sluicegate.adapters.sources.connection import filesystem_as_sealed

    return partial(filesystem_as_sealed, conn_id=batch.connection)


def files_of(batch: SealedBatch, filesystem: Any = None) -> ByteSource:
    """Open the files of a sealed batch where its seal says they are.

    Args:
        batch: Verified; not rows of a table.
        filesystem: As `way_to`.

    Returns:
        The files, not yet verified.

    Raises:
        ConfigError: As `open_source`.
    """
    from sluicegate.adapters.sources.open import open_source

    return open_source(batch.location, filesystem=way_to(batch, filesystem), follow=False)


def batch_table(
    batch: SealedBatch,
    filesystem: Any = None,
    *,
    dialect: CsvDialect,
    limits: Limits = DEFAULT,
    unjudged: list[Unjudged] | None = None,
) -> pa.Table:
    """Read all rows of a sealed batch into memory.

    Args:
        batch: Verified.
        filesystem: fsspec file system with credentials, or a function of the location that
            returns one; for a database the same with its URL.
        dialect: How text files are written: of the baseline that judges them, or else as they
            were judged (`judged_dialect`). Sealed rows need none.
        limits: How much may be decoded.
        unjudged: Where files that no reader knows are noted; without it they are an error.

    Raises:
        IntegrityError: The bytes or rows are not the sealed ones.
        UnreadableData: They cannot be read, are no table, or are more than the limits.

    Cost: one read; memory for all rows.
    """
    import pyarrow as pa

    from sluicegate.adapters.files.table_files import TableFiles

    if batch.table is not None:
        return pa.Table.from_batches(_table_rows(batch, filesystem, limits))
    data = files_of(batch, filesystem)
    entries = batch.manifest.entries
    refuse_layout_of(data, [entry.path for entry in entries])
    files = TableFiles(data.location, limits, unjudged, dialect)
    with closing(verified_files(data, entries)) as opened:
        return files.table(opened)


def batch_rows(
    batch: SealedBatch,
    filesystem: Any = None,
    *,
    dialect: CsvDialect,
    limits: Limits = DEFAULT,
    unjudged: list[Unjudged] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a sealed batch, which nobody holds all together.

    Args:
        batch: As `batch_table`.
        filesystem: As `batch_table`.
        dialect: As `batch_table`.
        limits: As `batch_table`.
        unjudged: As `batch_table`; complete after the last row.

    Yields:
        Record batches of one schema. No row of a file or table is yielded before all its bytes
        or rows matched; the next file may still turn out to be another than the sealed one.

    Raises:
        SluicegateError: As `batch_table`.

    Cost: as `verified_stream`.
    """
    from sluicegate.adapters.files.layout import merged
    from sluicegate.adapters.files.table_files import TableFiles

    if batch.table is not None:
        yield from _table_rows(batch, filesystem, limits)
        return
    data = files_of(batch, filesystem)
    entries = batch.manifest.entries
    refuse_layout_of(data, [entry.path for entry in entries])
    files = TableFiles(data.location, limits, unjudged, dialect)
    yield from merged(verified_stream(data, entries, files))


def verified_stream(
    data: ByteSource, entries: Sequence[FileEntry], files: TableFiles
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of sealed files, each only after the bytes of its file matched.

    Of a file in shards above 32 MiB these are the bytes that the rows were read from, of any other
    all of them.

    Args:
        data: Where the files lie.
        entries: Theirs in a verified manifest, in the order of their rows.
        files: Reads them.

    Raises:
        SluicegateError: As `batch_table`.

    Cost: one read and one hash of each file, and one write of those above 32 MiB to private disk
        that were not sealed by shards; memory for 32 MiB of files, or 64 MiB of one in shards,
        beside what `TableFiles.stream` takes.
    """
    sealed = {entry.path: entry for entry in entries}
    held: dict[str, bytes] = {}
    room = IN_MEMORY_BYTES

    def look(name: str) -> AbstractContextManager[Part]:
        """A small file is read and verified at once, which costs less than to open it twice."""
        nonlocal room
        entry = sealed[name]
        if name not in held:
            if entry.size_bytes > room or by_ranges(entry, files.columns):
                return closing(data.glance(name))
            room -= entry.size_bytes
            held[name] = data.read_verified(entry)
        return nullcontext(held[name])

    def read(name: str) -> AbstractContextManager[Part]:
        nonlocal room
        if name in held:
            room += sealed[name].size_bytes
            return nullcontext(held.pop(name))
        return verified_file(data, sealed[name], files.columns)

    yield from files.stream(list(sealed), look=look, read=read)


def columns_of(
    data: ByteSource, entries: Sequence[FileEntry], files: TableFiles
) -> pa.Schema | None:
    """Return the columns that sealed files have in common; None if they have no row.

    What is looked at in Parquet is not verified. It only chooses types: whoever reads the rows
    asks whether they needed them.

    Args:
        data: As `verified_stream`.
        entries: As `verified_stream`.
        files: As `verified_stream`.

    Raises:
        SluicegateError: As `batch_table`.

    Cost: a look at each file of Parquet, and one verified read of each file of text.
    """
    sealed = {entry.path: entry for entry in entries}
    return files.survey(
        list(sealed),
        look=lambda name: closing(data.glance(name)),
        read=lambda name: verified_file(data, sealed[name], files.columns),
    )


def by_ranges(entry: FileEntry, columns: Sequence[str] | None) -> bool:
    """Return whether a file is read range by range and never whole.

    Args:
        entry: In a verified manifest.
        columns: The only columns that are wanted; None for all.
    """
    # Of a small file the ranges of some columns are most of the shards.
    smallest = IN_MEMORY_BYTES if columns is None else 2 * RUN_BYTES
    return bool(entry.shards) and entry.size_bytes > smallest


def verified_file(
    data: ByteSource, entry: FileEntry, columns: Sequence[str] | None, *, whole: bool = False
) -> AbstractContextManager[Part]:
    """Open a sealed file for a reader of rows.

    Args:
        data: Where the file lies.
        entry: Its entry in a verified manifest.
        columns: The only columns that are wanted; None for all.
        whole: Verify in memory what can only be verified whole; else large files on private disk.

    Raises:
        SluicegateError: As `batch_table`.
    """
    if by_ranges(entry, columns):
        return cast("AbstractContextManager[BinaryIO]", data.ranges_verified(entry))
    if whole or entry.size_bytes <= IN_MEMORY_BYTES:
        return nullcontext(data.view_verified(entry))
    return closing(data.copy_verified(entry))


def verified_files(
    data: ByteSource, entries: Iterable[FileEntry], columns: Sequence[str] | None = None
) -> Generator[tuple[str, Part]]:
    """Yield sealed files one by one, open until the next, for a reader that keeps all rows.

    Args:
        data: Where the files lie.
        entries: Theirs in a verified manifest.
        columns: The only columns that are wanted; None for all.

    Raises:
        SluicegateError: As `batch_table`.
    """
    for entry in entries:
        with verified_file(data, entry, columns, whole=True) as part:
            yield entry.path, part


def _table_rows(batch: SealedBatch, filesystem: Any, limits: Limits) -> Iterator[pa.RecordBatch]:
    from sluicegate.adapters.files.bounds import Meter

    assert batch.table is not None  # noqa: S101 - the callers ask
    rows = verified_rows(open_rows(batch.location, url=way_to(batch, filesystem)), batch.table)
    return Meter(limits, batch.source).counted(rows)


def has_text(batch: SealedBatch) -> bool:
    """Return whether a batch holds files of text, which a dialect is about.

    Args:
        batch: Verified.
    """
    from sluicegate.adapters.files.formats import JSON_LINES, TEXT, is_text

    if batch.table is not None:
        return False
    # A source that is one file has the name of its location.
    names = (*batch.manifest.paths, batch.location)
    return any(is_text(name, TEXT | JSON_LINES) for name in names)


def judged_dialect(evidence: Evidence, batch: SealedBatch, *, at: datetime) -> CsvDialect:
    """Return how the text files of a batch were read when it was judged.

    Args:
        evidence: Ledger and trust policy.
        batch: Verified.
        at: Aware UTC; keys must be valid then.

    Returns:
        What the newest verdict says; the defaults for a batch that was never judged, or that
        holds no text.

    Raises:
        VerificationError: The verdict does not hold.
    """
    if not has_text(batch):
        return UNDECLARED
    try:
        return evidence.verdict_of(batch.source, batch.digest, at=at).verdict.csv
    except EvidenceMissing:
        return UNDECLARED


def refuse_layout_of(data: ByteSource, paths: Sequence[str]) -> None:
    """Return if a source's files are only files, and not the inside of another kind of table.

    Args:
        data: The source; only the beginning of what may be metadata is read.
        paths: Its files.

    Raises:
        UnreadableData: They are the inside of another kind of table.
    """
    from sluicegate.adapters.files.table_layouts import refuse_table_layout

    refuse_table_layout(paths, locator=data.location, root=data.place, peek=data.peek)


def verified_rows(rows: RowSource, sealed: SealedTable) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a source if they are the sealed ones.

    Args:
        rows: The source; it is read once and to its end.
        sealed: From a verified seal.

    Raises:
        DigestMismatch: A row is more, less or different; raised before the first row is yielded.

    Cost: one read, one table digest, and one write and read of the rows on private disk.
    """
    import pyarrow as pa

    from sluicegate.adapters.engines.table_commitment import commit_batches

    with tempfile.TemporaryFile() as kept:
        found = commit_batches(_copied(rows.batches(), kept), locator=rows.location)
        require_same_rows(sealed, found, locator=rows.location)
        kept.seek(0)
        with pa.ipc.open_stream(kept) as reader:
            yield from reader


def rows_of(
    location: str | Path, *, unjudged: list[Unjudged] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows that a location names: of a database, a declared text file, or files.

    Args:
        location: What to read.
        unjudged: Where files that no reader knows are noted; without it they are an error.
    """
    from sluicegate.adapters.sources.tables import open_table

    return open_table(location, limits=UNLIMITED, unjudged=unjudged)


def require_same_rows(sealed: SealedTable, found: TableCommitment, *, locator: str) -> None:
    """Return if a table has exactly the sealed rows.

    Args:
        sealed: From a verified seal.
        found: Of the rows that were just read.
        locator: Where they were read, for messages.

    Raises:
        DigestMismatch: The rows differ. The message says in how many buckets, and no value.
    """
    if found.digest == sealed.digest:
        return
    size = len(sealed.buckets) // 4096
    pairs = (
        sealed.buckets[i : i + size] != found.buckets[i : i + size]
        for i in range(0, len(sealed.buckets), size)
    )
    same_columns = found.schema.to_json() == [list(pair) for pair in sealed.columns]
    difference = f"{sum(pairs)} of 4096 buckets differ" if same_columns else "columns differ"
    raise DigestMismatch(
        f"are not the rows that were sealed: {difference}",
        locator=locator[:200],
        expected=f"{sealed.n_rows} rows, {sealed.digest.short}",
        got=f"{found.n_rows} rows, {found.digest.short}",
        next_step="Restore the sealed rows, or seal the new ones after a review.",
    )


def _copied(batches: Iterator[pa.RecordBatch], kept: Any) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    writer = None
    for batch in batches:
        writer = writer or pa.ipc.new_stream(kept, batch.schema)
        writer.write_batch(batch)
        yield batch
    if writer is not None:
        writer.close()

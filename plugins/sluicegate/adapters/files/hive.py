"""Partitions that directory names spell out, as Hive and Spark write them: ``month=04/``.

Values are text, as they stand in the path. A reader that guesses types from names makes the number
4 of ``04`` in one batch and text in the next. Digests and baselines would then differ for equal
data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import pyarrow as pa

from sluicegate.errors import SchemaMismatch, UnreadableData

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sluicegate.digest.manifest import FileEntry

NULL_PARTITION: Final = "__HIVE_DEFAULT_PARTITION__"
"""Directory value that Hive writes for NULL."""


def partition_values(path: str) -> tuple[tuple[str, str | None], ...]:
    """Return column and value of each partition directory of a path.

    Args:
        path: Relative POSIX path of a file.

    Example:
        >>> partition_values("year=2013/month=04/part-0.parquet")
        (('year', '2013'), ('month', '04'))
    """
    pairs = (part.partition("=") for part in path.split("/")[:-1])
    return tuple(
        (unquote(key), None if value == NULL_PARTITION else unquote(value))
        for key, equals, value in pairs
        if equals and key
    )


def with_partitions(batch: pa.RecordBatch, path: str) -> pa.RecordBatch:
    """Append the partition columns of a file to its rows.

    Args:
        batch: Rows of the file.
        path: Relative POSIX path of the file.

    Returns:
        The batch with one further string column for each partition directory.

    Raises:
        SchemaMismatch: The file has a column with a partition's name. Readers differ in which
            of the two counts.
    """
    for key, value in partition_values(path):
        if key in batch.schema.names:
            raise SchemaMismatch(
                "a column has the name of a partition directory",
                locator=f"{path}: {key}",
                next_step="Drop the column from the files, or rename the directories.",
            )
        column = pa.repeat(pa.scalar(value, pa.string()), batch.num_rows)
        batch = batch.append_column(pa.field(key, pa.string()), column)
    return batch


def select_partitions(
    entries: Iterable[FileEntry], partitions: Sequence[str], *, locator: str
) -> list[FileEntry]:
    """Return the entries that lie in any of the named partitions.

    Args:
        entries: From a verified manifest.
        partitions: Directory names, alone or joined: ``month=04``, ``year=2013/month=04``.
            Empty selects everything.
        locator: Name of the batch, for the message.

    Returns:
        The entries in their order, each once.

    Raises:
        UnreadableData: No file lies in one of the partitions. That is more likely a typing
            error than the wish to train on nothing.
    """
    kept = list(entries)
    if not partitions:
        return kept
    chosen: set[str] = set()
    for partition in partitions:
        wanted = f"/{partition.strip('/')}/"
        found = {e.path for e in kept if wanted in f"/{e.path.rpartition('/')[0]}/"}
        if not found:
            raise UnreadableData(
                "no sealed file lies in this partition",
                locator=locator,
                got=ascii(partition),
                next_step="Name a directory of the sealed batch, e.g. month=04.",
            )
        chosen |= found
    return [entry for entry in kept if entry.path in chosen]

"""Partitions that directory names spell out, as Hive and Spark write them: ``month=04/``.

Values are text, as they stand in the path. Readers that guess types from names make 4 of ``04``
in one batch and text of it in the next; a digest or a baseline would then differ for equal data.
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
        The batch, with one string column more a partition directory.

    Raises:
        SchemaMismatch: The file has a column of a partition's name: which one counts is a
            question two readers answer differently.
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
        entries: Of a verified manifest.
        partitions: Directory names, alone or joined: ``month=04``, ``year=2013/month=04``.
            Empty selects everything.
        locator: For the message.

    Raises:
        UnreadableData: A partition without any file, which is more likely a typing error
            than the wish to train on nothing.
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

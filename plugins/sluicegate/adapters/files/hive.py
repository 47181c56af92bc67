"""Partitions that directory names spell out, as Hive and Spark write them: ``month=04/``.

Values are text, as they stand in the path. A reader that guesses types from names makes the number
4 of ``04`` in one batch and text in the next. Digests and baselines would then differ for equal
data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

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
        The batch, with one string column more a partition directory that names no column of the
        file. A column of the file that says the same as the directory stays as it is.

    Raises:
        SchemaMismatch: The file has a column of a partition's name that says something else:
            which one counts is a question two readers answer differently.
    """
    for key, value in partition_values(path):
        if key in batch.schema.names:
            _require_same(batch.column(key), value, f"{path}: {key}")
            continue
        column = pa.repeat(pa.scalar(value, pa.string()), batch.num_rows)
        batch = batch.append_column(pa.field(key, pa.string()), column)
    return batch


def schema_with_partitions(schema: pa.Schema, path: str) -> pa.Schema:
    """Return the columns that `with_partitions` gives.

    Args:
        schema: Columns of the file.
        path: Relative POSIX path of the file.
    """
    for key, _ in partition_values(path):
        if key not in schema.names:
            schema = schema.append(pa.field(key, pa.string()))
    return schema


def _require_same(column: pa.Array, value: str | None, where: str) -> None:
    """Return if every value of a column is what its directory says, as its type spells it."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if value is None:
        same = column.null_count == len(column)
    else:
        same = not column.null_count and _is_all(column, value)
    if not same:
        raise SchemaMismatch(
            "a column says something else than the partition directory of its name",
            locator=where,
            expected="the directory's value in every row",
            next_step="Drop the column from the files, or rename the directories.",
        )


def _is_all(column: pa.Array, value: str) -> bool:
    try:
        # A directory is text: 04 is 4 to a column of integers, and nothing to one of words.
        wanted = pa.scalar(value, pa.string()).cast(column.type)
        return bool(pc.all(pc.equal(column, wanted), min_count=0).as_py())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False


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

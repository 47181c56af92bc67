"""Files below a directory, and their rows in batches of a useful size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from sluicegate.adapters.files.parquet_rows import BATCH_BYTES, BATCH_ROWS
from sluicegate.errors import UnreadableData

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def listed(root: Path) -> dict[str, Path]:
    """Return everything below a directory that is no directory, by its relative path.

    Raises:
        UnreadableData: A directory that may not be listed.
    """

    def refuse(error: OSError) -> None:
        raise UnreadableData(
            "the directory cannot be listed", locator=str(error.filename), got=str(error.strerror)
        ) from error

    found = {}
    for directory, below, names in os.walk(root, onerror=refuse):
        # A link to a directory is not followed: no seal would cover what is behind it.
        links = [name for name in below if (Path(directory) / name).is_symlink()]
        for name in (*names, *links):
            path = Path(directory) / name
            found[path.relative_to(root).as_posix()] = path
    return found


def merged(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in fewer batches: whoever counts pays a few milliseconds a batch.

    Args:
        batches: Of one schema.
    """
    held: list[pa.RecordBatch] = []
    n_rows = n_bytes = 0
    for batch in batches:
        if held and (n_rows + batch.num_rows > BATCH_ROWS or n_bytes + batch.nbytes > BATCH_BYTES):
            yield from _one(held)
            held, n_rows, n_bytes = [], 0, 0
        held.append(batch)
        n_rows += batch.num_rows
        n_bytes += batch.nbytes
    yield from _one(held)


def _one(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    if len(batches) < 2:
        return batches
    try:
        return [pa.concat_batches(batches)]
    except pa.ArrowException:  # categories of all are more than their index can count
        return batches

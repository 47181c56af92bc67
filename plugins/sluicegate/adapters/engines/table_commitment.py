"""Table digests of whole sources: any stream of Arrow batches, or a Spark DataFrame."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sluicegate.errors import InsufficientData
from sluicegate.tables.row_ids import row_ids, stream_row_ids
from sluicegate.tables.row_schema import TableSchema
from sluicegate.tables.table_digest import TableDigest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from sluicegate.tables.table_digest import TableCommitment


def commit_batches(
    batches: Iterable[pa.RecordBatch],
    *,
    locator: str,
    observe: Callable[[pa.RecordBatch, NDArray[Any]], None] | None = None,
) -> TableCommitment:
    """Commit to the rows of a stream.

    Args:
        batches: At least one, which may be empty; all have the same columns.
        locator: Name of the source for errors.
        observe: Called with each chunk and the ids of its rows, uint8, shape (n_rows, 32), so
            that the caller can look at the rows in the same pass.

    Raises:
        SchemaMismatch: A type has no encoding, or batches differ in their columns.
        InsufficientData: There is no batch, so not even columns.

    Cost: 0.7 microseconds of CPU for each row of 8 mixed columns, shared by the cores; 64 MiB of
    memory, and 32 bytes of disk for each row.
    """
    stream = iter(batches)
    first = next(stream, None)
    if first is None:
        raise InsufficientData("no columns to commit to", locator=locator)
    schema = TableSchema.of(first.schema)
    made = TableDigest(schema, spill=tempfile.TemporaryFile)
    checked = _checked(first, stream, schema, locator)
    with closing(stream_row_ids(checked, schema, workers=_n_workers())) as chunks:
        for chunk, ids in chunks:
            made.update(ids)
            if observe is not None:
                observe(chunk, ids)
    return made.commitment()


def commit_spark(frame: Any) -> TableCommitment:
    """Commit to the rows of a Spark DataFrame: ids on the executors, merged on the driver.

    Args:
        frame: pyspark.sql.DataFrame. Its executors need pyarrow and this package.

    Raises:
        SchemaMismatch: A type has no encoding.

    Cost: 32 bytes for each row travel to the driver, one partition at a time.
    """
    from pyspark.sql.pandas.types import to_arrow_schema

    # TIMESTAMP holds instants; the session's time zone only names them, so any zone will do.
    schema = TableSchema.of(to_arrow_schema(frame.schema, timezone="UTC"))
    made = TableDigest(schema, spill=tempfile.TemporaryFile)
    for row in frame.mapInArrow(_partials, "part binary").toLocalIterator():
        made.merge(TableDigest.from_bytes(bytes(row.part), locator="Spark partition"))
    return made.commitment()


def _n_workers() -> int:
    """Return the usable cores, at most 8: with more, the one process that encodes is slower."""
    return min(8, len(os.sched_getaffinity(0))) if sys.platform == "linux" else 1


def _partials(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        schema = TableSchema.of(batch.schema)
        part = TableDigest(schema).update(row_ids(batch, schema)).to_bytes()
        yield pa.RecordBatch.from_pydict({"part": pa.array([part], pa.binary())})


def _checked(
    first: pa.RecordBatch, rest: Iterator[pa.RecordBatch], schema: TableSchema, locator: str
) -> Iterator[pa.RecordBatch]:
    """Yield all batches; compare the schema only where Arrow says that it changed."""
    yield first
    arrow = first.schema
    for batch in rest:
        if not batch.schema.equals(arrow):
            schema.require_same(TableSchema.of(batch.schema), locator=locator)
            arrow = batch.schema
        yield batch

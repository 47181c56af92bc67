"""Rows of a Great Expectations batch as Arrow, streamed from whichever engine holds them.

The signals judge rows, and the same rows must give the same records on every engine, so all
engines feed the one core instead of each computing its own statistics. Memory is bounded by
the reader: 65,536 rows of a frame, 16 MB of PostgreSQL, one partition of Spark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_IPC = "ipc"


def frame_batches(frame: Any) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a pandas DataFrame; columns with Arrow types keep them.

    Args:
        frame: The batch; its index is ignored.
    """
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    yield from table.to_batches()


def sql_batches(url: Any, selectable: Any) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a SQL batch, from one read-only repeatable-read transaction.

    Args:
        url: sqlalchemy.URL of a PostgreSQL database. Rows are read over a connection of
            their own, so temporary tables of the caller's session are not seen.
        selectable: What Great Expectations would select from.

    Raises:
        ConfigError: Another database than PostgreSQL.
        SluicegateError: As `postgres_batches`.
    """
    import sqlalchemy as sa
    from sqlalchemy.dialects import postgresql

    from sluicegate.adapters.engines.table import postgres_batches

    if url.get_backend_name() != "postgresql":
        raise ConfigError(
            "SQL batches are read from PostgreSQL only",
            got=url.get_backend_name(),
            next_step="Deliver the batch as a file, or as a pandas or Spark data frame.",
        )
    if isinstance(selectable, sa.Select):
        selectable = selectable.subquery()
    query = sa.select(sa.text("*")).select_from(selectable)
    # Named parameters: the driver's own style would double each percent sign of the query.
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    text = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    yield from postgres_batches(
        url.set(drivername="postgresql").render_as_string(hide_password=False), str(text)
    )


def spark_batches(frame: Any) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Spark DataFrame, partition by partition.

    Args:
        frame: pyspark.sql.DataFrame. Executors need pyarrow, not this package.

    Cost:
        Driver memory for one partition.
    """
    import pyarrow as pa

    # A function inside a function travels by value, so executors need not import this module.
    def serialise(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for batch in batches:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            whole = pa.array([sink.getvalue().to_pybytes()], pa.binary())
            yield pa.RecordBatch.from_arrays([whole], ["ipc"])

    for row in frame.mapInArrow(serialise, f"{_IPC} binary").toLocalIterator():
        with pa.ipc.open_stream(bytes(row[_IPC])) as reader:
            yield from reader

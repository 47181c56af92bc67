"""The profile of rows that stay where they are: Spark, DuckDB or PostgreSQL counts them.

Profiles are integer counts against fixed cells, so each engine gives the same bytes. Spark counts
partitions and merges them. The SQL engines count in one statement what SQL can count exactly:
integers, floats, booleans, strings and missing values. If any other column has cells (decimals,
embeddings, float classes), the table is streamed and counted here: exact too, only slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sluicegate.adapters.engines.profile_sql import Plan, plan
from sluicegate.adapters.engines.table import duckdb_batches, postgres_batches
from sluicegate.profiling.counts import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.profiling.layout import Layout


def spark_profile(frame: Any, layout: Layout) -> Profile:
    """Count a Spark DataFrame on its executors.

    Args:
        frame: pyspark.sql.DataFrame. Executors need pyarrow and this package.
        layout: Fixed cells of the baseline.

    Cost:
        One pass on the executors; the driver receives some kilobytes for each partition.
    """

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        data = Profile.of(layout, batches).to_bytes()
        yield pa.RecordBatch.from_arrays([pa.array([data], pa.binary())], ["profile"])

    merged = Profile.empty(layout)
    for row in frame.mapInArrow(count, "profile binary").toLocalIterator():
        merged = merged.merge(Profile.from_bytes(bytes(row["profile"]), layout))
    return merged


def duckdb_profile(relation: Any, layout: Layout) -> Profile:
    """Count a DuckDB relation by SQL; string columns must not have a collation.

    Args:
        relation: duckdb.DuckDBPyRelation.
        layout: Fixed cells of the baseline.

    Raises:
        SchemaMismatch: As `duckdb_batches`.
    """
    schema = next(duckdb_batches(relation.limit(0))).schema
    found = plan(layout, schema, "rows")
    if found is None:
        return Profile.of(layout, duckdb_batches(relation))
    return found.profile(relation.query("rows", found.sql).fetchall())


def postgres_profile(url: str, query: str, layout: Layout) -> Profile:
    """Count the rows of a query inside PostgreSQL.

    Args:
        url: ``postgresql://user@host:port/database``.
        query: One SELECT, without a semicolon at its end.
        layout: Fixed cells of the baseline.

    Raises:
        SchemaMismatch: As `postgres_batches`.
        UnreadableData: The server or the query failed.
        ConfigError: The driver is not installed.
    """
    none = f"SELECT * FROM ({query}) AS q LIMIT 0"  # noqa: S608 - the caller's own query
    schema = next(postgres_batches(url, none)).schema
    found = plan(layout, schema, f"({query}) AS q", collation='COLLATE "C"')
    if found is None or _padded(url, query, schema):
        return Profile.of(layout, postgres_batches(url, query))
    return found.profile(_tuples(url, found))


def _tuples(url: str, found: Plan) -> Iterator[tuple[Any, ...]]:
    for batch in postgres_batches(url, found.sql):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _padded(url: str, query: str, schema: pa.Schema) -> bool:
    """Return whether a column is CHAR(n): SQL compares it without the blanks that rows carry."""
    names = [f.name.replace('"', '""') for f in schema if pa.types.is_string(f.type)]
    if not names:
        return False
    types = ", ".join(f'CAST(pg_typeof("{name}") AS text)' for name in names)
    ask = f"SELECT {types} FROM ({query}) AS q LIMIT 1"  # noqa: S608 - the caller's own query
    found = [c.to_pylist() for batch in postgres_batches(url, ask) for c in batch.columns]
    return any("character" in values for values in found)


__all__ = ["duckdb_profile", "postgres_profile", "spark_profile"]

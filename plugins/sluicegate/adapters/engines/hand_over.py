"""Hand verified rows to the engine that training uses, without a further copy where possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa


def convert(table: pa.Table, kind: str, session: Any = None) -> Any:
    """Return a table in the form an engine reads.

    Args:
        table: Verified rows.
        kind: ``pandas``, ``arrow``, ``polars``, ``duckdb`` or ``spark``.
        session: SparkSession, which Spark needs, or a DuckDB connection, for which None makes
            one. Other kinds ignore it.

    Returns:
        DataFrame, Arrow table, Polars frame, DuckDB relation or Spark DataFrame.

    Raises:
        ConfigError: The kind is unknown, the engine is not installed, or Spark has no session.
    """
    try:
        return _CONVERTERS[kind](table, session)
    except KeyError:
        raise ConfigError(
            "unknown kind of table", expected=", ".join(_CONVERTERS), got=repr(kind)[:40]
        ) from None
    except ImportError as error:
        raise ConfigError(
            "the engine is not installed",
            locator=kind,
            next_step=f"pip install 'sluicegate[{kind}]'.",
        ) from error


def _pandas(table: pa.Table, _session: Any) -> Any:
    return table.to_pandas()


def _arrow(table: pa.Table, _session: Any) -> Any:
    return table


def _polars(table: pa.Table, _session: Any) -> Any:
    import polars as pl

    return pl.from_arrow(table)


def _duckdb(table: pa.Table, session: Any) -> Any:
    import duckdb

    return (session or duckdb.connect()).from_arrow(table)


def _spark(table: pa.Table, session: Any) -> Any:
    if session is None:
        raise ConfigError("Spark needs its session", next_step="Pass session=spark.")
    # The rows go through the driver's memory: executors that read the files themselves would
    # read bytes that nobody has compared.
    from pyspark import __version__
    from pyspark.sql.pandas.types import from_arrow_schema

    # Without this, Spark would shift a local time as if it were in the session's zone.
    schema = from_arrow_schema(table.schema, prefer_timestamp_ntz=True)
    rows = table if int(__version__.partition(".")[0]) >= 4 else table.to_pandas()
    return session.createDataFrame(rows, schema=schema)


_CONVERTERS = {
    "pandas": _pandas,
    "arrow": _arrow,
    "polars": _polars,
    "duckdb": _duckdb,
    "spark": _spark,
}

"""Rows of a SQL table or query, all from one read-only view of the database.

Two statements outside one transaction can see two states of a table. A digest of rows that never
existed together would prove nothing. PostgreSQL reads in a repeatable-read transaction; SQLite and
DuckDB read in a snapshot, through a connection that cannot write.
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import pyarrow as pa

from sluicegate.errors import ConfigError, SchemaMismatch, SluicegateError, UnreadableData

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

BATCH_ROWS: Final = 65_536
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,2}")
# SQLite keeps any value in any column. The values of these declared types can be checked. DATE,
# DECIMAL and others hold text or floats under another name, so they are refused.
_SQLITE_TYPES: Final = {
    "INTEGER": (pa.int64(), int), "INT": (pa.int64(), int), "BIGINT": (pa.int64(), int),
    "REAL": (pa.float64(), float), "DOUBLE": (pa.float64(), float),
    "TEXT": (pa.string(), str), "VARCHAR": (pa.string(), str), "BLOB": (pa.binary(), bytes),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SqlRows:
    """A table or one SELECT.

    Attributes:
        url: ``postgresql://...``, ``sqlite:///path`` or ``duckdb:///path``; may hold a password.
        query: One SELECT, or the name of a table or view.
    """

    url: str
    query: str

    @property
    def location(self) -> str:
        """Place and query, from which `open_rows` opens the rows again."""
        return f"{self.place}#{self.query}"

    @property
    def place(self) -> str:
        """URL without user, password and options; a file's path is absolute, links followed."""
        parts = urlsplit(self.url)
        if parts.scheme in {"sqlite", "duckdb"}:
            return f"{parts.scheme}:///{Path(parts.path.removeprefix('/')).resolve()}"
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()

    @property
    def select(self) -> str:
        """The query; a bare name becomes a SELECT of the whole table."""
        if _IDENTIFIER.fullmatch(self.query.strip()):
            name = ".".join(f'"{part}"' for part in self.query.strip().split("."))
            return f"SELECT * FROM {name}"  # noqa: S608 - only letters, digits and _ pass
        return self.query

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows.

        Raises:
            SchemaMismatch: A column type, or in SQLite a value, cannot be carried over exactly.
            UnreadableData: The database or table is missing, or the query failed.
            ConfigError: The kind of database is unknown, or its driver is not installed.
        """
        scheme = urlsplit(self.url).scheme
        if scheme in {"postgresql", "postgres"}:
            from sluicegate.adapters.engines.table import postgres_batches

            yield from postgres_batches(self.url, self.select)
        elif scheme == "sqlite":
            yield from self._sqlite()
        elif scheme == "duckdb":
            yield from self._duckdb()
        else:
            raise ConfigError(
                "no such database", locator=self.place, expected="postgresql, sqlite or duckdb"
            )

    def _path(self) -> str:
        path = Path(urlsplit(self.url).path)
        # SQLAlchemy's spelling: sqlite:///relative and sqlite:////absolute.
        name = str(path).removeprefix("/")
        if not Path(name).is_file():
            raise UnreadableData("no such database file", locator=self.place)
        return name

    def _sqlite(self) -> Iterator[pa.RecordBatch]:
        import sqlite3

        path = self._path()
        uri = f"file:{quote(path)}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
                connection.execute("BEGIN")
                # A view takes one SELECT and nothing else, and its columns keep their types.
                connection.execute(f"CREATE TEMP VIEW sluicegate_rows AS {self.select}")
                yield from self._sqlite_rows(connection)
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def _sqlite_rows(self, connection: sqlite3.Connection) -> Iterator[pa.RecordBatch]:
        info = connection.execute("PRAGMA temp.table_info(sluicegate_rows)").fetchall()
        columns = [(str(row[1]), self._sqlite_type(str(row[1]), str(row[2]))) for row in info]
        schema = pa.schema([(name, kind) for name, (kind, _) in columns])
        yield pa.RecordBatch.from_pylist([], schema=schema)
        cursor = connection.execute("SELECT * FROM temp.sluicegate_rows")
        n_rows = 0
        while rows := cursor.fetchmany(BATCH_ROWS):
            arrays = []
            for values, (name, (kind, python)) in zip(
                zip(*rows, strict=True), columns, strict=True
            ):
                self._require_type(values, name, python, n_rows)
                arrays.append(pa.array(values, kind))
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            n_rows += len(rows)

    def _sqlite_type(self, name: str, declared: str) -> tuple[pa.DataType, type]:
        kind = _SQLITE_TYPES.get(declared.upper().partition("(")[0].strip())
        if kind is None:
            raise SchemaMismatch(
                "column type cannot be carried over exactly",
                locator=f"{self.place} column {name!a}",
                expected=", ".join(sorted(_SQLITE_TYPES)),
                got=declared or "an expression without a type",
                next_step="Cast it in the query: CAST(x AS TEXT) AS x.",
            )
        return kind

    def _require_type(self, values: tuple[Any, ...], name: str, kind: type, first: int) -> None:
        if set(map(type, values)) <= {kind, type(None)}:
            return
        row = next(i for i, v in enumerate(values) if v is not None and type(v) is not kind)
        raise SchemaMismatch(
            "SQLite holds a value of another type than its column's",
            locator=f"{self.place} row {first + row + 1}, column {name!a}",
            expected=kind.__name__,
            got=type(values[row]).__name__,
        )

    def _duckdb(self) -> Iterator[pa.RecordBatch]:
        from sluicegate.adapters.engines.table import duckdb_batches

        path = self._path()
        try:
            import duckdb
        except ImportError as error:
            raise ConfigError(
                "DuckDB is not installed", next_step="pip install 'sluicegate[duckdb]'."
            ) from error
        try:
            with closing(duckdb.connect(path, read_only=True)) as connection:
                connection.execute("SET enable_external_access = false")
                connection.execute("BEGIN TRANSACTION")
                yield from duckdb_batches(connection.sql(self.select))
        except SluicegateError:
            raise
        except duckdb.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> UnreadableData:
        # A database's own text may quote values of the query.
        return UnreadableData(
            "the database did not answer the query", locator=self.place, got=type(error).__name__
        )

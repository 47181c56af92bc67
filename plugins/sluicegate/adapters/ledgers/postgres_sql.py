"""A PostgreSQL ledger's reads and writes, in as few round trips as there are questions.

The driver needs three round trips for a statement with parameters and one for a statement
without. So values travel inside the statement, as hexadecimal and integers that are made here.
"""

# ruff: noqa: S608 - only hexadecimal, integers and quoted identifiers made here are put into SQL

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from sluicegate.adapters.ledgers import postgres_scan as ledger_postgres_scan
from sluicegate.adapters.ledgers.postgres_errors import message, sqlstate
from sluicegate.adapters.ledgers.postgres_schema import foreign_objects
from sluicegate.adapters.ledgers.sql import SqlSnapshot, SqlTransaction, chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Column, Connection, Select, Table

    from sluicegate.ledger.scan import Row


class PostgresSnapshot(SqlSnapshot):
    """A snapshot that can also check PostgreSQL's own structures."""

    def hash_run(self, first: int, count: int) -> bytes:
        """Return inner-node hashes that stand side by side."""
        joined = ledger_postgres_scan.hash_run(self._connection, first, count)
        return super().hash_run(first, count) if joined is None else joined

    def _where_in(
        self, wanted: Select[Any], column: Column[Any], values: Sequence[object]
    ) -> Iterator[Any]:
        """Read in one round trip instead of three."""
        text = _text(wanted)
        for part in chunks(values):
            named = ", ".join(map(_literal, part))
            place = f"{column.table.name}.{column.name}"
            yield from self._connection.exec_driver_sql(f"{text} WHERE {place} IN ({named})")

    def _rows(self, start: int, count: int) -> Iterable[Row]:
        return ledger_postgres_scan.rows(self._connection, start, count)

    def damage(self, *, thorough: bool = True) -> Sequence[str]:
        """Name foreign objects, and let amcheck compare indexes with rows where it is there."""
        found = list(foreign_objects(self._connection))
        return found + self._amcheck() if thorough else found

    def _amcheck(self) -> list[str]:
        # The extension needs a superuser to install; without it an index that was damaged
        # page by page is not found here (docs/ledger-operations.md).
        installed = "SELECT nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace"
        place = self._connection.exec_driver_sql(
            f"{installed} WHERE extname = 'amcheck' AND has_schema_privilege(nspname, 'USAGE')"
        ).scalar()
        if place is None:
            return []
        quoted = self._connection.dialect.identifier_preparer.quote_identifier(str(place))
        checks = (
            f"SELECT {quoted}.bt_index_check(i.indexrelid, true) FROM pg_index i "
            "JOIN pg_class c ON c.oid = i.indexrelid "
            "WHERE c.relnamespace = current_schema()::regnamespace"
        )
        try:
            with self._connection.begin_nested():
                self._connection.exec_driver_sql(checks).all()
        except DBAPIError as error:
            return [] if sqlstate(error) == "42501" else [message(error)]
        return []


class PostgresTransaction(SqlTransaction, PostgresSnapshot):
    """The write transaction; begins when it is made, and is committed by `commit`.

    Args:
        connection: In autocommit mode and outside a transaction: the driver's own COMMIT takes
            three round trips, and its BEGIN one.
        locator: URL without secrets, for messages.
    """

    def __init__(self, connection: Connection, locator: str) -> None:
        super().__init__(connection, locator)
        # The row lock is what orders writers, leaders of a group or not. What it locks is the
        # newest head, whoever was waited for.
        locked = connection.exec_driver_sql("BEGIN; SELECT note FROM checkpoint FOR UPDATE")
        self._notes: Sequence[object] = locked.scalars().all()

    def commit(self) -> None:
        """Make everything durable; without this it is undone when the connection is let go."""
        self._connection.exec_driver_sql("COMMIT")

    def _heads(self) -> Sequence[object]:
        return self._notes

    def _swap(self, old: bytes, new: bytes) -> int:
        swap = f"SET note = {_literal(new)} WHERE id = 1 AND note = {_literal(old)}"
        swapped = self._connection.exec_driver_sql(f"UPDATE checkpoint {swap}").rowcount
        self._notes = [new]  # or the transaction ends here
        return swapped

    def _insert(self, tables: Sequence[tuple[Table, Sequence[Mapping[str, Any]]]]) -> None:
        """Insert all rows of all tables in one round trip."""
        inserts = [_inserted(table.name, rows) for table, rows in tables if rows]
        self._connection.exec_driver_sql("; ".join(inserts))


def _inserted(table: str, rows: Sequence[Mapping[str, Any]]) -> str:
    values = ", ".join(f"({', '.join(map(_literal, row.values()))})" for row in rows)
    return f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES {values}"


@cache
def _text(wanted: Select[Any]) -> str:
    """SQL of a statement without parameters; asked for the few that `ledger_sql` has."""
    return str(wanted.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]


def _literal(value: object) -> str:
    """SQL for a value; bytes and text travel as hexadecimal, so nothing needs escaping."""
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if isinstance(value, str):
        return f"convert_from('\\x{value.encode().hex()}', 'UTF8')"
    if isinstance(value, int):
        return str(int(value))
    raise TypeError(type(value))

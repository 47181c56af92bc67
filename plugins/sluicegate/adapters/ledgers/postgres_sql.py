"""A PostgreSQL ledger's reads and writes, with one round trip for each question.

The driver needs three round trips for a statement with parameters and one for a statement
without. So values travel inside the statement, as hexadecimal and integers that are made here.
"""

# ruff: noqa: S608 - SQL gets only hexadecimal, integers and quoted identifiers, all made here

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from sluicegate.adapters.ledgers import postgres_scan as ledger_postgres_scan
from sluicegate.adapters.ledgers.postgres_errors import message, sqlstate
from sluicegate.adapters.ledgers.postgres_schema import foreign_objects
from sluicegate.adapters.ledgers.sql import SqlSnapshot, SqlTransaction, chunks, pack_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Column, Connection, Select, Table

    from sluicegate.ledger.entry import Entry
    from sluicegate.ledger.scan import Row
    from sluicegate.ledger.store import Query

_EACH: Final = """
SELECT asked.n, found.idx, asked.kind, asked.source, found.subject, found.envelope
  FROM (VALUES {asked}) AS asked(n, kind, source, subject)
 CROSS JOIN LATERAL (
       SELECT leaf.idx, leaf.subject, leaf.envelope FROM leaf
        WHERE leaf.stream = (SELECT id FROM stream
                              WHERE stream.source = asked.source AND stream.kind = asked.kind)
          AND (asked.subject IS NULL OR leaf.subject = asked.subject)
        ORDER BY leaf.idx DESC LIMIT {limit}) AS found
 ORDER BY asked.n, found.idx DESC
"""

_PARAMETER: Final = re.compile(r"(?<!:):(\w+)")


class PostgresSnapshot(SqlSnapshot):
    """A snapshot that can also check PostgreSQL's own structures."""

    def hash_run(self, first: int, count: int) -> bytes:
        """Return inner-node hashes that stand side by side."""
        joined = ledger_postgres_scan.hash_run(self._connection, first, count)
        return super().hash_run(first, count) if joined is None else joined

    def find_each(self, queries: Sequence[Query], limit: int) -> list[list[tuple[int, Entry]]]:
        """Return the newest leaves that match each query, all in one round trip."""
        found: list[list[tuple[int, Entry]]] = [[] for _ in queries]
        for part in chunks(range(len(queries))):
            for number, *row in self._connection.exec_driver_sql(
                _EACH.format(asked=", ".join(_asked(n, queries[n]) for n in part), limit=int(limit))
            ):
                found[number].append((row[0], self._entry(row)))
        return found

    def _read(self, wanted: Select[Any], values: Mapping[str, Any]) -> Iterable[Any]:
        """Read in one round trip instead of three."""
        literals = {name: _literal(value) for name, value in values.items()}
        text = _PARAMETER.sub(lambda found: literals[found[1]], _text(wanted))
        return self._connection.exec_driver_sql(text)

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
        """Name foreign objects; where amcheck is installed, let it compare indexes with rows."""
        found = list(foreign_objects(self._connection))
        return found + self._amcheck() if thorough else found

    def _amcheck(self) -> list[str]:
        # Only a superuser can install the extension. Without it, an index that was edited
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
    """The write transaction; making it begins it, and `commit` commits it.

    Args:
        connection: In autocommit mode and outside a transaction. The driver's own COMMIT would
            take three round trips, and its BEGIN one.
        locator: URL without secrets, for messages.
    """

    def __init__(self, connection: Connection, locator: str) -> None:
        super().__init__(connection, locator)
        # This row lock orders all writers, whether they lead a group or not. After the wait,
        # the row is the newest head.
        locked = connection.exec_driver_sql("BEGIN; SELECT note FROM checkpoint FOR UPDATE")
        self._notes: Sequence[object] = locked.scalars().all()

    def commit(self) -> None:
        """Make everything durable; without this, the end of the connection undoes it."""
        self._connection.exec_driver_sql("COMMIT")

    def _heads(self) -> Sequence[object]:
        return self._notes

    def _swap(self, old: bytes, new: bytes) -> int:
        swap = f"SET note = {_literal(new)} WHERE id = 1 AND note = {_literal(old)}"
        swapped = self._connection.exec_driver_sql(f"UPDATE checkpoint {swap}").rowcount
        self._notes = [new]  # or the transaction ends here
        return swapped

    def complete(self, note: bytes) -> None:
        """Give a copy its checkpoint."""
        super().complete(note)
        self._notes = [note]

    def _insert(self, tables: Sequence[tuple[Table, Sequence[Mapping[str, Any]]]]) -> None:
        """Insert all rows of all tables in one round trip."""
        inserts = [_inserted(table.name, rows) for table, rows in tables if rows]
        self._connection.exec_driver_sql("; ".join(inserts))


def _inserted(table: str, rows: Sequence[Mapping[str, Any]]) -> str:
    values = ", ".join(f"({', '.join(map(_literal, row.values()))})" for row in rows)
    return f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES {values}"


@cache
def _text(wanted: Select[Any]) -> str:
    """Return the SQL of a statement without parameters; sql.py has only a few, so all are kept."""
    return str(wanted.compile(dialect=postgresql.dialect(paramstyle="named")))  # type: ignore[no-untyped-call]


def _asked(number: int, query: Query) -> str:
    subject = "NULL::bytea" if query.subject is None else _literal(pack_digest(query.subject))
    names = f"{_literal(str(query.kind))}, {_literal(query.source)}"
    return f"({int(number)}, {names}, {subject})"


def _literal(value: object) -> str:
    """Return a value as SQL; bytes and text become hexadecimal, so nothing needs escaping."""
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if isinstance(value, str):
        return f"convert_from('\\x{value.encode().hex()}', 'UTF8')"
    if isinstance(value, int):
        return str(int(value))
    raise TypeError(type(value))

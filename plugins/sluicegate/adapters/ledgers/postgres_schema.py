"""Tables of a PostgreSQL ledger, made and changed in numbered steps.

Each step is applied once, in its own transaction, and recorded in the table `migration`. Opening
a ledger never changes its tables: `sluicegate ledger init` makes them, and
`sluicegate ledger migrate` brings older ones up to date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData, Table, select, text

from sluicegate.adapters.ledgers.tables import LedgerBytes, create_tables, metadata
from sluicegate.errors import ConfigError, EvidenceMissing, LedgerCorrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

_own: Final = MetaData()

migration: Final = Table(
    "migration", _own, Column("version", Integer, primary_key=True, autoincrement=False)
)

# Tickets and replies of waiting writers. They are unlogged, so that writing them costs no
# write-ahead log. A crash of the server empties them, but nothing in them was acknowledged.
inbox: Final = Table(
    "inbox",
    _own,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("ticket", LedgerBytes, nullable=False),
    prefixes=["UNLOGGED"],
)
outbox: Final = Table(
    "outbox",
    _own,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("reply", LedgerBytes, nullable=False),
    prefixes=["UNLOGGED"],
)

# All rows of both tables change every few milliseconds. PostgreSQL's default waits for a share
# of dead rows, which would be most of the table.
_VACUUM: Final = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000"


def _add_group_commit(connection: Connection) -> None:
    for table in (inbox, outbox):
        table.create(connection)
        connection.execute(text(f"ALTER TABLE {table.name} SET ({_VACUUM})"))


STEPS: Final[Mapping[int, Callable[[Connection], None]]] = {2: _add_group_commit}
"""The step for version n changes version n - 1 into it; version 1 is the common layout."""

CURRENT: Final = max(STEPS)
"""Version that this program reads and writes."""


def create_schema(connection: Connection, schema: str, origin: str, note: bytes | None) -> None:
    """Make an empty ledger unless there is one.

    Args:
        connection: Inside a transaction that no other creation overlaps.
        schema: Name of the PostgreSQL schema, the first of the search path.
        origin: Name of the ledger.
        note: Signed checkpoint of no leaves; None for a copy, which gets its checkpoint last.
    """
    quoted = connection.dialect.identifier_preparer.quote_identifier(schema)
    if not _has_schema(connection, schema):
        connection.execute(text(f"CREATE SCHEMA {quoted}"))
    if _exists(connection, "meta"):
        return
    create_tables(connection, origin, note)
    migration.create(connection)
    connection.execute(migration.insert(), {"version": 1})
    migrate(connection, "")


def migrate(connection: Connection, locator: str) -> list[int]:
    """Apply the steps that are missing.

    Args:
        connection: Inside a transaction that no other migration overlaps.
        locator: URL without secrets, for messages.

    Returns:
        Versions that were applied, in order.

    Raises:
        ConfigError: The ledger is newer than this program.
        LedgerCorrupt: The tables do not say which version they have.
    """
    present = _version(connection, locator)
    applied = [version for version in sorted(STEPS) if version > present]
    for version in applied:
        STEPS[version](connection)
        connection.execute(migration.insert(), {"version": version})
    return applied


def require_current(connection: Connection, locator: str) -> None:
    """Check that the tables are the ones this program knows.

    Args:
        connection: Inside a transaction.
        locator: URL without secrets, for messages.

    Raises:
        EvidenceMissing: There is no ledger.
        ConfigError: The tables are older or newer.
        LedgerCorrupt: They do not say which version they have.
    """
    if not _exists(connection, "meta"):
        raise EvidenceMissing(
            "there is no ledger here",
            locator=locator,
            next_step="Restore it from its backup, or start one: sluicegate ledger init.",
        )
    version = _version(connection, locator)
    if version < CURRENT:
        raise ConfigError(
            "the ledger's tables are of an older version",
            locator=locator,
            expected=f"version {CURRENT}",
            got=str(version),
            next_step="Run: sluicegate ledger migrate.",
        )


def foreign_objects(connection: Connection) -> Sequence[str]:
    """Name objects that a ledger's schema should not have, and those that it lacks.

    A trigger or rule could change what an append writes or a lookup sees. A row policy could hide
    rows from one account. None of them changes a row that is hashed, so no proof finds them.
    """
    rows = connection.execute(text(_OBJECTS)).all()
    present = {(str(kind), str(name)) for kind, name in rows}
    problems = [f"unknown {kind} {name}" for kind, name in sorted(present - _objects())]
    return problems + [f"no {kind} {name}" for kind, name in sorted(_objects() - present)]


_OBJECTS: Final = """
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'i' THEN 'index' WHEN 'v' THEN 'view'
       WHEN 'S' THEN 'sequence' ELSE 'relation' END, c.relname
  FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
   AND NOT (c.relkind = 'i' AND EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid))
   AND NOT (c.relkind = 'S' AND EXISTS (
       SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i'))
UNION ALL SELECT 'function', p.proname FROM pg_proc p
 WHERE p.pronamespace = current_schema()::regnamespace
UNION ALL SELECT 'trigger', t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal
UNION ALL SELECT 'rule', r.rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind <> 'v'
UNION ALL SELECT 'row security of table', c.relname FROM pg_class c
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relrowsecurity
UNION ALL SELECT 'invalid index', c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relnamespace = current_schema()::regnamespace AND NOT i.indisvalid
"""


def _objects() -> set[tuple[str, str]]:
    tables = [*metadata.tables.values(), *_own.tables.values()]
    indexes = {("index", str(index.name)) for table in tables for index in table.indexes}
    return indexes | {("table", table.name) for table in tables}


def _version(connection: Connection, locator: str) -> int:
    versions = (
        sorted(connection.execute(select(migration.c.version)).scalars())
        if _exists(connection, "migration")
        else []
    )
    if not versions or versions != list(range(1, len(versions) + 1)):
        raise LedgerCorrupt(
            "the ledger does not say which version its tables have",
            locator=locator,
            got=str(versions)[:60],
        )
    if versions[-1] > CURRENT:
        raise ConfigError(
            "the ledger's tables are of a newer version",
            locator=locator,
            expected=f"version {CURRENT}",
            got=str(versions[-1]),
            next_step="Use the version of sluicegate that migrated it.",
        )
    return int(versions[-1])


def _exists(connection: Connection, table: str) -> bool:
    # Looks only in the ledger's own schema: to_regclass alone would find a system catalogue too.
    found = text(
        "SELECT to_regclass(quote_ident(current_schema()) || '.' || quote_ident(:t)) IS NOT NULL"
    )
    return bool(connection.execute(found, {"t": table}).scalar())


def _has_schema(connection: Connection, schema: str) -> bool:
    found = text("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = :name)")
    return bool(connection.execute(found, {"name": schema}).scalar_one())

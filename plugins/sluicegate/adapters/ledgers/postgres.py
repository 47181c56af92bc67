"""The ledger for many writers on many hosts: PostgreSQL, one commit for all who wait.

An append returns after the server has flushed the commit (synchronous_commit). A row lock on the
head orders the writers. Concurrent appends meet in a group commit (ledger/group.py) under an
advisory lock: the first writer appends for all that handed in a ticket meanwhile. The others find
their reply in the same round trip in which they get the lock. A writer that dies loses the lock
with its connection, and the next one does the work.
"""

# ruff: noqa: S608 - SQL gets only hexadecimal, integers and quoted identifiers, all made here

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError

from sluicegate.adapters.engines.sql import quiet_engine
from sluicegate.adapters.ledgers.postgres_address import Address
from sluicegate.adapters.ledgers.postgres_errors import TROUBLE, sqlstate, translated
from sluicegate.adapters.ledgers.postgres_schema import (
    create_schema,
    migrate,
    require_current,
)
from sluicegate.adapters.ledgers.postgres_sql import PostgresSnapshot, PostgresTransaction
from sluicegate.adapters.ledgers.tables import read_origin
from sluicegate.errors import ConfigError, LedgerError
from sluicegate.ledger.checkpoint import empty_checkpoint
from sluicegate.ledger.keys import (
    PemKey,
    PemSigner,
    default_origin,
    named_signer,
    raw_public_key,
    verifier_of,
)
from sluicegate.ledger.log import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from sluicegate.ledger.note import NoteSigner
    from sluicegate.ledger.store import Transaction

LOCK_TIMEOUT_MS: Final = 30_000
"""How long to wait for others, in milliseconds; one append takes a few of them."""

GROUP_TICKETS: Final = 500
"""Most tickets that one commit answers."""

GROUP_BYTES: Final = 16 << 20
"""Most bytes of tickets that one commit answers, so that nobody waits for many megabytes."""

_IDLE_S: Final = 30.0  # a connection unused for longer is asked whether it still lives
_REPLIES_KEPT: Final = 100_000  # a reply that nobody fetched is dropped after as many tickets

_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresStore:
    """A ledger's tables in one PostgreSQL schema; meets ledger.store.GroupStore.

    Args:
        address: Where the ledger is.
        patience_ms: How long to wait for others that lock it; `LOCK_TIMEOUT_MS` when None.
    """

    def __init__(self, address: Address, patience_ms: int | None = None) -> None:
        self._address = address
        self._engine = _engine(address, patience_ms)
        # Each schema needs its own lock; the server keeps advisory locks of databases apart.
        name = hashlib.sha256(f"sluicegate ledger {address.schema}".encode()).digest()
        self._lock = int.from_bytes(name[:8], "big", signed=True)

    @property
    def locator(self) -> str:
        """The URL without its password."""
        return self._address.locator

    @contextmanager
    def reading(self) -> Iterator[PostgresSnapshot]:
        """Open a snapshot; concurrent appends do not change what it sees."""
        with self._connected() as connection, _autocommit(connection):
            # One statement each to begin and end: the driver's own take three round trips.
            connection.exec_driver_sql(_READ)
            yield PostgresSnapshot(connection, self.locator)
            connection.exec_driver_sql("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[PostgresTransaction]:
        """Open the one write transaction; others wait until it ends."""
        with self._connected() as connection, self._growing(connection) as transaction:
            yield transaction

    def exchange(
        self, ticket: bytes, lead: Callable[[Transaction, Sequence[bytes]], Sequence[bytes]]
    ) -> bytes:
        """Hand in a ticket, then wait for its reply or answer all that wait."""
        with self._connected() as connection:
            number, reply = self._wait(connection, ticket)
            if reply is not None:
                return reply
            try:
                with self._growing(connection) as transaction:
                    return self._lead(connection, number, ticket, transaction, lead)
            finally:
                self._unlock(connection, number)

    def origin(self, expected: str | None = None) -> str:
        """Return the name that the tables give their ledger.

        Args:
            expected: The name it must have; None for any.

        Raises:
            EvidenceMissing: There is no ledger.
            LedgerCorrupt: The tables are not a ledger's.
            ConfigError: They have another version, or hold another ledger than the expected one.
        """
        with self._connected() as connection, connection.begin():
            require_current(connection, self.locator)
            name = read_origin(connection, self.locator)
        if expected not in (None, name):
            what = "the schema holds another ledger"
            raise ConfigError(what, locator=self.locator, expected=str(expected), got=name[:60])
        return name

    def create(self, origin: str, note: bytes | None) -> None:
        """Make the tables of an empty ledger unless there are some.

        Args:
            origin: Name of the ledger.
            note: Signed checkpoint of no leaves; None for a copy, which gets its checkpoint last.
        """
        with self._changing_tables() as connection:
            create_schema(connection, self._address.schema, origin, note)

    def migrate(self) -> list[int]:
        """Bring the tables up to date and return the versions that were applied, in order.

        Raises:
            ConfigError: The ledger is newer than this program.
        """
        with self._changing_tables() as connection:
            return migrate(connection, self.locator)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _wait(self, connection: Connection, ticket: bytes) -> tuple[int, bytes | None]:
        """Queue a ticket, then wait for the lock; return with a reply, or holding the lock.

        The statements have no parameters, for the reason that postgres_sql.py gives.
        """
        with _autocommit(connection):
            queued = f"INSERT INTO inbox (ticket) VALUES ('\\x{ticket.hex()}') RETURNING id"
            number = int(connection.exec_driver_sql(queued).scalar_one())
            # Each statement sees what was committed before it began, so the second one sees
            # the replies of the process that held the lock. It lets go at once if it finds one.
            rows = connection.exec_driver_sql(
                f"SELECT NULL::bytea, pg_advisory_lock({self._lock})::text; "
                f"DELETE FROM outbox WHERE id = {number} "
                f"RETURNING reply, pg_advisory_unlock({self._lock})::text"
            ).all()
        return number, bytes(rows[1][0]) if len(rows) > 1 else None

    def _lead(
        self,
        connection: Connection,
        number: int,
        ticket: bytes,
        transaction: PostgresTransaction,
        lead: Callable[[Transaction, Sequence[bytes]], Sequence[bytes]],
    ) -> bytes:
        rows = connection.exec_driver_sql(
            f"DELETE FROM inbox WHERE id = {number} OR id IN (SELECT id FROM ("
            "SELECT id, sum(length(ticket)) OVER (ORDER BY id) AS n_bytes FROM inbox "
            f"ORDER BY id LIMIT {GROUP_TICKETS}) AS waiting WHERE n_bytes <= {GROUP_BYTES}) "
            "RETURNING id, ticket"
        ).all()
        # In the order of the queue: what a writer left that died must not come behind what was
        # decided since, or an older verdict would be the newest of its batch.
        queue = {int(place): bytes(other) for place, other in rows} | {number: ticket}
        places = sorted(queue)
        replies = dict(zip(places, lead(transaction, [queue[at] for at in places]), strict=True))
        own = replies.pop(number)
        answered = [f"({at}, '\\x{reply.hex()}')" for at, reply in replies.items() if reply]
        if answered:
            connection.exec_driver_sql(
                f"INSERT INTO outbox (id, reply) VALUES {', '.join(answered)}"
            )
        return own

    def _unlock(self, connection: Connection, number: int) -> None:
        if connection.invalidated or connection.closed:
            return  # the server let go of the lock with the connection
        try:
            with _autocommit(connection):
                connection.exec_driver_sql(
                    f"DELETE FROM outbox WHERE id < {number - _REPLIES_KEPT}; "
                    f"SELECT pg_advisory_unlock({self._lock})"
                )
        except (SQLAlchemyError, ConnectionError):
            # The append is durable or its own error is on the way, and either matters more.
            # The server frees the lock with the connection, which must not be used again.
            connection.invalidate()

    @contextmanager
    def _growing(self, connection: Connection) -> Iterator[PostgresTransaction]:
        with _autocommit(connection):
            transaction = PostgresTransaction(connection, self.locator)
            yield transaction
            transaction.commit()

    @contextmanager
    def _changing_tables(self) -> Iterator[Connection]:
        with self._connected() as connection, connection.begin():
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({self._lock})")
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                try:
                    yield connection
                except (DBAPIError, ConnectionError) as error:
                    if isinstance(error, ConnectionError) or _is_disconnect(error):
                        connection.invalidate()  # the pool must not hand it out again
                    raise
        except SQLAlchemyError as error:
            # No cause: the driver's error quotes the statement, with its literals.
            raise translated(error, self.locator) from None
        except ConnectionError as error:  # the driver wraps errors of sending, not of reading
            what, next_step = TROUBLE["08"]
            raise LedgerError(what, locator=self.locator, next_step=next_step) from error


def open_ledger(
    url: str,
    *,
    public_key: bytes | PemKey,
    signer: NoteSigner | PemSigner | None = None,
    create: bool = False,
    origin: str | None = None,
    patience_ms: int | None = None,
) -> Ledger:
    """Open a ledger in PostgreSQL.

    Args:
        url: ``postgresql://user:password@host:port/database?schema=name``; see
            docs/ledger-operations.md.
        public_key: The ledger's key from the trust policy: raw Ed25519 bytes or an attest key.
        signer: Its private key; without it the ledger is read-only.
        create: Make an empty ledger if there is none. An existing one is never replaced.
        origin: Name of the ledger. None takes the stored name; a new ledger is then named after
            its key.
        patience_ms: How long each step waits for others that lock it, in milliseconds;
            `LOCK_TIMEOUT_MS` when None.

    Returns:
        The ledger; close it, or use it in a `with` block.

    Raises:
        EvidenceMissing: There is no such database or ledger.
        LedgerCorrupt: The tables are not a ledger's.
        LedgerError: The server cannot be reached or refuses.
        ConfigError: The URL is unusable, the driver is missing, the key is wrong, or the ledger
            has another origin or version.

    Cost: one connection; nothing is verified until it is read.
    """
    address = Address.parse(url)
    raw = raw_public_key(public_key, locator=address.locator)
    store = PostgresStore(address, patience_ms)
    try:
        if create:
            name = origin or default_origin(raw)
            named = None if signer is None else named_signer(signer, name)
            store.create(name, empty_checkpoint(name, raw, named))
        name = store.origin(origin)
        named = None if signer is None else named_signer(signer, name)
        return Ledger(store, verifier_of(raw, name), named)
    except BaseException:
        store.close()
        raise


def migrate_ledger(url: str) -> list[int]:
    """Bring a ledger's tables up to date and return the versions that were applied, in order.

    Raises:
        EvidenceMissing: There is no such database.
        LedgerError: The server cannot be reached or refuses.
        ConfigError: The URL is unusable, or the ledger is newer than this program.
    """
    store = PostgresStore(Address.parse(url))
    try:
        return store.migrate()
    finally:
        store.close()


def _engine(address: Address, patience_ms: int | None) -> Engine:
    patience_ms = LOCK_TIMEOUT_MS if patience_ms is None else patience_ms
    engine = quiet_engine(address.url, connect_args=address.connect_args(), pool_size=5)
    quoted = engine.dialect.identifier_preparer.quote_identifier(address.schema)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        record.info["pid"], record.info["used"] = os.getpid(), time.monotonic()
        cursor = connection.cursor()
        # A server may be set to acknowledge before the disk has the data; that is undone here.
        # A server that waits for its standbys as well keeps doing so.
        cursor.execute(
            f"SET search_path TO {quoted}; SET lock_timeout = {int(patience_ms)}; "
            f"SET idle_in_transaction_session_timeout = {4 * LOCK_TIMEOUT_MS}; "
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')"
        )
        connection.commit()

    # A socket must not be shared after fork; Airflow forks its task processes.
    @event.listens_for(engine, "checkout")
    def refuse_inherited(connection: Any, record: Any, proxy: Any) -> None:
        idle_s = time.monotonic() - record.info["used"]
        record.info["used"] = time.monotonic()
        if record.info["pid"] != os.getpid():
            record.dbapi_connection = proxy.dbapi_connection = None
            raise DisconnectionError("connection belongs to the parent process")
        if idle_s > _IDLE_S:
            _require_alive(connection)

    return engine


def _require_alive(connection: Any) -> None:
    try:
        connection.cursor().execute("SELECT 1")
        connection.rollback()
    except Exception as error:
        raise DisconnectionError("the server closed this connection") from error


@contextmanager
def _autocommit(connection: Connection) -> Iterator[None]:
    """Keep the driver from its own BEGIN and COMMIT, and undo what is begun but not committed."""
    raw = connection.connection.driver_connection
    assert raw is not None  # noqa: S101 - a live connection has a driver's
    raw.autocommit = True
    try:
        yield
    finally:
        raw.autocommit = False
        try:
            connection.rollback()  # sends nothing unless a transaction is open
        except (SQLAlchemyError, ConnectionError):
            connection.invalidate()  # the error that says why is on its way already


def _is_disconnect(error: DBAPIError) -> bool:
    return error.connection_invalidated or sqlstate(error).startswith(("57P", "08"))

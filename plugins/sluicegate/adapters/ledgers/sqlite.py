"""The embedded ledger: one SQLite file for many processes, durable after each append.

The file uses WAL with synchronous=FULL: when an append returns, its pages are on the disk. A
process that dies at any point leaves either all of an append or nothing, and the next opening
needs no repair. Readers never block the writer. The file must be on a local disk: SQLite's locks
do not hold on most network file systems.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from sluicegate.adapters.engines.sql import quiet_engine
from sluicegate.adapters.ledgers.sql import (
    PAGE,
    SqlSnapshot,
    SqlTransaction,
    chunks,
    paging,
)
from sluicegate.adapters.ledgers.tables import create_tables, metadata, read_origin
from sluicegate.errors import ConfigError, EvidenceMissing, LedgerCorrupt, LedgerError
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
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Column, Connection, Engine, Select

    from sluicegate.adapters.ledgers.sqlite_indexes import IndexCheck
    from sluicegate.ledger.note import NoteSigner
    from sluicegate.ledger.scan import Row, Scanned

BUSY_TIMEOUT_MS: Final = 30_000
"""How long to wait for others, in milliseconds; one append takes a few of them."""

_POLL_S: Final = 0.005
"""How often a waiting writer looks for the lock, in seconds."""

_BEGIN: Final = "sluicegate_begin"

# For primary result codes of https://www.sqlite.org/rescode.html: what failed, what to do.
_CORRUPT_CODES: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
_NO_SHARED_MEMORY: Final = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
_TROUBLE: Final = {
    sqlite3.SQLITE_BUSY: ("another process holds the ledger", "Try again."),
    sqlite3.SQLITE_LOCKED: ("another process holds the ledger", "Try again."),
    sqlite3.SQLITE_FULL: ("the disk is full", "Free space and append again."),
    sqlite3.SQLITE_READONLY: ("the ledger cannot be written", "Give this user write access."),
    sqlite3.SQLITE_CANTOPEN: ("the ledger cannot be opened", "Check path and permissions."),
    sqlite3.SQLITE_IOERR: ("reading or writing the disk failed", "Check the disk."),
    sqlite3.SQLITE_PERM: ("access to the ledger is denied", "Check permissions."),
}


class SqliteStore:
    """A ledger's tables in one SQLite file; meets ledger.store.LedgerStore.

    Args:
        path: The file; it must exist.
        writable: Open for appending.
        patience_ms: How long to wait for others that hold the file; `BUSY_TIMEOUT_MS` when None.
    """

    def __init__(self, path: Path, *, writable: bool, patience_ms: int | None = None) -> None:
        self._path = path
        self._engine = _engine(path, writable=writable, patience_ms=patience_ms)

    @property
    def locator(self) -> str:
        """The path."""
        return str(self._path)

    @contextmanager
    def reading(self) -> Iterator[SqliteSnapshot]:
        """Open a snapshot."""
        with self._connected("BEGIN") as connection:
            yield SqliteSnapshot(connection, self.locator)

    @contextmanager
    def writing(self) -> Iterator[SqliteTransaction]:
        """Open the one write transaction; others wait until it ends."""
        # IMMEDIATE takes the lock before the head is read, so writers queue instead of
        # finding at their commit that they were overtaken.
        with self._connected("BEGIN IMMEDIATE") as connection:
            yield SqliteTransaction(connection, self.locator)

    def origin(self, expected: str | None = None) -> str:
        """Return the name that the file gives its ledger.

        Args:
            expected: The name it must have; None for any.

        Raises:
            LedgerCorrupt: The file is not a ledger.
            ConfigError: It has another format version, or holds another ledger than expected.
        """
        with self._connected("BEGIN") as connection:
            name = read_origin(connection, self.locator)
        if expected not in (None, name):
            what = "the file holds another ledger"
            raise ConfigError(what, locator=self.locator, expected=str(expected), got=name[:60])
        return name

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _connected(self, begin: str) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                connection.execution_options(**{_BEGIN: begin})
                with connection.begin():
                    yield connection
        except (SQLAlchemyError, sqlite3.Error, UnicodeDecodeError) as error:
            raise _translated(error, self.locator) from None


class SqliteSnapshot(SqlSnapshot):
    """A snapshot that can also check SQLite's own structures."""

    _indexes: IndexCheck | None = None

    def scan(self, start: int) -> Iterator[Sequence[Scanned]]:
        """Read leaves page by page; a reading from 0 to the end sums what the indexes must hold."""
        # Needs numpy, which appending and looking up do not need.
        from sluicegate.adapters.ledgers.sqlite_indexes import NOT_SUMMED, IndexCheck

        check = IndexCheck(os.urandom) if start == 0 else None
        self._indexes = None
        for page in super().scan(start):
            try:
                if check is not None:
                    check.add(page)
            except NOT_SUMMED:
                check = None  # SQLite's own, slower check does it
            yield page
        self._indexes = check

    def _rows(self, start: int, count: int) -> Iterable[Row]:
        return cast("Iterable[Row]", self._driver.execute(_text(PAGE), paging(start, count)))

    def _read(self, wanted: Select[Any], values: Mapping[str, Any]) -> Iterable[Any]:
        """Ask the driver itself: SQLAlchemy's own way costs ten times what SQLite needs."""
        return self._rows_of(_text(wanted), values)

    def _where_in(
        self, wanted: Select[Any], column: Column[Any], values: Sequence[object]
    ) -> Iterator[Any]:
        place = f"{column.table.name}.{column.name}"
        for part in chunks(values):
            marks = ", ".join("?" * len(part))
            yield from self._rows_of(f"{_text(wanted)} WHERE {place} IN ({marks})", part)

    def _rows_of(self, text: str, values: Any) -> list[Any]:
        try:
            return self._driver.execute(text, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # Here, because a snapshot goes on: one row that is damaged hides no other.
            raise _translated(error, self._locator) from None

    @property
    def _driver(self) -> sqlite3.Connection:
        raw = self._connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - made by _connect
        return raw

    def damage(self, *, thorough: bool = True) -> Sequence[str]:
        """Run SQLite's integrity check and name objects that a ledger does not have.

        An index that was edited page by page can hide the newest leaf from a lookup. A trigger
        can change what an append writes. Neither changes a row that is hashed.
        """
        problems = self._damaged_pages() if thorough else []
        rows = self._connection.exec_driver_sql("SELECT type, name FROM sqlite_master").all()
        present = {(str(kind), str(name)) for kind, name in rows if not _automatic(name)}
        problems += [f"unknown {kind} {name}" for kind, name in sorted(present - _objects())]
        problems += [f"no {kind} {name}" for kind, name in sorted(_objects() - present)]
        return problems

    def _damaged_pages(self) -> list[str]:
        """Check all pages and the indexes: by sums if `scan` made some, otherwise by SQLite."""
        # The quick check leaves out only indexes against tables; `stream` has few rows to check.
        sound = not self._check("quick_check") and not self._check("integrity_check(stream)")
        agreed = self._indexes is not None and self._indexes.agrees(self._connection)
        if sound and agreed:
            return []
        found = self._check("integrity_check")
        if not found and self._indexes is not None:
            found = ["an index does not hold the rows of its table"]
        return found

    def _check(self, pragma: str) -> list[str]:
        lines = self._connection.exec_driver_sql(f"PRAGMA {pragma}").scalars().all()
        return [str(line) for line in lines if line != "ok"]


class SqliteTransaction(SqlTransaction, SqliteSnapshot):
    """The write transaction."""


def open_ledger(
    path: Path,
    *,
    public_key: bytes | PemKey,
    signer: NoteSigner | PemSigner | None = None,
    create: bool = False,
    origin: str | None = None,
    patience_ms: int | None = None,
) -> Ledger:
    """Open a ledger file.

    Args:
        path: The file.
        public_key: The ledger's key from the trust policy: raw Ed25519 bytes or an attest key.
        signer: Its private key; without it the ledger is read-only.
        create: Make an empty ledger if there is no file. An existing file is never replaced.
        origin: Name of the ledger. None takes the file's name for it; a new ledger is then
            named after its key.
        patience_ms: How long each step waits for others that hold the file, in milliseconds;
            `BUSY_TIMEOUT_MS` when None.

    Returns:
        The ledger; close it, or use it in a `with` block.

    Raises:
        EvidenceMissing: There is no such file.
        LedgerCorrupt: The file is not a ledger: it is empty, damaged, or something else.
        LedgerError: It cannot be opened or created.
        ConfigError: The key is wrong, the ledger has another origin or format version, or
            `create` is set without a signer.

    Cost: about 5 ms; nothing is verified until it is read.
    """
    raw = raw_public_key(public_key, locator=str(path))
    if create and not path.exists():
        name = origin or default_origin(raw)
        named = None if signer is None else named_signer(signer, name)
        create_file(path, name, empty_checkpoint(name, raw, named))
    require_file(path)
    store = SqliteStore(path, writable=signer is not None, patience_ms=patience_ms)
    try:
        name = store.origin(origin)
        named = None if signer is None else named_signer(signer, name)
        return Ledger(store, verifier_of(raw, name), named)
    except BaseException:
        store.close()
        raise


def create_file(path: Path, origin: str, note: bytes | None) -> None:
    """Build an empty ledger beside its place, then put it there in one step.

    A crash leaves a directory that nobody reads, never a half-made ledger. `link` fails if
    another process was first, so an existing ledger cannot be replaced.

    Args:
        path: The file.
        origin: Name of the ledger.
        note: Signed checkpoint of no leaves; None for a copy, which gets its checkpoint last.

    Raises:
        LedgerError: It cannot be written there.
    """
    try:
        workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            _write_empty(workplace / path.name, origin, note)
            publish_file(workplace / path.name, path)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)
    except OSError as error:
        raise LedgerError(
            "the ledger cannot be created",
            locator=str(path),
            got=error.strerror or type(error).__name__,
            next_step="Choose an existing, writable directory on a local disk.",
        ) from error


def _write_empty(path: Path, origin: str, note: bytes | None) -> None:
    engine = _engine(path, writable=True, mode="rwc")
    try:
        with engine.begin() as connection:
            create_tables(connection, origin, note)
        with engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA journal_mode=WAL")
    except SQLAlchemyError as error:
        raise _translated(error, str(path)) from None
    finally:
        engine.dispose()


def publish_file(made: Path, path: Path) -> None:
    """Give a file that nobody has open its place, durably; one that is there stays.

    Args:
        made: A ledger without a WAL beside it.
        path: Its place, on the same disk.
    """
    _sync(made)
    try:
        os.link(made, path)
    except FileExistsError:
        return  # another process created it first; ours is dropped
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_file(path: Path) -> None:
    """Return if a ledger may be in this file.

    Raises:
        EvidenceMissing: There is no such file.
        LedgerCorrupt: It is empty.
        LedgerError: It is no file, or cannot be looked at.
    """
    try:
        size_bytes = path.stat().st_size
    except FileNotFoundError:
        raise EvidenceMissing(
            "there is no ledger here",
            locator=str(path),
            next_step="Restore it from its backup, or start one: sluicegate ledger init.",
        ) from None
    except OSError as error:
        raise LedgerError(
            "the ledger cannot be opened",
            locator=str(path),
            got=error.strerror or type(error).__name__,
            next_step="Check path and permissions.",
        ) from error
    if not path.is_file():
        raise LedgerError(
            "the ledger is not a file",
            locator=str(path),
            expected="a file",
            got="a directory" if path.is_dir() else "a device, socket or pipe",
            next_step="Name the ledger's file, usually ledger.db in the home directory.",
        )
    # SQLite takes an empty file for a new database, so a truncated ledger would start afresh.
    if size_bytes == 0:
        raise LedgerCorrupt(
            "the ledger file is empty",
            locator=str(path),
            next_step="Restore it from its backup; do not create a new one in its place.",
        )


def _engine(
    path: Path, *, writable: bool, mode: str = "rw", patience_ms: int | None = None
) -> Engine:
    """Return an engine whose connections belong to the process that opened them.

    Cost: no file is touched until the first connection.
    """
    patience_ms = BUSY_TIMEOUT_MS if patience_ms is None else patience_ms

    def connect() -> sqlite3.Connection:
        if writable:
            return _connect(path, mode, patience_ms)
        return _connect_reader(path, patience_ms)

    engine = quiet_engine("sqlite://", creator=connect, poolclass=QueuePool)

    # SQLite forbids using a connection across fork; Airflow forks its task processes.
    @event.listens_for(engine, "connect")
    def remember_process(_connection: object, record: object) -> None:
        record.info["pid"] = os.getpid()  # type: ignore[attr-defined]

    @event.listens_for(engine, "checkout")
    def refuse_inherited(_connection: object, record: object, proxy: object) -> None:
        if record.info["pid"] != os.getpid():  # type: ignore[attr-defined]
            record.dbapi_connection = proxy.dbapi_connection = None  # type: ignore[attr-defined]
            raise DisconnectionError("connection belongs to the parent process")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
        if statement != "BEGIN":
            _wait_for_turn(connection, statement, patience_ms)
        else:
            connection.exec_driver_sql(statement)

    return engine


def _wait_for_turn(connection: Connection, statement: str, patience_ms: int) -> None:
    """Begin writing as soon as nobody else does, at most so many milliseconds from now.

    SQLite's own waiting looks more rarely the longer it lasts, so a later writer is served first:
    of 16 writers, one waited 30 s and gave up. Here all writers look equally often.
    """
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - made by _connect
    deadline = time.monotonic() + patience_ms / 1000
    raw.execute("PRAGMA busy_timeout=0").close()
    try:
        while time.monotonic() < deadline:
            try:
                raw.execute(statement).close()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    break
                time.sleep(_POLL_S)
            else:
                return
        connection.exec_driver_sql(statement)  # the engine's way to raise what is wrong
    finally:
        raw.execute(f"PRAGMA busy_timeout={int(patience_ms)}").close()


def _connect(path: Path, mode: str, patience_ms: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        isolation_level=None,  # the engine begins transactions; the driver does not guess
        check_same_thread=False,  # the pool hands a connection to one thread at a time
    )
    try:
        connection.execute(f"PRAGMA busy_timeout={int(patience_ms)}")
        connection.execute("PRAGMA synchronous=FULL")
        # Functions in a tampered file's schema must not run on our behalf.
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA schema_version").close()  # reads, so that it fails here
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_reader(path: Path, patience_ms: int) -> sqlite3.Connection:
    try:
        return _connect(path, "ro", patience_ms)
    except sqlite3.OperationalError as error:
        wal = path.with_name(f"{path.name}-wal")
        if error.sqlite_errorcode & 0xFF not in _NO_SHARED_MEMORY or wal.exists():
            raise
    # A reader without the right to write beside the file cannot make SQLite's shared memory.
    # Without a WAL, nobody is writing, and the file alone is the whole ledger.
    return _connect(path, "ro&immutable=1", patience_ms)


def _translated(
    error: SQLAlchemyError | sqlite3.Error | UnicodeDecodeError, locator: str
) -> LedgerError:
    orig = error.orig if isinstance(error, DBAPIError) else None
    orig = orig if isinstance(error, SQLAlchemyError) else error
    code = getattr(orig, "sqlite_errorcode", None)
    # The driver has no code for text that is not UTF-8. If SQLite's own message about a damaged
    # schema is not UTF-8, the driver raises a UnicodeDecodeError.
    if code is None and "decode" in str(orig):
        code = sqlite3.SQLITE_CORRUPT
    primary = -1 if code is None else code & 0xFF
    if primary in _CORRUPT_CODES:
        return LedgerCorrupt(
            "the file is damaged or not a ledger",
            locator=locator,
            got=type(orig).__name__ if isinstance(orig, UnicodeError) else str(orig),
            next_step="Keep it as evidence; restore a backup and audit that.",
        )
    what, next_step = _TROUBLE.get(
        primary, ("the ledger's database failed", "Check disk and file; try again.")
    )
    got = str(orig) if orig is not None else type(error).__name__
    return LedgerError(what, locator=locator, got=got, next_step=next_step)


@cache
def _text(wanted: Select[Any]) -> str:
    """Return the SQL of a statement; sql.py has only a few, so all are kept."""
    return str(wanted.compile(dialect=sqlite.dialect(paramstyle="named")))


def _automatic(name: object) -> bool:
    return str(name).startswith("sqlite_autoindex_")


def _objects() -> set[tuple[str, str]]:
    tables = metadata.tables.values()
    indexes = {("index", str(index.name)) for table in tables for index in table.indexes}
    return indexes | {("table", table.name) for table in tables}

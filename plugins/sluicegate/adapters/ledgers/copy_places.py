"""Where a ledger is copied from and to: a file of SQLite, or a schema of PostgreSQL.

A new file is filled beside its place, under the name ``FILE.copying``, and gets its name when it is
whole. A schema is filled in its place, because its rights may have been given already.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.adapters.ledgers.sqlite import (
    SqliteStore,
    create_file,
    publish_file,
    require_file,
)
from sluicegate.errors import ConfigError, LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.adapters.ledgers.copying import CopyStore
    from sluicegate.adapters.ledgers.postgres import PostgresStore


def same_place(one: str, other: str) -> bool:
    """Return whether two texts name one store.

    Args:
        one: Path or URL.
        other: Another.
    """
    if _is_url(one) and _is_url(other):
        return _postgres(one).locator == _postgres(other).locator
    return _is_url(one) == _is_url(other) and Path(one).resolve() == Path(other).resolve()


@contextmanager
def opened_source(place: str) -> Iterator[CopyStore]:
    """Open a ledger to be copied.

    Args:
        place: Path of a file, or URL of a schema in PostgreSQL.

    Raises:
        EvidenceMissing: There is no ledger.
        ConfigError: The URL is unusable.
    """
    if _is_url(place):
        store: CopyStore = _postgres(place)
    else:
        require_file(Path(place))
        store = SqliteStore(Path(place), writable=False)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def opened_target(place: str, origin: str) -> Iterator[CopyStore]:
    """Open the place of a copy; make its tables if there are none.

    Args:
        place: Path of a file, or URL of a schema in PostgreSQL.
        origin: Name of the ledger.

    Raises:
        ConfigError: Another ledger is there, or the URL is unusable.
        LedgerError: It cannot be written there.
    """
    if _is_url(place):
        postgres = _postgres(place)
        try:
            postgres.create(origin, None)
            postgres.origin(origin)
            yield postgres
        finally:
            postgres.close()
    else:
        yield from _file(Path(place), origin)


def _file(path: Path, origin: str) -> Iterator[CopyStore]:
    beside = path.with_name(f"{path.name}.copying")
    if path.exists():
        # A call that was killed after it had given the copy its name left another name of it.
        if beside.exists() and beside.samefile(path):
            beside.unlink()
        place = path
    else:
        place = beside
        if not place.exists():
            create_file(place, origin, None)
    require_file(place)
    store = SqliteStore(place, writable=True)
    try:
        store.origin(origin)
        yield store
    finally:
        store.close()
    if place is beside:
        _rename(beside, path)


def _rename(beside: Path, path: Path) -> None:
    """Give a finished copy its name. Its last connection has written the WAL into the file."""
    if beside.with_name(f"{beside.name}-wal").exists():
        raise LedgerError(
            "somebody else has the copy open", locator=str(beside), next_step="Run this again."
        )
    try:
        publish_file(beside, path)
        if not beside.samefile(path):
            raise ConfigError("another ledger was put there meanwhile", locator=str(path))
        beside.unlink()
    except OSError as error:
        raise LedgerError(
            "the copy cannot be given its name",
            locator=str(path),
            got=error.strerror or type(error).__name__,
            next_step="Run this again.",
        ) from error


def _is_url(place: str) -> bool:
    return "://" in place


def _postgres(place: str) -> PostgresStore:
    from sluicegate.adapters.ledgers.postgres import PostgresStore
    from sluicegate.adapters.ledgers.postgres_address import Address

    return PostgresStore(Address.parse(place))

"""The last checkpoint that a witness signed of each log: one SQLite file, locked and durable."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(slots=True)
class Seen:
    """The newest checkpoint of one log; meets ledger.cosigning.witness.Seen."""

    note: bytes | None
    changed: bool = False

    def replace(self, note: bytes) -> None:
        """Keep another checkpoint in its place."""
        self.note, self.changed = note, True


class SqliteWitnessStore:
    """Meets ledger.cosigning.witness.WitnessStore.

    Args:
        path: The file; made if it is not there. Without it the witness signs as if for the first
            time, so it belongs on a disk that is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self, origin: str) -> Iterator[Seen]:
        """Lock what was seen of a log until the block ends, then keep it durably.

        Raises:
            LedgerError: The file cannot be read or written, or stays locked for 30 s.
        """
        connection = None
        try:
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=30)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS seen (origin TEXT PRIMARY KEY, note BLOB NOT NULL)"
            )
            row = connection.execute("SELECT note FROM seen WHERE origin = ?", (origin,)).fetchone()
            seen = Seen(None if row is None else bytes(row[0]))
            yield seen
            if seen.changed:
                connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (origin, seen.note))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise LedgerError(
                "the witness cannot keep what it signed",
                locator=str(self._path),
                got=str(error),
                next_step="Check disk and permissions; nothing was signed.",
            ) from error
        finally:
            if connection is not None:
                connection.close()

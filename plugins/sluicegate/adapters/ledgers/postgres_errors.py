"""What a PostgreSQL server's errors mean for a ledger, and what to do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sluicegate.errors import EvidenceMissing, LedgerCorrupt, LedgerError

if TYPE_CHECKING:
    from collections.abc import Mapping

# https://www.postgresql.org/docs/current/errcodes-appendix.html: code or class of codes.
TROUBLE: Final = {
    "53100": ("the disk is full", "Free space and append again."),
    "53300": ("the database has no connection left", "Try again."),
    "25006": ("the ledger cannot be written", "Connect to the primary server."),
    "42501": ("access to the ledger is denied", "Grant this role access to the schema."),
    "55P03": ("another process holds the ledger", "Try again."),
    "40": ("another process was in the way", "Try again."),
    "57P": ("the database server ended the connection", "Try again."),
    "08": ("the connection to the database broke", "Try again."),
    "28": ("the database refused this user", "Check user and password of the ledger's URL."),
    "58": ("the database server failed", "Check its disk and its log."),
}
_CORRUPT_CLASSES: Final = ("XX0", "42P01", "42703", "22021", "42804")
_MISSING_DATABASE: Final = ("3D000", "3F000")


def sqlstate(error: SQLAlchemyError) -> str:
    """Return PostgreSQL's five-character code of an error, or "" if it has none."""
    return str(_fields(error).get("C", ""))


def translated(error: SQLAlchemyError, locator: str) -> LedgerError | EvidenceMissing:
    """Return the ledger's error for one of the driver's.

    Args:
        error: What SQLAlchemy raised. Its text quotes the statement, so it is not used.
        locator: The ledger's URL without its password.
    """
    state, got = sqlstate(error), message(error)
    if state in _MISSING_DATABASE:
        step = "Create the database, then run: sluicegate ledger init."
        return EvidenceMissing("there is no such database", locator=locator, next_step=step)
    if state.startswith(_CORRUPT_CLASSES):
        return LedgerCorrupt(
            "the tables are damaged or not a ledger's",
            locator=locator,
            got=got,
            next_step="Keep them as evidence; restore a backup and audit that.",
        )
    for code in (state, state[:3], state[:2]):
        if code in TROUBLE:
            what, next_step = TROUBLE[code]
            return LedgerError(what, locator=locator, got=got, next_step=next_step)
    what = "the ledger's database failed or cannot be reached"
    return LedgerError(what, locator=locator, got=got, next_step="Check the server; try again.")


def message(error: SQLAlchemyError) -> str:
    """Return the server's message in one line of at most 200 characters; it quotes no parameter."""
    orig = error.orig if isinstance(error, DBAPIError) else None
    text_ = _fields(error).get("M") or (str(orig) if orig else type(error).__name__)
    return str(text_).partition("\n")[0][:200]


def _fields(error: SQLAlchemyError) -> Mapping[str, Any]:
    """Return the fields of the server's error response, by their one-letter names."""
    orig = error.orig if isinstance(error, DBAPIError) else None
    fields = orig.args[0] if orig is not None and orig.args else None
    return fields if isinstance(fields, dict) else {}

"""Tables of a ledger in portable SQL, and what makes and names them.

The ledger believes nothing that is stored here, so nothing is stored twice: a leaf's hash and the
ledger's size follow from what is signed. docs/formats/ledger.md specifies the layout, in its
section "SQL layout".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
)

from sluicegate.errors import ConfigError, LedgerCorrupt

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import Dialect

FORMAT_VERSION: Final = 1
"""Version of the table layout; any other version is refused."""


class LedgerBytes(LargeBinary):
    """Binary column whose value arrives as the driver gave it.

    SQLAlchemy's own type calls bytes(value), which turns an integer that an editor put into
    the column into that many zero bytes.
    """

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> None:  # noqa: ARG002
        """Return no processor, so that values stay as they are.

        Args:
            dialect: Not used.
            coltype: Not used.
        """
        return


# In SQLite a plain INTEGER key is the row id; other databases must be told the wide type.
_Key: Final = BigInteger().with_variant(Integer, "sqlite")

metadata: Final = MetaData()

meta: Final = Table(
    "meta",
    metadata,
    Column("format_version", Integer, nullable=False),
    Column("origin", Text, nullable=False),
)
checkpoint: Final = Table(
    "checkpoint",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("note", LedgerBytes, nullable=False),
)
stream: Final = Table(
    "stream",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    UniqueConstraint("source", "kind"),
)
leaf: Final = Table(
    "leaf",
    metadata,
    Column("idx", _Key, primary_key=True, autoincrement=False),
    Column("stream", Integer, nullable=False),
    Column("subject", LedgerBytes, nullable=False),
    Column("envelope", LedgerBytes, nullable=False),
    Index("leaf_stream", "stream", "idx"),
    Index("leaf_envelope", "envelope"),
)
envelope: Final = Table(
    "envelope",
    metadata,
    Column("idx", _Key, primary_key=True, autoincrement=False),
    Column("body", LedgerBytes, nullable=False),
)
node: Final = Table(
    "node",
    metadata,
    Column("position", _Key, primary_key=True, autoincrement=False),
    Column("hash", LedgerBytes, nullable=False),
)


def create_tables(connection: Connection, origin: str, note: bytes | None) -> None:
    """Write the tables of an empty ledger.

    Args:
        connection: To an empty database, inside a transaction.
        origin: Name of the ledger.
        note: Signed checkpoint of no leaves; None for a copy, which gets its checkpoint last.
    """
    metadata.create_all(connection)
    connection.execute(insert(meta), {"format_version": FORMAT_VERSION, "origin": origin})
    if note is not None:
        connection.execute(insert(checkpoint), {"id": 1, "note": note})


def read_origin(connection: Connection, locator: str) -> str:
    """Return the name that the tables give their ledger, after checking their version.

    Args:
        connection: Inside a transaction.
        locator: Path or URL without secrets, for messages.

    Raises:
        LedgerCorrupt: The tables do not hold exactly one version and name.
        ConfigError: Their layout has another version than `FORMAT_VERSION`.
    """
    rows = connection.execute(select(meta.c.format_version, meta.c.origin)).all()
    if len(rows) != 1 or not isinstance(rows[0][1], str):
        raise LedgerCorrupt(
            "the ledger does not say what it is",
            locator=locator,
            expected="one row with version and name",
            got=f"{len(rows)} rows",
            next_step="Keep it as evidence; restore a backup and audit that.",
        )
    version, origin = rows[0]
    if version != FORMAT_VERSION:
        raise ConfigError(
            "the ledger has another format than this version reads",
            locator=locator,
            expected=f"format {FORMAT_VERSION}",
            got=repr(version)[:20],
            next_step="Use the version of sluicegate that wrote it.",
        )
    return str(origin)

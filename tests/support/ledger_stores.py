"""One ledger on each kind of store, for tests that both must pass; keys are for tests only."""

from __future__ import annotations

import sqlite3

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sluicegate.adapters.ledgers import postgres as ledger_postgres
from sluicegate.adapters.ledgers import sqlite as ledger_sqlite
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.keys import CallableSigner

ORIGIN = "example.com/test-ledger"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
PUBLIC = PRIVATE.public_key().public_bytes_raw()
SIGNER = CallableSigner(ORIGIN, PUBLIC, PRIVATE.sign)


def make_item(name, kind="seal", source="flights"):
    """Entry and envelope of a name; a function of the name alone."""
    envelope = f"envelope {name}".encode()
    return Entry.of(kind, source, "dirHash1:" + "ab" * 32, envelope), envelope


class SqliteSite:
    """A ledger file."""

    kind = "sqlite"
    adapter = ledger_sqlite

    def __init__(self, path) -> None:
        self.where = self.path = path

    def opened(self):
        return ledger_sqlite.open_ledger(
            self.path, public_key=PUBLIC, signer=SIGNER, create=True, origin=ORIGIN
        )

    def reader(self):
        return ledger_sqlite.open_ledger(self.path, public_key=PUBLIC)

    def edit(self, *statements):
        connection = sqlite3.connect(self.path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    def zeros(self, n_bytes):
        return f"zeroblob({n_bytes})"

    def text(self, text):
        return f"CAST('{text}' AS BLOB)"


class PostgresSite:
    """A ledger in a schema of its own."""

    kind = "postgres"
    adapter = ledger_postgres

    def __init__(self, server, schema) -> None:
        self.server, self.schema = server, schema
        self.where = server.url(schema)

    def opened(self):
        return ledger_postgres.open_ledger(
            self.where, public_key=PUBLIC, signer=SIGNER, create=True, origin=ORIGIN
        )

    def reader(self):
        return ledger_postgres.open_ledger(self.where, public_key=PUBLIC)

    def edit(self, *statements):
        self.server.execute(*statements, schema=self.schema)

    def zeros(self, n_bytes):
        return f"decode(repeat('00', {n_bytes}), 'hex')"

    def text(self, text):
        return f"convert_to('{text}', 'UTF8')"

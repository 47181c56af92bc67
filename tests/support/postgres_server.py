"""A throwaway database on a PostgreSQL server, and a schema of its own for each test.

SLUICEGATE_TEST_POSTGRES names the server (default: 127.0.0.1:5432, user postgres, without a
password). Without one these tests are skipped; with SLUICEGATE_REQUIRE_SERVICES=1 they fail.
"""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager

import pytest

DEFAULT = "postgresql://postgres@127.0.0.1:5432/postgres"
MISSING = "no PostgreSQL server at SLUICEGATE_TEST_POSTGRES"


class Server:
    """The server; `url(schema)` names a ledger in the throwaway database."""

    def __init__(self, address, database) -> None:
        self._address = address
        self.database = database

    def url(self, schema="sluicegate"):
        name = self._address.set(database=self.database, query={"schema": schema})
        return name.render_as_string(hide_password=False)

    @contextmanager
    def raw(self, schema="sluicegate", database=None):
        """A plain connection, each statement its own transaction: what an editor has."""
        import pg8000.dbapi

        to = self._address
        connection = pg8000.dbapi.connect(
            to.username,
            host=to.host,
            port=to.port or 5432,
            password=to.password,
            database=database or self.database,
            timeout=30,
        )
        connection.autocommit = True
        try:
            connection.cursor().execute(f'SET search_path TO "{schema}"')
            yield connection
        finally:
            connection.close()

    def execute(self, *statements, schema="sluicegate", database=None):
        """Run statements; returns the rows of the last."""
        with self.raw(schema, database) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def throwaway_database():
    pytest.importorskip("pg8000")
    from sqlalchemy.engine import make_url

    address = make_url(os.environ.get("SLUICEGATE_TEST_POSTGRES", DEFAULT))
    server = Server(address, f"sluicegate_test_{uuid.uuid4().hex[:12]}")
    try:
        server.execute(f"CREATE DATABASE {server.database}", database=address.database)
    except Exception as error:  # noqa: BLE001 - whatever the driver raises, there is no server
        pytest.skip(f"{MISSING}: {type(error).__name__}")
    try:
        yield server
    finally:
        server.execute(f"DROP DATABASE {server.database} WITH (FORCE)", database=address.database)

"""A ledger on each kind of store, and child processes that end on their own or are killed."""

from __future__ import annotations

import os
import traceback
import uuid

import pytest
from ledger_stores import PUBLIC, PostgresSite, SqliteSite, make_item
from postgres_server import throwaway_database


@pytest.fixture
def public_key():
    return PUBLIC


@pytest.fixture
def item():
    """Make entry and envelope of a name."""
    return make_item


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture(scope="session")
def postgres():
    """A throwaway database."""
    with throwaway_database() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def site(request, path):
    """Where a ledger can be made: on every store in turn."""
    if request.param == "sqlite":
        return SqliteSite(path)
    return PostgresSite(request.getfixturevalue("postgres"), f"t{uuid.uuid4().hex[:12]}")


@pytest.fixture
def opened(path):
    """Open the SQLite ledger for writing; created if need be."""
    return SqliteSite(path).opened


@pytest.fixture
def forked():
    """Run a function in a child process; returns its id."""

    def start(call):
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            call()
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may return into the test runner
            traceback.print_exc()
        finally:
            os._exit(status)

    return start

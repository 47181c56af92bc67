"""PostgreSQL on a disk that is really full: a small file system of its own as tablespace.

Needs the right to mount, and a server on this machine; elsewhere these tests are skipped.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest
from ledger_stores import PostgresSite, make_item
from postgres_server import throwaway_database
from small_disk import run, small_disk

from sluicegate.errors import LedgerError


@pytest.fixture
def disk():
    """A file system of 8 MiB that the server's user may write."""
    # Not below pytest's directory, which other users cannot enter.
    place = Path(tempfile.mkdtemp(prefix="sluicegate-disk-"))
    place.chmod(0o755)
    try:
        with small_disk(place, "8m"):
            yield place
    finally:
        place.rmdir()


@pytest.fixture
def site(disk):
    """A ledger whose tables lie on the small disk, and nothing else does."""
    space = f"sluicegate_{uuid.uuid4().hex[:12]}"
    try:
        shutil.chown(disk, "postgres")
    except LookupError:
        pytest.skip("no server on this machine")
    with throwaway_database() as server:
        try:
            server.execute(f"CREATE TABLESPACE {space} LOCATION '{disk}'")
        except Exception as error:  # noqa: BLE001 - the server is elsewhere or runs as another
            pytest.skip(f"no tablespace on this machine: {type(error).__name__}")
        server.execute(f"ALTER DATABASE {server.database} SET default_tablespace = {space}")
        try:
            yield PostgresSite(server, "small")
        finally:
            server.execute("DROP SCHEMA IF EXISTS small CASCADE")
            server.execute(f"ALTER DATABASE {server.database} RESET default_tablespace")
            server.execute(f"DROP TABLESPACE {space}")


def _large(number):
    # Not compressible, or the server would store it in a few bytes.
    return make_item(f"{number} {os.urandom(20_000).hex()}")


def test_full_disk_loses_nothing_and_needs_no_repair(site, disk):
    acknowledged = []
    refused = None
    with site.opened() as ledger:
        remembered = ledger.append(*make_item("first")).checkpoint
        for number in range(1000):
            items = [_large(f"{number}.{part}") for part in range(3)]
            try:
                acknowledged += zip(ledger.append_many(items), items, strict=True)
            except LedgerError as error:
                refused, message = items, str(error)
                break
        assert refused is not None, "the disk never filled"
        assert "[LEDGER]" in message
        assert "disk is full" in message
        # Readable as it was, all of what was acknowledged and nothing of what was not.
        size = ledger.audit(remembered).size
        assert size == 1 + len(acknowledged)
        for receipt, (entry, envelope) in acknowledged:
            record = ledger.get_verified(receipt.index)
            assert (record.entry, record.envelope) == (entry, envelope)
        assert run("mount", "-o", "remount,size=64m", str(disk))
        assert [receipt.index for receipt in ledger.append_many(refused)] == [
            size,
            size + 1,
            size + 2,
        ]
        assert ledger.audit(remembered).size == size + 3
    with site.opened() as ledger:  # and for whoever comes next
        ledger.audit(remembered)

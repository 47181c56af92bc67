"""A store that fails before or after it persisted; disks that are full; files that are locked."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import time
from contextlib import contextmanager
from itertools import starmap

import pytest
from ledger_stores import PostgresSite, SqliteSite

from sluicegate.adapters.ledgers import sqlite as ledger_sqlite
from sluicegate.errors import BadProof, LedgerCorrupt, LedgerError, Rollback, VerificationError
from sluicegate.ledger.frontier import n_positions
from sluicegate.ledger.proof import verify_proof


class Fault(LedgerError):
    """Raised by the injected store."""


class FailingStore:
    """Passes everything on to a real store and fails at one chosen moment."""

    def __init__(self, store, moment) -> None:
        self._store = store
        self.moment = moment

    def __getattr__(self, name):
        return getattr(self._store, name)

    @contextmanager
    def writing(self):
        if self.moment == "begin":
            raise Fault("injected")
        with self._store.writing() as transaction:
            if self.moment in ("grow", "after grow"):
                grow = transaction.grow

                def failing(growth):
                    if self.moment == "after grow":
                        grow(growth)
                    raise Fault("injected")

                transaction.grow = failing
            yield transaction
            if self.moment == "commit, not persisted":
                raise Fault("injected")
        if self.moment == "commit, persisted":
            raise Fault("injected")


NOT_PERSISTED = ["begin", "grow", "after grow", "commit, not persisted"]


@pytest.mark.parametrize("size", [0, 1, 6, 7])
@pytest.mark.parametrize("moment", NOT_PERSISTED)
def test_append_that_failed_before_it_persisted_left_nothing(opened, item, moment, size):
    with opened() as ledger:
        for number in range(size):
            ledger.append(*item(number))
        before = ledger.checkpoint()
        ledger._store = FailingStore(ledger._store, moment)
        with pytest.raises(Fault):
            ledger.append(*item("lost"))
        assert ledger.checkpoint() == before
        assert ledger.audit(before).size == size
        ledger._store.moment = None
        assert ledger.append(*item("next")).index == size
        assert ledger.audit(before).size == size + 1


@pytest.mark.parametrize("size", [0, 1, 6, 7])
def test_append_that_failed_after_it_persisted_is_repeated_without_a_second_leaf(
    opened, item, public_key, size
):
    with opened() as ledger:
        for number in range(size):
            ledger.append(*item(number))
        ledger._store = FailingStore(ledger._store, "commit, persisted")
        with pytest.raises(Fault):
            ledger.append(*item("unsure"))
        ledger._store.moment = None
        receipt = ledger.append(*item("unsure"))
        assert (receipt.index, receipt.size) == (size, size + 1)
        verify_proof(receipt.proof, item("unsure")[0].to_bytes(), [public_key])
        assert ledger.audit().size == size + 1


def test_interrupt_during_an_append_leaves_nothing(opened, item, monkeypatch):
    with opened() as ledger:
        ledger.append(*item(0))
        monkeypatch.setattr(
            ledger_sqlite.SqliteTransaction,
            "grow",
            lambda *_: (_ for _ in ()).throw(KeyboardInterrupt),
        )
        with pytest.raises(KeyboardInterrupt):
            ledger.append(*item(1))
        monkeypatch.undo()
        assert ledger.append(*item(2)).index == 1
        ledger.audit()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_creation_that_fails_leaves_no_file_and_can_be_repeated(opened, path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(ledger_sqlite, "publish_file", fail)
    with pytest.raises((KeyboardInterrupt, LedgerError)):
        opened()
    assert list(path.parent.iterdir()) == []
    monkeypatch.undo()
    with opened() as ledger:
        assert ledger.size() == 0


def test_full_disk_is_reported_and_the_next_append_succeeds(opened, item):
    with opened() as ledger:
        ledger.append(*item(0))
        raw = _raw(ledger)
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
        raw.execute(f"PRAGMA max_page_count={pages}")
        envelope_items = [item(f"{number} {'x' * 9000}") for number in range(3)]
        with pytest.raises(LedgerError, match=r"\[LEDGER\].*disk is full.*Free space"):
            ledger.append_many(envelope_items)
        assert ledger.audit().size == 1
        raw.execute("PRAGMA max_page_count=100000")
        assert ledger.append_many(envelope_items)[-1].index == 3
        assert ledger.audit().size == 4


def test_file_system_that_refuses_to_grow_loses_nothing(opened, item, forked):
    """The operating system's own limit, in a process of its own."""
    with opened() as ledger:
        acknowledged = ledger.append(*item(0)).checkpoint

    def grow_until_refused():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
        items = [item(f"{number} {'x' * 9000}") for number in range(100)]
        with opened() as ledger, pytest.raises(LedgerError):
            list(starmap(ledger.append, items))

    assert _wait(forked(grow_until_refused)) == 0
    with opened() as ledger:
        size = ledger.audit(acknowledged).size
        assert ledger.append(*item("next")).index == size


def test_store_that_became_read_only_is_reported(opened, item):
    with opened() as ledger:
        ledger.append(*item(0))
        _raw(ledger).execute("PRAGMA query_only=ON")
        with pytest.raises(LedgerError, match=r"\[LEDGER\].*cannot be written.*write access"):
            ledger.append(*item(1))
        assert ledger.audit().size == 1


def test_writer_that_waits_too_long_is_told_to_try_again(opened, path, item, monkeypatch):
    monkeypatch.setattr(ledger_sqlite, "BUSY_TIMEOUT_MS", 1)
    with opened() as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match=r"\[LEDGER\].*another process.*Try again"):
            ledger.append(*item(0))
        assert ledger.size() == 0  # readers are not kept out
        other.execute("ROLLBACK")
        other.close()
        assert ledger.append(*item(0)).index == 0


def test_file_that_vanished_is_not_recreated(opened, path, item):
    ledger = opened()
    ledger.append(*item(0))
    ledger.close()
    path.unlink()
    with pytest.raises(LedgerError):
        ledger.append(*item(1))
    assert not path.exists()
    ledger.close()


def _raw(ledger):
    with ledger._store._engine.connect() as connection:
        return connection.connection.driver_connection


def _wait(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _other(site, tmp_path):
    """A second ledger on the same store, its name in SQL, and what makes it visible there."""
    if site.kind == "sqlite":
        other = SqliteSite(tmp_path / "other.db")
        return other, "other", [f"ATTACH '{other.path}' AS other"]
    other = PostgresSite(site.server, f"{site.schema}_other")
    return other, other.schema, []


def test_two_ledgers_merged_by_mistake_are_found(site, item, tmp_path):
    """Rows of one ledger behind those of another: no signature covers them."""
    right, name, attach = _other(site, tmp_path)
    with site.opened() as ledger, right.opened() as other:
        ledger.append_many([item(f"left {n}") for n in range(5)])
        other.append_many([item(f"right {n}") for n in range(9)])
    site.edit(
        *attach,
        f"INSERT INTO leaf SELECT idx, stream, subject, envelope FROM {name}.leaf WHERE idx >= 5",
        f"INSERT INTO envelope SELECT idx, body FROM {name}.envelope WHERE idx >= 5",
        f"INSERT INTO node SELECT position, hash FROM {name}.node WHERE position >= 3",
    )
    with site.reader() as ledger, pytest.raises(LedgerCorrupt):
        ledger.audit()
    site.edit(*attach, f"UPDATE checkpoint SET note = (SELECT note FROM {name}.checkpoint)")
    with site.reader() as ledger, pytest.raises((BadProof, LedgerCorrupt)):
        ledger.audit()


def test_yesterdays_backup_is_a_rollback_and_can_be_recovered(site, item):
    """docs/ledger-operations.md, "After a backup was restored"."""
    with site.opened() as ledger:
        yesterday = ledger.append_many([item(n) for n in range(5)])[0].checkpoint
        today = ledger.append_many([item(n) for n in range(5, 8)])[0].checkpoint
    site.edit(
        "DELETE FROM leaf WHERE idx >= 5",
        "DELETE FROM envelope WHERE idx >= 5",
        f"DELETE FROM node WHERE position >= {n_positions(5)}",
        f"UPDATE checkpoint SET note = {site.text(yesterday.decode())}",
    )
    with site.opened() as ledger:
        assert ledger.audit().size == 5  # a sound ledger, for whoever remembers nothing
        for check in (ledger.audit, ledger.require_extends):
            with pytest.raises(Rollback, match=r"\[ROLLBACK\]"):
                check(today)
        for number in range(5, 8):
            ledger.append(*item(number))
        assert ledger.checkpoint() == today
        assert ledger.audit(today).size == 8


def test_clock_set_back_changes_no_leaf_and_no_order(site, item, monkeypatch):
    """A leaf carries no time, so no clock can reorder or refuse an append."""
    with site.opened() as ledger:
        ledger.append(*item(0))
        monkeypatch.setattr(time, "time", lambda: 0.0)
        assert ledger.append(*item(1)).index == 1
        assert ledger.audit().size == 2


def test_transaction_that_is_refused_is_an_error_and_nothing_is_written(opened, item, forked):
    """Stands in for a file system that refuses locks: no transaction can begin."""
    opened().close()

    def append_without_locks():
        connect = sqlite3.connect

        def broken(*args, **kwargs):
            connection = connect(*args, **kwargs)
            connection.set_authorizer(
                lambda action, *_: (
                    sqlite3.SQLITE_DENY
                    if action == sqlite3.SQLITE_TRANSACTION
                    else sqlite3.SQLITE_OK
                )
            )
            return connection

        sqlite3.connect = broken
        with pytest.raises(LedgerError), opened() as ledger:
            ledger.append(*item(0))

    assert _wait(forked(append_without_locks)) == 0
    with opened() as ledger:
        assert ledger.audit().size == 0
        assert ledger.append(*item(1)).index == 0


def _beside(path, suffix):
    return path.with_name(path.name + suffix)


def test_damaged_or_missing_log_file_of_sqlite_is_never_believed(opened, path, item, tmp_path):
    """Appends that lie in the WAL alone: whatever is done to it, they hold or are missed."""
    writer = opened()
    for number in range(3):
        remembered = writer.append(*item(number)).checkpoint
    files = {suffix: _beside(path, suffix).read_bytes() for suffix in ("", "-wal")}
    writer.close()
    wal = files["-wal"]
    assert len(wal) > 4096
    places = [*range(0, 64, 8), *range(64, len(wal), 997)]
    damaged = [wal[:at] + bytes([wal[at] ^ 1]) + wal[at + 1 :] for at in places]
    damaged += [b"", *(wal[:at] for at in places), *(wal[at:] for at in places[1:])]
    outcomes = set()
    for number, data in enumerate([wal, *damaged]):
        copy = SqliteSite(tmp_path / f"copy{number}" / "ledger.db")
        copy.path.parent.mkdir()
        copy.path.write_bytes(files[""])
        _beside(copy.path, "-wal").write_bytes(data)
        try:
            with copy.reader() as ledger:
                assert ledger.audit(remembered).size == 3
                assert ledger.checkpoint() == remembered
            outcomes.add("held")
        except (VerificationError, LedgerError) as error:
            outcomes.add(error.code)
            assert number > 0
    assert {"held", "ROLLBACK"} <= outcomes

"""Indexes are compared with the leaves by sums that no other rows have."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from ledger_stores import SqliteSite, make_item

from sluicegate.adapters.ledgers import sqlite as ledger_sqlite
from sluicegate.adapters.ledgers import sqlite_indexes as ledger_sqlite_indexes
from sluicegate.adapters.ledgers.sqlite_indexes import BY_ENVELOPE, BY_STREAM, IndexCheck, RowSum
from sluicegate.errors import LedgerCorrupt

KEY = bytes(range(16))


def total(rows, key=KEY):
    sums = RowSum(key)
    sums.add(np.array(rows, np.uint64))
    return sums.value()


ROWS = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]


def test_order_and_parts_do_not_change_the_sum():
    parts = RowSum(KEY)
    parts.add(np.array(ROWS[2:], np.uint64))
    parts.add(np.array(ROWS[:2], np.uint64))
    assert parts.value() == total(ROWS) == total(ROWS[::-1])


@pytest.mark.parametrize(
    "other",
    [
        ROWS[:2],
        [*ROWS, ROWS[0]],
        [*ROWS[:2], ROWS[1]],
        [[1, 2, 7, 8], [5, 6, 3, 4], ROWS[2]],  # halves exchanged: every column's sum is the same
        [[5, 2, 3, 4], [1, 6, 7, 8], ROWS[2]],
        [[1, 2, 3, 5], [5, 6, 7, 7], ROWS[2]],
    ],
)
def test_other_rows_have_another_sum(other):
    assert total(other) != total(ROWS)


def test_other_key_gives_another_sum():
    assert total(ROWS, bytes(16)) != total(ROWS)


@pytest.fixture
def site(tmp_path):
    site = SqliteSite(tmp_path / "ledger.db")
    with site.opened() as ledger:
        kinds = ("seal", "verdict")
        ledger.append_many([make_item(n, kinds[n % 2], f"s{n % 3}") for n in range(40)])
    return site


@pytest.mark.parametrize("query", [BY_STREAM, BY_ENVELOPE])
def test_index_alone_answers_in_its_own_order(site, query):
    """A plan that sorted, or read the table, would compare the table with itself."""
    plan = [row[3] for row in sqlite3.connect(site.path).execute(f"EXPLAIN QUERY PLAN {query}")]
    assert len(plan) == 1
    assert "USING COVERING INDEX" in plan[0]


def test_sound_ledger_needs_no_slow_check(site, monkeypatch):
    asked = []
    check = ledger_sqlite.SqliteSnapshot._check
    monkeypatch.setattr(
        ledger_sqlite.SqliteSnapshot,
        "_check",
        lambda self, pragma: asked.append(pragma) or check(self, pragma),
    )
    with site.reader() as ledger:
        assert ledger.audit().size == 40
        assert asked == ["quick_check", "integrity_check(stream)"]


def test_index_that_misleads_about_one_row_is_found(site):
    """The same index over the same rows but one, whose stream and place are exchanged."""
    connection = sqlite3.connect(site.path)
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute("CREATE TABLE lie (stream INTEGER, idx INTEGER PRIMARY KEY)")
    connection.execute("INSERT INTO lie SELECT stream, idx FROM leaf")
    connection.execute("UPDATE lie SET stream = 1 + stream % 6 WHERE idx = 7")
    connection.execute("CREATE INDEX lies ON lie (stream, idx)")
    (root,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'lies'"
    ).fetchone()
    connection.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = 'leaf_stream'", (root,))
    connection.execute("DELETE FROM sqlite_master WHERE name IN ('lies', 'lie')")
    connection.commit()
    connection.close()
    with site.reader() as ledger, pytest.raises(LedgerCorrupt, match="damaged"):
        ledger.audit()


def test_sums_that_differ_are_a_finding_even_if_sqlite_sees_nothing(site, monkeypatch):
    monkeypatch.setattr(IndexCheck, "agrees", lambda *_: False)
    with site.reader() as ledger, pytest.raises(LedgerCorrupt, match="index does not hold"):
        ledger.audit()


@pytest.mark.parametrize("at", [0, 3, 39])
def test_entries_out_of_order_do_not_agree(site, monkeypatch, at):
    check = IndexCheck(bytes)
    store = ledger_sqlite.SqliteStore(site.path, writable=False)
    with store.reading() as snapshot:
        for page in snapshot.scan(0):
            check.add(page)
        assert check.agrees(snapshot._connection)
        lifted = BY_STREAM.replace("stream, idx FROM", f"CASE WHEN idx = {at} THEN 99 - stream "
                                   "ELSE stream END, idx FROM")  # fmt: skip
        monkeypatch.setattr(ledger_sqlite_indexes, "BY_STREAM", lifted)
        assert not check.agrees(snapshot._connection)
    store.close()

"""The PostgreSQL ledger: every edit of every table, migration, addresses, a lost connection."""

from __future__ import annotations

import re
import threading
import time
import uuid

import pytest
from ledger_stores import ORIGIN, PUBLIC, SIGNER, PostgresSite, make_item

from sluicegate.adapters.ledgers import postgres as ledger_postgres
from sluicegate.adapters.ledgers.postgres_address import Address
from sluicegate.adapters.ledgers.postgres_schema import CURRENT, STEPS
from sluicegate.adapters.ledgers.tables import metadata
from sluicegate.errors import (
    ConfigError,
    EvidenceMissing,
    LedgerCorrupt,
    LedgerError,
    SluicegateError,
    UntrustedKey,
    VerificationError,
)
from sluicegate.ledger.group import GroupDesk
from sluicegate.ledger.proof import verify_proof

ZEROS = "decode(repeat('00', {}), 'hex')"


@pytest.fixture
def site(postgres):
    return PostgresSite(postgres, f"t{uuid.uuid4().hex[:12]}")


@pytest.fixture
def filled(site):
    """A ledger of ten leaves in several streams."""
    with site.opened() as ledger:
        ledger.append_many(
            [make_item(n, ("seal", "verdict")[n % 2], f"s{n % 3}") for n in range(10)]
        )
    return site


# -- tampering

EDITS = {
    "leaf subject": [
        "UPDATE leaf SET subject = convert_to('sha256:', 'UTF8') || envelope WHERE idx=2"
    ],
    "leaf envelope": [f"UPDATE leaf SET envelope = {ZEROS.format(32)} WHERE idx=2"],
    "leaf stream": ["UPDATE leaf SET stream = 1 + stream % 3 WHERE idx=2"],
    "leaf stream unknown": ["UPDATE leaf SET stream = 99 WHERE idx=2"],
    "leaf envelope of another length": [r"UPDATE leaf SET envelope = '\x00' WHERE idx=2"],
    "leaf deleted": ["DELETE FROM leaf WHERE idx=2"],
    "last leaf deleted": ["DELETE FROM leaf WHERE idx=9"],
    "leaf and envelope deleted": [
        "DELETE FROM leaf WHERE idx=2",
        "DELETE FROM envelope WHERE idx=2",
    ],
    "leaf added": ["INSERT INTO leaf SELECT 10, stream, subject, envelope FROM leaf WHERE idx=2"],
    "leaf inserted below": [
        "INSERT INTO leaf SELECT -1, stream, subject, envelope FROM leaf WHERE idx=2"
    ],
    "leaves reordered": [
        f"UPDATE {table} SET idx={new} WHERE idx={old}"
        for table in ("leaf", "envelope")
        for old, new in ((2, 100), (3, 2), (100, 3))
    ],
    "truncated": ["DELETE FROM leaf WHERE idx>5", "DELETE FROM envelope WHERE idx>5"],
    "emptied": ["TRUNCATE leaf", "TRUNCATE envelope", "TRUNCATE node"],
    "envelope edited": [r"UPDATE envelope SET body = '\x00' WHERE idx=2"],
    "envelope deleted": ["DELETE FROM envelope WHERE idx=2"],
    "envelope added": [r"INSERT INTO envelope VALUES (10, '\x00')"],
    "node edited": [f"UPDATE node SET hash = {ZEROS.format(32)} WHERE position=2"],
    "node of another length": [f"UPDATE node SET hash = {ZEROS.format(31)} WHERE position=2"],
    "node deleted": ["DELETE FROM node WHERE position=2"],
    "node added": [f"INSERT INTO node VALUES (8, {ZEROS.format(32)})"],
    "checkpoint edited": ["UPDATE checkpoint SET note = convert_to('hello', 'UTF8')"],
    "checkpoint deleted": ["DELETE FROM checkpoint"],
    "second checkpoint": ["INSERT INTO checkpoint SELECT 2, note FROM checkpoint"],
    "stream renamed": ["UPDATE stream SET source = 'other' WHERE id=1"],
    "stream of unknown kind": ["UPDATE stream SET kind = 'sael' WHERE id=1"],
    "stream deleted": ["DELETE FROM stream WHERE id=1"],
    "stream added": ["INSERT INTO stream VALUES (50, 'other', 'seal')"],
    "origin edited": ["UPDATE meta SET origin = 'example.com/other'"],
    "column of another type": ["ALTER TABLE node ALTER hash TYPE text USING encode(hash, 'hex')"],
    "column renamed": ["ALTER TABLE leaf RENAME subject TO topic"],
    "table dropped": ["DROP TABLE node"],
    "index dropped": ["DROP INDEX leaf_stream"],
    "trigger added": [
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER t BEFORE INSERT ON leaf FOR EACH ROW EXECUTE FUNCTION f()",
    ],
    "rule added": ["CREATE RULE r AS ON INSERT TO leaf DO ALSO NOTIFY x"],
    "view added": ["CREATE VIEW v AS SELECT * FROM leaf"],
    "rows hidden from one account": ["ALTER TABLE leaf ENABLE ROW LEVEL SECURITY"],
}


@pytest.mark.parametrize("statements", EDITS.values(), ids=EDITS.keys())
def test_every_edit_is_found_and_no_verified_read_returns_anything_else(filled, statements):
    filled.edit(*statements)
    with filled.reader() as ledger:
        with pytest.raises((VerificationError, LedgerCorrupt)):
            ledger.audit()
        for index in range(-1, 11):
            try:
                record = ledger.get_verified(index)
            except SluicegateError:
                continue
            expected = make_item(index, ("seal", "verdict")[index % 2], f"s{index % 3}")
            assert (record.entry, record.envelope) == expected


def test_every_table_has_an_edit_that_is_tested():
    touched = " ".join(" ".join(statements) for statements in EDITS.values())
    assert all(f" {table} " in f" {touched} " for table in metadata.tables)


def test_untouched_ledger_has_no_findings(filled):
    with filled.reader() as ledger:
        assert ledger.examine().findings == ()


# -- group commit


def test_ticket_that_no_writer_wrote_is_not_logged(filled):
    """Whoever edits the database cannot make the key's holders sign a leaf for him."""
    entry, envelope = make_item("forged")
    stranger = GroupDesk(type(SIGNER)(ORIGIN, PUBLIC, lambda _: bytes(64)), "test")
    for ticket in (stranger.ticket([(entry, envelope)], bytes(16)), b"", b"x" * 500):
        filled.edit(f"INSERT INTO inbox (ticket) VALUES ('\\x{ticket.hex()}')")
    with filled.opened() as ledger:
        assert ledger.append(*make_item("honest")).index == 10
        assert ledger.audit().size == 11
        assert ledger.by_envelope(entry.envelope) is None


def test_forged_acknowledgement_is_refused(filled):
    desk = GroupDesk(SIGNER, "test")
    ticket = desk.ticket([make_item("a")], bytes(16))
    for reply in (b"", b"x" * 200, ticket):
        with pytest.raises(LedgerCorrupt, match=r"acknowledgement"):
            desk.receipts(ticket, reply)


def test_reply_to_another_ticket_is_refused(filled):
    desk = GroupDesk(SIGNER, "test")
    with filled.opened() as ledger:
        receipts = ledger.append_many([make_item("a")])
    first, second = (desk.ticket([make_item("a")], bytes([n]) * 16) for n in (1, 2))
    (reply,) = desk.answer([first], lambda _: receipts)
    assert desk.receipts(first, reply) == receipts
    with pytest.raises(LedgerCorrupt):
        desk.receipts(second, reply)


def test_ticket_of_a_writer_that_died_is_appended_before_that_of_the_next(filled):
    """An older verdict of a killed gate must not become the newest of its batch."""
    ticket = GroupDesk(SIGNER, "test").ticket([make_item("orphan")], bytes(16))
    filled.edit(f"INSERT INTO inbox (ticket) VALUES ('\\x{ticket.hex()}')")
    with filled.opened() as ledger:
        receipt = ledger.append(*make_item("next"))
        verify_proof(receipt.proof, make_item("next")[0].to_bytes(), [PUBLIC])
        assert ledger.audit(receipt.checkpoint).size == 12
        assert (receipt.index, ledger.append(*make_item("orphan")).index) == (11, 10)


def test_large_append_does_not_wait_in_the_group(filled, monkeypatch):
    monkeypatch.setattr(ledger_postgres.PostgresStore, "exchange", None)
    with filled.opened() as ledger:
        assert ledger.append(*make_item("x" * (2 << 20))).index == 10
        assert ledger.audit().size == 11


# -- a server that goes away


def _terminate(site, but=0):
    """End every connection of the ledger, as a restart of the server does."""
    site.server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'sluicegate'"
    )


def test_server_restarted_between_appends_is_reported_at_most_once(filled):
    with filled.opened() as ledger:
        ledger.append(*make_item("a"))
        _terminate(filled)
        with pytest.raises(LedgerError, match=r"\[LEDGER\].*[Tt]ry again"):
            ledger.append(*make_item("b"))
        assert ledger.append(*make_item("b")).size == 12
        ledger.audit()


@pytest.mark.parametrize("moment", ["before it grows", "after it grew"])
def test_server_restarted_during_an_append_leaves_all_or_nothing(filled, monkeypatch, moment):
    grow = ledger_postgres.PostgresTransaction.grow

    def interrupted(transaction, growth):
        if moment == "before it grows":
            _terminate(filled)
        grow(transaction, growth)
        _terminate(filled)

    with filled.opened() as ledger:
        before = ledger.checkpoint()
        monkeypatch.setattr(ledger_postgres.PostgresTransaction, "grow", interrupted)
        with pytest.raises(LedgerError):
            ledger.append(*make_item("unsure"))
        monkeypatch.undo()
        assert ledger.audit(before).size == 10
        assert ledger.append(*make_item("unsure")).index == 10
        assert ledger.append(*make_item("next")).index == 11
        ledger.audit(before)


def test_restarts_under_load_lose_nothing_that_was_acknowledged(filled):
    acknowledged, stop = {}, threading.Event()

    def write(ledger, number):
        count = 0
        while not stop.is_set():
            name = f"{number}.{count}"
            try:
                acknowledged[name] = ledger.append(*make_item(name)).index
            except LedgerError:
                continue  # unknown whether it happened; the same again is safe
            count += 1

    ledgers = [filled.opened() for _ in range(4)]
    threads = [threading.Thread(target=write, args=each[::-1]) for each in enumerate(ledgers)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        stop.wait(0.15)
        _terminate(filled)
    stop.set()
    for thread, ledger in zip(threads, ledgers, strict=True):
        thread.join()
        ledger.close()
    with filled.opened() as ledger:
        assert ledger.audit().size >= 10 + len(acknowledged)
        for name, index in acknowledged.items():
            assert ledger.get(index).entry == make_item(name)[0]
        assert len(set(acknowledged.values())) == len(acknowledged)


def test_read_only_account_reads_audits_and_cannot_write(filled):
    role = f"auditor_{uuid.uuid4().hex[:8]}"
    filled.edit(
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA {filled.schema} TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {filled.schema} TO {role}",
    )
    url = filled.where.replace("//postgres@", f"//{role}@")
    try:
        with ledger_postgres.open_ledger(url, public_key=PUBLIC) as ledger:
            assert ledger.audit().size == 10
        with (
            ledger_postgres.open_ledger(url, public_key=PUBLIC, signer=SIGNER) as ledger,
            pytest.raises(LedgerError, match=r"denied.*Grant"),
        ):
            ledger.append(*make_item("x"))
    finally:
        filled.edit(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_server_that_is_read_only_is_reported(filled):
    filled.edit(f"ALTER DATABASE {filled.server.database} SET default_transaction_read_only = on")
    try:
        with (
            ledger_postgres.open_ledger(filled.where, public_key=PUBLIC, signer=SIGNER) as ledger,
            pytest.raises(LedgerError, match=r"cannot be written.*primary"),
        ):
            ledger.append(*make_item("x"))
    finally:
        filled.edit(
            "SET default_transaction_read_only = off",
            f"ALTER DATABASE {filled.server.database} RESET default_transaction_read_only",
        )


def test_commit_is_flushed_even_where_the_server_says_otherwise(filled):
    filled.edit(f"ALTER DATABASE {filled.server.database} SET synchronous_commit = off")
    try:
        with filled.opened() as ledger, ledger._store.reading() as snapshot:
            shown = snapshot._connection.exec_driver_sql("SHOW synchronous_commit").scalar()
        assert shown == "on"
    finally:
        filled.edit(f"ALTER DATABASE {filled.server.database} RESET synchronous_commit")


# -- opening and migration


def test_absent_ledger_is_missing_evidence_and_stays_absent(site):
    with pytest.raises(EvidenceMissing, match=r"ledger init"):
        site.reader()
    with pytest.raises(EvidenceMissing, match=r"no such database"):
        ledger_postgres.open_ledger(
            site.where.replace(site.server.database, "nowhere"), public_key=PUBLIC
        )


def test_ledgers_in_one_database_do_not_meet(postgres):
    left, right = (PostgresSite(postgres, f"t{uuid.uuid4().hex[:12]}") for _ in range(2))
    with left.opened() as one, right.opened() as other:
        one.append(*make_item("a"))
        assert (one.size(), other.size()) == (1, 0)


def test_older_tables_are_refused_until_they_are_migrated(filled):
    filled.edit("DROP TABLE inbox", "DROP TABLE outbox", "DELETE FROM migration WHERE version = 2")
    with pytest.raises(ConfigError, match=r"ledger migrate"):
        filled.reader()
    assert ledger_postgres.migrate_ledger(filled.where) == [2]
    assert ledger_postgres.migrate_ledger(filled.where) == []
    with filled.opened() as ledger:
        assert ledger.append(*make_item("x")).index == 10
        ledger.audit()


def test_migration_that_fails_changes_nothing(filled, monkeypatch):
    filled.edit("DROP TABLE outbox", "DELETE FROM migration WHERE version = 2")
    with pytest.raises(LedgerError):  # the inbox is there already
        ledger_postgres.migrate_ledger(filled.where)
    assert filled.server.execute("SELECT version FROM migration", schema=filled.schema) == [[1]]


def test_newer_tables_are_refused(filled):
    filled.edit(f"INSERT INTO migration VALUES ({CURRENT + 1})")
    with pytest.raises(ConfigError, match=r"newer version"):
        filled.reader()


def test_steps_are_numbered_without_gaps():
    assert sorted(STEPS) == list(range(2, CURRENT + 1))


def test_ledger_of_another_key_or_name_is_refused(filled):
    with (
        ledger_postgres.open_ledger(filled.where, public_key=bytes(31) + b"\x01") as ledger,
        pytest.raises(UntrustedKey),
    ):
        ledger.checkpoint()
    with pytest.raises(ConfigError, match="another ledger"):
        ledger_postgres.open_ledger(filled.where, public_key=PUBLIC, origin="example.com/x")


# -- addresses


def test_password_stands_in_no_message():
    url = "postgresql://user:s3cret@127.0.0.1:1/db"
    address = Address.parse(url)
    assert "s3cret" not in f"{address!r} {address.locator}"
    with pytest.raises(LedgerError) as caught:
        ledger_postgres.open_ledger(url, public_key=PUBLIC)
    chain = f"{caught.value} {caught.value.__cause__!r} {caught.value.to_dict()}"
    assert "s3cret" not in chain


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://u@h/d", "unknown kind"),
        ("nonsense s3cret", "not a URL"),
        ("postgresql://h/d", "no user"),
        ("postgresql://u@h", "no user or no database"),
        ("postgresql://u@h/d?sslmode=prefer", "unknown sslmode"),
        ("postgresql://u@h/d?options=x", "unknown option"),
    ],
)
def test_unusable_address_is_refused_without_quoting_it(url, why):
    with pytest.raises(ConfigError, match=re.escape(why)) as caught:
        Address.parse(url)
    assert "s3cret" not in str(caught.value)


def test_remote_server_must_show_a_certificate_unless_the_url_says_otherwise():
    remote = "postgresql://u@db.example.com/d"
    context = Address.parse(remote).connect_args()["ssl_context"]
    assert context.check_hostname
    assert "ssl_context" not in Address.parse(f"{remote}?sslmode=disable").connect_args()
    assert Address.parse("postgresql://u@127.0.0.1/d").connect_args()["ssl_context"] is False


def test_scan_gives_the_same_rows_as_plain_sql_however_they_are_cut(site, item, monkeypatch):
    """Envelopes of no, one and many limits of a batch; a missing one; places within a page."""
    from sluicegate.adapters.ledgers import postgres_scan as ledger_postgres_scan
    from sluicegate.adapters.ledgers.sql import SqlSnapshot

    with site.opened() as ledger:
        ledger.append_many([item(f"{n} {'x' * (n % 7) * 40}") for n in range(50)])
        site.edit("DELETE FROM envelope WHERE idx = 20")
        with ledger._store.reading() as snapshot:
            plain = [tuple(row) for row in SqlSnapshot._rows(snapshot, 3, 40)]
            assert [row[0] for row in plain] == list(range(3, 43))
            assert plain[17][4] is None
            for limit in (1, 100, 1000, 1 << 20):
                monkeypatch.setattr(ledger_postgres_scan, "BATCH_BYTES", limit)
                assert list(snapshot._rows(3, 40)) == plain
            assert list(snapshot._rows(50, 40)) == []
            for first, count in ((0, 40), (5, 3), (40, 100)):
                assert snapshot.hash_run(first, count) == SqlSnapshot.hash_run(
                    snapshot, first, count
                )


@pytest.mark.parametrize("moment", ["before it is read", "before it is written"])
def test_broken_connection_is_raised_once_and_logged_by_nobody(filled, monkeypatch, caplog, moment):
    """SQLAlchemy's pool logs what broke with a traceback, which quotes the statement."""
    patched = "find" if moment == "before it is read" else "grow"
    real = getattr(ledger_postgres.PostgresTransaction, patched)

    def interrupted(self, *arguments, **options):
        _terminate(filled)
        return real(self, *arguments, **options)

    for owner in (ledger_postgres.PostgresTransaction, ledger_postgres.PostgresSnapshot):
        if hasattr(owner, patched):
            monkeypatch.setattr(owner, patched, interrupted)
    with filled.opened() as ledger, pytest.raises(LedgerError) as caught:
        ledger.leaves() if patched == "find" else ledger.append(*make_item("unsure"))
    assert "\n" not in str(caught.value)
    assert not caplog.records


def test_reader_waits_no_longer_for_a_lock_than_it_was_told(filled, postgres):
    opened = ledger_postgres.open_ledger(filled.where, public_key=PUBLIC, patience_ms=50)
    with opened as reader, postgres.raw(filled.schema) as other:
        cursor = other.cursor()
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE leaf IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        with pytest.raises(LedgerError, match="another process holds the ledger"):
            reader.get(0)
        assert time.monotonic() - started < 10, "as long as a writer waits"
        cursor.execute("ROLLBACK")
        assert reader.get_verified(0).index == 0

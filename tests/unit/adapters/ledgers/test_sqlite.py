"""The SQLite ledger: opening, and every edit of every table."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sluicegate.adapters.ledgers import sqlite as ledger_sqlite
from sluicegate.adapters.ledgers.sql import pack_digest, unpack_digest
from sluicegate.adapters.ledgers.sqlite import open_ledger
from sluicegate.adapters.ledgers.tables import metadata
from sluicegate.errors import (
    BadProof,
    ConfigError,
    EvidenceMissing,
    LedgerConflict,
    LedgerCorrupt,
    LedgerError,
    Rollback,
    UntrustedKey,
    VerificationError,
)
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.keys import CallableSigner
from sluicegate.ledger.proof import verify_proof

ORIGIN = "example.com/test-ledger"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)  # a fixed key, for tests only
PUBLIC = PRIVATE.public_key().public_bytes_raw()
SIGNER = CallableSigner(ORIGIN, PUBLIC, PRIVATE.sign)
OTHER = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32).public_key().public_bytes_raw()


def item(number, kind="seal", source="flights"):
    envelope = b"envelope %d" % number
    return Entry.of(kind, source, f"dirHash1:{number:064x}", envelope), envelope


def create(path, n=0):
    ledger = open_ledger(path, public_key=PUBLIC, signer=SIGNER, create=True, origin=ORIGIN)
    if n:
        kinds = ("seal", "verdict")
        ledger.append_many([item(i, kinds[i % 2], f"s{i % 3}") for i in range(n)])
    return ledger


def reader(path):
    return open_ledger(path, public_key=PUBLIC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


# -- opening


def test_missing_file_is_missing_evidence_and_stays_missing(path):
    with pytest.raises(EvidenceMissing, match=r"\[EVIDENCE_MISSING\].*ledger init"):
        open_ledger(path, public_key=PUBLIC, signer=SIGNER)
    assert not path.exists()


def test_created_ledger_is_empty_signed_and_leaves_nothing_beside_it(path):
    with create(path) as ledger:
        assert (ledger.size(), ledger.origin) == (0, ORIGIN)
    assert list(path.parent.iterdir()) == [path]


def test_creating_an_existing_ledger_opens_it(path):
    create(path, 3).close()
    with create(path) as ledger:
        assert ledger.size() == 3


def test_losing_the_race_to_create_opens_the_winners(path, monkeypatch):
    publish = ledger_sqlite.publish_file

    def beaten(made, target):
        monkeypatch.setattr(ledger_sqlite, "publish_file", publish)
        create(path, 2).close()
        publish(made, target)

    monkeypatch.setattr(ledger_sqlite, "publish_file", beaten)
    with create(path) as ledger:
        assert ledger.size() == 2


def test_creating_without_the_private_key_is_refused(path):
    with pytest.raises(ConfigError, match="private key"):
        open_ledger(path, public_key=PUBLIC, create=True)
    with pytest.raises(ConfigError, match="private key"):
        open_ledger(path, public_key=OTHER, signer=SIGNER, create=True)
    assert not path.exists()


def test_creating_without_a_name_takes_one_from_the_key(path):
    signer = CallableSigner("sluicegate.dev/ledger/34750f98bd59fcfc", PUBLIC, PRIVATE.sign)
    with open_ledger(path, public_key=PUBLIC, signer=signer, create=True) as ledger:
        assert ledger.origin == signer.name


def test_creating_in_a_missing_directory_is_an_error_that_names_it(tmp_path):
    with pytest.raises(LedgerError, match=r"\[LEDGER\].*existing, writable directory"):
        create(tmp_path / "absent" / "ledger.db")


@pytest.mark.parametrize("content", [b"", b"hello, this is not a database" * 100])
def test_file_that_is_no_ledger_is_corrupt_and_untouched(path, content):
    path.write_bytes(content)
    for opening in (create, reader):
        with pytest.raises(LedgerCorrupt, match=r"\[LEDGER_CORRUPT\]"):
            opening(path)
    assert path.read_bytes() == content


def test_database_of_something_else_is_corrupt(path):
    sqlite3.connect(path).execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(LedgerCorrupt, match="not a ledger"):
        reader(path)


def test_directory_is_not_a_ledger(tmp_path):
    with pytest.raises(LedgerError, match=r"got a directory.*Name the ledger"):
        reader(tmp_path)


def test_path_through_a_file_cannot_be_opened(path):
    path.write_bytes(b"x")
    with pytest.raises(LedgerError, match=r"got Not a directory.*Check path"):
        reader(path / "ledger.db")


def test_truncated_file_is_corrupt(path):
    create(path, 200).close()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 // 4096 * 4096])
    with pytest.raises((LedgerCorrupt, VerificationError)), reader(path) as ledger:
        ledger.audit()


def test_every_damaged_page_is_found(path):
    create(path, 60).close()
    good = path.read_bytes()
    for begin in range(0, len(good), 4096):
        path.write_bytes(good[:begin] + os.urandom(4096) + good[begin + 4096 :])
        with pytest.raises((LedgerError, VerificationError)), reader(path) as ledger:
            ledger.audit()


def edit(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(*statement) if isinstance(statement, tuple) else connection.execute(
            statement
        )
    connection.commit()
    connection.close()


def test_another_format_version_is_refused(path):
    create(path, 1).close()
    edit(path, "UPDATE meta SET format_version = 2")
    with pytest.raises(ConfigError, match=r"\[CONFIG\].*format 1, got 2"):
        reader(path)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM meta",
        "INSERT INTO meta SELECT * FROM meta",
        "UPDATE meta SET origin = 7.5",
        "UPDATE meta SET origin = x'ff'",
        "UPDATE meta SET origin = CAST(x'ff' AS TEXT)",
        "DROP TABLE meta",
    ],
)
def test_ledger_that_does_not_say_what_it_is_is_corrupt(path, statement):
    create(path, 1).close()
    edit(path, statement)
    with pytest.raises((LedgerCorrupt, UntrustedKey)), reader(path) as ledger:
        ledger.audit()


def test_ledger_of_another_name_is_refused(path):
    create(path).close()
    with pytest.raises(ConfigError, match="another ledger"):
        open_ledger(path, public_key=PUBLIC, origin="example.com/other")


def test_renamed_ledger_is_untrusted(path):
    create(path, 2).close()
    edit(path, "UPDATE meta SET origin = 'example.com/other'")
    with reader(path) as ledger, pytest.raises(UntrustedKey):
        ledger.checkpoint()


def test_ledger_of_another_key_is_untrusted(path):
    create(path, 2).close()
    with open_ledger(path, public_key=OTHER) as ledger, pytest.raises(UntrustedKey):
        ledger.get_verified(0)


def test_signer_of_another_key_is_refused_at_opening(path):
    create(path).close()
    with pytest.raises(ConfigError, match="not the key"):
        open_ledger(path, public_key=OTHER, signer=SIGNER)


def test_path_with_characters_of_a_uri_opens(tmp_path):
    strange = tmp_path / "a b%20?mode=rwc#&\u00e9.db"
    create(strange, 2).close()
    with reader(strange) as ledger:
        assert ledger.size() == 2


def test_reader_cannot_append_and_does_not_write(path):
    create(path, 2).close()
    before = path.read_bytes()
    with reader(path) as ledger:
        ledger.audit()
        with pytest.raises(ConfigError, match="only for reading"):
            ledger.append(*item(9))
    assert path.read_bytes() == before


# -- what it does


def test_appended_leaves_are_there_after_reopening(path):
    receipt = create(path, 5).append(*item(99))
    with reader(path) as ledger:
        assert ledger.audit(receipt.checkpoint).size == 6
        assert ledger.get_verified(5).envelope == b"envelope 99"
        verify_proof(ledger.proof(5), item(99)[0].to_bytes(), [PUBLIC])


def test_lookups_combine_kind_source_and_subject(path):
    with create(path, 30) as ledger:
        assert [r.index for r in ledger.find("seal", "s1")] == [28, 22, 16, 10, 4]
        assert [r.index for r in ledger.find("seal", limit=3)] == [28, 26, 24]
        assert [r.index for r in ledger.find(source="s2", newest_first=False, limit=3)] == [2, 5, 8]
        subject = item(7)[0].subject
        assert [r.index for r in ledger.find(subject=subject)] == [7]
        assert [r.index for r in ledger.find("verdict", "s1", subject)] == [7]
        assert [r.index for r in ledger.find("seal", "s1", subject)] == []
        assert ledger.latest("verdict", "s2").index == 29
        assert ledger.by_envelope(item(11)[0].envelope).index == 11
        assert ledger.latest("waiver", "s1") is ledger.by_envelope("sha256:" + "0" * 64) is None


def test_newest_leaf_of_a_stream_is_one_index_step_away(path):
    """The guard asks this at every task start, so it must not sort or scan."""
    create(path, 30).close()
    seen = []
    store = ledger_sqlite.SqliteStore(path, writable=False)
    with store.reading() as snapshot:
        raw = snapshot._connection.connection.driver_connection
        raw.set_trace_callback(seen.append)
        query = ledger_sqlite_query("seal", "s1")
        snapshot.find(query, newest_first=True, start=None, limit=1)
        raw.set_trace_callback(None)
        plan = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {seen[-1]}")]
    store.close()
    assert any("USING INDEX leaf_stream" in step for step in plan), plan
    assert not any(step.startswith("SCAN") or "TEMP B-TREE" in step for step in plan), plan


def ledger_sqlite_query(kind, source):
    from sluicegate.ledger.store import Query

    return Query(kind, source)


def test_batch_larger_than_one_in_list_is_idempotent(path):
    with create(path) as ledger:
        items = [item(number) for number in range(1100)]
        ledger.append_many(items)
        again = ledger.append_many(items)
        assert [receipt.index for receipt in again] == list(range(1100))
        assert ledger.audit().size == 1100


def test_writer_that_was_overtaken_is_refused_with_the_size(path):
    """SQLite's lock makes this rare; on other databases the swap alone decides."""
    from sluicegate.ledger.store import Growth

    overtaken = pytest.raises(LedgerConflict, match=r"\[LEDGER_CONFLICT\].*size 3")
    with create(path, 3) as ledger, ledger._store.writing() as transaction, overtaken:
        transaction.grow(Growth(b"an older note", b"a new one", (), 0, ()))


def test_connection_is_not_used_across_fork(path):
    ledger = create(path, 2)
    child = os.fork()
    if child == 0:
        try:
            ledger.append(*item(50))
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the child reports by its exit status
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ledger.append(*item(51))
    assert ledger.audit().size == 4
    ledger.close()


def test_digest_packs_and_unpacks():
    for text in ("sha256:" + "ab" * 32, "dirHash1:" + "00" * 32):
        assert unpack_digest(pack_digest(text)) == text


# -- tampering


EDITS = {
    "leaf subject": [
        "UPDATE leaf SET subject = (SELECT subject FROM leaf WHERE idx=3) WHERE idx=2"
    ],
    "leaf envelope": ["UPDATE leaf SET envelope = zeroblob(32) WHERE idx=2"],
    "leaf stream": ["UPDATE leaf SET stream = 1 + stream % 3 WHERE idx=2"],
    "leaf stream unknown": ["UPDATE leaf SET stream = 99 WHERE idx=2"],
    "leaf of another type": ["UPDATE leaf SET subject = 'text' WHERE idx=2"],
    "leaf subject a huge number": ["UPDATE leaf SET subject = 9000000000000000000 WHERE idx=2"],
    "leaf envelope of another length": ["UPDATE leaf SET envelope = x'00' WHERE idx=2"],
    "leaf deleted": ["DELETE FROM leaf WHERE idx=2"],
    "last leaf deleted": ["DELETE FROM leaf WHERE idx=9"],
    "leaf and envelope deleted": [
        "DELETE FROM leaf WHERE idx=2",
        "DELETE FROM envelope WHERE idx=2",
    ],
    "leaf added": ["INSERT INTO leaf SELECT 10, stream, subject, envelope FROM leaf WHERE idx=2"],
    "leaf inserted below": [
        "INSERT INTO leaf SELECT -1, stream, subject, envelope FROM leaf WHERE idx=2",
    ],
    "leaves reordered": [
        "UPDATE leaf SET idx=100 WHERE idx=2",
        "UPDATE leaf SET idx=2 WHERE idx=3",
        "UPDATE leaf SET idx=3 WHERE idx=100",
        "UPDATE envelope SET idx=100 WHERE idx=2",
        "UPDATE envelope SET idx=2 WHERE idx=3",
        "UPDATE envelope SET idx=3 WHERE idx=100",
    ],
    "truncated": ["DELETE FROM leaf WHERE idx>5", "DELETE FROM envelope WHERE idx>5"],
    "emptied": ["DELETE FROM leaf", "DELETE FROM envelope", "DELETE FROM node"],
    "envelope edited": ["UPDATE envelope SET body = x'00' WHERE idx=2"],
    "envelope of another type": ["UPDATE envelope SET body = 5 WHERE idx=2"],
    "envelope deleted": ["DELETE FROM envelope WHERE idx=2"],
    "envelope added": ["INSERT INTO envelope VALUES (10, x'00')"],
    "node edited": ["UPDATE node SET hash = zeroblob(32) WHERE position=2"],
    "node of another length": ["UPDATE node SET hash = zeroblob(31) WHERE position=2"],
    "node of another type": ["UPDATE node SET hash = 1 WHERE position=2"],
    "node deleted": ["DELETE FROM node WHERE position=2"],
    "node added": ["INSERT INTO node VALUES (8, zeroblob(32))"],
    "nodes reordered": [
        "UPDATE node SET position=100 WHERE position=0",
        "UPDATE node SET position=0 WHERE position=1",
        "UPDATE node SET position=1 WHERE position=100",
    ],
    "checkpoint edited": ["UPDATE checkpoint SET note = CAST('hello' AS BLOB)"],
    "checkpoint of another type": ["UPDATE checkpoint SET note = 'hello'"],
    "checkpoint deleted": ["DELETE FROM checkpoint"],
    "second checkpoint": ["INSERT INTO checkpoint SELECT 2, note FROM checkpoint"],
    "stream renamed": ["UPDATE stream SET source = 'other' WHERE id=1"],
    "stream name not UTF-8": ["UPDATE stream SET source = CAST(x'ff' AS TEXT) WHERE id=1"],
    "stream of unknown kind": ["UPDATE stream SET kind = 'sael' WHERE id=1"],
    "stream deleted": ["DELETE FROM stream WHERE id=1"],
    "stream added": ["INSERT INTO stream VALUES (50, 'other', 'seal')"],
    "origin edited": ["UPDATE meta SET origin = 'example.com/other'"],
    "index dropped": ["DROP INDEX leaf_stream"],
    "trigger added": [
        "CREATE TRIGGER t AFTER INSERT ON leaf BEGIN DELETE FROM leaf WHERE idx=0; END",
    ],
    "view added": ["CREATE VIEW v AS SELECT * FROM leaf"],
}


@pytest.fixture(scope="session")
def honest(tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "honest.db"
    create(path, 10).close()
    return path


@pytest.mark.parametrize("statements", EDITS.values(), ids=EDITS.keys())
def test_every_edit_of_every_table_is_found_by_the_audit(honest, path, statements):
    shutil.copy(honest, path)
    edit(path, *statements)
    with reader(path) as ledger:
        with pytest.raises((VerificationError, LedgerCorrupt)):
            ledger.audit()
        assert ledger.examine().findings


@pytest.mark.parametrize("statements", EDITS.values(), ids=EDITS.keys())
def test_no_edit_makes_a_verified_read_return_anything_else(honest, path, statements):
    shutil.copy(honest, path)
    edit(path, *statements)
    kinds = ("seal", "verdict")
    with reader(path) as ledger:
        for index in range(-1, 11):
            try:
                record = ledger.get_verified(index)
            except (VerificationError, LedgerCorrupt, EvidenceMissing):
                continue
            assert (record.entry, record.envelope) == item(index, kinds[index % 2], f"s{index % 3}")


def test_index_that_hides_the_newest_leaf_is_found(honest, path):
    """Edited page by page, an index can lie while every hashed row is untouched."""
    shutil.copy(honest, path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA writable_schema=ON")
    sql = "CREATE INDEX leaf_stream ON leaf (stream, idx)"
    (root,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name='leaf_stream'"
    ).fetchone()
    # Point the index at an index of the same shape over fewer rows.
    connection.execute("CREATE TABLE half (stream INTEGER, idx INTEGER)")
    connection.execute(
        "INSERT INTO half (rowid, stream, idx) SELECT idx, stream, idx FROM leaf WHERE idx < 5"
    )
    connection.execute("CREATE INDEX half_index ON half (stream, idx)")
    (other,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name='half_index'"
    ).fetchone()
    connection.execute("DELETE FROM sqlite_master WHERE name IN ('half_index')")
    connection.execute(
        "UPDATE sqlite_master SET rootpage=?, sql=? WHERE name='leaf_stream'", (other, sql)
    )
    connection.commit()
    connection.close()
    assert root != other
    with reader(path) as ledger:
        assert ledger.latest("seal", "s0").index < 6  # the lie
        with pytest.raises(LedgerCorrupt):
            ledger.audit()
        assert any("damaged" in str(finding) for finding in ledger.examine().findings)


def test_yesterdays_file_is_a_rollback_for_whoever_remembers(path, tmp_path):
    with create(path, 5) as ledger:
        backup = sqlite3.connect(tmp_path / "backup.db")
        with sqlite3.connect(path) as source:
            source.backup(backup)
        source.close()
        backup.close()
        remembered = ledger.append(*item(90)).checkpoint
    (tmp_path / "backup.db").replace(path)
    with reader(path) as ledger:
        assert ledger.audit().size == 5
        for check in (ledger.audit, ledger.require_extends):
            with pytest.raises(Rollback):
                check(remembered)


def test_restored_file_that_went_on_is_a_fork(path, tmp_path):
    create(path, 5).close()
    shutil.copy(path, tmp_path / "backup.db")
    with create(path) as ledger:
        remembered = ledger.append(*item(90)).checkpoint
    shutil.copy(tmp_path / "backup.db", path)
    with create(path) as ledger:
        ledger.append(*item(91))
        ledger.append(*item(92))
        with pytest.raises(BadProof, match=r"rewrites|forked"):
            ledger.audit(remembered)


def test_restored_file_is_recovered_by_appending_the_same_envelopes_in_order(path, tmp_path):
    """docs/formats/ledger.md, Recovery, step 2."""
    create(path, 5).close()
    shutil.copy(path, tmp_path / "backup.db")
    with create(path) as ledger:
        ledger.append_many([item(90), item(91)])
        remembered = ledger.append(*item(92)).checkpoint
    shutil.copy(tmp_path / "backup.db", path)
    with create(path) as ledger:
        with pytest.raises(Rollback):
            ledger.require_extends(remembered)
        for number in (90, 91, 92):
            ledger.append(*item(number))
        assert ledger.audit(remembered).size == 8
        assert ledger.checkpoint() == remembered


def test_leaf_beyond_the_signed_end_stops_the_next_append(honest, path):
    shutil.copy(honest, path)
    edit(path, *EDITS["leaf added"])
    with create(path) as ledger, pytest.raises(LedgerCorrupt, match="signed end"):
        ledger.append(*item(70))


# -- permissions


@pytest.fixture
def open_place():
    """A directory that every user may enter.

    Not pytest's own: each run of pytest by the same user makes their common parent private
    again, also while this one is running.
    """
    place = Path(tempfile.mkdtemp(prefix="sluicegate-"))
    place.chmod(0o755)
    yield place
    for each in [place, *place.glob("*/")]:
        each.chmod(0o755)
    shutil.rmtree(place)


@pytest.mark.parametrize("wal", [False, True])
def test_user_who_may_only_read_can_verify(open_place, wal):
    """An auditor's account: no write permission on file or directory, with or without a WAL."""
    home = open_place / "home"
    home.mkdir()
    path = home / "ledger.db"
    writer = create(path, 5)
    if not wal:
        writer.close()
    for each in [home, *home.iterdir()]:
        each.chmod(0o555 if each.is_dir() else 0o444)
    code = (
        "import os, sys, pathlib\n"
        "from sluicegate.adapters.ledgers.sqlite import open_ledger\n"
        "from sluicegate.ledger import audit\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "assert not os.access(path.parent, os.W_OK)\n"
        "print(open_ledger(path, public_key=bytes.fromhex(sys.argv[2])).audit().size)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), PUBLIC.hex()],
        capture_output=True,
        text=True,
        check=False,
    )
    writer.close() if wal else None
    assert (done.stdout, done.returncode) == ("5\n", 0), done.stderr


def test_every_table_has_an_edit_that_is_tested():
    touched = " ".join(" ".join(statements) for statements in EDITS.values())
    assert all(f" {table} " in f" {touched} " for table in metadata.tables)


def test_schema_that_is_no_text_any_more_is_corrupt_not_a_crash(path):
    """SQLite quotes the name that it does not know, and its driver cannot decode the message."""
    create(path, 1).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    sound = path.read_bytes()
    refused = 0
    for offset in range(0, 120, 3):
        data = bytearray(sound)
        data[sound.index(b"CREATE TABLE leaf") + offset] ^= 0x80
        path.write_bytes(data)
        try:  # a byte that SQLite does not look at changes nothing
            with reader(path) as ledger:
                ledger.audit()
        except LedgerCorrupt:
            refused += 1
    assert refused > 10

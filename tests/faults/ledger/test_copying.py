"""A ledger that is copied to another store: the same to the last byte, or no ledger at all."""

from __future__ import annotations

import os
import signal
import sqlite3
import uuid
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_stores import ORIGIN, PUBLIC, PostgresSite, SqliteSite, make_item

from sluicegate.adapters.ledgers import copy_places
from sluicegate.adapters.ledgers.copy_places import opened_source, opened_target, same_place
from sluicegate.adapters.ledgers.copying import N_LEAVES, copy_ledger
from sluicegate.errors import (
    BadProof,
    ConfigError,
    EvidenceMissing,
    LedgerCorrupt,
    LedgerError,
    UntrustedKey,
)
from sluicegate.ledger.keys import CallableSigner, verifier_of

N = 3 * N_LEAVES + 17
TABLES = {
    "meta": "format_version, origin",
    "checkpoint": "id, note",
    "leaf": "idx, source, kind, subject, envelope",
    "envelope": "idx, body",
    "node": "position, hash",
}
LEAF = "(SELECT * FROM leaf JOIN stream ON leaf.stream = stream.id) AS leaf"


def filled(site, n=N, *, prefix=""):
    """A ledger of several sources and kinds."""
    with site.opened() as ledger:
        for start in range(0, n, 10):
            ledger.append_many(
                [
                    make_item(f"{prefix}{i}", ("seal", "verdict")[i % 2], f"source{i % 7}")
                    for i in range(start, min(start + 10, n))
                ]
            )
        return ledger.checkpoint()


def held(site):
    """Every row of a store, as any reader of its tables sees it."""
    found = {}
    for table, columns in TABLES.items():
        of = LEAF if table == "leaf" else table
        query = f"SELECT {columns} FROM {of} ORDER BY 1"
        if site.kind == "sqlite":
            connection = sqlite3.connect(site.path)
            rows = connection.execute(query).fetchall()
            connection.close()
        else:
            rows = site.server.execute(query, schema=site.schema)
        found[table] = [tuple(row) for row in rows]
    return found


def copy(source, target, tell=lambda *_: None):
    with opened_source(str(source.where)) as store, _target(target, store) as place:
        return copy_ledger(store, place, verifier_of(PUBLIC, ORIGIN), tell=tell)


def _target(target, store):
    return opened_target(str(target.where), store.origin())


@pytest.fixture(params=["sqlite", "postgres"])
def source(request, tmp_path):
    if request.param == "sqlite":
        return SqliteSite(tmp_path / "source.db")
    return PostgresSite(request.getfixturevalue("postgres"), f"s{uuid.uuid4().hex[:12]}")


@pytest.fixture
def target(source, tmp_path, postgres):
    """A place on the other kind of store."""
    if source.kind == "postgres":
        return SqliteSite(tmp_path / "target.db")
    return PostgresSite(postgres, f"t{uuid.uuid4().hex[:12]}")


def test_copy_holds_the_same_rows_and_goes_on_where_the_source_stood(source, target):
    note, told = filled(source), []
    done = copy(source, target, lambda *progress: told.append(progress))
    assert (done.n_new, done.size, done.checkpoint, done.grew) == (N, N, note, False)
    assert told == [(min(n, N), N) for n in range(N_LEAVES, N + N_LEAVES, N_LEAVES)]
    assert held(target) == held(source)
    with target.opened() as ledger:
        assert ledger.audit(note).size == N
        receipt = ledger.append(*make_item("next"))
        assert receipt.index == N
        ledger.audit(note)


def test_copy_of_a_copy_is_the_first_again(source, target, tmp_path, postgres):
    filled(source)
    copy(source, target)
    again = SqliteSite(tmp_path / "again.db")
    copy(target, again)
    assert held(again) == held(source)


def test_a_second_call_copies_nothing_and_verifies_again(source, target):
    filled(source)
    copy(source, target)
    before = held(target)
    assert copy(source, target).n_new == 0
    assert held(target) == before
    target.edit(f"UPDATE envelope SET body = {target.text('other')} WHERE idx = 5")
    with pytest.raises((LedgerCorrupt, BadProof)):
        copy(source, target)


def test_an_empty_ledger_is_copied(source, target):
    source.opened().close()
    assert copy(source, target).size == 0
    assert held(target) == held(source)


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_a_copy_that_is_killed_is_no_ledger_and_the_next_call_ends_it(
    source, target, forked, n_steps
):
    filled(source)
    steps = []

    def die(*progress):
        steps.append(progress)
        if len(steps) == n_steps:
            os.kill(os.getpid(), signal.SIGKILL)

    child = forked(lambda: copy(source, target, die))
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    missing = EvidenceMissing if target.kind == "sqlite" else LedgerCorrupt
    with pytest.raises(missing), target.reader() as ledger:
        ledger.checkpoint()
    done = copy(source, target)
    assert done.n_new == N - n_steps * N_LEAVES, "what was durable is not copied again"
    assert held(target) == held(source)


def _write(pipe, *_progress):
    os.write(pipe, b".")


def test_a_copy_that_is_killed_wherever_it_is_loses_nothing(source, target, forked):
    filled(source, 600)
    with opened_target(str(target.where), ORIGIN):
        pass
    for _ in range(5):
        reading, writing = os.pipe()
        child = forked(partial(copy, source, target, partial(_write, writing)))
        os.close(writing)
        os.read(reading, 1)  # it copies; where the kill lands is left to chance
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
    copy(source, target)
    assert held(target) == held(source)


@pytest.mark.parametrize("before", ["link", "unlink"])
def test_a_file_that_is_killed_while_it_gets_its_name_is_named_by_the_next_call(
    tmp_path, forked, monkeypatch, before
):
    source, target = SqliteSite(tmp_path / "source.db"), SqliteSite(tmp_path / "target.db")
    note = filled(source, 70)
    beside = tmp_path / "target.db.copying"

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def killed():
        if before == "link":
            monkeypatch.setattr(copy_places, "publish_file", die)
        else:
            monkeypatch.setattr(type(beside), "unlink", die)
        copy(source, target)

    assert os.waitpid(forked(killed), 0)[1] == signal.SIGKILL
    assert beside.exists()
    assert copy(source, target).checkpoint == note
    assert not beside.exists()
    assert sorted(path.name for path in tmp_path.glob("target*")) == ["target.db"]
    assert held(target) == held(source)


def test_an_older_state_of_the_ledger_is_brought_up_to_date(source, target, forked):
    filled(source, 100)
    copy(source, target)
    with source.opened() as ledger:
        ledger.append_many([make_item(f"later {i}") for i in range(2 * N_LEAVES)])

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(forked(lambda: copy(source, target, die)), 0)
    with pytest.raises(LedgerCorrupt, match="ledger migrate"), target.reader() as ledger:
        ledger.checkpoint()
    assert copy(source, target).n_new == N_LEAVES
    assert held(target) == held(source)


def test_a_source_that_grows_meanwhile_is_copied_as_it_was_and_said_so(source, target):
    note = filled(source)

    def append(*_):
        with source.opened() as ledger:
            ledger.append(*make_item("meanwhile"))

    done = copy(source, target, append)
    assert done.grew
    assert (done.checkpoint, done.size) == (note, N)
    with target.reader() as ledger:
        assert ledger.audit(note).size == N
    again = copy(source, target)
    assert (again.n_new, again.grew) == (1, False)


def test_a_target_that_is_ahead_is_left_alone(source, target):
    filled(source, 20)
    copy(source, target)
    with target.opened() as ledger:
        ledger.append(*make_item("newer"))
    before = held(target)
    with pytest.raises(ConfigError, match="more leaves"):
        copy(source, target)
    assert held(target) == before


@pytest.mark.parametrize("n", [10, 20])
def test_a_fork_under_the_same_key_is_left_alone(source, target, n):
    filled(source, 20)
    filled(target, n, prefix="other ")
    before = held(target)
    with pytest.raises(BadProof, match="other leaves"):
        copy(source, target)
    assert held(target) == before


def test_an_unfinished_copy_of_something_else_is_left_alone(source, target):
    filled(source, 20)
    filled(target, 10, prefix="other ")
    target.edit("DELETE FROM checkpoint")
    before = held(target)
    with pytest.raises(BadProof, match="other leaves"):
        copy(source, target)
    assert held(target) == before


def test_a_ledger_of_another_name_or_key_is_left_alone(source, target):
    filled(source, 20)
    other = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)
    public = other.public_key().public_bytes_raw()
    for origin, error in (("example.com/other", ConfigError), (ORIGIN, UntrustedKey)):
        site = type(target)(
            *(
                (target.path.with_name(f"{len(origin)}.db"),)
                if target.kind == "sqlite"
                else (target.server, f"{target.schema}{len(origin)}")
            )
        )
        site.adapter.open_ledger(
            site.where,
            public_key=public,
            signer=CallableSigner(origin, public, other.sign),
            create=True,
            origin=origin,
        ).close()
        before = held(site)
        with pytest.raises(error):
            copy(source, site)
        assert held(site) == before


def test_rows_that_an_editor_slips_in_while_it_is_copied_make_no_ledger(source, target):
    filled(source)

    def edit(n_leaves, n_all):
        if n_leaves == N_LEAVES:
            source.edit(f"UPDATE envelope SET body = {source.text('forged')} WHERE idx = 150")

    with pytest.raises((LedgerCorrupt, BadProof)):
        copy(source, target, edit)
    with pytest.raises((EvidenceMissing, LedgerCorrupt)), target.reader() as ledger:
        ledger.checkpoint()


def test_a_disk_that_refuses_makes_no_ledger(tmp_path, source):
    filled(source, 20)
    target = SqliteSite(tmp_path / "nowhere" / "target.db")
    with pytest.raises(LedgerError, match="cannot be created"):
        copy(source, target)


def test_one_store_has_many_spellings(tmp_path):
    assert same_place(str(tmp_path / "a.db"), str(tmp_path / "b" / ".." / "a.db"))
    assert not same_place(str(tmp_path / "a.db"), str(tmp_path / "b.db"))
    url = "postgresql://u@127.0.0.1/db"
    assert same_place(url, f"{url}?schema=sluicegate")
    assert not same_place(url, f"{url}?schema=other")
    assert not same_place(url, "a.db")

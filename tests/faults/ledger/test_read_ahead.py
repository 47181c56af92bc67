"""On every store: what is read together is what is read one by one, wherever a row was edited."""

from __future__ import annotations

import pytest

from sluicegate.errors import SluicegateError
from sluicegate.ledger.frontier import n_positions
from sluicegate.ledger.store import Query

N = 11
KINDS = ("seal", "verdict")


def answer(ask, *arguments, **options):
    try:
        return ask(*arguments, **options)
    except SluicegateError as error:
        return type(error), str(error)


def answers(ledger, item):
    found = [answer(ledger.get_verified, index) for index in range(N)]
    found += [answer(ledger.by_envelope, item(n)[0].envelope) for n in range(N)]
    found += [answer(lambda k=kind: list(ledger.find(k, "flights"))) for kind in KINDS]
    found += [answer(lambda k=kind: list(ledger.find(k, "flights", limit=1))) for kind in KINDS]
    return found


def together(ledger, item):
    with ledger.snapshot() as still:
        still.look_ahead(
            [Query(kind, source) for kind in KINDS for source in ("flights", "none")],
            limit=2,
            envelopes=[item(n)[0].envelope for n in range(N)],
        )
        still.prove_ahead(range(N))
        return answers(still, item)


@pytest.fixture
def filled(site, item):
    with site.opened() as ledger:
        ledger.append_many([item(n, kind=KINDS[n % 2]) for n in range(N)])
    return site


def literal(site, data):
    return f"X'{data.hex()}'" if site.kind == "sqlite" else f"'\\x{data.hex()}'::bytea"


def places():
    yield from (("leaf", "idx", "subject", n) for n in range(N))
    yield from (("leaf", "idx", "envelope", n) for n in range(N))
    yield from (("envelope", "idx", "body", n) for n in range(N))
    yield from (("node", "position", "hash", n) for n in range(n_positions(N)))


def test_every_edited_row_is_found_as_it_is_one_by_one(filled, item):
    with filled.reader() as ledger:
        sound = answers(ledger, item)
        assert together(ledger, item) == sound
        with ledger._store.reading() as snapshot:
            kept = {
                ("leaf", "subject"): dict.fromkeys(
                    range(N), b"dirHash1:" + bytes.fromhex("ab" * 32)
                ),
                ("leaf", "envelope"): {
                    n: bytes.fromhex(item(n)[0].envelope.removeprefix("sha256:")) for n in range(N)
                },
                ("envelope", "body"): dict(snapshot.envelopes(range(N))),
                ("node", "hash"): dict(snapshot.hashes(range(n_positions(N)))),
            }
        for table, key, column, place in places():
            before = kept[table, column][place]
            edited = before[:-1] + bytes([before[-1] ^ 1])
            update = f"UPDATE {table} SET {column} = {{}} WHERE {key} = {place}"
            filled.edit(update.format(literal(filled, edited)))
            one_by_one = answers(ledger, item)
            assert one_by_one != sound, (table, column, place)
            assert together(ledger, item) == one_by_one, (table, column, place)
            filled.edit(update.format(literal(filled, before)))
        assert together(ledger, item) == sound


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM leaf WHERE idx = 10",
        "DELETE FROM envelope WHERE idx = 10",
        "DELETE FROM node WHERE position = 3",
        "UPDATE leaf SET stream = (SELECT max(id) + 1 FROM stream) WHERE idx = 10",
        "UPDATE leaf SET stream = (SELECT max(id) FROM stream) WHERE idx = 10",
        "UPDATE stream SET source = 'none' WHERE kind = 'verdict'",
        "DELETE FROM checkpoint",
    ],
)
def test_a_row_that_is_gone_or_moved_is_missed_by_both_alike(filled, item, edit):
    filled.edit(edit)
    with filled.reader() as ledger:
        try:
            one_by_one = answers(ledger, item)
        except SluicegateError as error:
            pytest.fail(f"answers() keeps errors: {error}")
        assert together(ledger, item) == one_by_one


def test_a_snapshot_sees_no_append_that_comes_after_it(filled, item):
    with filled.opened() as writer, filled.reader() as ledger, ledger.snapshot() as still:
        assert still.size() == N
        writer.append(*item("later"))
        assert still.size() == N
        assert still.by_envelope(item("later")[0].envelope) is None
        assert ledger.size() == N + 1


def test_many_sources_are_found_in_one_question(site, item):
    names = [f"source-{n}" for n in range(1203)]  # more than one statement may name
    with site.opened() as ledger:
        ledger.append_many([item(name, source=name) for name in names])
        asked = [Query("seal", name) for name in (*names, "none")]
        with ledger.snapshot() as still:
            found = still.look_ahead(asked)
            assert [(record.index, record.entry.source) for record in found] == [*enumerate(names)]
            still.prove_ahead([record.index for record in found])
            assert [still.get_verified(record.index) for record in found] == found

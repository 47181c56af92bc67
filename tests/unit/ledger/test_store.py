"""What is read together is what is read one by one, for any leaves and any damage, to the word."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ledger.conftest import ORIGIN, MemoryStore, make_item, make_signer

from sluicegate.errors import ConfigError, SluicegateError
from sluicegate.ledger.checkpoint import Checkpoint, sign_checkpoint
from sluicegate.ledger.frontier import n_positions
from sluicegate.ledger.keys import Ed25519Verifier
from sluicegate.ledger.log import Ledger
from sluicegate.ledger.merkle import EMPTY_ROOT
from sluicegate.ledger.store import Query

KINDS = ("seal", "verdict", "quarantine")
SOURCES = ("flights", "trains")
MOST = 40


def filled(n_leaves):
    """A ledger of some leaves, of all kinds and sources in turn."""
    signer = make_signer()
    store = MemoryStore(sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), signer))
    ledger = Ledger(store, Ed25519Verifier(signer.name, signer.public_key), signer)
    ledger.append_many(
        [make_item(n, KINDS[n % 3], SOURCES[n % 2]) for n in range(n_leaves)] or [make_item(0)]
    )
    return ledger, store


def answer(ask, *arguments, **options):
    """What a question is answered, an error with all its words."""
    try:
        return ask(*arguments, **options)
    except SluicegateError as error:
        return type(error), str(error)


def all_answers(ledger, indexes, names):
    queries = [(kind, source) for kind in KINDS for source in SOURCES]
    return (
        [answer(ledger.get_verified, index) for index in indexes],
        [answer(ledger.by_envelope, name) for name in names],
        [answer(lambda q=q: list(ledger.find(*q))) for q in queries],
        [answer(lambda q=q: list(ledger.find(*q, limit=2))) for q in queries],
        [answer(lambda q=q: ledger.listed(*q, limit=3)) for q in queries],
        [answer(ledger.latest, *query) for query in queries],
    )


DAMAGE = {
    "leaf edited": lambda s, n: s.leaves.update({n: make_item(99, s.leaves[n].kind)[0]}),
    "leaf gone": lambda s, n: s.leaves.pop(n),
    "leaf of another kind": lambda s, n: s.leaves.update({n: replace(s.leaves[n], kind="table")}),
    "envelope edited": lambda s, n: s.bodies.update({n: b"another"}),
    "envelope gone": lambda s, n: s.bodies.pop(n),
    "node edited": lambda s, n: s.nodes.update({n: bytes(32)}),
    "node cut": lambda s, n: s.nodes.update({n: s.nodes[n][:31]}),
    "node gone": lambda s, n: s.nodes.pop(n),
}


@given(st.data())
def test_read_together_is_read_one_by_one_whatever_is_damaged(data):
    n_leaves = data.draw(st.integers(1, MOST))
    ledger, store = filled(n_leaves)
    for kind in data.draw(st.lists(st.sampled_from(sorted(DAMAGE)), max_size=3)):
        state = store.state
        tables = {"node": state.nodes, "envelope": state.bodies, "leaf": state.leaves}
        places = sorted(tables[kind.split()[0]])
        if places:
            DAMAGE[kind](state, data.draw(st.sampled_from(places)))
    indexes = data.draw(st.lists(st.integers(-1, n_leaves + 1), max_size=12))
    names = [
        make_item(n)[0].envelope for n in data.draw(st.lists(st.integers(0, MOST), max_size=4))
    ]
    told = data.draw(st.lists(st.sampled_from([Query(k, s) for k in KINDS for s in SOURCES])))
    one_by_one = all_answers(ledger, indexes, names)
    with ledger.snapshot() as together:
        together.look_ahead(told, limit=data.draw(st.integers(1, 3)), envelopes=names)
        together.prove_ahead(data.draw(st.permutations(indexes)))
        assert all_answers(together, indexes, names) == one_by_one
    with ledger.snapshot() as unprepared:
        assert all_answers(unprepared, indexes, names) == one_by_one


@pytest.mark.parametrize("kind", DAMAGE)
def test_every_single_damage_is_found_where_it_was(kind):
    """The exhaustive half: each place of a ragged tree, all leaves asked together."""
    n_leaves, found = 21, 0
    for place in range(n_positions(n_leaves) if kind.startswith("node") else n_leaves):
        ledger, store = filled(n_leaves)
        DAMAGE[kind](store.state, place)
        one_by_one = [answer(ledger.get_verified, index) for index in range(n_leaves)]
        for order in (1, -1):
            with ledger.snapshot() as together:
                together.prove_ahead(range(n_leaves))
                asked = {n: answer(together.get_verified, n) for n in range(n_leaves)[::order]}
            assert [asked[n] for n in range(n_leaves)] == one_by_one
        found += sum(isinstance(one, tuple) for one in one_by_one)
    assert found >= n_leaves - 3, "no damage was ever found, so nothing was compared"


class Counted:
    """Counts what is asked of a snapshot."""

    def __init__(self, snapshot, calls):
        self._snapshot, self._calls = snapshot, calls

    def __getattr__(self, name):
        def counted(*arguments, **options):
            self._calls[name] += 1
            return getattr(self._snapshot, name)(*arguments, **options)

        return counted


@pytest.fixture
def calls(monkeypatch):
    """Questions to the store, by name."""
    counted = Counter()
    reading = MemoryStore.reading

    @contextmanager
    def counting(self):
        with reading(self) as snapshot:
            yield Counted(snapshot, counted)

    monkeypatch.setattr(MemoryStore, "reading", counting)
    return counted


@pytest.mark.parametrize("n_leaves", [3, 20, 200])
def test_any_number_of_leaves_takes_the_same_few_statements(n_leaves, calls):
    ledger, _ = filled(n_leaves)
    asked = [Query(kind, source) for kind in KINDS for source in SOURCES]
    calls.clear()
    with ledger.snapshot() as together:
        together.look_ahead(asked, envelopes=[make_item(n)[0].envelope for n in range(n_leaves)])
        together.prove_ahead(range(n_leaves))
        for index in range(n_leaves):
            together.get_verified(index)
            together.by_envelope(make_item(index)[0].envelope)
        for query in asked:
            next(together.find(query.kind, query.source, limit=1), None)
    each_once = {"checkpoint": 1, "find_each": 1, "logged": 1, "hashes": 1}
    assert {name: calls[name] for name in each_once} == each_once
    assert sum(calls.values()) <= 8


def test_a_snapshot_stays_as_it_is_while_the_ledger_grows():
    ledger, _ = filled(5)
    with ledger.snapshot() as still:
        before = still.size(), still.checkpoint()
        ledger.append(*make_item(77))
        assert (still.size(), still.checkpoint()) == before
    with ledger.snapshot() as later:
        assert later.size() == before[0] + 1


def test_a_snapshot_is_for_reading():
    ledger, store = filled(2)
    with ledger.snapshot() as still:
        with pytest.raises(ConfigError, match="only for reading"):
            still.append(*make_item(5))
        with pytest.raises(RuntimeError), still._store.writing():
            pass
        still.close()
        assert not store.closed


def test_nothing_is_read_ahead_outside_a_snapshot(calls):
    ledger, _ = filled(4)
    calls.clear()
    assert ledger.look_ahead([Query("seal", "flights")]) == []
    ledger.prove_ahead([0, 1])
    assert not calls

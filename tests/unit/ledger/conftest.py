"""Fixed keys and a store in memory; the keys are for tests only."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from hashlib import sha256
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sluicegate.errors import LedgerConflict
from sluicegate.ledger.checkpoint import Checkpoint, sign_checkpoint
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.keys import CallableSigner, Ed25519Verifier
from sluicegate.ledger.log import Ledger
from sluicegate.ledger.merkle import EMPTY_ROOT
from sluicegate.ledger.store import Strays
from sluicegate.ledger.subtree import N_LEAVES

ORIGIN = "example.com/test-ledger"


def make_signer(seed: int = 1, name: str = ORIGIN) -> CallableSigner:
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return CallableSigner(name, key.public_key().public_bytes_raw(), key.sign)


def make_item(number: int, kind: str = "seal", source: str = "flights"):
    envelope = b"envelope %d" % number
    return Entry.of(kind, source, f"dirHash1:{number:064x}", envelope), envelope


def fill(ledger, item, n):
    """Append the first items, one by one."""
    return [ledger.append(*item(number)) for number in range(n)]


class MemoryStore:
    """The store protocol over dicts: second implementation, and easy to tamper with."""

    locator = "memory"

    def __init__(self, note: bytes) -> None:
        self.state = SimpleNamespace(note=note, leaves={}, bodies={}, nodes={})
        self.closed = False

    @contextmanager
    def reading(self):
        yield MemoryTransaction(self.state)

    @contextmanager
    def writing(self):
        draft = copy.deepcopy(self.state)
        yield MemoryTransaction(draft)
        self.state = draft

    def close(self) -> None:
        self.closed = True


class MemoryTransaction:
    def __init__(self, state) -> None:
        self.state = state

    def checkpoint(self):
        return self.state.note

    def entries(self, indexes):
        return {i: self.state.leaves[i] for i in indexes if i in self.state.leaves}

    def envelopes(self, indexes):
        return {i: self.state.bodies[i] for i in indexes if i in self.state.bodies}

    def hashes(self, positions):
        return {p: self.state.nodes[p] for p in positions if p in self.state.nodes}

    def find(self, query, *, newest_first, start, limit):
        found = [
            (index, entry)
            for index, entry in sorted(self.state.leaves.items(), reverse=newest_first)
            if query.kind in (None, entry.kind)
            and query.source in (None, entry.source)
            and query.subject in (None, entry.subject)
            and (start is None or (index <= start if newest_first else index >= start))
        ]
        return found[:limit]

    def find_each(self, queries, limit):
        return [self.find(q, newest_first=True, start=None, limit=limit) for q in queries]

    def logged(self, envelopes):
        return [(i, e) for i, e in sorted(self.state.leaves.items()) if e.envelope in envelopes]

    def sources(self):
        return sorted({entry.source for entry in self.state.leaves.values()})

    def scan(self, start):
        rows = [self._scanned(*row) for row in sorted(self.state.leaves.items()) if row[0] >= start]
        while rows:
            end = N_LEAVES - start % N_LEAVES
            yield rows[:end]
            start, rows = start + end, rows[end:]

    def _scanned(self, index, entry):
        digest = bytes.fromhex(entry.envelope.removeprefix("sha256:"))
        body = self.state.bodies.get(index)
        hashed = None if body is None else sha256(body).digest()
        return index, entry.to_bytes(), digest, hashed, 0

    def hash_run(self, first, count):
        return b"".join(self.hashes(range(first, first + count)).values())

    def strays(self, size, n_hashes):
        def outside(rows, end):
            return sum(1 for number in rows if not 0 <= number < end)

        state = self.state
        tables = ((state.leaves, size), (state.bodies, size), (state.nodes, n_hashes))
        return Strays(*(outside(*table) for table in tables), 0)

    def damage(self, *, thorough=True):
        return ()

    def grow(self, growth):
        if growth.old_checkpoint != self.state.note:
            raise LedgerConflict(len(self.state.leaves), "another writer was first")
        self.state.note = growth.new_checkpoint
        for record in growth.records:
            self.state.leaves[record.index] = record.entry
            self.state.bodies[record.index] = record.envelope
        self.state.nodes.update(enumerate(growth.hashes, growth.position))


@pytest.fixture
def signer():
    return make_signer()


@pytest.fixture
def other_signer():
    return make_signer(2)


@pytest.fixture
def verifier(signer):
    return Ed25519Verifier(signer.name, signer.public_key)


@pytest.fixture
def store(signer):
    return MemoryStore(sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), signer))


@pytest.fixture
def ledger(store, verifier, signer):
    return Ledger(store, verifier, signer)


@pytest.fixture
def item():
    """Make entry and envelope of a number."""
    return make_item

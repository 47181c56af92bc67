"""Reads of one snapshot, each checked against the checkpoint that the ledger's key signed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from sluicegate.digest.algorithms import SHA256
from sluicegate.errors import BadProof, EvidenceMissing, LedgerCorrupt, Rollback
from sluicegate.ledger.checkpoint import Checkpoint, open_checkpoint
from sluicegate.ledger.frontier import Frontier, position
from sluicegate.ledger.merkle import (
    Node,
    consistency_nodes,
    fold,
    folded,
    inclusion_nodes,
    node_hash,
    root_nodes,
    split,
    subtrees,
    verify_consistency,
    verify_inclusion,
)
from sluicegate.ledger.store import LedgerRecord, Query

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from sluicegate.ledger.entry import Entry
    from sluicegate.ledger.note import NoteVerifier
    from sluicegate.ledger.store import Snapshot

Range = tuple[int, int]
"""Leaves from the first number to before the second."""

_PAGE: Final = 1000
"""Leaves that are read at once."""


class View:
    """One snapshot under its verified checkpoint.

    Args:
        snapshot: State of the store.
        verifier: The ledger's public key.
        locator: Where the store is, for messages.

    Attributes:
        note: The newest checkpoint as a signed note.
        head: The same, verified.

    Raises:
        VerificationError: The checkpoint is not one of this ledger's.
    """

    __slots__ = ("_locator", "_proven", "_snapshot", "head", "note")

    def __init__(self, snapshot: Snapshot, verifier: NoteVerifier, locator: str) -> None:
        self._snapshot = snapshot
        self._locator = locator
        self.note: bytes = snapshot.checkpoint()
        self.head: Checkpoint = open_checkpoint(self.note, [verifier], locator=locator)
        # Of every range that a proof climbed: its siblings were read too, all the way up.
        self._proven: dict[Range, bytes] = {(0, self.head.size): self.head.root}

    def record(self, index: int) -> LedgerRecord:
        """Return a leaf whose envelope has the digest that the leaf names.

        Raises:
            EvidenceMissing: There is no such leaf.
            LedgerCorrupt: The envelope is missing or another one.
        """
        record = unverified_record(self._snapshot, index, self._locator)
        require_envelope(record.entry, record.envelope, f"{self._locator}#{index}")
        return record

    def prove(self, index: int, entry: Entry) -> tuple[bytes, ...]:
        """Return the hashes from a leaf to the signed root; they were verified to reach it.

        Args:
            index: Position of the leaf.
            entry: The leaf.

        Raises:
            BadProof: They do not reach it: leaf, tree or checkpoint was edited.
            LedgerCorrupt: A node is missing.
        """
        parts = inclusion_nodes(index, self.head.size)
        proof = folded(parts, self._hashes(parts).__getitem__)
        verify_inclusion(entry.hashed(), index, self.head.size, proof, self.head.root)
        return proof

    def require_included(self, index: int, entry: Entry) -> None:
        """Check that a leaf leads to the signed root, as `prove` does; no path is climbed twice.

        The siblings on the way are read from the store as for a proof of this leaf alone. Where the
        way joins one that was climbed before, the rest of the two proofs is the same.

        Args:
            index: Position of the leaf.
            entry: The leaf.

        Raises:
            BadProof: As `prove`.
            LedgerCorrupt: As `prove`.
        """
        if not 0 <= index < self.head.size:
            self.prove(index, entry)
        above, steps = self._way(index)
        siblings = [subtrees(*other) for _, other in steps]
        hashes = self._hashes(siblings)
        climbed, passed = entry.hashed(), {}
        for (own, other), nodes in zip(reversed(steps), reversed(siblings), strict=True):
            passed[own] = climbed
            sibling = fold([hashes[node] for node in nodes])
            pair = (climbed, sibling) if own < other else (sibling, climbed)
            climbed = node_hash(*pair)
        if climbed == self._proven[above]:
            self._proven |= passed
        else:
            self.prove(index, entry)

    def read_ahead(self, indexes: Iterable[int]) -> None:
        """Read the siblings that proofs of some leaves need; whoever proves a leaf checks them.

        Args:
            indexes: Positions of leaves; those outside the tree are left out.

        Raises:
            LedgerCorrupt: A node is missing.

        Cost: two queries.
        """
        seen: dict[Range, Range] = {}
        for index in indexes:
            if 0 <= index < self.head.size:
                seen.update(self._way(index, seen)[1])
        self._hashes([subtrees(*other) for other in seen.values()])

    def _way(
        self, index: int, seen: Container[Range] = ()
    ) -> tuple[Range, list[tuple[Range, Range]]]:
        """Return the way down to a leaf: where it leaves what is proven, and pairs from there.

        A pair is the half of a range that holds the leaf, and the other half.
        """
        begin, end = above = (0, self.head.size)
        steps = []
        while end - begin > 1:
            middle = split(begin, end)
            halves = (begin, middle), (middle, end)
            own, other = halves if index < middle else halves[::-1]
            if own in self._proven:
                above = own
            elif own not in seen:
                steps.append((own, other))
            begin, end = own
        return above, steps

    def consistency(self, old_size: int, new_size: int | None = None) -> tuple[bytes, ...]:
        """Return the hashes from the root of an older size to a newer root.

        Args:
            old_size: Number of leaves of the older tree.
            new_size: Number of leaves of the newer one; None for all.

        Raises:
            BadProof: The newer tree is smaller.
            LedgerCorrupt: A node is missing.
        """
        parts = consistency_nodes(old_size, self.head.size if new_size is None else new_size)
        return folded(parts, self._hashes(parts).__getitem__)

    def require_extends(self, old: Checkpoint) -> None:
        """Check that this state only appends to an older checkpoint.

        Raises:
            Rollback: It is smaller.
            BadProof: It rewrites what the older one held.
            LedgerCorrupt: A node is missing.
        """
        if self.head.size < old.size:
            raise rolled_back(old, self.head.size, self._locator)
        proof = self.consistency(old.size)
        verify_consistency(old.size, old.root, self.head.size, self.head.root, proof)

    def follow(self, old: Checkpoint, take: Callable[[int, Entry], object], *, whole: bool) -> None:
        """Check that this state extends an older one, and hand over the leaves since then.

        A lookup by kind and source believes the store about what is not there. These leaves are
        counted and hashed up to the signed root, so a hidden one leaves a gap or another root.

        Args:
            old: The older state.
            take: Called with index and leaf, upwards. Nobody may believe the leaves before this
                method has returned.
            whole: Hand over all leaves, not only the new ones.

        Raises:
            Rollback: This state is smaller.
            LedgerCorrupt: A leaf is missing, or the leaves do not lead to the signed root.
            BadProof: They do lead there, but past another older state: the history was rewritten.

        Cost: one query for each 1,000 leaves; about 8 us of CPU for each leaf.
        """
        if self.head.size < old.size:
            raise rolled_back(old, self.head.size, self._locator)
        frontier = stored_frontier(self._snapshot, 0 if whole else old.size, self._locator)
        then = frontier.root()
        while frontier.size < self.head.size:
            for index, entry in self._page(frontier.size):
                if index != frontier.size:
                    raise missing_leaf(frontier.size, self._locator)
                frontier.extend(entry.hashed())
                take(index, entry)
                if frontier.size == old.size:
                    then = frontier.root()
        if frontier.root() != self.head.root:
            raise LedgerCorrupt(
                "the leaves are not those that were signed",
                locator=self._locator,
                expected=self.head.root.hex()[:12],
                got=frontier.root().hex()[:12],
                next_step="Run: sluicegate ledger verify.",
            )
        if then != old.root:
            raise BadProof(
                "the ledger forked: it rewrites what it had signed",
                locator=f"{self._locator}, first {old.size} leaves",
                expected=old.root.hex()[:12],
                got=then.hex()[:12],
                next_step="Stop appending. See docs/formats/ledger.md, Recovery.",
            )

    def _page(self, start: int) -> list[tuple[int, Entry]]:
        """Return at least one leaf by its position alone, which asks no index of the store."""
        limit = min(_PAGE, self.head.size - start)
        found = self._snapshot.find(Query(), newest_first=False, start=start, limit=limit)
        if not found:
            raise missing_leaf(start, self._locator)
        return found

    def frontier(self) -> Frontier:
        """Return the peaks of the stored tree, which is the tree that was signed.

        Raises:
            LedgerCorrupt: It is not. To sign on top of it would put the key under an edit.
        """
        frontier = stored_frontier(self._snapshot, self.head.size, self._locator)
        if frontier.root() != self.head.root:
            raise LedgerCorrupt(
                "the stored tree is not the one that was signed",
                locator=self._locator,
                expected=self.head.root.hex()[:12],
                got=frontier.root().hex()[:12],
                next_step="Run: sluicegate ledger verify. Do not append.",
            )
        return frontier

    def _hashes(self, parts: Iterable[Sequence[Node]]) -> dict[Node, bytes]:
        return read_nodes(
            self._snapshot, [node for nodes in parts for node in nodes], self._locator
        )


def read_nodes(snapshot: Snapshot, nodes: Sequence[Node], locator: str) -> dict[Node, bytes]:
    """Read the hashes of complete subtrees; those of leaves follow from the leaves.

    Args:
        snapshot: State of the store; its hashes are not believed.
        nodes: Addresses; level 0 is a leaf.
        locator: Where the store is, for messages.

    Raises:
        LedgerCorrupt: A leaf or node is missing.

    Cost: two queries for any number of nodes.
    """
    leaves = [node.index for node in nodes if node.level == 0]
    inner = {node: position(node) for node in nodes if node.level}
    entries = snapshot.entries(leaves) if leaves else {}
    stored = snapshot.hashes(list(inner.values())) if inner else {}
    found = {Node(0, index): entry.hashed() for index, entry in entries.items()}
    found |= {node: stored[place] for node, place in inner.items() if place in stored}
    for node in nodes:
        if node not in found:
            raise LedgerCorrupt(
                "a node of the tree is missing",
                locator=locator,
                expected=f"level {node.level}, index {node.index}",
                next_step="Run: sluicegate ledger verify.",
            )
    return found


def missing_leaf(index: int, locator: str) -> LedgerCorrupt:
    """Build the error for a leaf that the signed size counts and the store does not hold.

    Args:
        index: Position of the leaf.
        locator: Where the store is.
    """
    return LedgerCorrupt(
        "a leaf is missing",
        locator=f"{locator}#{index}",
        next_step="Run: sluicegate ledger verify.",
    )


def stored_frontier(snapshot: Snapshot, size: int, locator: str) -> Frontier:
    """Read the peaks of the stored tree at some size, without believing them.

    Args:
        snapshot: State of the store.
        size: Number of leaves, at most those that it holds.
        locator: Where the store is, for messages.

    Raises:
        LedgerCorrupt: A leaf or node is missing.
    """
    nodes = root_nodes(size)
    hashes = read_nodes(snapshot, nodes, locator)
    return Frontier(size, [hashes[node] for node in nodes])


def unverified_record(snapshot: Snapshot, index: int, locator: str) -> LedgerRecord:
    """Return a leaf as the store tells it.

    Args:
        snapshot: State of the store.
        index: Position of the leaf.
        locator: Where the store is, for messages.

    Raises:
        EvidenceMissing: There is no such leaf.
        LedgerCorrupt: It has no envelope.
    """
    entry = snapshot.entries([index]).get(index)
    if entry is None:
        raise EvidenceMissing(
            "no such leaf in the ledger",
            locator=f"{locator}#{index}",
            next_step="If a leaf should be there, run: sluicegate ledger verify.",
        )
    return joined(index, entry, snapshot.envelopes([index]).get(index), locator)


def joined(index: int, entry: Entry, envelope: bytes | None, locator: str) -> LedgerRecord:
    """Put a leaf and its envelope together, without comparing them.

    Args:
        index: Position of the leaf.
        entry: The leaf.
        envelope: Bytes from the store; None if it holds none.
        locator: Where the store is, for messages.

    Raises:
        LedgerCorrupt: There is no envelope.
    """
    if envelope is None:
        raise LedgerCorrupt("the leaf's envelope is missing", locator=f"{locator}#{index}")
    return LedgerRecord(index, entry, envelope)


def require_envelope(entry: Entry, envelope: bytes, locator: str) -> None:
    """Check that an envelope is the one that a leaf names.

    Args:
        entry: The leaf.
        envelope: Bytes from the store.
        locator: The leaf's place, for messages.

    Raises:
        LedgerCorrupt: It is another one.
    """
    got = hashlib.sha256(envelope).hexdigest()
    if f"{SHA256}:{got}" != entry.envelope:
        raise LedgerCorrupt(
            "the envelope is not the one that the leaf names",
            locator=locator,
            expected=entry.envelope.partition(":")[2][:12],
            got=got[:12],
        )


def rolled_back(old: Checkpoint, size: int, locator: str) -> Rollback:
    """Build the error for a ledger that is smaller than it was.

    Args:
        old: The larger state that was seen before.
        size: Number of leaves now.
        locator: Where the store is.
    """
    return Rollback(
        "the ledger is smaller than it was",
        locator=locator,
        expected=f"at least {old.size} leaves",
        got=str(size),
        next_step="Restore the newest copy; see docs/formats/ledger.md, Recovery.",
    )

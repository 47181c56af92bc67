"""The walk of an audit over all leaves: it hashes each, and compares each node on the way.

A sound page of leaves is compared as a whole, and each leaf costs only its hash. If anything
differs, the same page is walked leaf by leaf, which says what and where. Both ways compare
everything. Only their messages differ.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sluicegate.errors import BadProof, LedgerCorrupt, SluicegateError
from sluicegate.ledger.frontier import n_positions
from sluicegate.ledger.subtree import LEVEL, N_LEAVES, hash_subtree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.ledger.checkpoint import Checkpoint
    from sluicegate.ledger.frontier import Frontier
    from sluicegate.ledger.scan import Scanned
    from sluicegate.ledger.store import Snapshot

MAX_FAULTS: Final = 1000
"""Most faults that are kept: more add nothing to the decision that a person must take."""


class Faults:
    """Everything that is wrong with one ledger, in the order found.

    Args:
        locator: Where the ledger is.
    """

    def __init__(self, locator: str) -> None:
        self.locator = locator
        self.kept: list[SluicegateError] = []

    def add(self, fault: SluicegateError) -> None:
        """Keep one, unless there are `MAX_FAULTS` already."""
        if len(self.kept) < MAX_FAULTS:
            self.kept.append(fault)

    def corrupt(self, what: str, *, at: str = "", expected: str = "", got: str = "") -> None:
        """Keep one about what the store holds.

        Args:
            what: One clause that says what is wrong.
            at: Place in the ledger, as ``#7`` for a leaf.
            expected: What should have been there.
            got: What was there instead; digests are cut to 12 hex digits by the caller.
        """
        locator = self.locator + at
        self.add(LedgerCorrupt(what, locator=locator, expected=expected, got=got))


class Walk:
    """Goes over the leaves from a frontier on.

    Args:
        snapshot: State of the store that is read.
        frontier: Where the walk starts; it grows, and its hashes are believed.
        faults: Takes what is wrong.
        remembered: Checkpoint that the walk must pass through, if it lies ahead.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        frontier: Frontier,
        faults: Faults,
        remembered: Checkpoint | None,
    ) -> None:
        self._snapshot = snapshot
        self._faults = faults
        self._remembered = remembered
        self.frontier = frontier
        self.n_checked = 0

    def run(self) -> bool:
        """Go to the end.

        Returns:
            False if a leaf is missing; nothing behind it was read.

        Raises:
            LedgerCorrupt: No ledger writes a row like one of these; nothing behind it was read.
        """
        self._compare_remembered()
        for page in self._snapshot.scan(self.frontier.size):
            if not (self._is_sound(page) or self._go_through(page)):
                return False
        return True

    def _is_sound(self, page: Sequence[Scanned]) -> bool:
        """Say whether a page is one complete subtree with nothing wrong, and pass it if it is."""
        size = self.frontier.size
        if size % N_LEAVES or len(page) != N_LEAVES or self._turns_within(size):
            return False
        indexes, leaves, named, hashed, _ = zip(*page, strict=True)
        if named != hashed or indexes != tuple(range(size, size + N_LEAVES)):
            return False
        grown, subtree = self.frontier.copy(), hash_subtree(leaves)
        nodes = subtree.nodes + b"".join(grown.graft(LEVEL, subtree.root))
        try:
            stored = self._snapshot.hash_run(n_positions(size), len(nodes) // 32)
        except LedgerCorrupt:
            return False
        if stored != nodes:
            return False
        self.frontier = grown
        self.n_checked += N_LEAVES
        self._compare_remembered()
        return True

    def _turns_within(self, size: int) -> bool:
        return self._remembered is not None and size < self._remembered.size < size + N_LEAVES

    def _go_through(self, page: Sequence[Scanned]) -> bool:
        frontier = self.frontier
        place = n_positions(frontier.size)
        stored = self._stored(place, n_positions(frontier.size + len(page)))
        for index, leaf, named, hashed, _ in page:
            if named != hashed:
                self._envelope_differs(index, named, hashed)
            self.n_checked += 1
            if index != frontier.size:
                # Behind a gap every hash differs, and that would say nothing more.
                got = f"next is {index}"
                self._faults.corrupt("a leaf is missing", at=f"#{frontier.size}", got=got)
                return False
            for node in frontier.extend(sha256(b"\x00" + leaf).digest()):
                if stored is not None and stored.get(place) != node:
                    self._node_differs(index, place, node, stored.get(place))
                place += 1
            self._compare_remembered()
        return True

    def _stored(self, first: int, end: int) -> Mapping[int, bytes] | None:
        try:
            return self._snapshot.hashes(range(first, end))
        except LedgerCorrupt as error:
            self._faults.add(error)
            return None

    def _envelope_differs(self, index: int, named: bytes, hashed: bytes | None) -> None:
        if hashed is None:
            self._faults.corrupt("the leaf's envelope is missing", at=f"#{index}")
        else:
            self._faults.corrupt(
                "the envelope is not the one that the leaf names",
                at=f"#{index}",
                expected=named.hex()[:12],
                got=hashed.hex()[:12],
            )

    def _node_differs(self, index: int, place: int, node: bytes, stored: bytes | None) -> None:
        level = place - n_positions(index) + 1
        self._faults.corrupt(
            "a node of the tree is missing or not the hash of its children",
            expected=f"{node.hex()[:12]} at level {level}, index {index >> level}",
            got="nothing" if stored is None else stored.hex()[:12],
        )

    def _compare_remembered(self) -> None:
        remembered, frontier = self._remembered, self.frontier
        if remembered is None or frontier.size != remembered.size:
            return
        if frontier.root() != remembered.root:
            self._faults.add(
                BadProof(
                    "the ledger forked: it rewrites what it had signed",
                    locator=self._faults.locator,
                    expected=f"{remembered.root.hex()[:12]} at size {remembered.size}",
                    got=frontier.root().hex()[:12],
                    next_step="Keep both copies; find out who held the ledger's key.",
                )
            )

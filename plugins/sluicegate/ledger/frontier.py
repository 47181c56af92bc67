"""The right edge of a growing tree: all that an append has to read, and all that it writes."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from sluicegate.errors import LedgerCorrupt
from sluicegate.ledger.merkle import Node, fold, node_hash, root_nodes

if TYPE_CHECKING:
    from collections.abc import Sequence


class Frontier:
    """Peaks of a tree (a compact range from leaf 0) that grows leaf by leaf.

    Args:
        size: Number of leaves so far.
        peaks: Hashes of `root_nodes(size)`, left to right.

    Raises:
        LedgerCorrupt: The number of peaks does not fit the size.

    Cost: O(log n) memory; an append hashes two nodes on average.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if len(peaks) != size.bit_count():
            raise LedgerCorrupt(
                "tree has another number of peaks than its size needs",
                expected=str(size.bit_count()),
                got=str(len(peaks)),
            )
        self.size = size
        self._peaks = list(peaks)

    def append(self, leaf: bytes) -> list[tuple[Node, bytes]]:
        """Add a leaf hash of 32 bytes.

        Returns:
            Every node that the leaf completes, upwards, with the leaf itself first.
        """
        index, hashed = self.size, leaf
        completed = [(Node(0, index), hashed)]
        level = 0
        while index & 1:
            hashed = node_hash(self._peaks.pop(), hashed)
            index, level = index >> 1, level + 1
            completed.append((Node(level, index), hashed))
        self._peaks.append(hashed)
        self.size += 1
        return completed

    def extend(self, leaf: bytes) -> list[bytes]:
        """Add a leaf hash as `append` does, but fast enough for a million leaves.

        Returns:
            Hashes of the inner nodes that the leaf completes, upwards from level 1. The index of
            each is the leaf's, shifted by the level.
        """
        return self.graft(0, leaf)

    def graft(self, level: int, root: bytes) -> list[bytes]:
        """Add a complete subtree.

        Args:
            level: Level of the subtree's root; it has ``1 << level`` leaves.
            root: Hash of the subtree's root.

        Returns:
            Hashes of the nodes above the root that the subtree completes, upwards.

        Raises:
            ValueError: The size so far is not a multiple of the subtree's.
        """
        if self.size & ((1 << level) - 1):
            raise ValueError(self.size)
        index, hashed, peaks, completed = self.size >> level, root, self._peaks, []
        while index & 1:
            hashed = sha256(b"\x01" + peaks.pop() + hashed).digest()
            completed.append(hashed)
            index >>= 1
        peaks.append(hashed)
        self.size += 1 << level
        return completed

    def copy(self) -> Frontier:
        """Return a copy that grows on its own."""
        return Frontier(self.size, self._peaks)

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        return fold(self._peaks)

    def nodes(self) -> dict[Node, bytes]:
        """Return the peaks by address; they and the nodes from `append` prove new leaves."""
        return dict(zip(root_nodes(self.size), self._peaks, strict=True))


def position(node: Node) -> int:
    """Return where an inner node stands in the order in which nodes are completed.

    Stores keep the hashes of levels 1 and up as one array in this order. So an append only ever
    writes at its end, and a tree of n leaves holds exactly `n_positions(n)`. Level 0 is left out,
    because a leaf's hash follows from the leaf.

    Args:
        node: Its level is at least 1.

    Source: closed form of StoredHashIndex in golang.org/x/mod/sumdb/tlog, without level 0.

    Example:
        >>> [position(Node(*node)) for node in ((1, 0), (1, 1), (2, 0), (1, 2))]
        [0, 1, 2, 3]
    """
    last_leaf = ((node.index + 1) << node.level) - 1
    return n_positions(last_leaf) + node.level - 1


def n_positions(size: int) -> int:
    """Return how many inner nodes a tree of `size` leaves has completed."""
    return size - size.bit_count()

"""Merkle tree of RFC 6962: hashing, inclusion and consistency proofs, and where nodes live.

Only complete subtrees have an address: node (level, index) covers the leaves from index << level
to ((index + 1) << level) - 1, and never changes once those leaves exist. Any other range of leaves,
as the ragged right edge, is folded from such nodes. That is why an append writes each node once,
and why a proof reads at most about 2 log2(n) of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sluicegate.errors import BadProof

HASH_BYTES: Final = 32
"""Length of SHA-256 in bytes."""

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""Root of the tree without leaves (RFC 6962 section 2.1)."""

MAX_SIZE: Final = 2**62
"""Largest tree size read or written: sizes must fit a signed 64-bit database column."""

_LEAF_PREFIX: Final = b"\x00"
_NODE_PREFIX: Final = b"\x01"


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """Address of a complete subtree of 2**level leaves.

    Attributes:
        level: Height above the leaves; 0 for a leaf.
        index: Position within the level, from 0 at the left.
    """

    level: int
    index: int


NodeHashes = Callable[[Node], bytes]
"""Looks up the hash of a complete subtree."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf's bytes (RFC 6962 section 2.1).

    Example:
        >>> leaf_hash(b"").hex()[:16]
        '6e340b9cffb37a98'
    """
    return hashlib.sha256(_LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962 section 2.1).

    Its prefix keeps a node from posing as a leaf.

    Args:
        left: Hash of the left child, 32 bytes.
        right: Hash of the right child, 32 bytes.
    """
    return hashlib.sha256(_NODE_PREFIX + left + right).digest()


def subtrees(begin: int, end: int) -> list[Node]:
    """Cut the leaves [begin, end) into the fewest complete subtrees, left to right.

    Args:
        begin: First leaf. It must be a multiple of every power of two that fits in the range;
            in proofs of RFC 6962 it always is.
        end: One past the last leaf.

    Cost: O(log n).

    Example:
        >>> [(node.level, node.index) for node in subtrees(0, 7)]
        [(2, 0), (1, 2), (0, 6)]
    """
    nodes = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes.append(Node(level, begin >> level))
        begin += 1 << level
    return nodes


def fold(hashes: Sequence[bytes]) -> bytes:
    """Hash the subtrees of one range into the range's Merkle tree hash.

    Args:
        hashes: Hashes of `subtrees(begin, end)`, in that order.

    Returns:
        MTH of RFC 6962; the empty root if there are none.
    """
    if not hashes:
        return EMPTY_ROOT
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = node_hash(left, folded)
    return folded


def root_nodes(size: int) -> list[Node]:
    """Return the nodes whose fold is the root of a tree of `size` leaves."""
    return subtrees(0, size)


def inclusion_nodes(index: int, size: int) -> list[list[Node]]:
    """Return the nodes of an inclusion proof: one list, to be folded, for each hash of the proof.

    Args:
        index: Position of the leaf, 0..size-1.
        size: Number of leaves of the tree.

    Returns:
        Lists from the leaf's sibling up to the root's child (RFC 6962 section 2.1.1).

    Raises:
        BadProof: The index is outside the tree.

    Cost: O(log n) lists, O(log n) nodes in all.
    """
    if not 0 <= index < size:
        raise BadProof("no such leaf in the tree", expected=f"0..{size - 1}", got=str(index))
    siblings = []
    begin, end = 0, size
    while end - begin > 1:
        middle = split(begin, end)
        if index < middle:
            siblings.append(subtrees(middle, end))
            end = middle
        else:
            siblings.append(subtrees(begin, middle))
            begin = middle
    return siblings[::-1]


def consistency_nodes(old_size: int, new_size: int) -> list[list[Node]]:
    """Return the nodes of a consistency proof: one list, to be folded, for each hash of the proof.

    Args:
        old_size: Number of leaves of the older tree, 0..new_size.
        new_size: Number of leaves of the newer tree.

    Returns:
        Lists in the order of RFC 6962 section 2.1.2; none if the older tree is empty or equal.

    Raises:
        BadProof: The older tree is larger.
    """
    if not 0 <= old_size <= new_size:
        raise BadProof(
            "no proof from a larger tree to a smaller one",
            expected=f"0..{new_size}",
            got=str(old_size),
        )
    if old_size in (0, new_size):
        return []
    parts: list[list[Node]] = []
    begin, end, whole = 0, new_size, True
    while old_size < end:
        middle = split(begin, end)
        if old_size <= middle:
            parts.append(subtrees(middle, end))
            end = middle
        else:
            parts.append(subtrees(begin, middle))
            begin, whole = middle, False
    # The verifier knows the old root already, so it is left out if it is the first hash.
    if not whole:
        parts.append(subtrees(begin, end))
    return parts[::-1]


def folded(parts: Iterable[Sequence[Node]], hashes: NodeHashes) -> tuple[bytes, ...]:
    """Turn the node lists of a proof into its hashes.

    Args:
        parts: From `inclusion_nodes` or `consistency_nodes`.
        hashes: Looks up the hash of a node.

    Returns:
        One hash for each list, in order.
    """
    return tuple(fold([hashes(node) for node in nodes]) for nodes in parts)


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf is in a tree.

    Args:
        leaf: Leaf hash, 32 bytes.
        index: Claimed position of the leaf.
        size: Number of leaves of the tree, from a signed checkpoint.
        proof: Hashes from the leaf's sibling up.
        root: Root of the tree, from a signed checkpoint.

    Raises:
        BadProof: The proof does not lead from this leaf at this index to this root.

    Source: RFC 9162 section 2.1.3.2.
    """
    _require_hashes(leaf, root, *proof)
    if not 0 <= index < size:
        raise BadProof("leaf index lies outside the tree", expected=f"below {size}", got=str(index))
    position, last, climbed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise BadProof("inclusion proof is too long", got=f"{len(proof)} hashes")
        if position & 1 or position == last:
            climbed = node_hash(sibling, climbed)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            climbed = node_hash(climbed, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise BadProof("inclusion proof is too short", got=f"{len(proof)} hashes")
    _require_root(climbed, root, "inclusion proof does not lead to the root")


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that a newer tree only appends to an older one.

    Args:
        old_size: Number of leaves of the older tree, at most new_size.
        old_root: Root of the older tree.
        new_size: Number of leaves of the newer tree.
        new_root: Root of the newer tree.
        proof: Hashes in the order of RFC 6962 section 2.1.2.

    Raises:
        BadProof: The newer tree is smaller, it rewrites what the older one held, or the proof
            does not show that it does not.

    Source: RFC 9162 section 2.1.4.2. Trivial cases follow RFC 6962: a tree is consistent with
    itself, and every tree with the empty one.
    """
    _require_hashes(old_root, new_root, *proof)
    if not 0 <= old_size <= new_size:
        raise BadProof("newer tree is smaller", expected=f"at least {old_size}", got=str(new_size))
    if old_size in (0, new_size):
        known = EMPTY_ROOT if old_size == 0 else new_root
        _require_root(old_root, known, "trees of one size have different roots")
        if new_size == 0:
            _require_root(new_root, EMPTY_ROOT, "tree without leaves has a root")
        if proof:
            raise BadProof("consistency proof is too long", got=f"{len(proof)} hashes")
        return
    _climb_consistency(old_size, old_root, new_size, new_root, list(proof))


def _climb_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: list[bytes]
) -> None:
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise BadProof("consistency proof is too short", got="0 hashes")
    first, second = old_size - 1, new_size - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    old = new = path[0]
    for step in path[1:]:
        if second == 0:
            raise BadProof("consistency proof is too long", got=f"{len(path)} hashes")
        if first & 1 or first == second:
            old, new = node_hash(step, old), node_hash(step, new)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            new = node_hash(new, step)
        first, second = first >> 1, second >> 1
    if second != 0:
        raise BadProof("consistency proof is too short", got=f"{len(path)} hashes")
    _require_root(old, old_root, "newer tree rewrites the older one")
    _require_root(new, new_root, "consistency proof does not lead to the newer root")


def split(begin: int, end: int) -> int:
    """Return where a range of leaves is cut in two (k in RFC 6962 section 2.1).

    The left half has the largest power of two leaves that is below their number.

    Args:
        begin: First leaf.
        end: One past the last leaf; there are at least two.
    """
    return begin + (1 << ((end - begin - 1).bit_length() - 1))


def _require_hashes(*hashes: bytes) -> None:
    # A hash of another length would shift the bytes that are hashed next to it.
    if any(len(hashed) != HASH_BYTES for hashed in hashes):
        raise BadProof("hash is not 32 bytes long")


def _require_root(got: bytes, expected: bytes, what: str) -> None:
    if got != expected:
        raise BadProof(what, expected=expected.hex()[:12], got=got.hex()[:12])

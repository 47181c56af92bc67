"""Complete subtrees of 1,024 leaves, hashed level by level, which makes a whole audit fast.

A tree that grows leaf by leaf (`frontier`) asks after each leaf which nodes it completes. An audit
knows that 1,024 leaves stand side by side, so it hashes one list for each level.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEVEL: Final = 10
"""Level of the subtree's root."""

N_LEAVES: Final = 1 << LEVEL
"""Leaves of one subtree: so many that work done once for a subtree costs a leaf nothing."""


@dataclass(frozen=True, slots=True)
class Subtree:
    """The hashes of a complete subtree.

    Attributes:
        root: Hash of its root, the last of its nodes.
        nodes: Hashes of inner nodes, 32 bytes each, joined in the order of `frontier.position`.
    """

    root: bytes
    nodes: bytes


def hash_subtree(leaves: Sequence[bytes]) -> Subtree:
    """Hash a complete subtree.

    Args:
        leaves: 1,024 leaves, not yet hashed.

    Raises:
        ValueError: There is another number of leaves.

    Cost: 2,047 hashes; about 1.2 us for each leaf.
    """
    if len(leaves) != N_LEAVES:
        raise ValueError(len(leaves))
    hashes = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    nodes: list[bytes] = []
    while len(hashes) > 1:
        pairs = iter(hashes)
        hashes = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(pairs, pairs, strict=True)
        ]
        nodes += hashes
    return Subtree(hashes[0], b"".join(_in_order_of_position()(nodes)))


@cache
def _in_order_of_position() -> Callable[[Sequence[bytes]], Sequence[bytes]]:
    """Return a picker that puts nodes, level by level, into the order of their completion.

    The order within a complete subtree does not depend on where the subtree stands.
    """
    first = [N_LEAVES - (N_LEAVES >> level) for level in range(LEVEL)]  # of each level above 0
    order = [
        first[level] + (leaf >> (level + 1))
        for leaf in range(N_LEAVES)
        for level in range(_trailing_ones(leaf))
    ]
    return itemgetter(*order)


def _trailing_ones(number: int) -> int:
    return (~number & (number + 1)).bit_length() - 1

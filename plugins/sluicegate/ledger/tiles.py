"""A ledger as static files that anybody can verify (C2SP tlog-tiles).

Leaves are written into bundles of 256, and their hashes into tiles of 256. The hash of a full
tile is one entry of the tile above it. Everything follows from the leaves, so a verifier cuts them
again and compares.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sluicegate.errors import BadProof, EvidenceMissing, LedgerCorrupt
from sluicegate.ledger.checkpoint import Checkpoint, open_checkpoint
from sluicegate.ledger.frontier import Frontier
from sluicegate.ledger.merkle import leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sluicegate.ledger.note import NoteVerifier

WIDTH: Final = 256
"""Hashes of a full tile and leaves of a full bundle."""

CHECKPOINT: Final = "checkpoint"
"""Path of the signed checkpoint."""

_ENTRIES: Final = "entries"
_LENGTH: Final = struct.Struct(">H")


def tile_path(level: int | str, index: int, width: int = WIDTH) -> str:
    """Return where a tile or bundle lies.

    Args:
        level: Level of the tile, from 0, or ``entries`` for a bundle of leaves.
        index: Position from the left, from 0.
        width: Number of its entries; below 256 the tile is partial.

    Example:
        >>> tile_path(0, 1234067), tile_path("entries", 0, 7)
        ('tile/0/x001/x234/067', 'tile/entries/000.p/7')
    """
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        groups.insert(0, f"x{index % 1000:03d}")
    suffix = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(groups)}{suffix}"


def cut(leaves: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Cut leaves into bundles and tiles.

    Args:
        leaves: All leaves in order, at most 65,535 bytes each.

    Yields:
        Path and content of each, once; the partial ones at the end.

    Cost: memory for one tile of each level; about two hashes for each leaf.
    """
    bundle: list[bytes] = []
    tiles: list[list[bytes]] = [[]]
    n_leaves = 0
    for leaf in leaves:
        bundle.append(_LENGTH.pack(len(leaf)) + leaf)
        tiles[0].append(leaf_hash(leaf))
        n_leaves += 1
        if len(bundle) == WIDTH:
            yield tile_path(_ENTRIES, n_leaves // WIDTH - 1), b"".join(bundle)
            bundle.clear()
            yield from _full(tiles, n_leaves)
    if bundle:
        yield tile_path(_ENTRIES, n_leaves // WIDTH, len(bundle)), b"".join(bundle)
    for level, tile in enumerate(tiles):
        if tile:
            yield tile_path(level, n_leaves // WIDTH ** (level + 1), len(tile)), b"".join(tile)


def _full(tiles: list[list[bytes]], n_leaves: int) -> Iterator[tuple[str, bytes]]:
    """Yield tiles that are full now, and put their hashes into the tiles above."""
    for level in range(len(tiles)):
        if len(tiles[level]) < WIDTH:
            return
        yield tile_path(level, n_leaves // WIDTH ** (level + 1) - 1), b"".join(tiles[level])
        if level + 1 == len(tiles):
            tiles.append([])
        tiles[level + 1].append(_root(tiles[level]))
        tiles[level].clear()
    if len(tiles[-1]) == WIDTH:
        yield from _full(tiles, n_leaves)


def _root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [
            sha256(b"\x01" + hashes[place] + hashes[place + 1]).digest()
            for place in range(0, len(hashes), 2)
        ]
    return hashes[0]


def verify_tiles(
    read: Callable[[str], bytes | None], verifier: NoteVerifier, *, locator: str = "tiles"
) -> Checkpoint:
    """Check an export: every leaf, every tile and the signed checkpoint.

    Args:
        read: Returns the content of a path, None if it is not there.
        verifier: The ledger's public key.
        locator: Where the files are, for messages.

    Returns:
        The checkpoint that all files fit.

    Raises:
        EvidenceMissing: The checkpoint, a tile or a bundle is missing.
        LedgerCorrupt: A tile or bundle is not what the leaves say.
        BadProof: The leaves do not hash to the signed root.
        VerificationError: The checkpoint is not this ledger's.
    """
    head = open_checkpoint(_present(read, CHECKPOINT, locator), [verifier], locator=locator)
    frontier = Frontier()
    for path, data in cut(_leaves(read, head.size, frontier, locator)):
        if _present(read, path, locator) != data:
            raise LedgerCorrupt("tile is not what the leaves say", locator=f"{locator}/{path}")
    _require_root(frontier, head, locator)
    return head


def find_leaves(
    read: Callable[[str], bytes | None],
    verifiers: Sequence[NoteVerifier],
    wanted: Callable[[int, bytes], bool],
    *,
    locator: str = "tiles",
) -> tuple[Checkpoint, dict[int, bytes]]:
    """Return all wanted leaves of an export.

    The tiles of hashes are not read, because the leaves themselves lead to the signed root.

    Args:
        read: Returns the content of a path, None if it is not there.
        verifiers: One of these keys must have signed the checkpoint.
        wanted: Called with each index and leaf; says whether to return it.
        locator: Where the files are, for messages.

    Returns:
        The verified checkpoint, and the leaves by index.

    Raises:
        EvidenceMissing: The checkpoint or a bundle is missing.
        LedgerCorrupt: A bundle does not hold its leaves.
        BadProof: The leaves do not hash to the signed root.
        VerificationError: The checkpoint is not this ledger's.

    Cost: two hashes for each leaf.
    """
    head = open_checkpoint(_present(read, CHECKPOINT, locator), verifiers, locator=locator)
    frontier = Frontier()
    leaves = enumerate(_leaves(read, head.size, frontier, locator))
    found = {index: leaf for index, leaf in leaves if wanted(index, leaf)}
    _require_root(frontier, head, locator)
    return head, found


def _require_root(frontier: Frontier, head: Checkpoint, locator: str) -> None:
    if frontier.root() != head.root:
        raise BadProof(
            "the exported leaves do not hash to the signed root",
            locator=locator,
            expected=head.root.hex()[:12],
            got=frontier.root().hex()[:12],
        )


def _leaves(
    read: Callable[[str], bytes | None], size: int, frontier: Frontier, locator: str
) -> Iterator[bytes]:
    for begin in range(0, size, WIDTH):
        width = min(WIDTH, size - begin)
        path = tile_path(_ENTRIES, begin // WIDTH, width)
        for leaf in _unbundled(_present(read, path, locator), width, f"{locator}/{path}"):
            frontier.extend(leaf_hash(leaf))
            yield leaf


def _unbundled(data: bytes, width: int, locator: str) -> list[bytes]:
    leaves, place = [], 0
    while place + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        leaves.append(data[place : place + length])
        place += length
    if place != len(data) or len(leaves) != width:
        raise LedgerCorrupt(
            "bundle does not hold its leaves",
            locator=locator,
            expected=f"{width} leaves",
            got=f"{len(leaves)} leaves, {len(data)} bytes",
        )
    return leaves


def _present(read: Callable[[str], bytes | None], path: str, locator: str) -> bytes:
    data = read(path)
    if data is None:
        raise EvidenceMissing(
            "a file of the export is missing",
            locator=f"{locator}/{path}",
            next_step="Export again: sluicegate ledger export --tiles.",
        )
    return data

"""Hash one large file in shards, on all cores. Specified in docs/formats/digest.md.

A file's SHA-256 is sequential, so one core hashes it while the others wait. The digests of its
shards do not depend on each other, and any range of the file can be verified by those it touches.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Final

from sluicegate.digest.algorithms import shards_of
from sluicegate.digest.file_hash import check_unchanged, new_buffer, regular_status
from sluicegate.digest.walk import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

SHARD_FROM_BYTES: Final = 64 << 20
"""Length of a file from which a source is sealed by shards: from there on the sequential hash is
felt, and so is reading all of a file for some columns of it."""

SHARD_BYTES: Final = 1 << 20
"""Length of a shard: an eighth of a column of a usual Parquet row group, so that to verify one
column reads little more than it; 0.7 ms of hashing; 180 bytes of the seal."""

MAX_SHARDS: Final = 32_768
"""Shards of a seal, above which they are longer: a seal is read whole, and this is 8 MB of it."""

ALONE_FROM_BYTES: Final = 32 << 20
"""Length from which all threads hash one file; smaller ones are shared out whole."""

_SPAN_BYTES: Final = 8 << 20  # bytes that a thread takes at once


def sharding(sizes: Iterable[int], *, before: int = 0) -> str:
    """Return the algorithm for files that are sealed by shards.

    Args:
        sizes: Length of each file.
        before: Length of the shards of the source's newest seal, 0 if it has none. It is kept
            while it fits, so that batches stay comparable.

    Returns:
        ``sha256-shards-BYTES`` with at most 32,768 shards.

    Example:
        >>> sharding([1 << 31]), sharding([1 << 40]), sharding([1 << 20], before=4096)
        ('sha256-shards-1048576', 'sha256-shards-33554432', 'sha256-shards-4096')
    """
    lengths = list(sizes)
    n_bytes = before or SHARD_BYTES
    while sum(-(-length // n_bytes) for length in lengths if length > n_bytes) > MAX_SHARDS:
        n_bytes *= 2
    return shards_of(n_bytes)


def hash_shards(descriptor: int, locator: str, n_bytes: int, n_workers: int) -> tuple[str, int]:
    """Hash an open file from its start to its end, several shards at once.

    Args:
        descriptor: A regular file.
        locator: Path for messages.
        n_bytes: Length of a shard.
        n_workers: Number of threads.

    Returns:
        Lower-case hex digests of its shards, one after the other, and its size in bytes.

    Raises:
        UnsafePath: It is no regular file.
        ChangedDuringRead: Its size or times differ after the read.
        UnreadableData: The operating system cannot deliver the bytes.

    Cost: one read of every byte, hashed on all workers; 1 MiB of memory for each.
    """
    before = regular_status(descriptor, locator)
    starts = range(0, before.st_size, n_bytes)
    found = [""] * len(starts)
    span = max(1, _SPAN_BYTES // n_bytes)
    turns = count(0, span)

    def work() -> int:
        buffer, n_read = new_buffer(), 0
        while (first := next(turns)) < len(starts):  # one step of `count` is atomic
            for number in range(first, min(first + span, len(starts))):
                found[number], n = _hash_range(descriptor, buffer, starts[number], n_bytes)
                n_read += n
        return n_read

    try:
        with ThreadPoolExecutor(n_workers, thread_name_prefix="sluicegate-hash") as pool:
            n_read = sum(task.result() for task in [pool.submit(work) for _ in range(n_workers)])
        check_unchanged(descriptor, before, n_read, locator)
    except OSError as error:
        unreadable(error, locator)
    return "".join(found), n_read


def _hash_range(descriptor: int, buffer: memoryview, start: int, n_bytes: int) -> tuple[str, int]:
    hasher, n_read = hashlib.sha256(), 0
    while n_read < n_bytes:
        n = os.preadv(descriptor, (buffer[: n_bytes - n_read],), start + n_read)
        if not n:
            break
        hasher.update(buffer[:n])
        n_read += n
    return hasher.hexdigest(), n_read

"""Hash all files of a source on all cores."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from sluicegate.digest.algorithms import SHA256, shard_bytes
from sluicegate.digest.file_hash import hash_descriptor, hash_file, new_buffer, open_regular
from sluicegate.digest.hashers import hasher_of
from sluicegate.digest.names import SINGLE_FILE, require_shard_names
from sluicegate.digest.processes import map_in_processes
from sluicegate.digest.shards import ALONE_FROM_BYTES, hash_shards
from sluicegate.digest.walk import Listing, list_files, open_directory, root_mode, sizes_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sluicegate.digest.hashers import Hasher

_MAX_WORKERS: Final = 16
_MAX_CHUNK: Final = 64  # files of one task: enough to hide its cost, few enough to balance
_CHUNKS_A_WORKER: Final = 16

MANY_FILES: Final = 2_000
"""Number of files from which processes are worth their start of about 2 ms: with small files, two
threads spend most of their time handing the interpreter lock to each other between system calls."""

HashedFile = tuple[str, str, int]
"""What was read of one file: path, hex digest, size in bytes. Of shards, their digests one after
the other."""


def hash_files(
    root: Path, *, algorithm: str = SHA256, workers: int | None = None
) -> list[HashedFile]:
    """Hash every file of a source once.

    Args:
        root: Directory, or one regular file.
        algorithm: ``sha256``, ``blake3`` or ``sha256-shards-BYTES``.
        workers: Number of threads or processes; None for one on each core of this machine, at
            most 16.

    Returns:
        Files in no promised order; a single file has the path ``.``.

    Raises:
        UnsafePath: There is a symlink, device, FIFO, socket or a name that no manifest may hold.
        UnreadableData: The root is missing or an empty directory, this user may not read it, or
            a read failed.
        ChangedDuringRead: A file changed, grew, shrank or vanished meanwhile.
        ConfigError: The algorithm is unknown or not installed.

    Cost: one read of every byte, hashed on all workers; memory of 1 MiB for each worker and 0.4
    KiB for each file.
    """
    if stat.S_ISREG(root_mode(root)):
        if n_bytes := shard_bytes(algorithm):
            return [(SINGLE_FILE, *_hash_alone(root, str(root), n_bytes, _n_workers(workers)))]
        return [(SINGLE_FILE, *hash_file(root, str(root), algorithm))]
    return hash_listings(root, list_files(root), algorithm=algorithm, workers=workers)


def hash_listings(
    root: Path, listings: list[Listing], *, algorithm: str = SHA256, workers: int | None = None
) -> list[HashedFile]:
    """Hash the listed files of a directory once.

    Args:
        root: Directory.
        listings: From `list_files`, or a part of it.
        algorithm: As in `hash_files`.
        workers: As in `hash_files`.

    Returns:
        As `hash_files`.

    Raises:
        SluicegateError: As `hash_files`.
    """
    n_workers = _n_workers(workers)
    if n_bytes := shard_bytes(algorithm):
        require_shard_names(path for listing in listings for path in listing.paths())
        listings, large = _apart(root, listings)
        hashed = [
            (path, *_hash_alone(name, path, n_bytes, n_workers, at=(root, directory)))
            for directory, name, path in large
        ]
        return hashed + _hash_shared(root, listings, algorithm, n_workers)
    return _hash_shared(root, listings, algorithm, n_workers)


def _hash_shared(
    root: Path, listings: list[Listing], algorithm: str, n_workers: int
) -> list[HashedFile]:
    """Hash files on all workers, each file on one."""
    start = hasher_of(algorithm)
    chunks = _chunks(listings, n_workers)
    if n_workers == 1 or len(chunks) <= 1:
        return _hash_chunks(root, chunks, start)
    if sum(len(listing.names) for listing in listings) >= MANY_FILES:
        hashed = map_in_processes(lambda share: _hash_chunks(root, share, start), chunks, n_workers)
        if hashed is not None:
            return hashed
    return _hash_in_threads(root, chunks, start, n_workers)


def _n_workers(asked: int | None) -> int:
    return asked or min(os.cpu_count() or 1, _MAX_WORKERS)


def _apart(
    root: Path, listings: list[Listing]
) -> tuple[list[Listing], list[tuple[tuple[str, ...], str, str]]]:
    """Return the files to share out, and those that all workers hash together."""
    shared, large = [], []
    for listing in listings:
        names = []
        for name, path, size in sizes_of(root, listing):
            if size >= ALONE_FROM_BYTES:
                large.append((listing.directory, name, path))
            else:
                names.append(name)
        if names:
            shared.append(Listing(listing.directory, tuple(names)))
    return shared, large


def _hash_alone(
    name: str | Path,
    locator: str,
    n_bytes: int,
    n_workers: int,
    *,
    at: tuple[Path, tuple[str, ...]] | None = None,
) -> tuple[str, int]:
    with ExitStack() as opened:
        directory = None if at is None else opened.enter_context(open_directory(*at))
        descriptor = open_regular(name, locator, at=directory)
        opened.callback(os.close, descriptor)
        return hash_shards(descriptor, locator, n_bytes, n_workers)


def _chunks(listings: list[Listing], n_workers: int) -> list[Listing]:
    n_files = sum(len(listing.names) for listing in listings)
    size = max(1, min(_MAX_CHUNK, n_files // (n_workers * _CHUNKS_A_WORKER)))
    return [
        Listing(listing.directory, listing.names[start : start + size])
        for listing in listings
        for start in range(0, len(listing.names), size)
    ]


def _hash_in_threads(
    root: Path, chunks: list[Listing], start: Callable[..., Hasher], n_workers: int
) -> list[HashedFile]:
    queue: SimpleQueue[Listing] = SimpleQueue()
    for chunk in chunks:
        queue.put(chunk)
    with ThreadPoolExecutor(n_workers, thread_name_prefix="sluicegate-hash") as pool:
        tasks = [pool.submit(_hash_queue, root, queue, start) for _ in range(n_workers)]
        return [file for task in tasks for file in task.result()]


def _hash_queue(
    root: Path, queue: SimpleQueue[Listing], start: Callable[..., Hasher]
) -> list[HashedFile]:
    """Hash chunks until none is left, with one buffer: to zero another costs 0.1 ms."""
    buffer = new_buffer()
    hashed: list[HashedFile] = []
    try:
        while True:
            hashed += _hash_chunk(root, queue.get_nowait(), buffer, start)
    except Empty:
        return hashed
    except BaseException:
        # One refusal decides, so the queue is emptied and the other threads stop as well.
        with suppress(Empty):
            while True:
                queue.get_nowait()
        raise


def _hash_chunks(
    root: Path, chunks: list[Listing], start: Callable[..., Hasher]
) -> list[HashedFile]:
    buffer = new_buffer()
    return [file for chunk in chunks for file in _hash_chunk(root, chunk, buffer, start)]


def _hash_chunk(
    root: Path, chunk: Listing, buffer: memoryview, start: Callable[..., Hasher]
) -> list[HashedFile]:
    hashed = []
    with open_directory(root, chunk.directory) as directory:
        for name, path in zip(chunk.names, chunk.paths(), strict=True):
            descriptor = open_regular(name, path, at=directory)
            try:
                hashed.append((path, *hash_descriptor(descriptor, buffer, path, start)))
            finally:
                os.close(descriptor)
    return hashed

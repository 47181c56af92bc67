"""Time of check is time of use: the bytes that were hashed are the bytes that are returned."""

from __future__ import annotations

import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from sluicegate.digest.algorithms import Digest, content_digest
from sluicegate.digest.file_hash import check_unchanged, open_regular, regular_status
from sluicegate.digest.hashers import hasher_of
from sluicegate.digest.walk import unreadable
from sluicegate.errors import DigestMismatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sluicegate.digest.manifest import FileEntry

Bytes = TypeVar("Bytes", bytes, memoryview)

_READ_BYTES: Final = 1 << 30  # Linux reads at most 2 GiB at once
_PART_BYTES: Final = 4 << 20  # 3 ms of hashing, far more than waking a thread


def read_verified(path: Path, expected: FileEntry) -> bytes:
    """Return a file's bytes if they are the sealed ones.

    Args:
        path: The file.
        expected: Its entry in a verified manifest.

    Returns:
        Exactly the bytes that were hashed; nothing is read again.

    Raises:
        DigestMismatch: It has another size or digest than sealed.
        ChangedDuringRead: Somebody wrote to it while it was read.
        UnsafePath: It is a symlink, device, FIFO or socket.
        UnreadableData: It is missing, this user may not read it, or a read failed.

    Cost: one read and one hash; memory of the file's size.
    """
    return _verified(path, expected, _read_and_hash)


def view_verified(path: Path, expected: FileEntry) -> memoryview:
    """Return a file's bytes as a read-only view of private memory, for a parser.

    It refuses what `read_verified` refuses. One part of a large file is read while the part
    before it is hashed: reading costs as much as hashing, because the kernel has to find and
    clear every page first.

    Args:
        path: The file.
        expected: Its entry in a verified manifest.
    """
    return _verified(path, expected, _fill_and_hash)


def _verified(
    path: Path, expected: FileEntry, read: Callable[[int, FileEntry], tuple[Bytes, Digest]]
) -> Bytes:
    locator = str(path)
    descriptor = open_regular(path, locator)
    try:
        before = regular_status(descriptor, locator)
        if before.st_size != expected.size_bytes:
            refuse_mismatch(locator, f"{expected.size_bytes} bytes", f"{before.st_size} bytes")
        data, found = read(descriptor, expected)
        check_unchanged(descriptor, before, len(data), locator)
    except OSError as error:
        unreadable(error, locator)
    finally:
        os.close(descriptor)
    if found != expected.digest:
        refuse_mismatch(locator, expected.digest.short, found.short)
    return data


def _read_and_hash(descriptor: int, expected: FileEntry) -> tuple[bytes, Digest]:
    # It reads once, into the object that is returned: to fill a buffer and copy from there costs
    # a fifth of the hashing.
    algorithm, n_bytes = expected.digest.algorithm, expected.size_bytes
    parts = []
    n_read = 0
    while n_read < n_bytes and (part := os.read(descriptor, min(n_bytes - n_read, _READ_BYTES))):
        parts.append(part)
        n_read += len(part)
    data = parts[0] if len(parts) == 1 else b"".join(parts)
    return data, content_digest(algorithm, hasher_of(algorithm)(data).hexdigest())


def _fill_and_hash(descriptor: int, expected: FileEntry) -> tuple[memoryview, Digest]:
    """Read ahead into memory that nobody shares; the view keeps it alive."""
    algorithm, n_bytes = expected.digest.algorithm, expected.size_bytes
    memory = mmap.mmap(-1, max(1, n_bytes), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    view = memoryview(memory)[:n_bytes]
    hasher = hasher_of(algorithm)()

    def read(start: int) -> int:
        return os.readv(descriptor, (view[start : start + _PART_BYTES],))

    n_read, n = 0, read(0)
    if n_bytes <= _PART_BYTES:
        hasher.update(view[:n])
        n_read, n = n, 0
    with ThreadPoolExecutor(1, thread_name_prefix="sluicegate-read") as pool:  # starts when used
        while n:
            part = view[n_read : n_read + n]
            n_read += n
            ahead = pool.submit(read, n_read)
            hasher.update(part)
            n = ahead.result()
    return view[:n_read].toreadonly(), content_digest(algorithm, hasher.hexdigest())


def refuse_mismatch(locator: str, expected: str, got: str) -> NoReturn:
    """Refuse bytes that are not the sealed ones.

    Args:
        locator: Path of the file.
        expected: What was sealed: a short digest, or a number of bytes.
        got: What is there, in the same form.

    Raises:
        DigestMismatch: Always.
    """
    raise DigestMismatch(
        "is not the file that was sealed",
        locator=ascii(locator)[1:-1],
        expected=expected,
        got=got,
        next_step="Do not train on it. Restore the sealed file, or seal again after a review.",
    )

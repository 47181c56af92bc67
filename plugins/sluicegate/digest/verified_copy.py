"""Hash while copying to a file that has no name, then let a parser loose on the copy.

A Parquet reader starts at the footer, so no value can be decoded before the last byte is
there. If a shared file is hashed first and parsed afterwards, somebody may write to it in between.
If it is hashed while it is parsed, rows are handed out before the digest is known. So the bytes
are copied once, hashed on their way, and compared before the parser sees the first one. Nobody
else can open the copy: it has no name in any directory and vanishes with its descriptor. Memory
stays at one buffer; the price is disk of the file's size.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from sluicegate.digest.algorithms import Digest, content_digest
from sluicegate.digest.file_hash import (
    BUFFER_BYTES,
    check_unchanged,
    open_regular,
    regular_status,
)
from sluicegate.digest.hashers import hasher_of
from sluicegate.digest.verified_file import refuse_mismatch
from sluicegate.digest.walk import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sluicegate.digest.manifest import FileEntry

_PREFIX: Final = "sluicegate-verified-"


def copy_verified(path: Path, expected: FileEntry, *, scratch: Path | None = None) -> BinaryIO:
    """Return a private copy of a local file if its bytes are the sealed ones.

    Args:
        path: The file.
        expected: Its entry in a verified manifest.
        scratch: Directory for the copy; None for the system's temporary directory.

    Returns:
        A readable and seekable file at position 0; closing it frees the disk.

    Raises:
        DigestMismatch: It has another size or digest than sealed.
        ChangedDuringRead: Somebody wrote to it while it was read.
        UnsafePath: It is a symlink, device, FIFO or socket.
        UnreadableData: It is missing, this user may not read it, or a read failed.

    Cost: one read, one hash and one write; memory 1 MiB.
    """
    locator = str(path)
    descriptor = open_regular(path, locator)
    try:
        before = regular_status(descriptor, locator)
        if before.st_size != expected.size_bytes:
            refuse_mismatch(locator, f"{expected.size_bytes} bytes", f"{before.st_size} bytes")
        copy = copy_stream(lambda view: os.readv(descriptor, (view,)), expected, locator, scratch)
        try:
            check_unchanged(descriptor, before, expected.size_bytes, locator)
        except BaseException:
            copy.close()
            raise
    except OSError as error:
        unreadable(error, locator)
    finally:
        os.close(descriptor)
    return copy


def copy_stream(
    read_into: Callable[[memoryview], int],
    expected: FileEntry,
    locator: str,
    scratch: Path | None = None,
) -> BinaryIO:
    """Copy a stream into a file without a name, and compare before returning it.

    Args:
        read_into: Fills a buffer and returns the number of bytes, 0 at the end.
        expected: Entry in a verified manifest.
        locator: Where the stream comes from, for messages.
        scratch: Directory for the copy; None for the system's temporary directory.

    Returns:
        The copy at position 0.

    Raises:
        DigestMismatch: The bytes are others, fewer or more than sealed.
    """
    copy = tempfile.TemporaryFile(prefix=_PREFIX, dir=scratch)  # noqa: SIM115 - returned open
    try:
        n_bytes, found = _hash_and_write(read_into, copy.fileno(), expected)
        if n_bytes != expected.size_bytes:
            more = "more" if n_bytes > expected.size_bytes else f"{n_bytes} bytes"
            refuse_mismatch(locator, f"{expected.size_bytes} bytes", more)
        if found != expected.digest:
            refuse_mismatch(locator, expected.digest.short, found.short)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return cast("BinaryIO", copy)


def _hash_and_write(
    read_into: Callable[[memoryview], int], target: int, expected: FileEntry
) -> tuple[int, Digest]:
    """Copy, but stop one buffer past the limit: a stream that never ends must not fill the disk."""
    algorithm, limit = expected.digest.algorithm, expected.size_bytes
    hasher = hasher_of(algorithm)()
    buffer = memoryview(bytearray(BUFFER_BYTES))
    n_bytes = 0
    while n_bytes <= limit and (n := read_into(buffer)):
        part = buffer[:n]
        hasher.update(part)
        while part:
            part = part[os.write(target, part) :]
        n_bytes += n
    return n_bytes, content_digest(algorithm, hasher.hexdigest())

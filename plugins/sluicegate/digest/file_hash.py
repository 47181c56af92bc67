"""Read a file once and say what was read, or say that it changed meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final, NoReturn

from sluicegate.digest.algorithms import SHA256
from sluicegate.digest.hashers import hasher_of
from sluicegate.digest.walk import FILE_FLAGS, refuse_kind, unreadable
from sluicegate.errors import ChangedDuringRead

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.digest.hashers import Hasher

BUFFER_BYTES: Final = 1024 * 1024
"""Size of the read buffer that each thread reuses: it fits the level-2 cache, and hashing reads it
from there."""

_KIND_BITS: Final = 0o170000  # S_IFMT


def new_buffer() -> memoryview:
    """Return a buffer for `hash_descriptor`; two threads must not share it."""
    return memoryview(bytearray(BUFFER_BYTES))


def open_regular(name: str | os.PathLike[str], locator: str, *, at: int | None = None) -> int:
    """Open a file for reading without following a symlink or waiting for a FIFO.

    Args:
        name: Path, or a name in the directory `at`.
        locator: Path for messages.
        at: Descriptor of a directory.

    Returns:
        A descriptor; the caller closes it.

    Raises:
        UnsafePath: It is a symlink or a socket.
        ChangedDuringRead: The name was listed, because `at` is given, and it has vanished.
        UnreadableData: It is missing, or this user may not read it.
    """
    try:
        return os.open(name, FILE_FLAGS, dir_fd=at)
    except (OSError, ValueError) as error:
        _refuse_open(error, name, locator, at)


def regular_status(descriptor: int, locator: str) -> os.stat_result:
    """Return fstat of a descriptor that must be a regular file.

    Args:
        descriptor: An open file.
        locator: Path for messages.

    Raises:
        UnsafePath: It is a directory, device or FIFO.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        refuse_kind(status.st_mode, locator)
    return status


def check_unchanged(descriptor: int, before: os.stat_result, n_read: int, locator: str) -> None:
    """Return if nothing was written to the file since its status was taken.

    ctime cannot be set back by an ordinary user, so restoring mtime does not hide a write.
    Two writes inside one tick of the kernel clock (about 4 ms) can share a ctime. The digest
    is still that of the bytes read, and a verified read relies on nothing else.

    Args:
        descriptor: The open file; a file that replaced it under its name is another one.
        before: Its status before the first read.
        n_read: Bytes read.
        locator: Path for the message.

    Raises:
        ChangedDuringRead: It was written to, grew or shrank.
    """
    after = os.fstat(descriptor)
    if (
        n_read != before.st_size
        or after.st_size != n_read
        or after.st_ctime_ns != before.st_ctime_ns
        or after.st_mtime_ns != before.st_mtime_ns
    ):
        _refuse_changed(locator, before.st_size, n_read, after.st_size)


def hash_file(
    path: str | os.PathLike[str], locator: str, algorithm: str = SHA256
) -> tuple[str, int]:
    """Hash one file; see `hash_descriptor`.

    Args:
        path: A regular file.
        locator: Path for messages.
        algorithm: ``sha256`` or ``blake3``.

    Returns:
        Lower-case hex digest and size in bytes.

    Raises:
        SluicegateError: As `open_regular`, `hasher_of` and `hash_descriptor`.
    """
    start = hasher_of(algorithm)
    descriptor = open_regular(path, locator)
    try:
        return hash_descriptor(descriptor, new_buffer(), locator, start)
    finally:
        os.close(descriptor)


def hash_descriptor(
    descriptor: int, buffer: memoryview, locator: str, start: Callable[..., Hasher]
) -> tuple[str, int]:
    """Hash an open file from its start to its end.

    Args:
        descriptor: A regular file, freshly opened.
        buffer: From `new_buffer`.
        locator: Path for messages.
        start: From `hasher_of`.

    Returns:
        Lower-case hex digest and size in bytes.

    Raises:
        UnsafePath: It is no regular file.
        ChangedDuringRead: Its size or times differ after the read.
        UnreadableData: The operating system cannot deliver the bytes.

    Cost: two fstat, and one read for each MiB; reading and hashing release the interpreter lock.
    """
    # This repeats regular_status and check_unchanged instead of calling them: with thousands of
    # small files, two threads lose more to each call between two system calls than to the hashing.
    before = os.fstat(descriptor)
    size = before.st_size
    if (before.st_mode & _KIND_BITS) != stat.S_IFREG:
        refuse_kind(before.st_mode, locator)
    try:
        n_read = os.readv(descriptor, (buffer,))
        # fstat shows afterwards whether the file grew past the expected size, so the end needs
        # no second read.
        if n_read == size:
            digest = start(buffer[:n_read]).hexdigest()
        else:
            digest, n_read = _hash_rest(descriptor, buffer, start(buffer[:n_read]), n_read, size)
        after = os.fstat(descriptor)
    except OSError as error:
        unreadable(error, locator)
    if (
        n_read != size
        or after.st_size != size
        or after.st_ctime_ns != before.st_ctime_ns
        or after.st_mtime_ns != before.st_mtime_ns
    ):
        _refuse_changed(locator, size, n_read, after.st_size)
    return digest, n_read


def _hash_rest(
    descriptor: int, buffer: memoryview, hasher: Hasher, n_read: int, expected_bytes: int
) -> tuple[str, int]:
    while n_read < expected_bytes and (n := os.readv(descriptor, (buffer,))):
        hasher.update(buffer if n == len(buffer) else buffer[:n])
        n_read += n
    return hasher.hexdigest(), n_read


def _refuse_changed(locator: str, n_before: int, n_read: int, n_after: int) -> NoReturn:
    raise ChangedDuringRead(
        "changed while it was read",
        locator=ascii(locator)[1:-1],
        expected=f"{n_before} bytes, unmodified",
        got=f"{n_read} bytes read, {n_after} in the file now",
        next_step="Stop the writer, then run again.",
    )


def _refuse_open(
    error: OSError | ValueError, name: str | os.PathLike[str], locator: str, at: int | None
) -> NoReturn:
    if isinstance(error, OSError) and error.errno in {errno.ELOOP, errno.ENXIO}:
        try:
            mode = os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
        except OSError:
            unreadable(error, locator)
        if not stat.S_ISREG(mode):
            refuse_kind(mode, locator)
    if isinstance(error, FileNotFoundError) and at is not None:
        raise ChangedDuringRead(
            "vanished after it was listed",
            locator=ascii(locator)[1:-1],
            next_step="Stop the writer, then run again.",
        ) from error
    unreadable(error, locator)

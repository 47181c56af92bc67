"""Read or write a file that somebody named, with one kind of message if that fails.

A file appears whole or not at all. A command that is killed, or whose disk is full, leaves the
earlier file and nothing that a rerun would trip over.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sluicegate.errors import ConfigError
from sluicegate.foreign import unwritten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sluicegate.errors import SluicegateError


def read_named(
    path: Path,
    what: str,
    *,
    error: type[SluicegateError] = ConfigError,
    next_step: str = "",
) -> bytes:
    """Return a file's bytes.

    Args:
        path: The file.
        what: What failed, one clause, e.g. "the policy cannot be read".
        error: What the file's absence means: a wrong call by default; otherwise evidence or
            data is missing.
        next_step: What a person should do.

    Raises:
        SluicegateError: Of the class ``error``: the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as cause:  # ValueError: a NUL in the name
        raise error(
            what,
            locator=str(path),
            got=getattr(cause, "strerror", None) or type(cause).__name__,
            next_step=next_step,
        ) from cause


@contextmanager
def writing(path: Path, what: str, *, new: bool = False) -> Iterator[Path]:
    """Yield a draft beside a file to write to, and put it in the file's place at the end.

    Args:
        path: The file. A device or a pipe is written directly; of a link, the target is
            replaced.
        what: What failed, one clause, e.g. "the report cannot be written".
        new: Refuse a file that exists.

    Yields:
        The path to write to.

    Raises:
        ConfigError: The place cannot hold the file, or holds one already.
        SystemTrouble: The system refuses: the disk is full or read-only, or not for this user.
    """
    if new and os.path.lexists(path):
        raise unwritten(FileExistsError(errno.EEXIST, "", str(path)), what, str(path))
    try:
        if path.exists() and not path.is_file():
            yield path
            return
        target = path.resolve()
        draft = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}")
        try:
            yield draft
            _finish(draft, target)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
    except OSError as error:
        raise unwritten(error, what, str(path)) from error


def write_named(path: Path, data: bytes, what: str, *, new: bool = False) -> None:
    """Write a file whole or not at all.

    Args:
        path: As for `writing`.
        data: The whole content.
        what: What failed, one clause.
        new: Refuse a file that exists.

    Raises:
        ConfigError: The place cannot hold the file, or holds one already.
        SystemTrouble: The system refuses: the disk is full or read-only, or not for this user.
    """
    with writing(path, what, new=new) as draft:
        draft.write_bytes(data)


def _finish(draft: Path, target: Path) -> None:
    """Flush a draft to the disk, then put it in its place with the mode of the earlier file."""
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        with suppress(FileNotFoundError):
            os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(target)

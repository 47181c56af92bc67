"""Read or write a file that somebody named, and say in one way that it cannot be done.

What is written appears whole or not at all: a command that is killed, or whose disk is full,
leaves what was there before and nothing that a rerun would trip over.
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
        error: What its absence means: called wrongly by default, or evidence or data that is
            not there.
        next_step: What a person should do.

    Raises:
        SluicegateError: ``error``, if the file is missing or cannot be read.
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
    """Give a draft beside a file to write to, and put it in the file's place at the end.

    Args:
        path: The file. A device or a pipe is written as it is; of a link the target.
        what: What failed, one clause, e.g. "the report cannot be written".
        new: Refuse a file that exists.

    Yields:
        The path to write to.

    Raises:
        ConfigError: A place that cannot hold the file, or that holds one already.
        SystemTrouble: The system refuses: full, read-only, not for this user.
    """
    try:
        if new and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "", str(path))
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
    """Write a file whole or not at all; see `writing`."""
    with writing(path, what, new=new) as draft:
        draft.write_bytes(data)


def _finish(draft: Path, target: Path) -> None:
    """Put a draft into its place, with the mode of what was there, once the disk has it."""
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        with suppress(FileNotFoundError):
            os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(target)

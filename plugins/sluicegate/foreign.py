"""What an error that is not ours means: the last line before a person, a log or an exit code.

Each layer wraps the errors that it expects. Others come through all the same: a full disk, a file
that this user may not read, memory that ran out, our own defect. They get a code here and the
outcome "could not check", because nothing was decided. The text of such an error is never shown:
libraries quote statements, rows and credentials. Its class and the system's own words are shown.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from sluicegate.errors import ConfigError, InternalError, SluicegateError, SystemTrouble
from sluicegate.untrusted import visible

DEBUG: Final = "SLUICEGATE_DEBUG"
"""Environment variable that shows developers the traceback of an unexpected error."""

_NEXT_STEPS: Final = {
    errno.ENOSPC: "Free space on that disk and run again.",
    errno.EDQUOT: "Free space of this user's quota and run again.",
    errno.EFBIG: "Raise this process's limit of file size (ulimit -f) and run again.",
    errno.EMFILE: "Raise this process's limit of open files (ulimit -n) and run again.",
    errno.ENFILE: "The machine has too many open files; run again later.",
    errno.EROFS: "Name a place that can be written.",
    errno.EACCES: "Run as a user who may, or give this user access.",
    errno.EPERM: "Run as a user who may, or give this user access.",
    errno.EIO: "Check the disk.",
    errno.ENOMEM: "Give the process more memory, or run again later.",
    errno.ECONNREFUSED: "Check that the server runs, and try again.",
    errno.ECONNRESET: "Try again.",
    errno.EPIPE: "Try again.",
}
_WRONG_PLACE: Final = {
    errno.ENOENT: "Name a file in a directory that exists.",
    errno.ENOTDIR: "Name a file in a directory that exists.",
    errno.EISDIR: "Name a file, not a directory.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.EEXIST: "Name a new file: this kind is never overwritten.",
}
"""What the caller named wrongly; anything else is trouble of the machine."""

_LONGEST_PATH: Final = 300


def coded(error: BaseException, *, what: str = "", locator: str = "") -> SluicegateError:
    """Return the error of ours that stands for any error.

    Args:
        error: What was caught; one of ours is returned as it is.
        what: One clause that says what failed, if the caller knows it.
        locator: What the error is about; by default the file that the operating system names.

    Returns:
        An error with a code. Its text quotes only errno's words of a foreign error.
    """
    if isinstance(error, SluicegateError):
        return error
    kind = type(error).__name__
    if isinstance(error, MemoryError):
        return SystemTrouble(
            what or "memory ran out",
            locator=locator,
            got=kind,
            next_step="Give the process more memory, or judge the batch in parts.",
        )
    if isinstance(error, OSError):
        return SystemTrouble(
            what or "the operating system refused",
            locator=locator or _path_of(error),
            got=_words_of(error),
            next_step=_NEXT_STEPS.get(error.errno or 0, "Check the place and run again."),
        )
    return InternalError(
        what or "internal error; nothing was decided",
        locator=locator,
        got=kind,
        next_step=f"Set {DEBUG}=1 to see where, and report it.",
    )


def unwritten(error: OSError, what: str, locator: str) -> SluicegateError:
    """Return the error for a file or folder of ours that was not written.

    Args:
        error: What the operating system raised; its errno says who has to act.
        what: One clause that says what failed.
        locator: The file or folder.

    Returns:
        `ConfigError` if the caller named a wrong place, else `SystemTrouble`.
    """
    if error.errno not in _WRONG_PLACE:
        return coded(error, what=what, locator=locator)
    got, step = _words_of(error), _WRONG_PLACE[error.errno]
    return ConfigError(what, locator=locator, got=got, next_step=step)


def _words_of(error: OSError) -> str:
    """Return what errno means: the error's own text may be a library's, with anything in it."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _path_of(error: OSError) -> str:
    """Return the file that the system refused, if it can be one.

    Somebody may have given a key where a path belongs, and no key is ever shown.
    """
    name = error.filename
    text = os.fsdecode(name) if isinstance(name, str | bytes) else ""
    if len(text) > _LONGEST_PATH or "-----" in text or not text.isprintable():
        return ""
    return visible(text)

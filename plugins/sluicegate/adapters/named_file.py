"""Read a small file that somebody named, and say in one way that it cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
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

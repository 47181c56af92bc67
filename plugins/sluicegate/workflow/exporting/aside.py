"""Write a folder of evidence aside, and move it to its place when it is whole.

A process that is killed, or whose disk is full, leaves no half of a folder. With a seal such a half
could be taken for evidence; without one it would be in the way of the next run.
"""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sluicegate.errors import ConfigError
from sluicegate.foreign import unwritten
from sluicegate.workflow.evidence.folder import PLAIN_SEAL_FILE, SEAL_FILE, refuse_existing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def written_aside(out: Path) -> Iterator[Path]:
    """Yield a path to write a folder to. At the end it becomes ``out``, or it is removed.

    Args:
        out: The folder. If it exists (it may be the root of a volume), the files are moved into
            it; it must hold no evidence.

    Yields:
        A path that does not exist yet, on the same file system.

    Raises:
        ConfigError: ``out`` holds evidence, or a directory with the name of one of ours.
        SystemTrouble: The folder cannot be written.
    """
    refuse_existing(out)
    place = out.resolve()
    beside = place if place.is_dir() else place.parent
    aside = beside / f".{place.name[:200]}.{secrets.token_hex(4)}.partial"
    try:
        yield aside
        if place.is_dir():
            _move_into(aside, place)
        else:
            aside.rename(place)
    except OSError as error:
        raise unwritten(error, "the evidence cannot be written", str(out)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _move_into(aside: Path, place: Path) -> None:
    """Move what was written. The seal goes last, because a folder with a seal is whole."""
    items = sorted(aside.iterdir(), key=lambda item: item.name in (SEAL_FILE, PLAIN_SEAL_FILE))
    for item in items:
        if item.is_dir() and (place / item.name).exists():
            raise ConfigError(
                "the folder holds something else already",
                locator=str(place / item.name),
                next_step="Remove it, or name a new folder.",
            )
    for item in items:
        item.rename(place / item.name)

"""Tiles of a ledger in a directory, as a web server can serve it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sluicegate.errors import LedgerError
from sluicegate.ledger.tiles import CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sluicegate.ledger.log import Ledger


def export_tiles(ledger: Ledger, directory: Path) -> bytes:
    """Write or bring up to date a ledger's tiles; the checkpoint last, in one step.

    A reader never sees a checkpoint whose tiles are not there yet. Files that hold the right
    bytes are left alone, so that repeating an export writes only what is new.

    Args:
        ledger: Read in one snapshot.
        directory: Made if need be.

    Returns:
        The exported checkpoint.

    Raises:
        Rollback, BadProof: The directory holds a checkpoint that the ledger does not extend.
        LedgerCorrupt: The leaves are not the ones that were signed; no checkpoint was written.
        LedgerError: The directory cannot be written.
    """
    try:
        published = read_tile(directory)(CHECKPOINT)
        if published is not None:
            ledger.require_extends(published)
        note = ledger.write_tiles(lambda path, data: _put(directory / path, data))
        _put(directory / CHECKPOINT, note)
    except OSError as error:
        raise LedgerError(
            "the tiles cannot be written",
            locator=str(directory),
            got=error.strerror or type(error).__name__,
            next_step="Free space or give access, and export again.",
        ) from error
    return note


def read_tile(directory: Path) -> Callable[[str], bytes | None]:
    """Return what `tiles.verify_tiles` reads a directory with."""

    def read(path: str) -> bytes | None:
        try:
            return (directory / path).read_bytes()
        except FileNotFoundError:
            return None

    return read


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one step, durably: a reader finds the old bytes or the new ones."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


def _put(path: Path, data: bytes) -> None:
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)

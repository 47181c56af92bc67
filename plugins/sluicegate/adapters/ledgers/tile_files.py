"""Tiles of a ledger in a directory or an object store, from which a web server can serve them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sluicegate.errors import LedgerError, SluicegateError
from sluicegate.ledger.tiles import CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.ledger.log import Ledger


class TilePlace(Protocol):
    """Where tiles lie."""

    @property
    def locator(self) -> str:
        """Path or URL without credentials."""

    def read(self, path: str) -> bytes | None:
        """Return the content of a path; None if it is not there."""

    def write(self, path: str, data: bytes) -> None:
        """Replace a path's content in one step, durably.

        Args:
            path: Relative, with slashes; what lies above it is made.
            data: The whole content.
        """


class TileDirectory:
    """Tiles in files below a directory.

    Args:
        directory: The first `write` makes it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def locator(self) -> str:
        """The directory."""
        return str(self._directory)

    def read(self, path: str) -> bytes | None:
        """Return a file's content."""
        try:
            return (self._directory / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> None:
        """Replace a file."""
        file = self._directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, data)


class TileStore:
    """Tiles as objects below a prefix; a store shows a whole object or none.

    Args:
        filesystem: An fsspec file system with its credentials.
        prefix: Path inside it, without protocol.
        locator: URL without credentials.
    """

    def __init__(self, filesystem: Any, prefix: str, locator: str) -> None:
        self._filesystem = filesystem
        self._prefix = prefix.rstrip("/")
        self.locator = locator

    def read(self, path: str) -> bytes | None:
        """Return an object's content."""
        try:
            return bytes(self._filesystem.cat_file(f"{self._prefix}/{path}"))
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> None:
        """Replace an object."""
        self._filesystem.pipe_file(f"{self._prefix}/{path}", data)


def tile_place(locator: str | Path, *, filesystem: Any = None) -> TilePlace:
    """Open where tiles are to lie.

    Args:
        locator: Directory, or URL of any protocol that fsspec knows.
        filesystem: An fsspec file system that already holds its credentials. None makes one,
            with the credentials that its library finds.

    Raises:
        ConfigError: The locator is a pattern or a single file, or `open_source` refuses it.
    """
    if isinstance(locator, Path) or "://" not in locator:
        return TileDirectory(Path(locator))
    from sluicegate.adapters.sources.local import LocalFiles
    from sluicegate.adapters.sources.object_store import StoreFiles
    from sluicegate.adapters.sources.open import open_source
    from sluicegate.errors import ConfigError

    source = open_source(locator, filesystem=filesystem)
    if isinstance(source, StoreFiles):
        return TileStore(source.filesystem, source.path, source.location)
    if isinstance(source, LocalFiles):
        return TileDirectory(Path(source.location))
    raise ConfigError("tiles cannot be written there", locator=source.location)


def export_tiles(ledger: Ledger, place: TilePlace) -> bytes:
    """Write a ledger's tiles or bring them up to date; the checkpoint comes last, in one step.

    A reader never sees a checkpoint whose tiles are not there yet. Files that hold the right
    bytes are left alone, so repeating an export writes only what is new.

    Args:
        ledger: Read in one snapshot.
        place: Where the tiles go.

    Returns:
        The exported checkpoint.

    Raises:
        Rollback: The place holds a checkpoint of a longer ledger.
        BadProof: The place holds a checkpoint that the ledger does not extend.
        LedgerCorrupt: The leaves are not the ones that were signed; no checkpoint was written.
        LedgerError: The place cannot be written.
    """

    def put(path: str, data: bytes) -> None:
        if place.read(path) != data:
            place.write(path, data)

    try:
        published = place.read(CHECKPOINT)
        if published is not None:
            ledger.require_extends(published)
        note = ledger.write_tiles(put)
        put(CHECKPOINT, note)
    except SluicegateError:
        raise
    except Exception as error:
        # Every store has its own exceptions, and their texts may quote signed URLs.
        known = error.strerror if isinstance(error, OSError) else None
        raise LedgerError(
            "the tiles cannot be written",
            locator=place.locator,
            got=known or type(error).__name__,
            next_step="Free space or give access, and export again.",
        ) from error
    return note


def read_tile(place: TilePlace) -> Callable[[str], bytes | None]:
    """Return the function with which `tiles.verify_tiles` reads a place.

    Raises:
        LedgerError: The returned function raises it: the place cannot be read.
    """

    def read(path: str) -> bytes | None:
        try:
            return place.read(path)
        except Exception as error:
            raise LedgerError(
                "the tiles cannot be read",
                locator=f"{place.locator}/{path}",
                got=type(error).__name__,
                next_step="Check that the place exists, the credentials and the network.",
            ) from error

    return read


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one step, durably: a reader finds the old bytes or the new ones.

    Args:
        path: In a directory that exists. If the file is there already, the new one takes over
            its owner, group and rights, whatever the umask.
        data: The whole content.

    Raises:
        OSError: The file cannot be written; the old one stays and no draft is left.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as stream:
            if path.exists():
                share(draft, path.stat())
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def share(path: Path, like: os.stat_result) -> None:
    """Give a new file or directory the owner, group and rights of another.

    Args:
        path: Made by this process. If somebody else made it a moment ago, it stays as it is.
        like: State of the other. A file takes over only its rights to read and write.
    """
    bits = 0o7777 if path.is_dir() else 0o666
    for owner in (like.st_uid, -1):  # root changes the owner too; a group's member, only the group
        with suppress(PermissionError):
            os.chown(path, owner, like.st_gid)
            break
    with suppress(PermissionError):
        path.chmod(like.st_mode & bits)

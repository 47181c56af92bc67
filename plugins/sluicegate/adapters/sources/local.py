"""Files on this machine: one file, a directory, or the files of a directory that match a glob."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from sluicegate.adapters.files.table_layouts import peek_at
from sluicegate.digest.algorithms import SHA256
from sluicegate.digest.file_hash import open_regular
from sluicegate.digest.manifest import Manifest, build_manifest
from sluicegate.digest.names import SINGLE_FILE
from sluicegate.digest.scan import hash_listings
from sluicegate.digest.verified_copy import copy_verified
from sluicegate.digest.verified_file import read_verified, view_verified
from sluicegate.digest.verified_ranges import ranges_verified
from sluicegate.digest.walk import Listing, list_files, sizes_of, unreadable, walk
from sluicegate.errors import ConfigError, UnreadableData, UnsafePath

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from sluicegate.digest.manifest import FileEntry
    from sluicegate.digest.verified_ranges import VerifiedRanges

GLOB_SCHEME: Final = "glob:"
"""Prefix of a location whose stars are a pattern and not part of a file's name."""

_MAGIC: Final = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """A file, or everything below a directory.

    Attributes:
        root: The file or directory; a symlink is refused (`real_place` follows one).
    """

    root: Path

    @property
    def location(self) -> str:
        """Absolute path."""
        return os.path.realpath(self.root)  # of links in a circle too

    def names(self) -> list[str]:
        """List the files."""
        return walk(self.root)

    def sizes(self) -> dict[str, int]:
        """Look at the files."""
        return _sizes(self.root, list_files(self.root))

    @property
    def place(self) -> Path:
        """Where they lie."""
        return self.root

    def peek(self, name: str) -> bytes:
        """Return the begin of one file."""
        return peek_at(_at(self.root, name))

    def glance(self, name: str) -> BinaryIO:
        """Open one file."""
        return opened(_at(self.root, name))

    def manifest(self, algorithm: str = SHA256) -> Manifest:
        """Hash the files on all cores."""
        return build_manifest(self.root, algorithm=algorithm)

    def read_verified(self, entry: FileEntry) -> bytes:
        """Read one file into memory."""
        return read_verified(_at(self.root, entry.path), entry)

    def view_verified(self, entry: FileEntry) -> memoryview:
        """Read one file for a parser."""
        return view_verified(_at(self.root, entry.path), entry)

    def copy_verified(self, entry: FileEntry) -> BinaryIO:
        """Copy one file to private disk."""
        return copy_verified(_at(self.root, entry.path), entry)

    def ranges_verified(self, entry: FileEntry) -> AbstractContextManager[VerifiedRanges]:
        """Open one file."""
        return ranges_verified(_at(self.root, entry.path), entry)


@dataclass(frozen=True, slots=True)
class GlobFiles:
    """The files below a directory whose relative path matches a pattern.

    The whole directory is walked, so an unsafe name or a symlink beside the matching files is
    refused too: the pattern may match it after a rename.

    Attributes:
        base: The directory: the longest leading part of the text without a wildcard.
        pattern: The rest. ``*``, ``?`` and ``[...]`` stay within a component, ``**`` spans several.
    """

    base: Path
    pattern: str

    @classmethod
    def parse(cls, text: str) -> GlobFiles:
        """Split a pattern at its first component with a wildcard.

        Args:
            text: Path with wildcards, e.g. ``data/*/part-*.parquet``.

        Raises:
            ConfigError: The text has no wildcard, or a ``..`` after it.
        """
        parts = Path(text).parts
        first = next((i for i, part in enumerate(parts) if _MAGIC.search(part)), None)
        if first is None or ".." in parts[first:]:
            raise ConfigError(
                "is not a glob",
                locator=ascii(text)[1:-1],
                expected="a path with *, ? or [...] and no '..' behind it",
            )
        return cls(Path(*parts[:first]), "/".join(parts[first:]))

    @property
    def location(self) -> str:
        """Pattern below the absolute base."""
        return f"{GLOB_SCHEME}{self.base.resolve()}/{self.pattern}"

    def names(self) -> list[str]:
        """List the matching files."""
        return sorted(path for listing in self._listings() for path in listing.paths())

    def sizes(self) -> dict[str, int]:
        """Look at the matching files."""
        return _sizes(self.base, self._listings())

    @property
    def place(self) -> Path:
        """Where they lie."""
        return self.base / self.pattern

    def peek(self, name: str) -> bytes:
        """Return the begin of one file."""
        return peek_at(self.base / name)

    def glance(self, name: str) -> BinaryIO:
        """Open one file."""
        return opened(self.base / name)

    def manifest(self, algorithm: str = SHA256) -> Manifest:
        """Hash the matching files on all cores."""
        hashed = hash_listings(self.base, self._listings(), algorithm=algorithm)
        return Manifest(tuple(sorted(hashed)), algorithm)

    def read_verified(self, entry: FileEntry) -> bytes:
        """Read one file into memory."""
        return read_verified(self.base / entry.path, entry)

    def view_verified(self, entry: FileEntry) -> memoryview:
        """Read one file for a parser."""
        return view_verified(self.base / entry.path, entry)

    def copy_verified(self, entry: FileEntry) -> BinaryIO:
        """Copy one file to private disk."""
        return copy_verified(self.base / entry.path, entry)

    def ranges_verified(self, entry: FileEntry) -> AbstractContextManager[VerifiedRanges]:
        """Open one file."""
        return ranges_verified(self.base / entry.path, entry)

    def _listings(self) -> list[Listing]:
        from fsspec.utils import glob_translate

        matches = re.compile(glob_translate(self.pattern)).match
        kept = []
        for listing in list_files(self.base):
            names = zip(listing.names, listing.paths(), strict=True)
            found = tuple(name for name, path in names if matches(path))
            if found:
                kept.append(Listing(listing.directory, found))
        if not kept:
            raise UnreadableData(
                "no file matches the pattern",
                locator=ascii(self.location)[1:-1],
                next_step="Check the pattern; an empty source cannot be sealed.",
            )
        return kept


def has_wildcard(text: str) -> bool:
    """Return whether a path holds ``*``, ``?`` or ``[``."""
    return _MAGIC.search(text) is not None


def real_place(path: Path) -> Path:
    """Return where a directory, or the directory of a file, lies when links are followed.

    A link such as git-sync's ``current`` is switched while others read. Whoever follows it once
    reads one target to the end, and a seal names that target. A file that is a link itself stays
    one, to be refused: its name promises another format than its target's, or other bytes.

    Args:
        path: May be missing; then it is returned, for its reader to say so.
    """
    try:
        found = path.resolve()
        if found.is_dir():
            return found
        return path.parent.resolve() / path.name
    except (OSError, RuntimeError, ValueError):  # a loop, no permission, a NUL
        return path


def sealed_place(path: Path) -> Path:
    """Return a place that a seal names, if it still is one.

    Args:
        path: May be missing; then it is returned, for its reader to say so.

    Raises:
        UnsafePath: It has become a link.
    """
    if path.is_symlink():
        raise UnsafePath(
            "is a symbolic link",
            locator=str(path),
            next_step="Seal what it leads to: a seal names the place itself.",
        )
    return path


def opened(path: Path) -> BinaryIO:
    """Open a file for reading, without following a link or waiting for a pipe.

    Raises:
        UnsafePath: It is one.
        UnreadableData: Missing or no permission.
    """
    return os.fdopen(open_regular(path, str(path)), "rb")


def sizes_at(root: Path, names: Iterable[str]) -> dict[str, int]:
    """Return the length in bytes of each file below a directory.

    Args:
        root: The directory.
        names: Paths below it.

    Raises:
        UnreadableData: One is missing, or no permission.
    """
    try:
        return {name: (root / name).lstat().st_size for name in names}
    except (OSError, ValueError) as error:
        unreadable(error, str(root))


def _sizes(root: Path, listings: list[Listing]) -> dict[str, int]:
    return {path: size for listing in listings for _, path, size in sizes_of(root, listing)}


def _at(root: Path, name: str) -> Path:
    return root if name == SINGLE_FILE else root / name

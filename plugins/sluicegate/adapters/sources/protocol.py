"""What each kind of source can do, so that sealing, the gate and the verified read share code.

There are two protocols. Files and objects are bytes with names: their identity is a manifest, and
they can be read again and compared. Tables and queries are rows: they have no bytes of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow as pa

    from sluicegate.digest.manifest import FileEntry, Manifest
    from sluicegate.digest.verified_ranges import VerifiedRanges

CROISSANT_SCHEME: Final = "croissant:"
"""Prefix of a location that is a Croissant file; the files that it names are the source."""


@runtime_checkable
class ByteSource(Protocol):
    """Named bytes: a file, a directory, a glob, or objects below a prefix of a store."""

    @property
    def location(self) -> str:
        """Text that `open_source` opens again; it goes into provenance and holds no secret."""
        ...

    def names(self) -> list[str]:
        """Return the paths that a manifest would list, sorted, without reading their bytes.

        Raises:
            UnsafePath: A file has a name or kind that no manifest may hold.
            UnreadableData: Nothing is there, permission is missing, or the store does not answer.
        """
        ...

    def sizes(self) -> dict[str, int]:
        """Return the length in bytes of each of `names`, as the file system or store says it.

        Raises:
            SluicegateError: As `names`.
        """
        ...

    @property
    def place(self) -> Path | None:
        """Where the files lie on this machine; None for a store."""
        ...

    def peek(self, name: str) -> bytes:
        """Return how a file begins, or nothing on any error.

        The bytes are not verified: recognise the file by them, but use them for nothing else.

        Args:
            name: One of `names`.
        """
        ...

    def glance(self, name: str) -> BinaryIO:
        """Open a file, unverified: to look at its columns, never to use its rows as sealed ones.

        Args:
            name: One of `names`.

        Raises:
            UnreadableData: Not there, no permission, no answer.
        """
        ...

    def manifest(self, algorithm: str = "sha256") -> Manifest:
        """Hash everything once.

        Args:
            algorithm: ``sha256`` or ``blake3``.

        Raises:
            ConfigError: The algorithm is unknown or not installed, or the source cannot use it.
            IntegrityError: A name is unsafe, or something changed while it was read.
            UnreadableData: Nothing is there, permission is missing, or the store does not answer.
        """
        ...

    def read_verified(self, entry: FileEntry) -> bytes:
        """Return the bytes of one entry if they are the sealed ones.

        Raises:
            DigestMismatch: The size or digest is not the sealed one.
            ChangedDuringRead: Somebody wrote the file while it was read.
            UnreadableData: It is not there, permission is missing, or the store does not answer.
        """
        ...

    def view_verified(self, entry: FileEntry) -> memoryview:
        """Return the same bytes as a read-only view, which is faster for large files.

        Raises:
            SluicegateError: As `read_verified`.
        """
        ...

    def copy_verified(self, entry: FileEntry) -> BinaryIO:
        """Return a private copy of one entry, on disk and without a name, for large files.

        Raises:
            IntegrityError: As `read_verified`, before the caller gets the first byte.
        """
        ...

    def ranges_verified(self, entry: FileEntry) -> AbstractContextManager[VerifiedRanges]:
        """Open one entry with shards; each range is verified when it is read, the rest never.

        Raises:
            IntegrityError: As `read_verified`: of the size at once, of bytes where they are read,
                of a change at the end.
        """
        ...


@runtime_checkable
class RowSource(Protocol):
    """Rows of a table, a query, or a text format with a declared schema."""

    @property
    def location(self) -> str:
        """Where the rows came from, without credentials."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows once, from one consistent view, in batches of one schema.

        Raises:
            SchemaMismatch: A type or value cannot be carried over exactly.
            UnreadableData: Nothing is there, permission is missing, or no server answers.
        """
        ...


Source = ByteSource | RowSource

"""What every kind of source can do, so that sealing, the gate and the verified read share code.

Two faces. Files and objects are bytes with names: their identity is a manifest, and they can be
read again and compared. Tables and queries are rows: they have no bytes of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from sluicegate.digest.manifest import FileEntry, Manifest

CROISSANT_SCHEME: Final = "croissant:"
"""Marks a locator that is a Croissant file whose files are the source."""


@runtime_checkable
class ByteSource(Protocol):
    """Named bytes: a file, a directory, a glob, or objects below a prefix of a store."""

    @property
    def locator(self) -> str:
        """Text that `open_source` opens again; it goes into provenance and holds no secret."""
        ...

    def names(self) -> list[str]:
        """Return the paths that a manifest would list, sorted, without reading their bytes.

        Raises:
            UnsafePath: A name or kind of file that no manifest may hold.
            UnreadableData: Nothing there, no permission, no answer.
        """
        ...

    @property
    def place(self) -> Path | None:
        """Where the files lie on this machine; None for a store."""
        ...

    def peek(self, name: str) -> bytes:
        """Return the begin of a file, unverified, or nothing: to recognise it, never to use it.

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
            ConfigError: The algorithm is unknown, not installed, or not of this source.
            IntegrityError: Unsafe names, or something changed while it was read.
            UnreadableData: Nothing there, no permission, no answer.
        """
        ...

    def read_verified(self, entry: FileEntry) -> bytes:
        """Return the bytes of one entry if they are the sealed ones.

        Raises:
            DigestMismatch: Another size or digest.
            ChangedDuringRead: Written while it was read.
            UnreadableData: Not there, no permission, no answer.
        """
        ...

    def view_verified(self, entry: FileEntry) -> memoryview:
        """Return the same bytes for a parser, as a read-only view: faster for large files.

        Raises:
            SluicegateError: As `read_verified`.
        """
        ...

    def copy_verified(self, entry: FileEntry) -> BinaryIO:
        """Return a private copy of one entry, on disk and without a name, for large files.

        Raises:
            IntegrityError: As `read_verified`; raised before the first byte can be used.
        """
        ...


@runtime_checkable
class RowSource(Protocol):
    """Rows of a table, a query, or a text format with a declared schema."""

    @property
    def locator(self) -> str:
        """Where the rows came from, without credentials."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows once, from one consistent view, in batches of one schema.

        Raises:
            SchemaMismatch: A type or value that cannot be carried over exactly.
            UnreadableData: Nothing there, no permission, no answer.
        """
        ...


Source = ByteSource | RowSource

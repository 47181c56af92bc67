"""A sealed batch and the verdict on it, as verified evidence gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.attest.sealed_table import SealedTable
from sluicegate.digest.manifest import Manifest
from sluicegate.digest.merkle_files import MerkleFiles
from sluicegate.digest.merkle_manifest import not_sealed
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluicegate.attest.contents import Contents
    from sluicegate.attest.statement import Subject
    from sluicegate.digest.algorithms import Digest
    from sluicegate.digest.manifest import FileEntry
    from sluicegate.gate.verdict import Verdict


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """One sealed version of a source, verified.

    Attributes:
        source: Name of the source.
        contents: Its files, whole or in parts, or the rows of a table.
        subjects: How every statement names it.
        location: Where the data can be read.
        connection: Airflow connection by which they were read; None for none.
        version: Position among the seals of its source, from 1.
        index: Ledger entry of the seal.
    """

    source: str
    contents: Contents
    subjects: tuple[Subject, ...]
    location: str
    version: int
    index: int
    connection: str | None = None

    @property
    def digest(self) -> Digest:
        """Identity of the batch."""
        return self.contents.digest

    @property
    def table(self) -> SealedTable | None:
        """The rows, if the batch is a table; None if it consists of files."""
        return self.contents if isinstance(self.contents, SealedTable) else None

    @property
    def size_bytes(self) -> int | None:
        """Bytes of its files; None where only a reading of rows or parts would tell."""
        return self.contents.size_bytes if isinstance(self.contents, Manifest) else None

    def entries_of(self, paths: Sequence[str]) -> list[FileEntry]:
        """Return the entries of some files. Of a manifest in parts, only their parts are read.

        Raises:
            ManifestMismatch: A path was not sealed.
        """
        if isinstance(self.contents, MerkleFiles):
            return self.contents.entries_of(paths)
        manifest = self.manifest
        found = [manifest.entry(path) for path in paths]
        return [entry or not_sealed(path) for entry, path in zip(found, paths, strict=True)]

    @property
    def manifest(self) -> Manifest:
        """The files. Of a manifest in parts, all parts are read.

        Raises:
            ConfigError: The batch is a table and has none.
            BadProof: A part is not the sealed one.
        """
        if isinstance(self.contents, SealedTable):
            raise ConfigError(
                "the batch holds rows of a table and no files",
                locator=f"{self.source}@{self.digest.short}",
                next_step="Read it with load_verified or stream_verified.",
            )
        return self.contents.manifest() if isinstance(self.contents, MerkleFiles) else self.contents


@dataclass(frozen=True, slots=True)
class IssuedVerdict:
    """A verdict with its place in the ledger, verified.

    Attributes:
        verdict: What it says.
        envelope: Digest of its envelope.
        index: Its ledger entry.
        test_result: Digest of the envelope of the test result that it names.
    """

    verdict: Verdict
    envelope: Digest
    index: int
    test_result: Digest

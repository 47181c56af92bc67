"""The files of a very large source, read part by part from a place that nobody has to trust.

Only the root was signed. Index and parts are checked against it whenever they are read, so they
may lie beside the ledger or in an evidence folder (docs/formats/manifest.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sluicegate.digest.canonical import loads
from sluicegate.digest.manifest import FileEntry, Manifest
from sluicegate.digest.merkle_manifest import MerkleManifest, not_sealed
from sluicegate.errors import BadProof

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sluicegate.digest.algorithms import Digest


class Parts(Protocol):
    """Where index and parts are kept; its readers check whatever it returns."""

    def index(self) -> bytes:
        """Return the bytes of the index."""
        ...

    def part(self, number: int) -> bytes:
        """Return the bytes of a part by its number, from 0."""
        ...


@dataclass(frozen=True, slots=True)
class MerkleFiles:
    """Manifest in parts whose root was signed.

    Attributes:
        index: First path, hash and number of files of each part.
        parts: Where the parts are.
    """

    index: MerkleManifest
    parts: Parts

    @classmethod
    def read(cls, parts: Parts, *, root: Digest, locator: str) -> MerkleFiles:
        """Read the index if it is the one whose root was signed.

        Args:
            parts: Where index and parts are kept.
            root: Merkle root of a verified seal.
            locator: Where the parts are, for messages.

        Raises:
            BadProof: It has another root.
            MalformedEnvelope: The bytes are no index.
            EvidenceMissing: There is no index.
        """
        index = MerkleManifest.from_json(loads(parts.index(), locator=locator), locator=locator)
        if index.root != root:
            raise BadProof(
                "the index is not the one whose root was signed",
                locator=locator,
                expected=root.short,
                got=index.root.short,
                next_step="Restore the parts of the manifest.",
            )
        return cls(index, parts)

    @property
    def digest(self) -> Digest:
        """Identity of the source; a plain manifest of its files has the same."""
        return self.index.identity

    @property
    def n_files(self) -> int:
        """Number of files."""
        return self.index.n_files

    def manifest(self) -> Manifest:
        """Read all parts into one plain manifest.

        Raises:
            BadProof: A part is not the sealed one, or the files do not have the identity.

        Cost: reads 120 bytes of JSON for each file.
        """
        numbers = range(len(self.index.parts))
        read = (self.index.read_part(n, self.parts.part(n)).files for n in numbers)
        files = tuple(file for part in read for file in part)
        whole = Manifest(files, self.index.algorithm)
        if whole.digest != self.digest:
            raise BadProof(
                "the parts do not have the identity that was signed",
                locator="Merkle manifest",
                expected=self.digest.short,
                got=whole.digest.short,
            )
        return whole

    def entries_of(self, paths: Iterable[str]) -> list[FileEntry]:
        """Return the entries of some files; only the parts that list them are read.

        Raises:
            ManifestMismatch: A path was not sealed.
            BadProof: A part is not the sealed one.
        """
        read: dict[int, Manifest] = {}
        found = []
        for path in paths:
            number = self.index.number_of(path)
            if number not in read:
                read[number] = self.index.read_part(number, self.parts.part(number))
            entry = read[number].entry(path)
            found.append(entry or not_sealed(path))
        return found

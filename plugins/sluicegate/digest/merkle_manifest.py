"""Manifest of a very large source: parts under a Merkle root, so that a few files need a few parts.

Specified in docs/formats/manifest.md, section "Merkle manifest". A plain manifest of 300,000
files is 45 MB of JSON inside a base64 payload. A reader of ten files would parse and verify all of
it. Here the files are sorted by path and cut into parts of 1,024. Each part is a plain manifest of
its own. The signed root commits to the exact bytes of every part in order.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sluicegate.digest.algorithms import (
    SHA256,
    Digest,
    content_digest,
    files_under,
    identity_name,
)
from sluicegate.digest.canonical import dumps, loads
from sluicegate.digest.file_hash import hash_file
from sluicegate.digest.manifest import MANIFEST_TYPE, FileEntry, Manifest, identity_lines
from sluicegate.digest.names import check_paths
from sluicegate.digest.scan import hash_files
from sluicegate.digest.verified_file import refuse_mismatch
from sluicegate.errors import BadProof, MalformedEnvelope, ManifestMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from sluicegate.digest.scan import HashedFile

MERKLE_MANIFEST_TYPE: Final = "https://sluicegate.dev/merkle-manifest/v1"
"""Type URI of the index that lists the parts."""

PLAIN_LIMIT: Final = 100_000
"""Files above which a source is sealed with a Merkle manifest."""

PART_FILES: Final = 1024  # 120 KB of JSON: one read, verified in 3 ms
_MAX_PARTS: Final = 1_000_000
_LEAF, _NODE = b"\x00", b"\x01"  # RFC 6962 section 2.1: a node can never pass for a leaf


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the manifest.

    Attributes:
        first: Path of its first file.
        digest: RFC 6962 leaf hash of its exact bytes.
        n_files: Files in it, 1 to 1,024.
    """

    first: str
    digest: Digest
    n_files: int


@dataclass(frozen=True, slots=True)
class MerkleManifest:
    """Index of the parts; small enough to be read whole.

    Attributes:
        identity: Digest over all files, the same as that of a plain manifest of them:
            ``dirHash1``, ``dirHash1-blake3`` or ``dirHash1-shards-BYTES``.
        size_bytes: Sum of the sizes of all files.
        parts: Parts in the order of their paths.

    Raises:
        MalformedEnvelope: It has no part or too many, parts are out of order, or a part has no
            file or too many.
    """

    identity: Digest
    size_bytes: int
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        firsts = [part.first for part in self.parts]
        if not 0 < len(firsts) <= _MAX_PARTS or sorted(set(firsts)) != firsts:
            raise MalformedEnvelope(
                "Merkle manifest has no parts, too many parts, or parts out of order"
            )
        if files_under(self.identity.algorithm) is None:
            raise MalformedEnvelope("Merkle manifest has another identity than one of files")
        if any(not 0 < part.n_files <= PART_FILES for part in self.parts):
            raise MalformedEnvelope("part of a Merkle manifest has too few or too many files")

    @property
    def algorithm(self) -> str:
        """Algorithm of the file digests."""
        found = files_under(self.identity.algorithm)
        assert found is not None  # noqa: S101 - the constructor refuses others
        return found

    @property
    def root(self) -> Digest:
        """Merkle tree hash over the parts. Source: RFC 6962 section 2.1."""
        return Digest(SHA256, _tree_hash([part.digest.raw for part in self.parts]).hex())

    @property
    def n_files(self) -> int:
        """Number of files."""
        return sum(part.n_files for part in self.parts)

    def number_of(self, path: str) -> int:
        """Return the number of the part that would list a path.

        Raises:
            ManifestMismatch: It sorts before the first file.
        """
        number = bisect_right(self.parts, path, key=lambda part: part.first) - 1
        if number < 0:
            not_sealed(path)
        return number

    def read_part(self, number: int, data: bytes) -> Manifest:
        """Read one part if its bytes are the sealed ones.

        Args:
            number: From `number_of`, from 0.
            data: Bytes of the part, from a place that is not trusted.

        Raises:
            BadProof: The bytes are not the sealed ones.
            MalformedEnvelope: The bytes are no manifest, or do not list what the index says.
        """
        part = self.parts[number]
        locator = f"manifest part {number}"
        if _leaf_hash(data) != part.digest.raw:
            raise BadProof(
                "is not the part that was sealed",
                locator=locator,
                expected=part.digest.short,
                next_step="Restore the evidence folder.",
            )
        manifest = Manifest.from_json(loads(data, locator=locator), locator=locator)
        found = (manifest.algorithm, manifest.files[0][0], len(manifest.files))
        if found != (self.algorithm, part.first, part.n_files):
            raise MalformedEnvelope("part does not list what the index says", locator=locator)
        return manifest

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form of the specification, for `canonical.dumps`."""
        return {
            "type": MERKLE_MANIFEST_TYPE,
            "identity": str(self.identity),
            "size": self.size_bytes,
            "parts": [
                {"first": part.first, "digest": part.digest.hex, "files": part.n_files}
                for part in self.parts
            ],
        }

    @classmethod
    def from_json(cls, value: Any, *, locator: str) -> MerkleManifest:
        """Read what `to_json` wrote.

        Args:
            value: From `canonical.loads`.
            locator: Where it came from, for messages.

        Raises:
            MalformedEnvelope: Any other shape.
        """
        match value:
            case {
                "type": str(kind), "identity": str(identity), "size": int(size),
                "parts": list(parts),
            } if len(value) == 4 and kind == MERKLE_MANIFEST_TYPE and size >= 0:  # fmt: skip
                found = tuple(_part(item, locator) for item in parts)
                return cls(Digest.parse(identity), size, found)
        raise MalformedEnvelope("is not a Merkle manifest", locator=locator)


def build_merkle(
    root: Path,
    write_part: Callable[[int, bytes], None],
    *,
    algorithm: str = SHA256,
    workers: int | None = None,
) -> MerkleManifest:
    """Hash every file of a directory once, and write the manifest part by part.

    Args:
        root: Directory.
        write_part: Called with each part's number and bytes, to keep them.
        algorithm: As in `build_manifest`.
        workers: As in `build_manifest`.

    Returns:
        The index.

    Raises:
        SluicegateError: As `build_manifest`.

    Cost: as `build_manifest`; memory of about 0.6 KiB for each file.
    """
    hashed = hash_files(root, algorithm=algorithm, workers=workers)
    hashed.sort()
    check_paths([path for path, _, _ in hashed], locator=str(root))
    return _index(hashed, algorithm, write_part)


def verify_files(
    root: Path, manifest: MerkleManifest, read: Callable[[int], bytes], paths: Iterable[str]
) -> int:
    """Check some files of a sealed source; other files and their parts are not read.

    Args:
        root: Directory.
        manifest: Index whose root was signed.
        read: Returns the bytes of a part by its number; they are checked.
        paths: Relative paths of the files that will be used.

    Returns:
        Number of parts that were read.

    Raises:
        DigestMismatch: A file has other bytes.
        ManifestMismatch: A path is not in the manifest.
        BadProof: A part is not the sealed one.
        SluicegateError: As `build_manifest` for unsafe, missing or changing files.

    Cost: one part for up to 1,024 neighbouring files, and one read of each file.
    """
    parts: dict[int, dict[str, FileEntry]] = {}
    for path in paths:
        number = manifest.number_of(path)
        if number not in parts:
            entries = manifest.read_part(number, read(number)).entries
            parts[number] = {entry.path: entry for entry in entries}
        entry = parts[number].get(path)
        if entry is None:
            not_sealed(path)
        value, _ = hash_file(root / path, path, manifest.algorithm)
        found = content_digest(manifest.algorithm, value)
        if found != entry.digest:
            refuse_mismatch(path, entry.digest.short, found.short)
    return len(parts)


def _index(
    hashed: Sequence[HashedFile], algorithm: str, write: Callable[[int, bytes], None]
) -> MerkleManifest:
    identity, parts = hashlib.sha256(), []
    for number, start in enumerate(range(0, len(hashed), PART_FILES)):
        rows = hashed[start : start + PART_FILES]
        identity.update(identity_lines(rows, algorithm))
        data = dumps({
            "type": MANIFEST_TYPE,
            "algorithm": algorithm,
            "files": [{"path": path, "digest": value, "size": n} for path, value, n in rows],
        })  # fmt: skip
        write(number, data)
        parts.append(Part(rows[0][0], Digest(SHA256, _leaf_hash(data).hex()), len(rows)))
    size = sum(n_bytes for _, _, n_bytes in hashed)
    name = identity_name(algorithm)
    assert name is not None  # noqa: S101 - the files were hashed with it
    return MerkleManifest(Digest(name, identity.hexdigest()), size, tuple(parts))


def _leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(_LEAF + data).digest()


def _tree_hash(hashes: list[bytes]) -> bytes:
    """Return the tree hash of RFC 6962, which splits at the largest power of two below the size."""
    while len(hashes) > 1:
        # Pairing level by level gives the same tree. An odd last node rises unchanged.
        pairs = zip(hashes[::2], hashes[1::2], strict=False)
        paired = [hashlib.sha256(_NODE + left + right).digest() for left, right in pairs]
        hashes = paired + hashes[len(paired) * 2 :]
    return hashes[0]


def _part(item: Any, locator: str) -> Part:
    match item:
        case {"first": str(first), "digest": str(value), "files": int(n)} if len(item) == 3:
            return Part(first, Digest(SHA256, value), n)
    raise MalformedEnvelope("part has the wrong shape", locator=locator)


def not_sealed(path: str) -> NoReturn:
    """Refuse a path that the manifest does not list.

    Raises:
        ManifestMismatch: Always.
    """
    raise ManifestMismatch(
        "is not a sealed file",
        locator=ascii(path)[1:-1][:300],
        next_step="Use only files of the sealed source.",
    )

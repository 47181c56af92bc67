"""Which files a source consists of, and what is in each. Specified in docs/formats/manifest.md.

The identity of a batch is `Manifest.digest` (dirHash1), which covers names and contents. The root
of Model Signing covers contents alone, so two files that swap their names keep it. It is computed
for foreign verifiers and identifies nothing here.
"""

from __future__ import annotations

import hashlib
import operator
import re
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from sluicegate.digest.algorithms import (
    FILE_ALGORITHMS,
    SHA256,
    Digest,
    content_digest,
    identity_name,
    shard_bytes,
)
from sluicegate.digest.diff import ManifestDiff, diff_manifests
from sluicegate.digest.names import check_paths, require_shard_names
from sluicegate.digest.scan import hash_files
from sluicegate.errors import MalformedEnvelope, ManifestMismatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sluicegate.digest.scan import HashedFile

MANIFEST_TYPE: Final = "https://sluicegate.dev/manifest/v1"
"""Type URI of a manifest's own JSON form."""

_HEX_DIGITS: Final = 64  # both algorithms give 32 bytes
_LOWER_HEX: Final = re.compile(r"[0-9a-f]*")


@dataclass(frozen=True, slots=True, order=True)
class FileEntry:
    """One file.

    Attributes:
        path: Relative POSIX path, or ``.`` for a source that is one file.
        digest: Digest of the content, ``sha256``, ``blake3`` or that of its shards.
        size_bytes: Length of the content.
        shards: SHA-256 of each shard, raw and one after the other; empty for a file that is
            hashed whole.
    """

    path: str
    digest: Digest
    size_bytes: int
    shards: bytes = b""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Sorted list of the files of one source.

    Attributes:
        files: Path, lower-case hex digest and size in bytes of each file, by path in code-point
            order, which is the byte order of UTF-8. They are plain tuples, because a source has
            a hundred thousand of them. Of a file in shards, their digests one after the other.
        algorithm: Algorithm of every digest, ``sha256``, ``blake3`` or ``sha256-shards-BYTES``.

    Raises:
        MalformedEnvelope: It is empty or unsorted, a path is there twice, the algorithm is
            unknown, a digest is not hex of its length, or a size is negative.
        UnsafePath: It has a path that no manifest may hold, or shards of a path with a colon,
            which Model Signing cannot name.

    Example:
        >>> entry = FileEntry("a.csv", Digest("sha256", "00" * 32), 3)
        >>> Manifest.from_entries([entry]).digest.short
        '18cda69050a8'
    """

    files: tuple[HashedFile, ...]
    algorithm: str = SHA256

    def __post_init__(self) -> None:
        if not self.files:
            raise MalformedEnvelope("manifest lists no file")
        if identity_name(self.algorithm) is None:
            raise MalformedEnvelope(
                "manifest has an unknown algorithm",
                expected=" or ".join(FILE_ALGORITHMS),
                got=ascii(self.algorithm)[:40],
            )
        paths, digests, sizes = zip(*self.files, strict=True)
        if any(map(operator.ge, paths, paths[1:])):  # strictly rising is sorted, and none twice
            _refuse_order(paths)
        check_paths(paths)
        if min(sizes) < 0:
            raise MalformedEnvelope("manifest entry has a negative size")
        joined = "".join(digests)
        lengths = list(map(len, digests))
        if lengths != self._digits(sizes) or not _LOWER_HEX.fullmatch(joined):
            raise MalformedEnvelope(f"manifest entry needs a {self.algorithm} digest in hex")
        if shard_bytes(self.algorithm):
            require_shard_names(paths)

    def _digits(self, sizes: Sequence[int]) -> list[int]:
        """Return how many digits each file has."""
        n_bytes = shard_bytes(self.algorithm)
        if not n_bytes:
            return [_HEX_DIGITS] * len(sizes)
        return [-(-size // n_bytes) * _HEX_DIGITS for size in sizes]

    @classmethod
    def from_entries(cls, entries: list[FileEntry]) -> Self:
        """Build a manifest from entries in any order.

        Raises:
            MalformedEnvelope: The constructor refuses them, or their algorithms differ.
        """
        algorithms = sorted({entry.digest.algorithm for entry in entries})
        if len(algorithms) > 1:
            raise MalformedEnvelope("manifest mixes algorithms", got=" and ".join(algorithms))
        files = [
            (
                entry.path,
                entry.shards.hex() if shard_bytes(entry.digest.algorithm) else entry.digest.hex,
                entry.size_bytes,
            )
            for entry in entries
        ]
        return cls(tuple(sorted(files)), *algorithms)

    @property
    def entries(self) -> tuple[FileEntry, ...]:
        """The files as values. Cost: each call makes them anew, 2 microseconds for each file."""
        return tuple(self._entry(file) for file in self.files)

    @property
    def paths(self) -> list[str]:
        """Paths in order."""
        return [path for path, _, _ in self.files]

    @property
    def digest(self) -> Digest:
        """Identity of the source: dirHash1 over names and contents.

        The same over BLAKE3 digests has the name ``dirHash1-blake3``, over those of shards
        ``dirHash1-shards-BYTES``.

        Source: golang.org/x/mod/sumdb/dirhash Hash1; in-toto DigestSet, ``dirHash1``.
        """
        identity = identity_name(self.algorithm)
        assert identity is not None  # noqa: S101 - the constructor refuses other algorithms
        lines = identity_lines(self.files, self.algorithm)
        return Digest(identity, hashlib.sha256(lines).hexdigest())

    @property
    def oms_root(self) -> Digest:
        """Root of OpenSSF Model Signing 1.0: SHA-256 over the raw digests of files or shards.

        It is SHA-256, whatever the files are hashed with. It covers the order of names and not
        the names; see `digest` for the identity.
        """
        joined = "".join([value for _, value, _ in self.oms_files()])
        return Digest(SHA256, hashlib.sha256(bytes.fromhex(joined)).hexdigest())

    def oms_files(self) -> list[HashedFile]:
        """Return the files in the order of Model Signing, which compares component by component.

        ``a-b`` sorts before ``a/c`` by code point but after it by component, because
        model_signing compares pathlib paths, not strings.
        """
        # No path holds a NUL, and nothing sorts before it. So this compares components.
        return sorted(self.files, key=lambda file: file[0].replace("/", "\0"))

    def diff(self, other: Manifest) -> ManifestDiff:
        """Return what changed from this manifest to another. Cost: linear."""
        return diff_manifests(self, other)

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of all files."""
        return sum(size for _, _, size in self.files)

    def entry(self, path: str) -> FileEntry | None:
        """Return the entry of a path, or None. Cost: logarithmic."""
        number = bisect_left(self.files, path, key=operator.itemgetter(0))
        if number == len(self.files) or self.files[number][0] != path:
            return None
        return self._entry(self.files[number])

    def _entry(self, file: HashedFile) -> FileEntry:
        path, value, size = file
        shards = bytes.fromhex(value) if shard_bytes(self.algorithm) else b""
        return FileEntry(path, content_digest(self.algorithm, value), size, shards)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form of docs/formats/manifest.md, for `canonical.dumps`."""
        return {
            "type": MANIFEST_TYPE,
            "algorithm": self.algorithm,
            "files": [
                {"path": path, "digest": value, "size": size} for path, value, size in self.files
            ],
        }

    @classmethod
    def from_json(cls, value: Any, *, locator: str = "manifest") -> Self:
        """Read what `to_json` wrote.

        Args:
            value: From `canonical.loads`.
            locator: Where it came from, for messages.

        Returns:
            The manifest.

        Raises:
            MalformedEnvelope: Any other shape, key, type or order.
            UnsafePath: It has a path that no manifest may hold.
        """
        match value:
            case {"type": str(kind), "algorithm": str(algorithm), "files": list(files)} if (
                len(value) == 3 and kind == MANIFEST_TYPE
            ):
                return cls(tuple(_file(item, locator) for item in files), algorithm)
        raise MalformedEnvelope("is not a manifest", locator=locator, expected=MANIFEST_TYPE)


def identity_lines(files: Iterable[HashedFile], algorithm: str) -> bytes:
    """Return the text whose SHA-256 is the identity of a source, or a part of that text.

    Args:
        files: Path, value and size of each, by path.
        algorithm: Of the values.
    """
    if shard_bytes(algorithm):
        files = [(path, content_digest(algorithm, value).hex, size) for path, value, size in files]
    return "".join([f"{value}  {path}\n" for path, value, _ in files]).encode("utf-8")


def build_manifest(root: Path, *, algorithm: str = SHA256, workers: int | None = None) -> Manifest:
    """Hash every file of a source once.

    Args:
        root: Directory, or one regular file.
        algorithm: ``sha256`` or ``blake3``.
        workers: Number of threads or processes; None for one on each core of this machine, at
            most 16.

    Returns:
        The manifest, which does not depend on the number of workers or the place of the root.

    Raises:
        UnsafePath: There is a symlink, device, FIFO, socket or a name that no manifest may hold.
        UnreadableData: The root is missing or an empty directory, this user may not read it, or
            a read failed.
        ChangedDuringRead: A file changed, grew, shrank or vanished meanwhile.
        ConfigError: The algorithm is unknown or not installed.

    Cost: one read of every byte, hashed on all workers; memory of 1 MiB for each worker and 0.4
    KiB for each file.
    """
    hashed = hash_files(Path(root), algorithm=algorithm, workers=workers)
    return Manifest(tuple(sorted(hashed)), algorithm)


def verify_manifest(root: Path, manifest: Manifest, *, workers: int | None = None) -> None:
    """Check that a source holds exactly the sealed files.

    Args:
        root: Directory, or one regular file.
        manifest: From a verified seal.
        workers: As in `build_manifest`.

    Raises:
        ManifestMismatch: Names the files that were changed, added, removed or renamed.
        UnsafePath: As in `build_manifest`.
        UnreadableData: As in `build_manifest`.
        ChangedDuringRead: As in `build_manifest`.

    Cost: one read of every byte.
    """
    found = build_manifest(root, algorithm=manifest.algorithm, workers=workers)
    require_same(manifest, found, locator=str(root))


def require_same(sealed: Manifest, found: Manifest, *, locator: str) -> None:
    """Return if two manifests are of the same files.

    Args:
        sealed: Manifest of a verified seal.
        found: Manifest of what is there now.
        locator: Where the found files are.

    Raises:
        ManifestMismatch: Names the files that were changed, added, removed or renamed.
    """
    if found.digest != sealed.digest:
        raise ManifestMismatch(
            f"is not what was sealed: {sealed.diff(found)}",
            locator=ascii(locator)[1:-1],
            expected=f"{sealed.digest.algorithm} {sealed.digest.short}",
            got=found.digest.short,
            next_step="Restore the sealed files, or seal the new ones after a review.",
        )


def _file(item: Any, locator: str) -> HashedFile:
    match item:
        # A bool is an int to Python and a boolean to JSON.
        case {"path": str(path), "digest": str(value), "size": int(size)} if len(
            item
        ) == 3 and not isinstance(size, bool):
            return path, value, size
    raise MalformedEnvelope(
        "manifest entry has the wrong shape", locator=locator, expected="path, digest and size"
    )


def _refuse_order(paths: Sequence[str]) -> None:
    duplicate = next((one for one, two in pairwise(sorted(paths)) if one == two), None)
    if duplicate is not None:
        raise MalformedEnvelope("manifest lists a path twice", locator=ascii(duplicate)[:300])
    raise MalformedEnvelope("manifest is not sorted by path")

"""Seal again what was sealed before, and read only what changed.

A file is skipped only if the manifest that lists its digest was itself verified, and its device,
inode, size, mtime and ctime are those of the moment it was hashed. This rests on ctime: an
ordinary user can set mtime back after a write, but not ctime. Two holes would remain. A write may
fall into the same tick of the file system's clock, so young files are never skipped. A writer may
have the power to set the clock or to write to the device, so a random sample is read anyway.
A gate and a training task always hash in full what they read, so they refuse a file that was
skipped wrongly.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from sluicegate.digest.algorithms import SHA256, Digest
from sluicegate.digest.manifest import Manifest
from sluicegate.digest.scan import hash_listings
from sluicegate.digest.walk import Listing, list_files, open_directory
from sluicegate.errors import ChangedDuringRead, ConfigError, DigestMismatch, MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sluicegate.digest.scan import HashedFile

STATE_TYPE: Final = "https://sluicegate.dev/scan-state/v1"
"""Type URI of the state between two seals."""

YOUNG_NS: Final = 2_000_000_000
"""A file that changed less than this before the scan is hashed again next time: the coarsest clock
of a common file system (FAT, some network mounts) ticks every two seconds."""

Stamp = tuple[int, int, int, int, int]
"""Device, inode, size in bytes, mtime and ctime in nanoseconds."""


@dataclass(frozen=True, slots=True)
class ScanState:
    """What the files looked like when they were hashed.

    Attributes:
        manifest: Digest of the manifest that this state belongs to.
        stamps: Stamps by path; a file that is too young to be trusted next time has none.
    """

    manifest: Digest
    stamps: Mapping[str, Stamp]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types for `canonical.dumps`."""
        return {
            "type": STATE_TYPE,
            "manifest": str(self.manifest),
            "stamps": {path: list(stamp) for path, stamp in self.stamps.items()},
        }

    @classmethod
    def from_json(cls, value: Any, *, locator: str) -> ScanState:
        """Read what `to_json` wrote.

        Args:
            value: From `canonical.loads`.
            locator: Where it came from, for messages.

        Raises:
            MalformedEnvelope: Any other shape.
        """
        match value:
            case {"type": str(kind), "manifest": str(manifest), "stamps": dict(stamps)} if (
                kind == STATE_TYPE
                and all(isinstance(s, list) and len(s) == 5 for s in stamps.values())
                and all(type(number) is int for s in stamps.values() for number in s)
            ):
                found = {path: cast("Stamp", tuple(stamp)) for path, stamp in stamps.items()}
                return cls(Digest.parse(manifest), found)
        raise MalformedEnvelope("is not a scan state", locator=locator)


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier seal proved.

    Attributes:
        manifest: Manifest of a seal whose signature was verified.
        state: State that was written with that seal and verified with it.
    """

    manifest: Manifest
    state: ScanState


@dataclass(frozen=True, slots=True)
class Scan:
    """Result of an incremental scan.

    Attributes:
        manifest: Manifest of all files.
        state: State for the next time.
        n_read: Number of files that were read.
        bytes_read: Sum of their sizes.
    """

    manifest: Manifest
    state: ScanState
    n_read: int
    bytes_read: int


def scan(
    root: Path,
    known: Known | None,
    *,
    now_ns: int,
    seed: bytes,
    sample: float = 0.005,
    algorithm: str = SHA256,
    workers: int | None = None,
) -> Scan:
    """Hash what is new or changed since an earlier seal, and a sample of the rest.

    Args:
        root: Directory.
        known: Earlier manifest and state, both verified; None reads everything.
        now_ns: Time of the file system's clock at the start, in nanoseconds since 1970.
        seed: Secret random bytes that choose the sample.
        sample: Expected share of unchanged files that are read anyway, 0 to 1.
        algorithm: As in `build_manifest`. If the known manifest has another one, everything is
            read.
        workers: As in `build_manifest`.

    Returns:
        The manifest of all files and the state for the next time.

    Raises:
        DigestMismatch: A sampled file has other bytes under an unchanged stamp: somebody
            hid a change from the file system.
        ChangedDuringRead: A file changed while it was read.
        ConfigError: The state belongs to another manifest.
        SluicegateError: As `build_manifest`.

    Cost: two stat for a file that is read, one for another, and one read of every changed or
    sampled byte.
    """
    if known is not None and known.state.manifest != known.manifest.digest:
        raise ConfigError("scan state belongs to another manifest")
    if known is not None and known.manifest.algorithm != algorithm:
        known = None
    listings = list_files(root)
    before = _stamps(root, listings)
    sealed = {} if known is None else {file[0]: file for file in known.manifest.files}
    old = {} if known is None else known.state.stamps
    same = [path for path, stamp in before.items() if old.get(path) == stamp and path in sealed]
    sampled = _draw(same, seed, sample)
    skipped = set(same).difference(sampled)
    read = [_without(listing, skipped) for listing in listings]
    read = [listing for listing in read if listing.names]
    hashed = hash_listings(root, read, algorithm=algorithm, workers=workers)
    _require_still(before, _stamps(root, read))
    fresh = {file[0]: file for file in hashed}
    for path in sampled:
        _require_hidden_nothing(sealed[path], fresh[path])
    files = tuple(sorted([fresh.get(path) or sealed[path] for path in before]))
    manifest, identity = _manifest(files, algorithm, known)
    old_enough = now_ns - YOUNG_NS
    kept = {path: s for path, s in before.items() if s[3] < old_enough and s[4] < old_enough}
    n_bytes = sum(size for _, _, size in hashed)
    return Scan(manifest, ScanState(identity, kept), len(hashed), n_bytes)


def _manifest(
    files: tuple[HashedFile, ...], algorithm: str, known: Known | None
) -> tuple[Manifest, Digest]:
    """Return the manifest and its digest; a known one that is equal was checked before."""
    if known is not None and files == known.manifest.files:
        return known.manifest, known.state.manifest
    manifest = Manifest(files, algorithm)
    return manifest, manifest.digest


def _stamps(root: Path, listings: list[Listing]) -> dict[str, Stamp]:
    found: dict[str, Stamp] = {}
    stat = os.stat
    for listing in listings:
        with open_directory(root, listing.directory) as directory:
            for name, path in zip(listing.names, listing.paths(), strict=True):
                try:
                    s = stat(name, dir_fd=directory, follow_symlinks=False)
                except FileNotFoundError:
                    _refuse(path)
                found[path] = (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
    return found


def _draw(paths: list[str], seed: bytes, share: float) -> list[str]:
    """Return a share that only the seed predicts: 16 bits of SHAKE256 for each path."""
    draws = array("H", hashlib.shake_256(seed).digest(2 * len(paths)))
    limit = share * 2**16
    return [path for path, draw in zip(paths, draws, strict=True) if draw < limit]


def _without(listing: Listing, skipped: set[str]) -> Listing:
    if not skipped:
        return listing
    pairs = zip(listing.names, listing.paths(), strict=True)
    return Listing(listing.directory, tuple(name for name, path in pairs if path not in skipped))


def _require_still(before: Mapping[str, Stamp], after: Mapping[str, Stamp]) -> None:
    for path, stamp in after.items():
        if before[path] != stamp:
            _refuse(path)


def _refuse(path: str) -> NoReturn:
    raise ChangedDuringRead(
        "changed while it was read",
        locator=ascii(path)[1:-1],
        next_step="Stop the writer, then run again.",
    )


def _require_hidden_nothing(sealed: HashedFile, found: HashedFile) -> None:
    if sealed[1] != found[1]:
        raise DigestMismatch(
            "has other bytes although the file system says nobody wrote to it",
            locator=ascii(sealed[0])[1:-1],
            expected=sealed[1][:12],
            got=found[1][:12],
            next_step="Treat the machine or its disk as compromised; seal in full after a review.",
        )

"""Manifests in parts: where they are kept, and how sources of more than 100,000 files get one.

    manifest/index.json     the parts, their first paths and hashes
    manifest/000000.json    a part: plain manifest of up to 1,024 files

In an evidence folder the directory is ``manifest``, in an installation
``manifests/<root of the tree>``. The seal signs the root; nothing here is trusted.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.adapters.sources.local import LocalFiles
from sluicegate.digest.algorithms import SHA256
from sluicegate.digest.canonical import dumps
from sluicegate.digest.merkle_files import MerkleFiles
from sluicegate.digest.merkle_manifest import PLAIN_LIMIT, build_merkle
from sluicegate.errors import ConfigError, EvidenceMissing

if TYPE_CHECKING:
    from pathlib import Path

    from sluicegate.adapters.sources.protocol import Source
    from sluicegate.digest.algorithms import Digest

MANIFEST_DIRECTORY: Final = "manifest"
INDEX_FILE: Final = "index.json"


@dataclass(frozen=True, slots=True)
class PartFolder:
    """Index and parts as files of one directory."""

    path: Path

    def index(self) -> bytes:
        """Return the bytes of the index.

        Raises:
            EvidenceMissing: It cannot be read.
        """
        return _read(self.path / INDEX_FILE)

    def part(self, number: int) -> bytes:
        """Return the bytes of a part.

        Raises:
            EvidenceMissing: It cannot be read.
        """
        return _read(self.path / _name(number))

    def write_part(self, number: int, data: bytes) -> None:
        """Keep a part. A part that exists is never overwritten.

        Args:
            number: Position of the part, from 0.
            data: Its bytes.

        Raises:
            FileExistsError: The part exists.
        """
        with (self.path / _name(number)).open("xb") as file:
            file.write(data)


@dataclass(frozen=True, slots=True)
class PartStore:
    """The manifests in parts of one installation, by root.

    Attributes:
        path: Their directory.
        published: Whether it belongs to the copy of a published home, where nothing is kept.
    """

    path: Path
    published: bool = False

    def parts(self, root: Digest) -> PartFolder:
        """Return the folder in which the parts below a root are, or would be."""
        return PartFolder(self.path / root.hex)

    def build(self, root: Path, *, algorithm: str = SHA256) -> MerkleFiles:
        """Hash a directory and keep its manifest in parts, whole or not at all.

        Args:
            root: Directory to hash.
            algorithm: Algorithm of the file digests, ``sha256`` or ``blake3``.

        Raises:
            ConfigError: The home is published.

        Cost: one read of every byte; about 0.6 KiB of memory for each file.
        """
        if self.published:
            raise ConfigError(
                "a manifest in parts cannot be kept in a published home",
                locator=str(root),
                expected="at most 100,000 files",
                next_step="Seal it with a home directory, or in smaller batches.",
            )
        self.path.mkdir(parents=True, exist_ok=True)
        partial = self.path / f".{secrets.token_hex(8)}"
        try:
            made = build_parts(root, partial, algorithm=algorithm)
            kept = self.parts(made.index.root)
            if not (kept.path / INDEX_FILE).exists():
                partial.rename(kept.path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return MerkleFiles(made.index, kept)


def build_parts(root: Path, out: Path, *, algorithm: str = SHA256) -> MerkleFiles:
    """Hash a directory, and write the parts of its manifest and their index.

    Args:
        root: Directory.
        out: Directory to create.
        algorithm: Algorithm of the file digests, ``sha256`` or ``blake3``.

    Raises:
        SluicegateError: As `build_manifest`.

    Cost: one read of every byte; about 0.6 KiB of memory for each file.
    """
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        raise ConfigError(
            "the folder already holds a manifest",
            locator=str(out),
            next_step="Name a new folder: evidence is never overwritten.",
        ) from None
    folder = PartFolder(out)
    index = build_merkle(root, folder.write_part, algorithm=algorithm)
    (out / INDEX_FILE).write_bytes(dumps(index.to_json()))
    return MerkleFiles(index, folder)


def large_root(source: Source) -> Path | None:
    """Return the directory of a source of more than 100,000 files, None for any other.

    Cost: one walk of the directory.
    """
    if (
        isinstance(source, LocalFiles)
        and source.root.is_dir()
        and len(source.names()) > PLAIN_LIMIT
    ):
        return source.root
    return None


def _name(number: int) -> str:
    return f"{number:06}.json"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EvidenceMissing(
            "part of a manifest cannot be read",
            locator=str(path),
            got=str(error.strerror),
            next_step="Restore the parts, or seal again.",
        ) from error

"""Digests: a value with a name, and the name says every parameter that changes the value.

Specified in docs/formats/digest.md.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from sluicegate.errors import MalformedEnvelope

SHA256: Final = "sha256"
"""SHA-256 of the bytes themselves (FIPS 180-4)."""

BLAKE3: Final = "blake3"
"""BLAKE3 of the bytes, 32 bytes long; uses several cores for one file."""

FILE_ALGORITHMS: Final = (SHA256, BLAKE3, "sha256-shards-BYTES")
"""What a file may be hashed with. SHA-256 is in the standard library; BLAKE3 needs the extra
``blake3``, to seal and to verify."""

AUTO: Final = "auto"
"""SHA-256, by shards if a file has 64 MiB or more or the source was sealed by shards last."""

BY_SHARDS: Final = "sha256-shards"
"""SHA-256 by shards, whose length follows from the files' sizes."""

HASHES: Final = (AUTO, SHA256, BY_SHARDS, BLAKE3)
"""What a person may ask for."""

DIR_HASH_1: Final = "dirHash1"
"""Go's directory hash h1 in hex, as in-toto's DigestSet names it: names and contents."""

DIR_HASH_1_BLAKE3: Final = "dirHash1-blake3"
"""The same construction over the BLAKE3 of each file. It has a name of its own, so that nobody
confuses the identities of one batch under two algorithms."""

_SHARDS: Final = "sha256-shards-"
_DIR_HASH_1_SHARDS: Final = "dirHash1-shards-"
_SIZE_BYTES: Final = re.compile(r"[1-9][0-9]{0,14}")

FILE_IDENTITIES: Final = {SHA256: DIR_HASH_1, BLAKE3: DIR_HASH_1_BLAKE3}
"""The algorithm of a batch's identity, by the algorithm of its files; `identity_name` knows those
of shards too, which are as many as there are sizes of a shard."""

TABLE_HASH_1: Final = "tableHash1-sha256-4096"
"""Rows of a table in any order: the sorted SHA-256 ids of its rows in 4096 hashed buckets
(docs/formats/table-digest.md)."""

TABLE_TYPE: Final = "https://sluicegate.dev/table/v1"
"""Predicate type of a statement about a table's rows (docs/formats/table-difference.md). It stands
here because its writer needs numpy and its verifiers must not."""

# Only the algorithms listed here are ever believed. An unknown name is refused, not carried along
# unverified (in-toto DigestSet: consumers MUST only accept algorithms they consider secure). So
# nobody can even write down a downgrade to a weaker algorithm.
_HEX_DIGITS: Final = {SHA256: 64, BLAKE3: 64, DIR_HASH_1: 64, DIR_HASH_1_BLAKE3: 64,
                      TABLE_HASH_1: 64}  # fmt: skip
_LOWER_HEX: Final = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """Algorithm and value.

    Attributes:
        algorithm: A name from docs/formats/digest.md, e.g. ``sha256``.
        hex: Lower-case hexadecimal value, of the algorithm's full length.

    Raises:
        MalformedEnvelope: The algorithm is unknown, or the value has another length or is not
            lower-case hex.

    Example:
        >>> digest = sha256_bytes(b"abc")
        >>> str(digest)
        'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
        >>> digest.short, Digest.parse(str(digest)) == digest
        ('ba7816bf8f01', True)
    """

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        n_digits = _HEX_DIGITS.get(self.algorithm) or (64 if is_sharded(self.algorithm) else 0)
        if not n_digits:
            raise MalformedEnvelope(
                "unknown digest algorithm",
                expected=" or ".join([*_HEX_DIGITS, f"{_SHARDS}BYTES"]),
                got=repr(self.algorithm)[:60],
                next_step="Recompute the digest with a known algorithm.",
            )
        if len(self.hex) != n_digits or not _LOWER_HEX.fullmatch(self.hex):
            raise MalformedEnvelope(
                "digest value is not lower-case hexadecimal of the full length",
                expected=f"{n_digits} digits for {self.algorithm}",
                got=f"{len(self.hex)} characters",
            )

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @property
    def short(self) -> str:
        """First 12 hex digits, for messages to people; never for comparison."""
        return self.hex[:12]

    @property
    def raw(self) -> bytes:
        """The value as bytes."""
        return bytes.fromhex(self.hex)

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Parse ``algorithm:hex``, the inverse of ``str``.

        Args:
            text: For instance ``dirHash1:2a1b...``.

        Returns:
            The digest.

        Raises:
            MalformedEnvelope: There is no colon, or the constructor refuses a part.
        """
        algorithm, colon, value = text.partition(":")
        if not colon:
            raise MalformedEnvelope(
                "digest has no algorithm",
                expected="algorithm:hex",
                got=repr(text)[:60],
            )
        return cls(algorithm, value)


def sha256_bytes(data: bytes | bytearray | memoryview) -> Digest:
    """Return the SHA-256 digest of bytes in memory.

    Args:
        data: Any buffer.

    Returns:
        A ``sha256`` digest.

    Cost: about 1.3 GB/s on one core with SHA instructions.
    """
    return Digest(SHA256, hashlib.sha256(data).hexdigest())


def shards_of(n_bytes: int) -> str:
    """Return the algorithm of files that are hashed in shards: SHA-256 of their SHA-256 digests.

    Args:
        n_bytes: Length of a shard; the last one of a file may be shorter.

    Example:
        >>> shards_of(1048576), identity_name(shards_of(1048576))
        ('sha256-shards-1048576', 'dirHash1-shards-1048576')
    """
    return f"{_SHARDS}{n_bytes}"


def shard_bytes(algorithm: str) -> int:
    """Return the length of a shard, by the algorithm of a file; 0 if it is hashed whole.

    Example:
        >>> [shard_bytes(f"sha256{end}") for end in ("-shards-4096", "", "-shards-0")]
        [4096, 0, 0]
    """
    return _size_after(_SHARDS, algorithm)


def is_sharded(algorithm: str) -> bool:
    """Return whether an algorithm is that of a file in shards, or of a batch of such files."""
    return bool(shard_bytes(algorithm) or _size_after(_DIR_HASH_1_SHARDS, algorithm))


def identity_name(algorithm: str) -> str | None:
    """Return the algorithm of a batch's identity, by that of its files; None if unknown."""
    if n_bytes := shard_bytes(algorithm):
        return f"{_DIR_HASH_1_SHARDS}{n_bytes}"
    return FILE_IDENTITIES.get(algorithm)


def files_under(identity: str) -> str | None:
    """Return the algorithm of a batch's files, by that of its identity; None if unknown."""
    if n_bytes := _size_after(_DIR_HASH_1_SHARDS, identity):
        return shards_of(n_bytes)
    return next((one for one, name in FILE_IDENTITIES.items() if name == identity), None)


def content_digest(algorithm: str, value: str) -> Digest:
    """Return the digest of a file, of the value that a manifest holds.

    Args:
        algorithm: Of the file.
        value: Hex digest of the whole file; of shards, their digests one after the other.
    """
    if not shard_bytes(algorithm):
        return Digest(algorithm, value)
    return Digest(algorithm, hashlib.sha256(bytes.fromhex(value)).hexdigest())


def _size_after(prefix: str, algorithm: str) -> int:
    if not algorithm.startswith(prefix):
        return 0  # first: it is asked for each file, and hardly any are in shards
    size = algorithm[len(prefix) :]
    return int(size) if _SIZE_BYTES.fullmatch(size) else 0

"""Inclusion proof as a file that verifies offline (C2SP tlog-proof, version 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.errors import ConfigError, MalformedEnvelope
from sluicegate.ledger.checkpoint import Checkpoint, open_checkpoint, parse_decimal
from sluicegate.ledger.keys import PemKey, verifier_of
from sluicegate.ledger.merkle import HASH_BYTES, MAX_SIZE, leaf_hash, verify_inclusion
from sluicegate.ledger.note import (
    MAX_NOTE_BYTES,
    SignedNote,
    decode_base64,
    encode_base64,
    is_key_name,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER: Final = "c2sp.org/tlog-proof@v1"
"""First line of the format."""

MAX_HASHES: Final = 63
"""Most hashes: the longest path through a tree of 2**62 leaves, rounded up."""

MAX_PROOF_BYTES: Final = MAX_NOTE_BYTES + 8192
"""Largest proof that is read, in bytes: the largest note, 63 hashes, and some extra data."""


@dataclass(frozen=True, slots=True)
class TlogProof:
    """The tie of one leaf to a signed checkpoint.

    Attributes:
        index: Position of the leaf.
        hashes: From the leaf's sibling up, 32 bytes each.
        checkpoint: The signed note, verbatim.
        extra: Opaque bytes that nothing authenticates; None if absent. We write none.

    Raises:
        ConfigError: A field cannot be written.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_SIZE or len(self.hashes) > MAX_HASHES:
            raise ConfigError("proof has no such index or path", got=f"index {self.index}")
        if any(len(hashed) != HASH_BYTES for hashed in self.hashes):
            raise ConfigError("proof hash is not 32 bytes long")
        if self.extra == b"":
            raise ConfigError("proof has extra data that is empty")

    def to_bytes(self) -> bytes:
        """Return the proof file."""
        extra = [] if self.extra is None else [f"extra {encode_base64(self.extra)}"]
        lines = [HEADER, *extra, f"index {self.index}", *map(encode_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes, *, locator: str) -> TlogProof:
        """Parse a proof file without believing it.

        Args:
            data: The whole file.
            locator: Where it came from, for messages.

        Raises:
            MalformedEnvelope: It is no proof file.
        """
        if len(data) > MAX_PROOF_BYTES:
            raise MalformedEnvelope("proof is too large", locator=locator, got=f"{len(data)} bytes")
        head, separator, checkpoint = data.partition(b"\n\n")
        if not separator:
            raise MalformedEnvelope("proof has no checkpoint", locator=locator)
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise MalformedEnvelope("proof lines are not ASCII", locator=locator) from None
        if lines.pop(0) != HEADER:
            raise MalformedEnvelope("not a proof file", locator=locator, expected=HEADER)
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "), locator)
        if not lines or not lines[0].startswith("index "):
            raise MalformedEnvelope("proof has no index", locator=locator)
        index = parse_decimal(lines.pop(0).removeprefix("index "), locator)
        hashes = tuple(decode_base64(line, locator) for line in lines[: MAX_HASHES + 1])
        try:
            return cls(index, hashes, checkpoint, extra)
        except ConfigError as error:
            raise MalformedEnvelope(error.what, locator=locator, got=error.got) from None


def verify_proof(
    data: bytes,
    leaf: bytes,
    keys: Sequence[bytes | PemKey],
    *,
    origin: str | None = None,
    locator: str = "tlog-proof",
) -> Checkpoint:
    """Check offline that a leaf is in a log whose key we trust.

    The steps are those of tlog-proof, section "Verifying". (1) It hashes the leaf that the caller
    expects, so that the proof cannot choose what it is about. (2) It checks the checkpoint's
    signature and origin, or anybody could issue one. (3) Cosignatures are not required yet. (4) It
    follows the path, or the checkpoint would say nothing about this leaf.

    Args:
        data: The proof file.
        leaf: Bytes of the expected leaf, from `Entry.to_bytes`.
        keys: Keys of the ledger role, raw Ed25519 or public keys of attest.
        origin: Name of the log; None accepts every log that one of the keys signs.
        locator: Where the proof came from, for messages.

    Returns:
        The verified checkpoint.

    Raises:
        MalformedEnvelope: It is no proof file, or has no checkpoint in it.
        BadSignature: The checkpoint's signature does not hold.
        UntrustedKey: The checkpoint is another log's.
        BadProof: The path does not lead from the leaf to the root.

    Cost: one Ed25519 verification and log2(n) hashes.
    """
    proof = TlogProof.parse(data, locator=locator)
    claimed = SignedNote.parse(proof.checkpoint, locator=locator).text.partition("\n")[0]
    name = claimed if origin is None else origin
    if not is_key_name(name):
        raise MalformedEnvelope("origin cannot name a key", locator=locator, got=repr(name)[:60])
    verifiers = [verifier_of(key, name) for key in keys]
    checkpoint = open_checkpoint(proof.checkpoint, verifiers, locator=locator)
    verify_inclusion(leaf_hash(leaf), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return checkpoint

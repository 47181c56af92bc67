"""Cosignatures: witnesses say that a checkpoint extends all they saw (C2SP tlog-cosignature).

The kinds are Ed25519 (signature type 0x04) and ML-DSA-44 (0x06). A cosignature is a line of the
checkpoint's note that other readers ignore, so a cosigned checkpoint is still a checkpoint.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable  # noqa: TC003 - a dataclass field's type
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from sluicegate.errors import BadSignature, ConfigError, MalformedEnvelope, UntrustedKey
from sluicegate.ledger.checkpoint import Checkpoint
from sluicegate.ledger.note import (
    NoteSignature,
    SignedNote,
    decode_base64,
    encode_base64,
    is_key_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ED25519: Final = 0x04
"""Signature type of Ed25519 cosignatures."""

ML_DSA_44: Final = 0x06
"""Signature type of ML-DSA-44 cosignatures."""

_KEY_BYTES: Final = {ED25519: 32, ML_DSA_44: 1312}
_SIGNATURE_BYTES: Final = {ED25519: 64, ML_DSA_44: 2420}
_TIME: Final = struct.Struct(">Q")
_MAX_TIME_S: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """A witness's public key under its name.

    Attributes:
        name: Key name, for instance ``witness.example.com/w1``.
        public_key: Raw key: 32 bytes of Ed25519 or 1,312 of ML-DSA-44.
        kind: Signature type, `ED25519` or `ML_DSA_44`.

    Raises:
        ConfigError: The name cannot stand in a note, or the key is of another length.
    """

    name: str
    public_key: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        if not is_key_name(self.name) or len(self.name.encode()) > 255:
            raise ConfigError("witness name cannot stand in a note", got=repr(self.name)[:60])
        if len(self.public_key) != _KEY_BYTES.get(self.kind):
            raise ConfigError(
                "not a raw witness key",
                locator=self.name,
                expected="32 bytes of Ed25519 or 1312 of ML-DSA-44",
                got=f"{len(self.public_key)} bytes of type {self.kind}",
            )

    @classmethod
    def of(cls, name: str, public_key: bytes) -> CosignerKey:
        """Name a raw key; its length says what it is.

        Args:
            name: Key name of the witness.
            public_key: 32 bytes of Ed25519 or 1,312 of ML-DSA-44.

        Raises:
            ConfigError: The name cannot stand in a note, or there is no key of this length.
        """
        return cls(name, public_key, ED25519 if len(public_key) == 32 else ML_DSA_44)

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name, newline, type, public key)."""
        seed = self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key
        return hashlib.sha256(seed).digest()[:4]

    def __str__(self) -> str:
        material = encode_base64(bytes([self.kind]) + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str, *, locator: str) -> CosignerKey:
        """Parse a vkey of a witness, the inverse of ``str``.

        Args:
            text: ``name+key id+base64(type, key)``.
            locator: Where it came from, for messages.

        Raises:
            MalformedEnvelope: It is no vkey of type 0x04 or 0x06, or its key id is another's.
        """
        name, _, rest = text.partition("+")
        raw = decode_base64(rest.partition("+")[2], locator)
        try:
            key = cls(name, raw[1:], raw[0] if raw else 0)
        except ConfigError as error:
            raise MalformedEnvelope(error.what, locator=locator, got=error.got) from None
        if str(key) != text:
            raise MalformedEnvelope("witness key id does not fit the key", locator=locator)
        return key

    def verify(self, line: NoteSignature, text: str, *, locator: str) -> int:
        """Check one cosignature and return its time.

        Args:
            line: A signature line of this key.
            text: The note's text.
            locator: Where the note came from, for messages.

        Returns:
            When the witness signed, in seconds since the epoch.

        Raises:
            BadSignature: It does not stand on this text.
        """
        problem = BadSignature("cosignature does not stand on this checkpoint", locator=locator)
        if len(line.signature) != _TIME.size + _SIGNATURE_BYTES[self.kind]:
            raise problem
        time_s = int(_TIME.unpack_from(line.signature)[0])
        message = cosigned_message(self, text, time_s, locator=locator)
        try:
            if not 0 < time_s <= _MAX_TIME_S:
                raise problem
            signature = line.signature[_TIME.size :]
            if self.kind == ED25519:
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
            else:
                MLDSA44PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise problem from error
        return time_s


@dataclass(frozen=True, slots=True, repr=False)
class Cosigner:
    """A witness's private key, wherever it lives.

    Attributes:
        key: Its public half.
        sign: Returns the raw signature of bytes.
    """

    key: CosignerKey
    sign: Callable[[bytes], bytes]

    def cosign(self, text: str, time_s: int) -> NoteSignature:
        """Return the signature line for a checkpoint that was found consistent.

        Args:
            text: The checkpoint's text.
            time_s: Now, in seconds since the epoch, above 0.
        """
        message = cosigned_message(self.key, text, time_s, locator=self.key.name)
        signature = _TIME.pack(time_s) + self.sign(message)
        return NoteSignature(self.key.name, self.key.key_id, signature)


def cosigned_message(key: CosignerKey, text: str, time_s: int, *, locator: str) -> bytes:
    """Return the bytes that a witness signs.

    Args:
        key: The witness's key; its kind decides the form.
        text: The checkpoint's text.
        time_s: When it signs, in seconds since the epoch.
        locator: Where the checkpoint came from, for messages.

    Raises:
        MalformedEnvelope: The text is no checkpoint, or its origin is too long to be cosigned.

    Source: tlog-cosignature, sections "Ed25519 signed message", "ML-DSA-44 signed message".
    """
    checkpoint = Checkpoint.parse(text, locator=locator)
    if key.kind == ED25519:
        return f"cosignature/v1\ntime {time_s}\n{text}".encode()
    name, origin = key.name.encode(), checkpoint.origin.encode()
    if len(origin) > 255:
        raise MalformedEnvelope("origin is too long to be cosigned", locator=locator)
    return b"".join(
        (
            b"subtree/v1\n\x00",
            bytes([len(name)]),
            name,
            _TIME.pack(time_s),
            bytes([len(origin)]),
            origin,
            _TIME.pack(0),
            _TIME.pack(checkpoint.size),
            checkpoint.root,
        )
    )


def cosigners(
    note: bytes, keys: Iterable[bytes | CosignerKey], *, locator: str
) -> Mapping[bytes, int]:
    """Return which of the trusted keys cosigned a checkpoint, and when.

    Args:
        note: The signed note; the log's own signature is not looked at.
        keys: Raw keys, which may stand under any name, or keys with their names.
        locator: Where the note came from, for messages.

    Returns:
        When each key signed, in seconds since the epoch, by raw public key.

    Raises:
        MalformedEnvelope: It is no note.
        BadSignature: A line of a trusted key does not hold.
    """
    parsed = SignedNote.parse(note, locator=locator)
    found: dict[bytes, int] = {}
    for key in keys:
        for line in parsed.signatures:
            # A raw key has no name of its own. The key id ties it to the name in the line.
            named = CosignerKey.of(line.name, key) if isinstance(key, bytes) else key
            if (named.name, named.key_id) == (line.name, line.key_id):
                time_s = named.verify(line, parsed.text, locator=locator)
                found[named.public_key] = max(time_s, found.get(named.public_key, 0))
    return found


def require_quorum(
    note: bytes, keys: Iterable[bytes | CosignerKey], threshold: int, *, locator: str
) -> Mapping[bytes, int]:
    """Check that enough different witnesses cosigned a checkpoint.

    Args:
        note: The signed note; the log's own signature is not looked at.
        keys: Keys of the trusted witnesses, as in `cosigners`.
        threshold: Number of witnesses that must have signed, at least 1.
        locator: Where the note came from, for messages.

    Returns:
        What `cosigners` returns.

    Raises:
        UntrustedKey: Too few witnesses signed.
        ConfigError: The threshold is below 1.
        MalformedEnvelope: It is no note.
        BadSignature: A line of a trusted key does not hold.
    """
    if threshold < 1:
        raise ConfigError("a quorum needs at least one witness", got=str(threshold))
    found = cosigners(note, keys, locator=locator)
    if len(found) < threshold:
        raise UntrustedKey(
            "the witness quorum is missing",
            locator=locator,
            expected=f"{threshold} witnesses",
            got=str(len(found)),
            next_step="Run: sluicegate ledger cosign --witness URL.",
        )
    return found


def with_lines(note: bytes, lines: bytes, *, locator: str) -> bytes:
    """Put a witness's lines behind a checkpoint's signatures.

    Args:
        note: The signed note; its first line is the log's own and never changes.
        lines: Signature lines; a newer one replaces an older one of the same key.
        locator: Where the lines came from, for messages.

    Raises:
        MalformedEnvelope: They are no signature lines, or there are too many.
    """
    old = SignedNote.parse(note, locator=locator)
    new = SignedNote.parse(old.text.encode() + b"\n" + lines, locator=locator)
    named = {(line.name, line.key_id): line for line in (*old.signatures, *new.signatures)}
    # The log's own line must stay what it was, whatever a witness sends.
    named |= {(line.name, line.key_id): line for line in old.signatures[:1]}
    merged = SignedNote(old.text, tuple(named.values())).to_bytes()
    SignedNote.parse(merged, locator=locator)
    return merged

"""Signed notes: text that carries its signatures (C2SP signed-note v1.0.0).

Only Ed25519 (signature type 0x01) is verified here. Lines of other keys are kept, because a
note may carry cosignatures that this reader does not know.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sluicegate.errors import ConfigError, MalformedEnvelope, UntrustedKey

if TYPE_CHECKING:
    from collections.abc import Iterable

ED25519_TYPE: Final = 0x01
"""Signature type of Ed25519 (signed-note, section "Signature types")."""

MAX_NOTE_BYTES: Final = 1 << 20
"""Largest note that is read, in bytes: it holds 64 post-quantum signatures of 5 kB, and more."""

MAX_SIGNATURES: Final = 64
"""Most signature lines that are read; the specification demands at least 16."""

_KEY_ID_BYTES: Final = 4
_DASH: Final = "\u2014 "


class NoteSigner(Protocol):
    """Holds an Ed25519 private key under a name; `keys.signer_of` adapts a key of attest."""

    @property
    def name(self) -> str:
        """Key name; for a ledger its origin."""

    @property
    def public_key(self) -> bytes:
        """Raw 32-byte public key."""

    def sign(self, data: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of `data`."""


class NoteVerifier(Protocol):
    """Holds an Ed25519 public key under a name."""

    @property
    def name(self) -> str:
        """Key name; for a ledger its origin."""

    @property
    def public_key(self) -> bytes:
        """Raw 32-byte public key."""

    def verify(self, signature: bytes, data: bytes) -> None:
        """Raise BadSignature unless the signature stands on the bytes.

        Args:
            signature: Raw Ed25519 signature.
            data: The signed bytes.
        """


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line.

    Attributes:
        name: Key name, without spaces and plus signs.
        key_id: 4 bytes that tell keys of one name apart.
        signature: Bytes in the form of the key's algorithm.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}"


@dataclass(frozen=True, slots=True)
class SignedNote:
    r"""A text and the signatures on it.

    Attributes:
        text: It ends in a newline, which is signed too, and has no other control characters.
        signatures: At least one.

    Example:
        >>> note = SignedNote("hello\n", (NoteSignature("example.com/a", b"1234", b"s"),))
        >>> SignedNote.parse(note.to_bytes(), locator="example") == note
        True
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    def to_bytes(self) -> bytes:
        """Return the note as it is published."""
        lines = "".join(f"{signature}\n" for signature in self.signatures)
        return f"{self.text}\n{lines}".encode()

    @classmethod
    def parse(cls, data: bytes, *, locator: str) -> SignedNote:
        """Parse a note without believing it.

        Args:
            data: The whole note.
            locator: Where it came from, for messages.

        Raises:
            MalformedEnvelope: It is no note, is larger than 1 MiB, or has over 64 signatures.
        """
        text = _note_text(data, locator)
        # The text may hold empty lines itself, so the last one separates the signatures.
        body, separator, tail = text.rpartition("\n\n")
        if not separator or not tail.endswith("\n"):
            raise _malformed("note has no signatures", locator)
        lines = tail[:-1].split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise _malformed("note has too many signatures", locator, got=str(len(lines)))
        return cls(body + "\n", tuple(_parse_line(line, locator) for line in lines))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key as text: ``name+key id+base64(type, key)`` (a "vkey").

    Attributes:
        name: Key name.
        public_key: Raw 32-byte Ed25519 public key.

    Raises:
        ConfigError: The name has spaces or plus signs, or the key is not 32 bytes long.

    Example:
        >>> text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
        >>> str(VerifierKey.parse(text, locator="example")) == text
        True
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise ConfigError(
                "key name cannot stand in a signed note",
                expected="printable text without spaces and plus signs",
                got=repr(self.name)[:60],
            )
        if len(self.public_key) != 32:
            raise ConfigError(
                "not a raw Ed25519 public key",
                locator=self.name,
                expected="32 bytes",
                got=f"{len(self.public_key)} bytes",
            )

    def __str__(self) -> str:
        material = encode_base64(bytes([ED25519_TYPE]) + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name, newline, 0x01, public key)."""
        seed = self.name.encode() + b"\n" + bytes([ED25519_TYPE]) + self.public_key
        return hashlib.sha256(seed).digest()[:_KEY_ID_BYTES]

    @classmethod
    def parse(cls, text: str, *, locator: str) -> VerifierKey:
        """Parse a vkey, the inverse of ``str``.

        Args:
            text: ``name+key id+base64(type, key)``.
            locator: Where it came from, for messages.

        Raises:
            MalformedEnvelope: It is no vkey, is not Ed25519, or has the key id of another key.
        """
        # The base64 part may hold plus signs itself. The name may not.
        name, _, rest = text.partition("+")
        _, _, material = rest.partition("+")
        raw = decode_base64(material, locator)
        if raw[:1] != bytes([ED25519_TYPE]):
            raise _malformed("verifier key is not Ed25519", locator, got=raw[:1].hex())
        try:
            key = cls(name, raw[1:])
        except ConfigError as error:
            raise _malformed(error.what, locator, got=error.got) from None
        if str(key) != text:
            raise _malformed("verifier key id does not fit the key", locator)
        return key


def sign_text(text: str, signers: Iterable[NoteSigner]) -> SignedNote:
    """Sign a text.

    Args:
        text: It ends in a newline and has no control characters but newlines.
        signers: At least one.

    Raises:
        ConfigError: No note can have this text, or nobody signs.
    """
    if not text.endswith("\n") or not _is_clean(text):
        raise ConfigError("text cannot be signed as a note", got=repr(text)[:60])
    signatures = tuple(
        NoteSignature(
            signer.name,
            VerifierKey(signer.name, signer.public_key).key_id,
            signer.sign(text.encode()),
        )
        for signer in signers
    )
    if not signatures:
        raise ConfigError("a note needs at least one signer")
    return SignedNote(text, signatures)


def open_note(data: bytes, verifiers: Iterable[NoteVerifier], *, locator: str) -> SignedNote:
    """Verify a note and return it. Its text may be believed, signatures of other keys may not.

    Args:
        data: The whole note.
        verifiers: Keys to believe; one valid signature is enough.
        locator: Where it came from, for messages.

    Raises:
        MalformedEnvelope: It is no note.
        BadSignature: A signature of a known key does not stand on the text.
        UntrustedKey: No known key signed it.

    Cost: one Ed25519 verification for each known signature, about 0.1 ms.
    """
    note = SignedNote.parse(data, locator=locator)
    known = {
        (verifier.name, VerifierKey(verifier.name, verifier.public_key).key_id): verifier
        for verifier in verifiers
    }
    n_valid = 0
    for line in note.signatures:
        verifier = known.get((line.name, line.key_id))
        if verifier is not None:
            verifier.verify(line.signature, note.text.encode())
            n_valid += 1
    if not n_valid:
        raise UntrustedKey(
            "note is not signed by a key we trust",
            locator=locator,
            expected=", ".join(name for name, _ in known) or "at least one trusted key",
            got=", ".join(line.name for line in note.signatures)[:120],
            next_step="Check that this is your ledger and that its public key is current.",
        )
    return note


def is_key_name(text: str) -> bool:
    """Say whether a text may name a key: not empty, and no spaces, plus or control characters."""
    return bool(text) and "+" not in text and text.isprintable() and not _has_space(text)


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, locator: str) -> bytes:
    """Decode standard base64, and refuse every spelling but the canonical one.

    Args:
        text: Standard alphabet with padding.
        locator: Where it came from, for messages.

    Raises:
        MalformedEnvelope: It has another alphabet, no padding, or trailing bits that are set.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed("not standard base64", locator) from None
    if encode_base64(data) != text:
        raise _malformed("base64 is not canonical", locator)
    return data


def _note_text(data: bytes, locator: str) -> str:
    if len(data) > MAX_NOTE_BYTES:
        raise _malformed("note is too large", locator, got=f"{len(data)} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed("note is not UTF-8", locator, got=f"byte {error.start}") from None
    if not _is_clean(text):
        raise _malformed("note has control characters", locator)
    return text


def _parse_line(line: str, locator: str) -> NoteSignature:
    name, separator, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not separator or not is_key_name(name):
        raise _malformed("not a signature line", locator, got=repr(line)[:60])
    raw = decode_base64(encoded, locator)
    if len(raw) <= _KEY_ID_BYTES:
        raise _malformed("signature line has no signature", locator, got=f"{len(raw)} bytes")
    return NoteSignature(name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:])


def _is_clean(text: str) -> bool:
    return not any(char < " " and char != "\n" for char in text)


def _has_space(text: str) -> bool:
    return any(char.isspace() for char in text)


def _malformed(what: str, locator: str, got: str = "") -> MalformedEnvelope:
    return MalformedEnvelope(what, locator=locator, got=got)

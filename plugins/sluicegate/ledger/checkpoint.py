"""Checkpoint: origin, size and root of a log, as a signed note (C2SP tlog-checkpoint)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.errors import BadProof, ConfigError, MalformedEnvelope, UntrustedKey
from sluicegate.ledger.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from sluicegate.ledger.note import (
    NoteSigner,
    NoteVerifier,
    decode_base64,
    encode_base64,
    open_note,
    sign_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    r"""The head of a log.

    Attributes:
        origin: Name of the log.
        size: Number of leaves, 0..2**62.
        root: Root hash, 32 bytes.
        extensions: Opaque further lines; we write none.

    Raises:
        ConfigError: A field cannot be written as a checkpoint line.

    Example:
        >>> checkpoint = Checkpoint("example.com/log", 0, EMPTY_ROOT)
        >>> Checkpoint.parse(checkpoint.to_text(), locator="example") == checkpoint
        True
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lines = (self.origin, *self.extensions)
        if not all(line and "\n" not in line for line in lines):
            raise ConfigError("checkpoint line is empty or has a newline", got=repr(lines)[:60])
        if not 0 <= self.size <= MAX_SIZE or len(self.root) != HASH_BYTES:
            raise ConfigError(
                "checkpoint needs a size and a 32-byte root",
                locator=self.origin,
                got=f"size {self.size}, {len(self.root)} bytes",
            )
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise ConfigError("checkpoint of no leaves has a root", locator=self.origin)

    def to_text(self) -> str:
        """Return the text that is signed."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str, *, locator: str) -> Checkpoint:
        """Parse the text of a note that has been verified already.

        Args:
            text: The signed text, with its final newline.
            locator: Where the note came from, for messages.

        Raises:
            MalformedEnvelope: It is no checkpoint.
            BadProof: It claims no leaves and another root than that of the empty tree.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1]:
            raise MalformedEnvelope("note text is not a checkpoint", locator=locator)
        origin, size, root, *extensions = lines[:-1]
        hashed = decode_base64(root, locator)
        if size == "0" and len(hashed) == HASH_BYTES and hashed != EMPTY_ROOT:
            # It is well-formed and untrue. A witness must tell the two apart (tlog-witness, 422).
            raise BadProof("checkpoint of no leaves has a root", locator=locator)
        try:
            return cls(origin, parse_decimal(size, locator), hashed, tuple(extensions))
        except ConfigError as error:
            raise MalformedEnvelope(error.what, locator=locator, got=error.got) from None


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> bytes:
    """Return the checkpoint as a note signed by the log.

    Args:
        checkpoint: It MUST extend every checkpoint that this key has signed; the caller sees to
            that.
        signer: The log's key; its name is the origin.

    Raises:
        ConfigError: The signer is named after another log.
    """
    if signer.name != checkpoint.origin:
        raise ConfigError(
            "signer is named after another ledger",
            expected=checkpoint.origin,
            got=signer.name,
        )
    return sign_text(checkpoint.to_text(), [signer]).to_bytes()


def empty_checkpoint(origin: str, public_key: bytes, signer: NoteSigner | None) -> bytes:
    """Return the checkpoint of no leaves, with which a ledger begins.

    Args:
        origin: Name of the ledger.
        public_key: Raw key that the ledger will be verified with, 32 bytes.
        signer: The ledger's private key.

    Raises:
        ConfigError: There is no private key, or it is not the one of the public key.
    """
    if signer is None or signer.public_key != public_key:
        raise ConfigError(
            "a new ledger needs its private key",
            locator=origin,
            next_step="Give the signer of the ledger role.",
        )
    return sign_checkpoint(Checkpoint(origin, 0, EMPTY_ROOT), signer)


def open_checkpoint(data: bytes, verifiers: Sequence[NoteVerifier], *, locator: str) -> Checkpoint:
    """Verify a checkpoint's signature, then parse it.

    Args:
        data: The signed note.
        verifiers: Keys of the log; their names are the origins that we accept.
        locator: Where the note came from, for messages.

    Raises:
        MalformedEnvelope: It is no note, or its text is no checkpoint.
        BadProof: A signed checkpoint of no leaves has a root.
        BadSignature: The log's key did not sign this text.
        UntrustedKey: Another key signed it, or it is for another origin.
    """
    note = open_note(data, verifiers, locator=locator)
    checkpoint = Checkpoint.parse(note.text, locator=locator)
    # One key may sign for several logs. Only the name in the text says for which.
    origins = {verifier.name for verifier in verifiers}
    if checkpoint.origin not in origins:
        raise UntrustedKey(
            "checkpoint is of another ledger",
            locator=locator,
            expected=" or ".join(sorted(origins)),
            got=checkpoint.origin[:60],
        )
    return checkpoint


def parse_decimal(text: str, locator: str) -> int:
    """Parse an ASCII decimal without leading zeros, 0..2**62.

    Args:
        text: The digits.
        locator: Where they came from, for messages.

    Raises:
        MalformedEnvelope: It has another spelling, or the number is larger.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise MalformedEnvelope("not a decimal number", locator=locator, got=repr(text)[:60])
    return int(text)

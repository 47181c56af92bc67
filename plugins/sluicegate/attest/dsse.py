"""DSSE v1: exact bytes, their type, and who signed both.

The payload of an `Envelope` is the decoded byte string that the signatures cover. Nothing here
parses it: `sluicegate.attest.trust` verifies first and then parses the same bytes.
Source: secure-systems-lab/dsse 1.0.2, protocol and envelope; docs/formats/envelope.md.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from sluicegate.digest import canonical
from sluicegate.errors import ConfigError, MalformedEnvelope

if TYPE_CHECKING:
    from sluicegate.attest.keys import Signer

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"

MAX_ENVELOPE_BYTES: Final = 96 * 1024 * 1024
"""Largest envelope: a payload of 64 MiB (`canonical.MAX_JSON_BYTES`) in base64, and signatures."""

MAX_SIGNATURES: Final = 16
"""Most signatures: no threshold needs more, and each costs the verifier a public-key operation."""

_MAX_SIGNATURE_BYTES: Final = 8192  # ML-DSA-87, the largest standard one, has 4,627
_MAX_KEY_ID: Final = 512
_MAX_TYPE: Final = 256

# RFC 4648 sections 4 and 5: one alphabet or the other, padded, and never both in one text.
_STANDARD: Final = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_URL_SAFE: Final = re.compile(rb"[A-Za-z0-9_-]*={0,2}")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature.

    Attributes:
        key_id: Unauthenticated hint at the key to try; "" if the signer gave none.
        value: Raw signature bytes: DER for ECDSA, fixed length for the others.
    """

    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """Payload, type and signatures, as decoded once from the wire.

    Attributes:
        payload_type: Media type or URI of the payload; signed together with it.
        payload: The bytes that were signed.
        signatures: 1 to 16; no key and no signature twice.

    Raises:
        MalformedEnvelope: The payload type is empty or too long, or the signatures are not as
            they must be.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        if not self.payload_type or len(self.payload_type) > _MAX_TYPE:
            raise _malformed("envelope", f"payloadType is empty or longer than {_MAX_TYPE}")
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise _malformed(
                "envelope",
                "wrong number of signatures",
                f"1 to {MAX_SIGNATURES}",
                str(len(self.signatures)),
            )
        named = [signature.key_id for signature in self.signatures if signature.key_id]
        values = [signature.value for signature in self.signatures]
        # A repeated signature is never useful. It is always an attempt at a threshold.
        if len(set(named)) != len(named) or len(set(values)) != len(values):
            raise _malformed("envelope", "the same key or signature appears twice")

    def signed_bytes(self) -> bytes:
        """Return the bytes that each signature covers."""
        return pae(self.payload_type, self.payload)

    def to_bytes(self) -> bytes:
        """Write the canonical JSON envelope: one line, no final newline, standard base64."""
        signatures = [
            {"keyid": one.key_id, "sig": base64.b64encode(one.value).decode("ascii")}
            for one in self.signatures
        ]
        # Written by hand around the payload: base64 needs no escaping, and it may be megabytes.
        return b'{"payload":"%b","payloadType":%b,"signatures":%b}' % (
            base64.b64encode(self.payload),
            canonical.dumps(self.payload_type),
            canonical.dumps(signatures),
        )

    @classmethod
    def from_bytes(cls, data: bytes, *, locator: str = "envelope") -> Self:
        """Read a JSON envelope without believing it.

        Args:
            data: JSON text.
            locator: Where it came from, for messages.

        Returns:
            The envelope, unverified.

        Raises:
            MalformedEnvelope: It is too large, no strict JSON or no envelope, or its base64 is
                bad.

        Cost: linear, at most 96 MiB of input.
        """
        value = canonical.loads(data, locator=locator, max_bytes=MAX_ENVELOPE_BYTES)
        return cls.from_json(value, locator=locator)

    @classmethod
    def from_json(cls, value: Any, *, locator: str) -> Self:
        """Read an envelope that is part of a larger document, such as a bundle.

        Args:
            value: From `canonical.loads`.
            locator: Where the document came from, for messages.

        Raises:
            MalformedEnvelope: It is no envelope, or its base64 is bad.
        """
        match value:
            case {"payload": str(payload), "payloadType": str(kind), "signatures": list(items)}:
                if len(items) > MAX_SIGNATURES:
                    raise _malformed(locator, "too many signatures", f"at most {MAX_SIGNATURES}")
                return cls(
                    kind,
                    decode_base64(payload, locator=locator),
                    tuple(_signature(item, locator) for item in items),
                )
        raise _malformed(locator, "is not a DSSE envelope", "payload, payloadType and signatures")


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding.

    Args:
        payload_type: Media type or URI.
        payload: Bytes to sign.

    Returns:
        ``DSSEv1 <length> <type> <length> <payload>``. The lengths make it unambiguous, so nobody
        can move a type into the payload or the other way round.

    Source: secure-systems-lab/dsse 1.0.2, protocol, "Signature Definition".

    Example:
        >>> pae("http://example.com/HelloWorld", b"hello world")
        b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, *signers: Signer, payload_type: str = PAYLOAD_TYPE) -> Envelope:
    """Sign bytes with one or several keys.

    Args:
        payload: Exact bytes; they are kept as they are.
        signers: At least one, and each key once; all keys of a joint signer sign.
        payload_type: Media type or URI of the payload.

    Returns:
        The envelope.

    Raises:
        ConfigError: There is no signer, or one key is there twice.
    """
    members = [member for signer in signers for member in signer.members]
    key_ids = [member.public_key.key_id for member in members]
    if not members or len(set(key_ids)) != len(key_ids):
        raise ConfigError("signing needs at least one key, and each key once")
    message = pae(payload_type, payload)
    return Envelope(
        payload_type,
        payload,
        tuple(Signature(member.public_key.key_id, member.sign(message)) for member in members),
    )


def decode_base64(text: str, *, locator: str) -> bytes:
    """Decode standard or URL-safe base64, each with its padding and nothing else.

    Args:
        text: From an envelope.
        locator: Where it came from, for messages.

    Returns:
        The bytes.

    Raises:
        MalformedEnvelope: It has white space, a mixed alphabet, no padding, or unused bits that
            are not zero. Each would let one byte string be written in several ways.
    """
    try:
        raw = text.encode("ascii")
    except UnicodeEncodeError:
        raise _malformed(locator, "base64 text is not ASCII") from None
    if _STANDARD.fullmatch(raw):
        alphabet = b"+/"
    elif _URL_SAFE.fullmatch(raw):
        alphabet = b"-_"
    else:
        raise _malformed(locator, "text is not base64")
    try:
        decoded = base64.b64decode(raw, altchars=alphabet, validate=True)
    except binascii.Error:
        raise _malformed(locator, "base64 text has the wrong length or padding") from None
    if base64.b64encode(decoded, altchars=alphabet) != raw:
        raise _malformed(locator, "base64 text is not canonical")
    return decoded


def _signature(value: Any, locator: str) -> Signature:
    match value:
        case {"sig": str(text)} if isinstance(key_id := value.get("keyid", ""), str):
            decoded = decode_base64(text, locator=locator)
            if decoded and len(decoded) <= _MAX_SIGNATURE_BYTES and len(key_id) <= _MAX_KEY_ID:
                return Signature(key_id, decoded)
    raise _malformed(locator, "signature needs a sig; sig and keyid, if any, are of sensible size")


def _malformed(locator: str, what: str, expected: str = "", got: str = "") -> MalformedEnvelope:
    return MalformedEnvelope(what, locator=locator, expected=expected, got=got)

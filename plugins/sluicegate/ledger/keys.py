"""Ed25519 keys under a ledger's name.

`note.py` knows only two small protocols. Raw keys meet them through pyca/cryptography, and so does
any object that can write its public key as PEM and can verify or sign, as the keys of
sluicegate.attest do. This package need not import that one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable  # noqa: TC003 - a dataclass field's type
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sluicegate.errors import BadSignature, ConfigError
from sluicegate.ledger.note import NoteSigner, NoteVerifier, VerifierKey

# An Ed25519 SubjectPublicKeyInfo has no options, so its DER is this prefix and the raw key
# (RFC 8410 section 10.1).
_SPKI_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
# Likewise for ML-DSA-44: RFC 9881 section 4, id-ml-dsa-44 without parameters.
_SPKI_PREFIX_ML_DSA_44: Final = bytes.fromhex("30820532300b06096086480165030403110382052100")
_ML_DSA_44_BYTES: Final = 1312
_PEM_HEAD: Final = "-----BEGIN PUBLIC KEY-----"
_PEM_TAIL: Final = "-----END PUBLIC KEY-----"


class PemKey(Protocol):
    """A public key that knows its PEM form."""

    def to_pem(self) -> bytes:
        """Return the SubjectPublicKeyInfo in PEM."""

    def verify(self, signature: bytes, data: bytes) -> None:
        """Raise BadSignature unless the signature stands on the bytes.

        Args:
            signature: In the form of the key's algorithm; raw for Ed25519.
            data: The signed bytes.
        """


class PemSigner(Protocol):
    """A private key that knows its public key's PEM form."""

    @property
    def public_key(self) -> PemKey:
        """The public half."""

    def sign(self, data: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of `data`."""


@dataclass(frozen=True, slots=True)
class Ed25519Verifier:
    """A ledger's public key.

    Attributes:
        name: Origin of the ledger.
        public_key: Raw key, 32 bytes.

    Raises:
        ConfigError: The name or key cannot stand in a signed note.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        VerifierKey(self.name, self.public_key)

    @property
    def vkey(self) -> str:
        """The key as one line of text (signed-note, "Verifier keys")."""
        return str(VerifierKey(self.name, self.public_key))

    def verify(self, signature: bytes, data: bytes) -> None:
        """Return if the signature stands on these bytes.

        Args:
            signature: Raw Ed25519 signature.
            data: The signed bytes.

        Raises:
            BadSignature: It does not.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, data)
        except (InvalidSignature, ValueError) as error:
            raise BadSignature(
                "signature does not stand on this text",
                locator=self.name,
                next_step="Treat the file as tampered with; compare it with a kept copy.",
            ) from error


@dataclass(frozen=True, slots=True, repr=False)
class CallableSigner:
    """A ledger's private key, wherever it lives.

    Attributes:
        name: Origin of the ledger.
        public_key: Raw public key, 32 bytes.
        sign: Returns the 64-byte Ed25519 signature of bytes.
    """

    name: str
    public_key: bytes
    sign: Callable[[bytes], bytes]


def raw_public_key(key: bytes | PemKey, *, locator: str = "ledger key") -> bytes:
    """Return the raw 32 bytes of an Ed25519 public key.

    Args:
        key: Raw bytes, or an object that writes PEM.
        locator: Where the key came from, for messages.

    Raises:
        ConfigError: It is no Ed25519 public key.
    """
    raw = key if isinstance(key, bytes) else _spki(key.to_pem()).removeprefix(_SPKI_PREFIX)
    if len(raw) != 32:
        raise ConfigError(
            "a ledger's key must be Ed25519",
            locator=locator,
            next_step="Run: sluicegate keygen --alg ed25519",
        )
    return raw


def raw_witness_key(key: PemKey, *, locator: str = "witness key") -> bytes:
    """Return a witness's raw public key: 32 bytes of Ed25519 or 1,312 of ML-DSA-44.

    Args:
        key: An object that writes PEM.
        locator: Where the key came from, for messages.

    Raises:
        ConfigError: It is neither of the two.
    """
    spki = _spki(key.to_pem())
    for prefix, n_bytes in ((_SPKI_PREFIX, 32), (_SPKI_PREFIX_ML_DSA_44, _ML_DSA_44_BYTES)):
        if spki.startswith(prefix) and len(spki) == len(prefix) + n_bytes:
            return spki.removeprefix(prefix)
    raise ConfigError(
        "a witness's key must be Ed25519 or ML-DSA-44",
        locator=locator,
        next_step="Run: sluicegate keygen --alg ml-dsa-44",
    )


def verifier_of(key: bytes | PemKey, origin: str) -> NoteVerifier:
    """Give a public key a ledger's name.

    Args:
        key: Raw bytes, or an object that writes PEM.
        origin: Name of the ledger.

    Raises:
        ConfigError: It is not Ed25519, or the name cannot stand in a signed note.
    """
    return Ed25519Verifier(origin, raw_public_key(key, locator=origin))


def signer_of(signer: PemSigner, origin: str) -> NoteSigner:
    """Give a private key a ledger's name.

    Args:
        signer: An object that signs, with its public key.
        origin: Name of the ledger.

    Raises:
        ConfigError: It is not Ed25519.
    """
    return CallableSigner(origin, raw_public_key(signer.public_key, locator=origin), signer.sign)


def named_signer(signer: NoteSigner | PemSigner, origin: str) -> NoteSigner:
    """Give a private key a ledger's name unless it speaks the note protocol already.

    Args:
        signer: A signer of notes, which keeps its own name, or an object that signs.
        origin: Name of the ledger.

    Raises:
        ConfigError: It is not Ed25519.
    """
    if isinstance(signer.public_key, bytes):
        return signer  # a raw public key marks the note protocol
    return signer_of(signer, origin)


def default_origin(public_key: bytes) -> str:
    """Name a ledger after its key, if nobody chose a name.

    Args:
        public_key: Raw key, 32 bytes.

    Returns:
        A name that no two keys share, so that no two ledgers share one by accident.
    """
    return f"sluicegate.dev/ledger/{hashlib.sha256(public_key).hexdigest()[:16]}"


def _spki(pem: bytes) -> bytes:
    lines = pem.decode("ascii", errors="replace").split()
    text = " ".join(lines)
    if not (text.startswith(_PEM_HEAD) and text.endswith(_PEM_TAIL)):
        return b""
    body = text.removeprefix(_PEM_HEAD).removesuffix(_PEM_TAIL).replace(" ", "")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        return b""

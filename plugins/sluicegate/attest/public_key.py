"""Public keys that verify evidence: ECDSA P-256, Ed25519 and ML-DSA.

Exactly one algorithm, curve and hash belongs to each kind of key. So a signature names no
algorithm, and nobody can downgrade one.
Source: FIPS 186-5 (ECDSA, EdDSA), FIPS 204 (ML-DSA); pyca/cryptography.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa

from sluicegate.errors import BadSignature, ConfigError

_PublicKeys = (
    ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
)

_VERIFY_P256: Final = ec.ECDSA(hashes.SHA256())

MAX_PEM_BYTES: Final = 64 * 1024
"""Largest key file, in bytes: no single key needs as much."""


class Algorithm(StrEnum):
    """Kinds of keys; the values are those of `sluicegate keygen --alg`."""

    ECDSA_P256 = "ecdsa-p256"
    ED25519 = "ed25519"
    ML_DSA_44 = "ml-dsa-44"  # for witnesses only, as C2SP tlog-cosignature has it
    ML_DSA_65 = "ml-dsa-65"


SUPPORTED: Final = " or ".join(Algorithm)
"""All kinds of keys, for messages."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies.

    Attributes:
        algorithm: The one algorithm that it verifies.
        pem: Canonical PEM of its SubjectPublicKeyInfo.
        key_id: Hex SHA-256 of `pem`; the ``hint`` of a Sigstore bundle.
    """

    algorithm: Algorithm
    pem: bytes
    key_id: str = field(init=False)
    _key: _PublicKeys = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key_id", hashlib.sha256(self.pem).hexdigest())

    @property
    def short(self) -> str:
        """First 12 digits of the key id, for messages."""
        return self.key_id[:12]

    def to_pem(self) -> bytes:
        """Return the canonical PEM."""
        return self.pem

    def verify(self, signature: bytes, data: bytes) -> None:
        """Return if the signature is by this key over exactly these bytes.

        Args:
            signature: DER for ECDSA, raw for the others.
            data: What was signed.

        Raises:
            BadSignature: It is not, or it does not even have the form of a signature.

        Cost: about 0.1 ms, plus hashing the data.
        """
        try:
            if isinstance(self._key, ec.EllipticCurvePublicKey):
                self._key.verify(signature, data, _VERIFY_P256)
            else:
                self._key.verify(signature, data)
        except InvalidSignature:
            raise BadSignature(
                "signature does not match the signed bytes",
                locator=f"key {self.short}",
                next_step="Treat the evidence as edited; get the original or seal again.",
            ) from None


def load_public_key(pem: bytes, *, locator: str) -> PublicKey:
    """Read a public key.

    Args:
        pem: SubjectPublicKeyInfo.
        locator: Where it came from, for messages.

    Returns:
        The key; its id does not depend on white space or comments around the PEM.

    Raises:
        ConfigError: It is no public key, or its kind is not supported.
    """
    try:
        key = serialization.load_pem_public_key(sensible_pem(pem, locator))
    except (ValueError, UnsupportedAlgorithm, TypeError):
        what = "is a private key" if b"PRIVATE KEY-----" in pem else "is not a public key in PEM"
        refuse_key(what, locator, "SubjectPublicKeyInfo PEM")
    return public_key_of(key, locator=locator)


def public_key_of(key: object, *, locator: str) -> PublicKey:
    """Wrap a pyca/cryptography public key.

    Args:
        key: From pyca/cryptography; any other object is refused.
        locator: Where it came from, for messages.

    Raises:
        ConfigError: Its kind or curve is not supported.
    """
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        algorithm = Algorithm.ECDSA_P256
    elif isinstance(key, ed25519.Ed25519PublicKey):
        algorithm = Algorithm.ED25519
    elif isinstance(key, mldsa.MLDSA44PublicKey):
        algorithm = Algorithm.ML_DSA_44
    elif isinstance(key, mldsa.MLDSA65PublicKey):
        algorithm = Algorithm.ML_DSA_65
    else:
        refuse_key("kind of key is not supported", locator, SUPPORTED)
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PublicKey(algorithm, pem, key)


def sensible_pem(pem: bytes, locator: str) -> bytes:
    """Return the PEM if it has the size of a key.

    Args:
        pem: Bytes that may be a key.
        locator: Where they came from, for messages.

    Raises:
        ConfigError: It is larger than `MAX_PEM_BYTES`.
    """
    if len(pem) > MAX_PEM_BYTES:
        refuse_key("is too large for a key", locator, f"at most {MAX_PEM_BYTES} bytes")
    return pem


def refuse_key(what: str, locator: str, expected: str, got: str = "") -> NoReturn:
    """Refuse a key, without a cause that could quote it.

    Args:
        what: One clause that says what failed.
        locator: Where the key came from.
        expected: What would have been accepted.
        got: What kind of text is there instead; never the text.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(
        what,
        locator=locator,
        expected=expected,
        got=got,
        next_step="Make a key with `sluicegate keygen`.",
    ) from None

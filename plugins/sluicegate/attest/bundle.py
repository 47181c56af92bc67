"""Sigstore bundle v0.3 around one envelope that one P-256 key signed.

`model_signing verify key` and npm `@sigstore/verify` accept this form. Both take the first
signature only and know no ML-DSA, so several signatures need a plain envelope.
Source: sigstore/protobuf-specs, sigstore_bundle.proto; docs/formats/seal.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sluicegate.attest.dsse import MAX_ENVELOPE_BYTES, Envelope, Signature
from sluicegate.attest.keys import Algorithm
from sluicegate.digest import canonical
from sluicegate.errors import ConfigError, MalformedEnvelope

if TYPE_CHECKING:
    from sluicegate.attest.keys import PublicKey

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"

_MAX_BUNDLE_BYTES: Final = MAX_ENVELOPE_BYTES + 64 * 1024


def to_bundle(envelope: Envelope, public_key: PublicKey) -> bytes:
    """Wrap an envelope for foreign verifiers.

    Args:
        envelope: It has exactly one signature.
        public_key: The P-256 key that made it.

    Returns:
        Canonical JSON.

    Raises:
        ConfigError: The key has another algorithm, or there are several signatures.
        BadSignature: The signature does not verify, so that nothing broken is ever written.
    """
    if public_key.algorithm is not Algorithm.ECDSA_P256:
        raise ConfigError(
            "a Sigstore bundle needs an ECDSA P-256 key",
            got=public_key.algorithm.value,
            next_step="Use a key from `sluicegate keygen --alg ecdsa-p256` to seal.",
        )
    if len(envelope.signatures) != 1:
        raise ConfigError("a Sigstore bundle holds exactly one signature")
    public_key.verify(envelope.signatures[0].value, envelope.signed_bytes())
    material = {"publicKey": {"hint": public_key.key_id}, "tlogEntries": []}
    return b'{"dsseEnvelope":%b,"mediaType":%b,"verificationMaterial":%b}' % (
        envelope.to_bytes(),
        canonical.dumps(MEDIA_TYPE),
        canonical.dumps(material),
    )


def from_bundle(data: bytes, *, locator: str) -> tuple[Envelope, str]:
    """Read a bundle without believing it.

    Args:
        data: JSON text.
        locator: Where it came from, for messages.

    Returns:
        The unverified envelope and the hint. The hint is the hex SHA-256 of the signer's PEM,
        which is the `key_id` of a `PublicKey`, and becomes the key id of the signature.

    Raises:
        MalformedEnvelope: It has another media type, certificates or log entries (we verify
            neither), unknown fields, another number of signatures than one, or a hint that
            contradicts its keyid.
    """
    value = canonical.loads(data, locator=locator, max_bytes=_MAX_BUNDLE_BYTES)
    match value:
        case {"mediaType": str(media_type)} if media_type != MEDIA_TYPE:
            raise _malformed(
                locator, "is another kind of bundle", MEDIA_TYPE, ascii(media_type)[:80]
            )
        case {
            "mediaType": str(),
            "verificationMaterial": {"publicKey": {"hint": str(hint)}},
            "dsseEnvelope": dict(dsse),
        } if _only_known_fields(value):
            return _with_hint(Envelope.from_json(dsse, locator=locator), hint, locator), hint
    raise _malformed(locator, "is not a bundle with one public key and no log entries", MEDIA_TYPE)


def _only_known_fields(value: dict[str, Any]) -> bool:
    """Return whether all fields are known; the protobuf JSON mapping of bundles demands it."""
    material = value["verificationMaterial"]
    return (
        len(value) == 3
        and material.keys() <= {"publicKey", "tlogEntries"}
        and material.get("tlogEntries", []) == []
        and len(material["publicKey"]) == 1
    )


def _with_hint(envelope: Envelope, hint: str, locator: str) -> Envelope:
    """Let the hint name the key if the signature does not, so that an edited hint shows."""
    if len(envelope.signatures) != 1:
        raise _malformed(
            locator, "bundle holds several signatures", "1", str(len(envelope.signatures))
        )
    signature = envelope.signatures[0]
    if signature.key_id and signature.key_id != hint:
        found = ascii(hint)[1:13]
        raise _malformed(
            locator, "hint and keyid name different keys", ascii(signature.key_id)[1:13], found
        )
    return replace(envelope, signatures=(Signature(hint, signature.value),))


def _malformed(locator: str, what: str, expected: str = "", got: str = "") -> MalformedEnvelope:
    return MalformedEnvelope(what, locator=locator, expected=expected, got=got)

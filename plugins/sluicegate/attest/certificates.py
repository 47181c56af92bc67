"""X.509 chains: a key that an authority vouches for, while its certificate is valid.

A chain turns into a `TrustedKey` with the certificate's own validity. Everything else (threshold,
revocation, required algorithms) stays as it is for listed keys. model_signing accepts expired
certificates. Here the time is an argument, and it is checked for every certificate of the chain.
Source: RFC 5280 section 6; pyca/cryptography x509.verification.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sluicegate.attest.public_key import public_key_of
from sluicegate.attest.timestamps import require_aware
from sluicegate.attest.trust_rules import TrustedKey
from sluicegate.errors import (
    ConfigError,
    Expired,
    MalformedEnvelope,
    UntrustedKey,
    VerificationError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509
    from cryptography.x509 import verification as path

    from sluicegate.attest.trust import TrustPolicy

MAX_CHAIN_BYTES: Final = 64 * 1024
"""Longest chain, in bytes: it holds ten certificates of the usual size."""

_MAX_DEPTH: Final = 4


def trusted_key(
    chain: bytes, authorities: Sequence[x509.Certificate], *, at: datetime, locator: str
) -> TrustedKey:
    """Return the key of a chain's first certificate if an authority vouches for it.

    Args:
        chain: PEM, the signer's certificate first, then intermediates.
        authorities: Trusted roots; nothing in ``chain`` becomes one.
        at: When the signature was made, aware, by a clock that the signer does not control.
        locator: Where the chain came from, for messages.

    Returns:
        The key, with the certificate's validity.

    Raises:
        MalformedEnvelope: The bytes are no chain.
        Expired: The signer's certificate is not valid at this time.
        UntrustedKey: No path leads to an authority, the certificate is an authority's own or not
            for signatures, or its kind of key is not supported.
    """
    from cryptography.x509 import verification as path

    leaf, *others = load_certificates(chain, locator=locator)
    require_aware(at)
    if not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc:
        raise Expired(
            "certificate was not valid when this was signed",
            locator=locator,
            expected=f"{leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}",
            got=f"{at:%Y-%m-%d}",
            next_step="Sign with a valid certificate, or show an RFC 3161 timestamp.",
        )
    if not authorities:
        raise UntrustedKey("the role trusts no authority", locator=locator)
    try:
        builder = path.PolicyBuilder().store(path.Store(list(authorities))).time(at)
        builder = builder.max_chain_depth(_MAX_DEPTH).extension_policies(
            ca_policy=path.ExtensionPolicy.webpki_defaults_ca(), ee_policy=_for_signatures()
        )
        builder.build_client_verifier().verify(leaf, others)
        key = public_key_of(leaf.public_key(), locator=locator)
    except (path.VerificationError, ConfigError) as error:
        raise UntrustedKey(
            "no authority of the role vouches for this certificate",
            locator=locator,
            next_step="Check chain and authorities of the trust policy.",
        ) from error
    return TrustedKey(key, leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def admit(
    policy: TrustPolicy, chain: bytes, *, at: datetime, stamped: bool, locator: str
) -> TrustPolicy:
    """Return the policy with the key of a chain in every role whose authorities vouch for it.

    Args:
        policy: It names the authorities of its roles.
        chain: PEM, the signer's certificate first.
        at: When the signature was made, aware.
        stamped: Whether a timestamp authority says that time. If so, the certificate may have
            expired since; if not, it must be valid whenever the key is used.
        locator: Where the chain came from, for messages.

    Raises:
        VerificationError: No role accepts the chain. It is the refusal of the last one asked.
    """
    refused: VerificationError = UntrustedKey("no role trusts an authority", locator=locator)
    admitted = policy
    for role, rule in policy.roles.items():
        if not rule.authorities:
            continue
        pem = "".join(rule.authorities).encode()
        try:
            roots = load_certificates(pem, locator=role.value)
            found = trusted_key(chain, roots, at=at, locator=locator)
        except VerificationError as error:
            refused = error
            continue
        key_id = found.public_key.key_id
        listed = policy.keys.get(key_id)
        if listed is None:
            listed = TrustedKey(found.public_key) if stamped else found
        # A key that the policy lists keeps what is listed, above all its revocation.
        keys = {**admitted.keys, key_id: listed}
        ids = tuple(dict.fromkeys((*rule.key_ids, key_id)))
        roles = {**admitted.roles, role: replace(rule, key_ids=ids)}
        admitted = replace(admitted, keys=keys, roles=roles)
    if admitted is policy:
        raise refused
    return admitted


def load_certificates(pem: bytes, *, locator: str) -> list[x509.Certificate]:
    """Read certificates in their order.

    Args:
        pem: One or more certificates, at most `MAX_CHAIN_BYTES`.
        locator: Where they came from, for messages.

    Raises:
        MalformedEnvelope: There is none, there are too many bytes, or they are no PEM.
    """
    from cryptography import x509

    if len(pem) > MAX_CHAIN_BYTES:
        raise MalformedEnvelope("chain of certificates is too large", locator=locator)
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise MalformedEnvelope("is not a chain of certificates", locator=locator) from error


def _for_signatures() -> path.ExtensionPolicy:
    """Return the demands on a signer's certificate: it signs, and it is no authority's."""
    from cryptography import x509
    from cryptography.x509 import verification as path

    def signs(_policy: object, _leaf: x509.Certificate, usage: x509.KeyUsage) -> None:
        if not usage.digital_signature:
            raise ValueError("not for digital signatures")

    def no_authority(
        _policy: object, _leaf: x509.Certificate, basic: x509.BasicConstraints | None
    ) -> None:
        if basic is not None and basic.ca:
            raise ValueError("an authority's certificate")

    either = path.Criticality.AGNOSTIC
    plain = path.ExtensionPolicy.permit_all()
    return plain.require_present(x509.KeyUsage, either, signs).may_be_present(
        x509.BasicConstraints, either, no_authority
    )

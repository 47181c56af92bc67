"""The trust policy as a signed file, and how one version follows another.

Specified in docs/formats/trust-policy.md, section "Signed file". It follows TUF's root metadata: a
holder of version n accepts version n + 1 only if the root keys of both signed it. So a thief who
has the keys of the new file alone changes nothing, and neither does a rolled back file.
Source: The Update Framework specification 1.0.34, section 5.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from sluicegate.attest.dsse import Envelope, Signature, pae
from sluicegate.attest.trust import TrustPolicy
from sluicegate.attest.trust_format import MAX_POLICY_BYTES
from sluicegate.attest.trust_rules import Role
from sluicegate.digest import canonical
from sluicegate.errors import ConfigError, MalformedEnvelope, Rollback, UntrustedKey

if TYPE_CHECKING:
    from sluicegate.attest.keys import Signer

PAYLOAD_TYPE: Final = "application/vnd.sluicegate.trust-policy+json"
"""Payload type of its own, so that no signature over a statement passes as one over a policy."""

# Base64 of the largest policy, and 16 signatures with their names.
_MAX_FILE_BYTES: Final = 2 * MAX_POLICY_BYTES


@dataclass(frozen=True, slots=True)
class TrustFile:
    """A trust policy with the signatures of its root keys, if it has any.

    Attributes:
        policy: What the file says; `verified` makes it believable.
        envelope: Exact signed bytes, or None for a policy that nobody signed.
    """

    policy: TrustPolicy
    envelope: Envelope | None = None

    @classmethod
    def from_bytes(cls, data: bytes, *, locator: str = "trust policy") -> Self:
        """Read a signed or an unsigned policy without believing it.

        Args:
            data: JSON text.
            locator: Path, for messages.

        Raises:
            ConfigError: It is neither of the two.
        """
        try:
            value = canonical.loads(data, locator=locator, max_bytes=_MAX_FILE_BYTES)
            if not (isinstance(value, dict) and "payloadType" in value):
                return cls(TrustPolicy.from_bytes(data, locator=locator))
            envelope = Envelope.from_json(value, locator=locator)
        except MalformedEnvelope as error:
            raise ConfigError(
                error.what, locator=error.locator, expected=error.expected, got=error.got
            ) from error
        if envelope.payload_type != PAYLOAD_TYPE:
            raise ConfigError(
                "envelope holds no trust policy",
                locator=locator,
                expected=PAYLOAD_TYPE,
                got=ascii(envelope.payload_type)[:80],
            )
        return cls(TrustPolicy.from_bytes(envelope.payload, locator=locator), envelope)

    def to_bytes(self) -> bytes:
        """Write the file; signed bytes are written as they were signed."""
        return self.policy.to_bytes() if self.envelope is None else self.envelope.to_bytes()

    def signed_by(self, *signers: Signer) -> TrustFile:
        """Return the file with the signatures of further root keys.

        Args:
            signers: Root keys of this version or of the one before it.

        Raises:
            ConfigError: A key has signed already.
        """
        payload = self.policy.to_bytes() if self.envelope is None else self.envelope.payload
        signatures = () if self.envelope is None else self.envelope.signatures
        held = {signature.key_id for signature in signatures}
        message = pae(PAYLOAD_TYPE, payload)
        for signer in signers:
            key_id = signer.public_key.key_id
            if key_id in held:
                raise ConfigError("the key has signed already", locator=f"key {key_id[:12]}")
            held.add(key_id)
            signatures = (*signatures, Signature(key_id, signer.sign(message)))
        return TrustFile(self.policy, Envelope(PAYLOAD_TYPE, payload, signatures))

    def verified(
        self, *, locator: str = "trust policy", remembered_version: int | None = None
    ) -> TrustPolicy:
        """Return the policy if its own root keys signed it, or if it has none.

        An unsigned policy is accepted as a locally pinned file, which is only as good as the
        place that it lies in. A policy that names root keys must carry their signatures, so
        that nobody edits it in place.

        Args:
            locator: Path, for messages.
            remembered_version: Highest version that the caller ever used.

        Raises:
            BadSignature: It was edited after it was signed.
            UntrustedKey: Too few root keys signed it, or none did although it names some.
            Rollback: It is older than the remembered version.
        """
        if self.envelope is not None:
            _check_root(self.policy, self.envelope, locator)
        elif Role.ROOT in self.policy.roles:
            raise UntrustedKey(
                "trust policy names root keys, but carries no signature",
                locator=locator,
                next_step="Sign it with `sluicegate trust sign`, or get the signed file.",
            )
        if remembered_version is not None:
            _require_version(self.policy, remembered_version, locator)
        return self.policy

    def require_not_before(self, seen: TrustFile, *, locator: str = "trust policy") -> None:
        """Check that this file may stand where another one stood.

        This is weaker than `accept`, which sees each version: a reader who only looks now and
        then may have missed some. The root keys that were seen last must vouch for the file
        that stands there now.

        Args:
            seen: The file that was read there before and verified then.
            locator: Path, for messages.

        Raises:
            Rollback: This version is older.
            UntrustedKey: It is unsigned although the other one was signed, or the root keys of
                the other one did not sign it.
        """
        _require_version(self.policy, seen.policy.version, locator)
        if seen.envelope is None:
            return
        if self.envelope is None:
            raise UntrustedKey(
                "an unsigned trust policy stands where a signed one was",
                locator=locator,
                expected=f"signed by the root keys of version {seen.policy.version}",
                got="no signature",
                next_step="Find out who replaced it, and put the signed one back.",
            )
        _check_root(seen.policy, self.envelope, locator)

    def accept(self, successor: TrustFile, *, locator: str = "trust policy") -> TrustPolicy:
        """Return the policy of the next version if it follows this one.

        Args:
            successor: A file that is not verified yet.
            locator: Where it came from, for messages.

        Raises:
            Rollback: It is not exactly the next version. Each step must be shown, or a thief of
                a retired key could skip the version that retired it.
            UntrustedKey: Root keys of this version, or of the next one, did not sign it.
            BadSignature: It was edited after it was signed.
            ConfigError: This file has no root keys, so nobody can vouch for a successor.
        """
        if Role.ROOT not in self.policy.roles:
            raise ConfigError(
                "the pinned trust policy has no root keys, so nothing can follow it",
                locator=locator,
                next_step="Compare the new file by other means and pin it by hand.",
            )
        if successor.policy.version != self.policy.version + 1:
            raise Rollback(
                "trust policy is not the next version",
                locator=locator,
                expected=f"version {self.policy.version + 1}",
                got=f"version {successor.policy.version}",
                next_step="Accept each version after the other.",
            )
        if successor.envelope is None:
            raise UntrustedKey("the next trust policy carries no signature", locator=locator)
        # The old keys come first: so far only the pinned file is trusted.
        _check_root(self.policy, successor.envelope, locator)
        return successor.verified(locator=locator)


def load_trust(
    data: bytes, *, locator: str = "trust policy", remembered_version: int | None = None
) -> TrustPolicy:
    """Read a trust policy file and believe it as far as it can be believed.

    Args:
        data: JSON text of a signed or an unsigned policy.
        locator: Path, for messages.
        remembered_version: Highest version that the caller ever used.

    Raises:
        ConfigError: Anything in it is wrong, missing or unknown.
        VerificationError: See `TrustFile.verified`.
    """
    found = TrustFile.from_bytes(data, locator=locator)
    return found.verified(locator=locator, remembered_version=remembered_version)


def _require_version(policy: TrustPolicy, least: int, locator: str) -> None:
    if policy.version < least:
        raise Rollback(
            "trust policy is older than one that was used before",
            locator=locator,
            expected=f"version {least} or later",
            got=f"version {policy.version}",
            next_step="Get the current file; keys that it revoked may be trusted here.",
        )


def _check_root(policy: TrustPolicy, envelope: Envelope, locator: str) -> None:
    # Root keys have no validity of their own, so any time gives the same answer.
    policy.check_signatures(envelope, Role.ROOT, at=policy.expires, locator=locator)

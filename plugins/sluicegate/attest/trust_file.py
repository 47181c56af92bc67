"""The trust policy as a signed file, and how one version follows another.

Specified in docs/formats/trust-policy.md, section "Signed file". After TUF's root metadata:
whoever holds version n accepts version n + 1 only if the root keys of both signed it, so a
thief of the new file's keys alone, or a rolled back file, changes nothing.
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
"""Not in-toto's: no signature over a statement can be passed off as one over a policy."""

# Base64 of the largest policy, and 16 signatures with their names.
_MAX_FILE_BYTES: Final = 2 * MAX_POLICY_BYTES


@dataclass(frozen=True, slots=True)
class TrustFile:
    """A trust policy with the signatures of its root keys, if it has any.

    Attributes:
        policy: What the file says; not believed before `verified`.
        envelope: Exact signed bytes, or None for a policy that nobody signed.
    """

    policy: TrustPolicy
    envelope: Envelope | None = None

    @classmethod
    def from_bytes(cls, data: bytes, *, locator: str = "trust policy") -> Self:
        """Read a signed or an unsigned policy without believing it.

        Raises:
            ConfigError: Neither of the two.
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
        """Write the file; what was signed is written as it was signed."""
        return self.policy.to_bytes() if self.envelope is None else self.envelope.to_bytes()

    def signed_by(self, *signers: Signer) -> TrustFile:
        """Return the file with the signatures of further root keys.

        Args:
            signers: Root keys of this version or of the one before it.

        Raises:
            ConfigError: A key that signed already.
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

        An unsigned policy is only as good as the place it lies in: it is accepted as a
        locally pinned file. One that names root keys must carry their signatures, so that
        nobody edits it in place.

        Args:
            locator: Path, for messages.
            remembered_version: Highest version that the caller ever used.

        Raises:
            BadSignature: Edited after it was signed.
            UntrustedKey: Signed by too few root keys, or not at all although it names some.
            Rollback: Older than the remembered version.
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

        Weaker than `accept`, which shows each version: whoever only looks now and then may
        have missed some. The root keys that were seen last must vouch for what stands there now.

        Args:
            seen: What was read there before, verified then.
            locator: Path, for messages.

        Raises:
            Rollback: This version is older.
            UntrustedKey: It is unsigned, or the root keys of the other one did not sign it.
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
            successor: Unverified.
            locator: Where it came from.

        Raises:
            Rollback: Not exactly the next version: each step must be shown, or a thief of one
                retired key could skip the version that retired it.
            UntrustedKey: Root keys of this version, or of the next one, did not sign it.
            BadSignature: Edited after it was signed.
            ConfigError: This file has no root keys: nobody can vouch for a successor.
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
        # Old keys first: the pinned file is the only thing that is trusted so far.
        _check_root(self.policy, successor.envelope, locator)
        return successor.verified(locator=locator)


def load_trust(
    data: bytes, *, locator: str = "trust policy", remembered_version: int | None = None
) -> TrustPolicy:
    """Read a trust policy file and believe it as far as it can be believed.

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

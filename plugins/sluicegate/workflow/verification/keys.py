"""Which keys count for an envelope of a folder: the trust policy, and chains that lie beside it.

A chain adds its key if an authority of the policy vouches for it. If a timestamp proves when the
envelope existed, the certificate must have been valid then, and may have expired since.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.attest.certificates import admit, load_certificates
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import UntrustedKey, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sluicegate.attest.public_key import PublicKey
    from sluicegate.attest.trust import Role, TrustPolicy
    from sluicegate.workflow.evidence.folder import EvidenceFolder


@dataclass(frozen=True, slots=True)
class FolderKeys:
    """The keys that count for envelopes of one folder.

    Attributes:
        trust: The auditor's trust policy.
        folder: Holds the chains and timestamps; neither is verified yet.
        timestamp_authorities: PEM certificates whose timestamps are believed; those of the trust
            policy when empty.
        at: Aware UTC; keys must be valid then, unless a timestamp says otherwise.
    """

    trust: TrustPolicy
    folder: EvidenceFolder
    timestamp_authorities: bytes
    at: datetime

    def trust_for(self, envelope: bytes) -> TrustPolicy:
        """Return the policy with the keys of chains; one that does not hold adds nothing."""
        return self.chained(envelope)[0]

    def chained(self, envelope: bytes) -> tuple[TrustPolicy, VerificationError | None]:
        """Return the policy with the keys of chains, and why a chain adds none.

        If the envelope has a timestamp, a key counts if its certificate was valid then. Without
        one, each key counts within its certificate's validity.
        """
        trust = self.trust
        if not any(rule.authorities for rule in trust.roles.values()):
            return trust, None
        stamped = self._stamped(envelope)
        refused: VerificationError | None = None
        for name, chain in self.folder.chains.items():
            try:
                end = load_certificates(chain, locator=name)[0].not_valid_after_utc
                # Not simply now: a key that has expired is to be called expired, not unknown.
                at = stamped or min(self.at, end)
                trust = admit(trust, chain, at=at, stamped=stamped is not None, locator=name)
            except VerificationError as error:
                refused = error
        return trust, refused

    def _stamped(self, envelope: bytes) -> datetime | None:
        """Return when an authority that is believed saw this envelope."""
        stamp = self.folder.timestamps.get(sha256_bytes(envelope).hex)
        own = "".join(self.trust.timestamp_authorities).encode()
        pem = self.timestamp_authorities or own
        if stamp is None or not pem:
            return None
        from sluicegate.adapters.timestamping import verified_time

        roots = load_certificates(pem, locator="timestamp authority")
        return verified_time(stamp, envelope, roots, locator="timestamp")


@contextmanager
def naming(refused: VerificationError | None) -> Iterator[None]:
    """Say what is wrong with a chain, instead of that its key is unknown.

    Raises:
        UntrustedKey: A key is unknown, and no chain was refused.
        VerificationError: The refusal of the chain.
    """
    try:
        yield
    except UntrustedKey:
        if refused is not None:
            raise refused from None
        raise


def revoked_later(trust: TrustPolicy, signers: Sequence[PublicKey]) -> str:
    """Return text that names the keys that counted at that moment and have been revoked since.

    Args:
        trust: Names keys and revocations.
        signers: Keys whose signatures hold.
    """
    revoked = [trust.keys[key.key_id] for key in signers if key.key_id in trust.keys]
    return "".join(
        f"; key {key.public_key.short} has been revoked since {format_timestamp(key.revoked_at)}"
        for key in revoked
        if key.revoked_at is not None
    )


def one_of(trust: TrustPolicy, role: Role) -> TrustPolicy:
    """Return a policy with which one signature of a role is enough, to name its signer.

    Args:
        trust: The policy.
        role: The role whose rule is relaxed.
    """
    return trust.with_rule(role, threshold=1, required_algorithms=())

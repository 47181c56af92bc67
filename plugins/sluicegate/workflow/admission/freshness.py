"""Whether a batch was sealed as recently as the policy asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from sluicegate.digest.algorithms import Digest
    from sluicegate.gate.policy import Policy
    from sluicegate.workflow.evidence.verified import Evidence


def require_fresh_seal(
    evidence: Evidence, policy: Policy, source: str, digest: Digest, *, at: datetime
) -> None:
    """Return if a batch was sealed recently enough for the policy.

    Args:
        evidence: Ledger and trust policy.
        policy: The policy in force.
        source: Name of the source.
        digest: Identity of the batch.
        at: Aware UTC; the age of the seal is counted until then.

    Raises:
        Expired: The seal is too old.
    """
    rule = policy.for_source(source).freshness
    if rule is not None and rule.sealed_s is not None:
        sealed = evidence.provenance_of(source, digest, at=at).sealed_at
        rule.require_seal(sealed, at=at, locator=f"{source}@{digest.short}")

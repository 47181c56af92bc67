"""Whether enough keys signed a seal, although a Sigstore bundle holds only one signature.

Foreign verifiers read the first signature of a bundle and know no ML-DSA. So the bundle keeps one
P-256 signature. All signatures that a trust policy demands are on the provenance statement, a plain
envelope about the same subject: its `dirHash1` commits to every name and content of the manifest.
Specified in docs/formats/seal.md, section "Several signatures".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.attest.trust import Role, TrustPolicy
from sluicegate.errors import BadProof, UntrustedKey

if TYPE_CHECKING:
    from datetime import datetime

    from sluicegate.attest.dsse import Envelope
    from sluicegate.attest.statement import Statement


def verify_seal(
    trust: TrustPolicy,
    bundle: Envelope,
    provenance: Envelope | None,
    *,
    at: datetime,
    asked: datetime | None = None,
    locator: str,
) -> Statement:
    """Return the statement of a seal if the source role signed it often enough.

    Args:
        trust: Keys by role.
        bundle: Envelope from the Sigstore bundle.
        provenance: Plain envelope about the same batch, or None if there is none.
        at: Aware UTC; keys must be valid then.
        asked: When revocations are judged, if later.
        locator: Where the bundle came from.

    Raises:
        VerificationError: As `TrustPolicy.verify`, for either envelope.
        BadProof: The provenance is about another batch.
    """
    rule = trust.roles.get(Role.SOURCE)
    if rule is None or (rule.threshold == 1 and not rule.required_algorithms):
        return trust.verify(bundle, Role.SOURCE, at=at, asked=asked, locator=locator)
    alone = trust.with_rule(Role.SOURCE, threshold=1, required_algorithms=())
    statement = alone.verify(bundle, Role.SOURCE, at=at, asked=asked, locator=locator)
    if provenance is None:
        raise UntrustedKey(
            "too few signatures: no provenance statement carries the others",
            locator=locator,
            expected=f"{rule.threshold} different keys of the role",
            next_step="Seal again with --cosign-key.",
        )
    # The full rule holds here, for a statement about the very same digests.
    said = trust.verify(provenance, Role.SOURCE, at=at, asked=asked, locator="provenance")
    if said.subjects != statement.subjects:
        raise BadProof("seal and provenance are about different batches", locator=locator)
    return statement

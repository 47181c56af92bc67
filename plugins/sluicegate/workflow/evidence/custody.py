"""Whether a batch is in quarantine: the look-up that training, gate and auditors share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.attest.trust import Role
from sluicegate.errors import Quarantined, SluicegateError
from sluicegate.gate.custody import require_release
from sluicegate.ledger.entry import Kind

if TYPE_CHECKING:
    from datetime import datetime

    from sluicegate.digest.algorithms import Digest
    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.verified import Evidence


def open_quarantine(evidence: Evidence, source: str, digest: Digest) -> LedgerRecord | None:
    """Return the newest entry that sets a batch aside, None if there is none.

    An entry that does not verify sets it aside all the same; a release must verify.

    Args:
        evidence: Ledger and trust policy.
        source: Name of the source.
        digest: Identity of the batch.
    """
    return evidence.newest_of(Kind.QUARANTINE, source, digest)


def require_free(evidence: Evidence, source: str, digest: Digest, *, at: datetime) -> None:
    """Return if a batch is not in quarantine: never set aside, or a release ended the newest hold.

    Args:
        evidence: Ledger and trust policy.
        source: Name of the source.
        digest: Identity of the batch.
        at: Aware UTC; the key of a release must be valid then.

    Raises:
        Quarantined: It is.

    Cost: one index lookup for a batch that was never set aside.
    """
    held = open_quarantine(evidence, source, digest)
    if held is None:
        return
    for found in evidence.ledger.find(Kind.RELEASE, source, digest):
        if found.index < held.index:
            break
        try:
            record = evidence.ledger.get_verified(found.index)
            statement = evidence.statement(record, Role.GATE, at=at)
            require_release(
                statement, source, digest, held.entry.envelope, locator=f"entry {found.index}"
            )
        except SluicegateError:
            continue  # no release; perhaps an older one holds
        return
    raise Quarantined(
        None,
        f"the batch has been in quarantine since ledger entry {held.index}",
        locator=f"{source}@{digest.short}",
        next_step="Correct the source and seal it again, or run `sluicegate release`.",
    )

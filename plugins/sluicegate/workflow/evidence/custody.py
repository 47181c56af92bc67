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
    """Return the entry that keeps a batch from training, None if there is none.

    An entry that does not verify keeps it all the same; a release must verify.
    """
    return evidence.newest_of(Kind.QUARANTINE, source, digest)


def require_free(evidence: Evidence, source: str, digest: Digest, *, at: datetime) -> None:
    """Return unless the newest quarantine of a batch was not ended by a release.

    Raises:
        Quarantined: It is in quarantine.

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
        f"the batch is in quarantine since ledger entry {held.index}",
        locator=f"{source}@{digest.short}",
        next_step="Correct the source and seal it again, or run `sluicegate release`.",
    )

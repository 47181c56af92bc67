"""Whether a partition of a joint batch is in quarantine. The gate checked everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.digest.algorithms import Digest
from sluicegate.errors import GateBlocked
from sluicegate.signals.decision.record import PARTS
from sluicegate.workflow.evidence.custody import require_free

if TYPE_CHECKING:
    from datetime import datetime

    from sluicegate.attest.statement import Statement
    from sluicegate.workflow.evidence.verified import Evidence


def require_free_parts(evidence: Evidence, test_result: Statement, *, at: datetime) -> None:
    """Return if no partition of a joint batch is in quarantine.

    Args:
        evidence: Ledger and trust policy.
        test_result: The test result of the verdict on the joint batch, verified.
        at: Aware UTC.

    Raises:
        GateBlocked: A partition is in quarantine.

    Cost: one look-up for each source of partitions, if nothing of it was ever set aside.
    """
    named = _named_parts(test_result)
    for source in sorted({source for source, _ in named}):
        for held in sorted(evidence.ever_aside(source)):
            if (source, held) in named:
                try:
                    require_free(evidence, source, Digest.parse(held), at=at)
                except GateBlocked as blocked:
                    raise GateBlocked(
                        blocked.verdict,
                        f"a partition of the joint batch no longer counts: {blocked.what}",
                        locator=blocked.locator,
                        next_step="Release it, or seal and judge a whole without it.",
                    ) from None


def _named_parts(test_result: Statement) -> set[tuple[str, str]]:
    try:
        records = test_result.predicate["sluicegate"]["records"]
        found = [name for r in records if r["code"] == PARTS for name in r["evidence"]["parts"]]
        return {(source, digest) for source, _, digest in (n.rpartition("@") for n in found)}
    except (KeyError, TypeError, AttributeError):
        return set()  # judged without partitions

"""Whether what a verdict rests on still counts. Each piece is checked again before training.

A verdict says what the gate found on its day. Since then a key may have been revoked, or a batch
set aside. Then the verdict rests on nothing, however valid its own signature is. The checks:

1. The test result that it names is in the ledger, says the same, and the gate role signed it
                                               (verdict without findings, mix and match)
2. The baseline role signed each baseline that it names, for this source
                                               (stolen baseline key)
3. No batch behind these baselines is in quarantine, or failed since
                                               (slow poisoner, found out later)
4. No partition of a joint batch is in quarantine
                                               (poison found out in one part)
5. No batch that a small one was judged together with is in quarantine
                                               (poison found out beside it)

A key or baseline that only expired since then still counts: it had to be valid when the gate used
it, and the verdict has an expiry of its own. A revoked key counts for nothing that it ever signed.
Seal, provenance, verdict, waiver and release are checked where they are looked up. Nobody checks by
which baselines the batches behind a baseline were judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.digest.algorithms import Digest
from sluicegate.errors import GateBlocked
from sluicegate.gate.promotion import lane_of, promotion_from_statement
from sluicegate.workflow.admission.parts import require_free_parts
from sluicegate.workflow.baselines.inputs import require_free_inputs, require_sound_inputs
from sluicegate.workflow.baselines.rests_on import baselines_of, inputs_of, require_test_result
from sluicegate.workflow.evidence.custody import require_free

if TYPE_CHECKING:
    from datetime import datetime

    from sluicegate.gate.verdict import Verdict
    from sluicegate.workflow.evidence.batch import IssuedVerdict
    from sluicegate.workflow.evidence.verified import Evidence


def require_standing(evidence: Evidence, issued: IssuedVerdict, *, at: datetime) -> None:
    """Return if everything under a verdict on a batch still counts.

    Args:
        evidence: Ledger and trust policy.
        issued: The verdict, verified.
        at: Aware UTC; revocations and quarantines until then count.

    Raises:
        GateBlocked: A batch that the verdict rests on was set aside, or failed since.
        EvidenceMissing: The ledger does not hold a piece.
        VerificationError: A piece does not hold, or one of its keys is revoked.

    Cost: one look-up, one proof and one signature for the test result and for each baseline; about
        1 ms of CPU for each batch behind a promoted baseline.
    """
    require_free_parts(evidence, require_test_result(evidence, issued, at=at), at=at)
    _require_free_pool(evidence, issued.verdict, at=at)
    for statement in baselines_of(evidence, issued, at=at):
        if lane_of(statement):
            promotion = promotion_from_statement(statement, locator="promotion")
            require_sound_inputs(evidence, promotion, at=at)
        else:
            require_free_inputs(evidence, issued.verdict.source, inputs_of(statement), at=at)


def _require_free_pool(evidence: Evidence, verdict: Verdict, *, at: datetime) -> None:
    named = set() if verdict.pool is None else set(map(str, verdict.pool.batches))
    for held in sorted(named & evidence.ever_aside(verdict.source)) if named else ():
        try:
            require_free(evidence, verdict.source, Digest.parse(held), at=at)
        except GateBlocked as blocked:
            raise GateBlocked(
                blocked.verdict,
                f"a batch that this one was judged together with no longer counts: {blocked.what}",
                locator=blocked.locator,
                next_step="Run the gate again: it judges without that batch.",
            ) from None

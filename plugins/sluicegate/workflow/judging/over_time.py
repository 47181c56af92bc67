"""SEQUENCE in the gate: a batch judged together with the batches that were trained on before it.

The history is what the ledger keeps: the signed findings of earlier verdicts on the same source
against the same baseline, one verdict for each batch. Blocked batches are left out: nobody trained
on them, and a poisoned batch must not hold up all honest ones after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.attest.timestamps import parse_timestamp
from sluicegate.attest.trust import Role
from sluicegate.errors import SluicegateError
from sluicegate.gate.promotion import Lane
from sluicegate.gate.verdict import AS_OF, verdict_from_statement
from sluicegate.ledger.entry import Kind
from sluicegate.signals.decision.record import SEQUENCE, Family, SignalRecord, Status
from sluicegate.workflow.evidence.kept_findings import kept_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sluicegate.digest.algorithms import Digest
    from sluicegate.gate.policy import Policy
    from sluicegate.gate.pool import Pool
    from sluicegate.gate.verdict import Verdict
    from sluicegate.signals.labels.excess import Step
    from sluicegate.workflow.evidence.batch import SealedBatch
    from sluicegate.workflow.evidence.verified import Evidence

N_VERDICTS: Final = 200
"""How many of the newest verdicts are read; each costs two proofs and two signatures."""


def sequence_records(
    evidence: Evidence,
    policy: Policy,
    batch: SealedBatch,
    baseline: Digest,
    records: Sequence[SignalRecord],
    *,
    pool: Pool | None = None,
    at: datetime,
    then: datetime,
) -> tuple[SignalRecord, ...]:
    """Judge a batch together with those before it.

    Args:
        evidence: Ledger and trust policy.
        policy: Of the source; its budget of false blocks holds for the whole sequence.
        batch: The batch that is judged.
        baseline: The anchored one.
        records: Findings of this batch.
        pool: What it was judged together with, if it is small.
        at: Aware UTC; keys must be valid then.
        then: The batch is judged as this day would have; batches of later days do not count.

    Returns:
        One record. It is NOT_EVALUATED if an earlier verdict cannot be verified, because a
        history with gaps says nothing about a slow change.

    Cost: the verification of at most 200 verdicts, and `sequence_record`.
    """
    from sluicegate.signals.labels.sequence import sequence_record

    try:
        past = _past(evidence, batch, baseline, pool, at=at, then=then)
    except SluicegateError as error:
        return (_blind(f"an earlier verdict cannot be verified: [{error.code}] {error.what}"),)
    own, naming = _anchored(records), policy.naming
    # Pools that share no row can be cut in as many ways as one has batches; each is a sequence.
    budget = policy.false_block_budget / (1 if pool is None else 1 + len(pool.batches))
    return (sequence_record(own, past, alpha=budget, overrides=policy.tolerances, naming=naming),)


def _past(
    evidence: Evidence,
    batch: SealedBatch,
    baseline: Digest,
    pool: Pool | None,
    *,
    at: datetime,
    then: datetime,
) -> list[Step | None]:
    """Return what each earlier batch added, oldest first. The newest verdict on a batch counts.

    The verdict on a small batch speaks of a pool. Rows count once, so of pools that have a batch in
    common the newest counts.
    """
    from sluicegate.signals.labels.sequence import step_of

    steps: dict[str, Step | None] = {}
    told = _batches(batch.digest, pool)
    found = evidence.ledger.find(Kind.VERDICT, batch.source, limit=N_VERDICTS)
    for index in [record.index for record in found]:
        record = evidence.ledger.get_verified(index)
        statement = evidence.statement(record, Role.GATE, at=at)
        verdict = verdict_from_statement(statement, locator=f"ledger entry {index}")
        name = str(verdict.digest)
        if name in steps or verdict.digest == batch.digest:
            continue
        steps[name] = None
        its = _batches(verdict.digest, verdict.pool)
        if _counts(verdict, baseline, then) and not its & told:
            told |= its
            named = str(statement.predicate["sluicegate"]["testResult"])
            steps[name] = step_of(_anchored(kept_records(evidence, named, at=at)))
    return list(reversed(steps.values()))


def _counts(verdict: Verdict, baseline: Digest, then: datetime) -> bool:
    as_of = verdict.run.get(AS_OF)
    day = verdict.issued if as_of is None else parse_timestamp(as_of)
    return verdict.result is not Status.FAILED and verdict.baseline == baseline and day <= then


def _batches(digest: Digest, pool: Pool | None) -> set[Digest]:
    return {digest, *(() if pool is None else pool.batches)}


def _anchored(records: Iterable[SignalRecord]) -> list[SignalRecord]:
    """Leave out what was found against the rolling baseline, which follows a slow change."""
    return [r for r in records if r.evidence.get("baseline") != Lane.ROLLING.value]


def _blind(reason: str) -> SignalRecord:
    return SignalRecord(
        code=SEQUENCE,
        family=Family.LABEL,
        status=Status.NOT_EVALUATED,
        message=f"{SEQUENCE}: not evaluated: {reason}. Audit the ledger.",
    )

"""Judge a sealed batch of a source and record the verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sluicegate import __version__
from sluicegate.attest import dsse
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.canonical import dumps
from sluicegate.gate.judgement import Compared, asks, judge
from sluicegate.gate.kept_shapes import kept_shapes, of_batch_or_pool, shapes_to_json
from sluicegate.gate.pool import Of, both
from sluicegate.gate.promotion import Lane
from sluicegate.gate.verdict import AS_OF, Verdict, test_result_statement
from sluicegate.gate.worst_rows import KeptRows
from sluicegate.signals.decision.record import SEQUENCE, Status
from sluicegate.workflow.judging.case import open_case
from sluicegate.workflow.judging.counted_rows import CountedRows
from sluicegate.workflow.judging.over_time import sequence_records
from sluicegate.workflow.judging.partitions import part_records
from sluicegate.workflow.judging.pooling import gather, left_by, pooled_signals
from sluicegate.workflow.judging.portions import joined
from sluicegate.workflow.judging.reruns import same_verdict
from sluicegate.workflow.judging.unjudged import column_records, unjudged_records
from sluicegate.workflow.judging.worst_rows import worst_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from sluicegate.adapters.tally_store import TallyStore
    from sluicegate.attest.keys import Signer
    from sluicegate.attest.statement import Statement
    from sluicegate.digest.algorithms import Digest
    from sluicegate.gate.judgement import Judgement
    from sluicegate.gate.policy import Policy
    from sluicegate.gate.pool import Pool
    from sluicegate.gate.verdict import Reason
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.workflow.baselines.signed import SignedBaseline
    from sluicegate.workflow.evidence.batch import IssuedVerdict, SealedBatch
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.judging.case import Case
    from sluicegate.workflow.judging.partitions import Part
    from sluicegate.workflow.judging.pooling import Gathered
    from sluicegate.workflow.judging.runners import Evaluation, Runner
    from sluicegate.workflow.judging.tally import Tally


Tallies = tuple["TallyStore", "Sequence[str]"]
"""Where the tallies of a batch lie, and the location of each."""


@dataclass(frozen=True, slots=True)
class GateSigners:
    """Keys that a gate task needs; training tasks never see them."""

    gate: Signer
    ledger: Signer


def gate_source(
    home: SluiceHome,
    source: str,
    *,
    signers: GateSigners,
    at: datetime,
    run: Mapping[str, str],
    runner: Runner,
    filesystem: Any = None,
    digest: Digest | None = None,
    as_of: datetime | None = None,
    parts: Sequence[Part] | None = None,
    policy: Policy | None = None,
    tallies: Tallies | None = None,
) -> tuple[IssuedVerdict, SealedBatch]:
    """Judge a sealed batch of a source, sign the verdict and append it.

    Args:
        home: Paths of the installation.
        source: Name of the source.
        signers: Gate and ledger keys.
        at: Aware UTC.
        run: Who judges: orchestrator, DAG, run and task ids, or the command line.
        runner: Evaluates the signals, with Great Expectations or without.
        filesystem: fsspec file system with credentials, for a batch in an object store.
        digest: Judge this sealed batch; the newest when None.
        as_of: Judge by the baselines that were in force at this instant; now when None.
        parts: Partitions that the batch consists of; each needs a verdict of its own.
        policy: What the policy file says, all sources; read here when None. Whoever acts on the
            verdict reads it before, so that judging and acting go by one reading.
        tallies: Where portions of the batch were counted; then no row is read here, and the
            verdict is the same to the byte.

    Returns:
        The verdict, whatever it says, and the batch it is about. If the same task of the same run
        issued a verdict before and would only repeat it, that earlier verdict.

    Raises:
        SluicegateError: The batch could not be judged. Then no verdict exists and nothing trains.

    Cost:
        One verified read of the batch, in which rows are counted beside all baselines and are not
        kept, and two signatures. For a batch of few rows, or few known labels, also `gather`, and
        the profile of up to some 250 rows; twice if they fail. A long batch of few labels is read
        twice.
    """
    case = open_case(
        home,
        source,
        at=at,
        as_of=as_of,
        digest=digest,
        policy=policy,
        filesystem=filesystem,
        ledger_signer=signers.ledger,
    )
    evidence, batch, baselines, policy = case.evidence, case.batch, case.signed, case.policy
    first = case.anchored
    counted: CountedRows | Tally = CountedRows(case)
    # What is judged together with other batches is judged as rows: a pool needs them.
    if tallies is not None and not (tally := joined(case, *tallies)).too_few:
        counted, runner = tally, tally.evaluate
    found, gathered = _found(case, counted, runner)
    compared, suite = _compared(found, baselines), _suite(found)
    alone = [*unjudged_records(counted.unjudged), *column_records(first.baseline, counted.schema)]
    alone += counted.limits()
    if parts is not None:
        alone += part_records(evidence, case.rules, batch, parts, at=at, filesystem=filesystem)
    if asks(policy, SEQUENCE):
        anchored, own = first.baseline.digest, compared[0].records
        alone += sequence_records(
            evidence,
            policy,
            batch,
            anchored,
            own,
            pool=None if gathered is None else gathered.pool,
            at=at,
            then=case.then,
        )
    judged = judge(policy, compared, alone)
    if case.then < at:
        run = {**run, AS_OF: format_timestamp(case.then)}
    verdict = _verdict(batch, baselines, policy, judged, suite, at=at, run=run)
    if batch.table is None:
        verdict = replace(verdict, csv=case.dialect)
    if gathered is not None:
        pool = _judged_pool(gathered, judged, runner, baselines, policy)
        verdict = replace(verdict, pool=pool)
    if (again := same_verdict(evidence, verdict, at=at)) is not None:
        return again, batch
    kept = {"shapes": _shapes(found, baselines, judged), **_rows(case, counted, judged)}
    details = test_result_statement(
        verdict, judged.records, batch.subjects, policy=policy.raw, kept=kept
    )
    envelopes = _sign(verdict, batch, details, signers.gate)
    evidence.require_signed(
        [dsse.Envelope.from_bytes(envelope) for _, envelope in envelopes], Role.GATE, at=at
    )
    # The anchored baseline goes last, because an export holds the newest of each kind.
    used = [("baseline", baselines[lane].envelope) for lane in reversed(Lane) if lane in baselines]
    evidence.append(source, batch.digest, [*used, *envelopes])
    return evidence.verdict_of(source, batch.digest, at=at), batch


def _found(
    case: Case, counted: CountedRows | Tally, runner: Runner
) -> tuple[list[Evaluation], Gathered | None]:
    """Evaluate a batch, together with those before it where its rows or labels are few."""
    baselines, policy = case.signed, case.policy
    few = counted.few()
    n_judged = 1 if few is None and not counted.lacks_labels else 2
    found = _evaluated(runner, counted.rows(), baselines, policy, n_judged)
    late = None if few is not None else counted.labelled()
    if few is None and late is None:
        return found, None
    if n_judged == 1:  # nobody looked far enough ahead
        n_judged = 2
        found = _evaluated(runner, case.rows(), baselines, policy, n_judged)
    gathered = gather(
        case.evidence,
        policy,
        case.batch,
        few if late is None else late,
        of=Of.ROWS if late is None else Of.LABELS,
        anchored=case.anchored.baseline,
        is_input=case.stands_behind,
        at=case.at,
        filesystem=case.filesystem,
        dialect=case.dialect,
    )
    if gathered.earlier is None:
        return found, gathered
    beside = _evaluated(runner, gathered.rows.to_batches(), baselines, policy, n_judged)
    shared = pooled_signals(gathered.pool.of)
    return [_both(a, b, shared) for a, b in zip(found, beside, strict=True)], gathered


def _both(own: Evaluation, pooled: Evaluation, shared: Collection[str]) -> Evaluation:
    asked = (r for r in pooled.records if r.code in shared)
    accused = [r.column for r in asked if r.status in (Status.FAILED, Status.WARNED)]
    return replace(
        own,
        records=both(own.records, pooled.records, shared),
        shapes=of_batch_or_pool(own.shapes, pooled.shapes, accused),
    )


def _evaluated(
    runner: Runner,
    rows: Iterable[pa.RecordBatch],
    baselines: Mapping[Lane, SignedBaseline],
    policy: Policy,
    n_judged: int = 1,
) -> list[Evaluation]:
    """Evaluate rows beside each baseline, in the order of lanes.

    A batch and its pool are judged, each by all baselines: they share the budget.
    """
    lanes = [lane for lane in Lane if lane in baselines]
    budget = policy.false_block_budget / (len(lanes) * n_judged)
    shared = replace(policy, false_block_budget=budget)
    return runner(rows, [baselines[lane].baseline for lane in lanes], shared)


def _compared(
    found: Sequence[Evaluation], baselines: Mapping[Lane, SignedBaseline]
) -> list[Compared]:
    from sluicegate.signals.registry import expected_findings

    compared = []
    for own, lane in zip(found, (lane for lane in Lane if lane in baselines), strict=True):
        told = own.records if lane is Lane.ANCHORED else tuple(map(_of_rolling, own.records))
        compared.append(Compared(told, expected_findings(baselines[lane].baseline)))
    return compared


def _shapes(
    found: Sequence[Evaluation], baselines: Mapping[Lane, SignedBaseline], judged: Judgement
) -> dict[str, Any]:
    """Return what the test result keeps of how columns are spread."""
    lanes = (lane for lane in Lane if lane in baselines)
    schema = baselines[Lane.ANCHORED].baseline.schema
    by_lane = {lane: own.shapes for lane, own in zip(lanes, found, strict=True)}
    return shapes_to_json(kept_shapes(by_lane, judged.reasons, (schema.label, schema.contributor)))


def _rows(case: Case, counted: CountedRows | Tally, judged: Judgement) -> dict[str, Any]:
    """Return what the test result keeps of the worst rows, if the policy asks for them."""
    rules, codes = case.policy.worst_rows, {reason.code for reason in judged.reasons}
    if rules is None or not codes:
        return {}
    if not isinstance(counted, CountedRows):
        return {"rows": KeptRows(0, (), "the batch was counted in portions").to_json()}
    return {"rows": worst_rows(case, rules, codes, counted.n_rows).to_json()}


def _suite(found: Sequence[Evaluation]) -> Digest:
    suites = [evaluation.suite for evaluation in found]
    return suites[0] if len(set(suites)) == 1 else sha256_bytes(dumps([str(s) for s in suites]))


def _judged_pool(
    gathered: Gathered,
    judged: Judgement,
    runner: Runner,
    baselines: Mapping[Lane, SignedBaseline],
    policy: Policy,
) -> Pool:
    """Return the pool as the verdict tells it."""

    def without() -> Sequence[Reason]:
        assert gathered.earlier is not None  # noqa: S101 - or nobody asks
        earlier = gathered.earlier.to_batches()
        found = _evaluated(runner, earlier, baselines, policy, n_judged=2)  # as the pool was
        return judge(policy, _compared(found, baselines)).reasons

    return replace(gathered.pool, left=left_by(gathered, judged, policy, without))


def _of_rolling(record: SignalRecord) -> SignalRecord:
    return replace(
        record,
        message=f"rolling baseline: {record.message or record.code}",
        evidence={**record.evidence, "baseline": Lane.ROLLING.value},
    )


def _verdict(
    batch: SealedBatch,
    baselines: Mapping[Lane, SignedBaseline],
    policy: Policy,
    judged: Judgement,
    suite: Digest,
    *,
    at: datetime,
    run: Mapping[str, str],
) -> Verdict:
    rolling = baselines.get(Lane.ROLLING)
    return Verdict(
        result=judged.result,
        source=batch.source,
        digest=batch.digest,
        baseline=baselines[Lane.ANCHORED].baseline.digest,
        rolling=None if rolling is None else rolling.baseline.digest,
        policy=policy.digest,
        suite=suite,
        code_version=__version__,
        run=run,
        mode=policy.mode,
        issued=at,
        expires=at + timedelta(seconds=policy.verdict_ttl_s),
        reasons=judged.reasons,
    )


def _sign(
    verdict: Verdict, batch: SealedBatch, details: Statement, signer: Signer
) -> list[tuple[str, bytes]]:
    """Return the signed test result and the signed verdict that names it."""
    details_envelope = dsse.sign(details.to_bytes(), signer).to_bytes()
    statement = verdict.to_statement(batch.subjects, sha256_bytes(details_envelope))
    return [
        ("test-result", details_envelope),
        ("verdict", dsse.sign(statement.to_bytes(), signer).to_bytes()),
    ]

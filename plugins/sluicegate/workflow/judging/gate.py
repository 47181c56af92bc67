"""Judge a sealed batch of a source and record the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sluicegate import __version__
from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest import dsse
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import Digest, files_under, sha256_bytes
from sluicegate.digest.canonical import dumps
from sluicegate.errors import ConfigError, EvidenceMissing
from sluicegate.gate.judgement import Compared, asks, judge, require_usable
from sluicegate.gate.pool import Of, both
from sluicegate.gate.promotion import Lane
from sluicegate.gate.verdict import AS_OF, Verdict, test_result_statement
from sluicegate.signals.decision.record import SEQUENCE
from sluicegate.workflow.admission.freshness import require_fresh_seal
from sluicegate.workflow.baselines.in_force import baselines_in_force
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.judging.counted_rows import CountedRows
from sluicegate.workflow.judging.over_time import sequence_records
from sluicegate.workflow.judging.partitions import Part, part_records
from sluicegate.workflow.judging.pooling import gather, left_by, pooled_signals
from sluicegate.workflow.judging.reruns import same_verdict
from sluicegate.workflow.judging.unjudged import column_records, unjudged_records
from sluicegate.workflow.sealing.sealed_rows import batch_rows, files_of

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.adapters.files.formats import Unjudged
    from sluicegate.attest.keys import Signer
    from sluicegate.gate.judgement import Judgement
    from sluicegate.gate.policy import Policy
    from sluicegate.gate.pool import Pool
    from sluicegate.gate.verdict import Reason
    from sluicegate.profiling.csv_dialect import CsvDialect
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.workflow.baselines.signed import SignedBaseline
    from sluicegate.workflow.evidence.batch import IssuedVerdict, SealedBatch
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence
    from sluicegate.workflow.judging.pooling import Gathered


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a runner found: the records, and the digest of the list of signals it evaluated."""

    records: tuple[SignalRecord, ...]
    suite: Digest


Runner = Callable[["Iterable[pa.RecordBatch]", "Sequence[Baseline]", "Policy"], "list[Evaluation]"]
"""Reads the rows once, and returns what it found beside each baseline."""


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

    Returns:
        The verdict, whatever it says, and the batch it is about. If the same task of the same run
        issued a verdict before and would only repeat it, that earlier verdict.

    Raises:
        SluicegateError: The batch could not be judged. Then no verdict exists and nothing trains.

    Cost:
        One verified read of the batch, in which rows are counted beside all baselines and are not
        kept, and two signatures. For a batch of few rows, or few known labels, also `gather`, and
        the profile of up to some 250 rows; twice if they fail.
    """
    rules = read_policy(home.policy) if policy is None else policy
    policy = rules.for_source(source)
    require_usable(policy)
    evidence = open_evidence(home, at=at, ledger_signer=signers.ledger)
    if digest is None:
        batch = evidence.latest_seal(source, at=at)
    else:
        batch = evidence.seal_of(source, digest, at=at)
    then = at if as_of is None else min(as_of, at)
    baselines = baselines_in_force(home, evidence, source, at=at, as_of=then)
    _refuse_own(batch, baselines, source, filesystem)
    _require_fresh(evidence, batch, baselines, policy, at=at, then=then)
    unjudged: list[Unjudged] = []
    dialect = _dialect(baselines, source)
    first = baselines[Lane.ANCHORED]
    counted = CountedRows(
        batch_rows(batch, filesystem, dialect=dialect, limits=policy.limits, unjudged=unjudged),
        first.baseline,
        policy,
    )
    few = counted.few()
    n_judged = 2 if few is not None or counted.lacks_labels else 1
    found = _evaluated(runner, counted.rows(), baselines, policy, n_judged)
    late = None if few is not None else counted.labelled()
    gathered = None
    if few is not None or late is not None:
        gathered = gather(
            evidence,
            policy,
            batch,
            few if late is None else late,
            of=Of.ROWS if late is None else Of.LABELS,
            anchored=first.baseline,
            is_input=lambda b: any(_is_among(b, s.inputs, filesystem) for s in baselines.values()),
            at=at,
            filesystem=filesystem,
            dialect=dialect,
        )
    if gathered is not None and gathered.earlier is not None:
        beside = _evaluated(runner, gathered.rows.to_batches(), baselines, policy, n_judged)
        found = [
            replace(
                own, records=both(own.records, pooled.records, pooled_signals(gathered.pool.of))
            )
            for own, pooled in zip(found, beside, strict=True)
        ]
    compared, suite = _compared(found, baselines), _suite(found)
    alone = [*unjudged_records(unjudged), *column_records(first.baseline, counted.schema)]
    alone += counted.limits()
    if parts is not None:
        alone += part_records(evidence, rules, batch, parts, at=at, filesystem=filesystem)
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
            then=then,
        )
    judged = judge(policy, compared, alone)
    if then < at:
        run = {**run, AS_OF: format_timestamp(then)}
    verdict = _verdict(batch, baselines, policy, judged, suite, at=at, run=run)
    if batch.table is None:
        verdict = replace(verdict, csv=dialect)
    if gathered is not None:
        pool = _judged_pool(gathered, judged, runner, baselines, policy)
        verdict = replace(verdict, pool=pool)
    if (again := same_verdict(evidence, verdict, at=at)) is not None:
        return again, batch
    envelopes = _sign(verdict, batch, judged, policy, signers.gate)
    evidence.require_signed(
        [dsse.Envelope.from_bytes(envelope) for _, envelope in envelopes], Role.GATE, at=at
    )
    # The anchored baseline goes last, because an export holds the newest of each kind.
    used = [("baseline", baselines[lane].envelope) for lane in reversed(Lane) if lane in baselines]
    evidence.append(source, batch.digest, [*used, *envelopes])
    return evidence.verdict_of(source, batch.digest, at=at), batch


def _refuse_own(
    batch: SealedBatch, baselines: Mapping[Lane, SignedBaseline], source: str, filesystem: Any
) -> None:
    """Refuse a batch that a baseline was built from."""
    for lane, baseline in baselines.items():
        if _is_among(batch, baseline.inputs, filesystem):
            raise ConfigError(
                f"the batch is part of the {lane} baseline that would judge it",
                locator=f"{source}@{batch.digest.short}",
                next_step="Judge it against a baseline built from other batches.",
            )


def _dialect(baselines: Mapping[Lane, SignedBaseline], source: str) -> CsvDialect:
    """Return how the baselines read CSV: one way, for a batch is read once."""
    declared = {lane: signed.baseline.schema.csv for lane, signed in baselines.items()}
    if len(set(declared.values())) > 1:
        raise ConfigError(
            "the rolling baseline reads CSV otherwise than the anchored one",
            locator=f"{source}: section csv of the schemas",
            next_step="Build both with the same section csv, and run the gate again.",
        )
    return declared[Lane.ANCHORED]


def _require_fresh(
    evidence: Evidence,
    batch: SealedBatch,
    baselines: Mapping[Lane, SignedBaseline],
    policy: Policy,
    *,
    at: datetime,
    then: datetime,
) -> None:
    where = f"{batch.source}@{batch.digest.short}"
    if missing := sorted(lane for lane in policy.promoted if not _is_promoted(baselines, lane)):
        raise EvidenceMissing(
            f"the policy asks for a promoted {missing[0]} baseline",
            locator=where,
            next_step="Promote one with `sluicegate baseline promote`.",
        )
    require_fresh_seal(evidence, policy, batch.source, batch.digest, at=at)
    if policy.freshness is not None:
        built = (signed.baseline.created for signed in baselines.values())
        # The first baseline also judges what is older than itself.
        then = min(at, max(then, *(signed.baseline.created for signed in baselines.values())))
        policy.freshness.require_baselines(built, at=then, locator=where)


def _is_promoted(baselines: Mapping[Lane, SignedBaseline], lane: Lane) -> bool:
    return lane in baselines and baselines[lane].promoted


def _is_among(batch: SealedBatch, inputs: frozenset[str], filesystem: Any) -> bool:
    """Return whether a baseline was built from a batch, even if they were hashed differently."""
    if str(batch.digest) in inputs:
        return True
    named = {name.partition(":")[0] for name in inputs} - {batch.digest.algorithm}
    others = [algorithm for name in sorted(named) if (algorithm := files_under(name))]
    if batch.table is not None or not others:
        return False
    data = files_of(batch, filesystem)
    return any(str(data.manifest(algorithm).digest) in inputs for algorithm in others)


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
    verdict: Verdict, batch: SealedBatch, judged: Judgement, policy: Policy, signer: Signer
) -> list[tuple[str, bytes]]:
    """Return the signed test result and the signed verdict that names it."""
    details = test_result_statement(verdict, judged.records, batch.subjects, policy=policy.raw)
    details_envelope = dsse.sign(details.to_bytes(), signer).to_bytes()
    statement = verdict.to_statement(batch.subjects, sha256_bytes(details_envelope))
    return [
        ("test-result", details_envelope),
        ("verdict", dsse.sign(statement.to_bytes(), signer).to_bytes()),
    ]

"""What is brought together before a batch is judged: the batch, its baselines, the policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluicegate.adapters.policy_file import read_policy
from sluicegate.digest.algorithms import files_under
from sluicegate.errors import ConfigError, EvidenceMissing
from sluicegate.gate.judgement import require_usable
from sluicegate.gate.promotion import Lane
from sluicegate.workflow.admission.freshness import require_fresh_seal
from sluicegate.workflow.baselines.in_force import baselines_in_force
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.sealing.sealed_rows import batch_rows, files_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import pyarrow as pa

    from sluicegate.adapters.files.formats import Unjudged
    from sluicegate.attest.keys import Signer
    from sluicegate.digest.algorithms import Digest
    from sluicegate.gate.policy import Policy
    from sluicegate.profiling.csv_dialect import CsvDialect
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.contributors.limits import LimitCounts
    from sluicegate.workflow.baselines.signed import SignedBaseline
    from sluicegate.workflow.evidence.batch import SealedBatch
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence


@dataclass(frozen=True, slots=True)
class Case:
    """What a gate judges, and by what. All of it is verified.

    Attributes:
        evidence: Ledger and trust policy.
        batch: The sealed batch.
        signed: Baselines in force, by lane.
        policy: The rules of the source.
        rules: What the policy file says, all sources.
        dialect: How text files are read.
        at: Aware UTC.
        then: As of when it is judged, at most ``at``.
        filesystem: What the caller has for a batch in an object store.
    """

    evidence: Evidence
    batch: SealedBatch
    signed: Mapping[Lane, SignedBaseline]
    policy: Policy
    rules: Policy
    dialect: CsvDialect
    at: datetime
    then: datetime
    filesystem: Any

    @property
    def anchored(self) -> SignedBaseline:
        """The baseline that every source has."""
        return self.signed[Lane.ANCHORED]

    @property
    def baselines(self) -> list[Baseline]:
        """What the batch is held against, the anchored one first."""
        return [self.signed[lane].baseline for lane in Lane if lane in self.signed]

    def rows(self, unjudged: list[Unjudged] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the verified rows of the batch.

        Args:
            unjudged: If given, files that no reader knows are added to it.
        """
        return batch_rows(
            self.batch,
            self.filesystem,
            dialect=self.dialect,
            limits=self.policy.limits,
            unjudged=[] if unjudged is None else unjudged,
        )

    def limit_counts(self) -> LimitCounts | None:
        """Return a count of what contributors deliver, without rows; None where nobody asks."""
        if self.policy.contributors is None:
            return None
        from sluicegate.signals.contributors.limits import LimitCounts

        schema = self.anchored.baseline.schema
        return LimitCounts(schema, self.policy.contributors, self.policy.naming)

    def stands_behind(self, batch: SealedBatch) -> bool:
        """Return whether a baseline that judges was built from a batch."""
        return any(_is_among(batch, s.inputs, self.filesystem) for s in self.signed.values())


def open_case(
    home: SluiceHome,
    source: str,
    *,
    at: datetime,
    as_of: datetime | None = None,
    digest: Digest | None = None,
    policy: Policy | None = None,
    filesystem: Any = None,
    ledger_signer: Signer | None = None,
) -> Case:
    """Bring together what is judged, and refuse what may not be.

    Args:
        home: Paths of the installation.
        source: Name of the source.
        at: Aware UTC.
        as_of: Judge by the baselines that were in force at this instant; now when None.
        digest: Judge this sealed batch; the newest when None.
        policy: What the policy file says, all sources; read here when None.
        filesystem: fsspec file system with credentials, for a batch in an object store.
        ledger_signer: Needed to append; None to read only.

    Raises:
        SluicegateError: The batch may not be judged, or something that it needs does not hold.
    """
    rules = read_policy(home.policy) if policy is None else policy
    policy = rules.for_source(source)
    require_usable(policy)
    evidence = open_evidence(home, at=at, ledger_signer=ledger_signer)
    if digest is None:
        batch = evidence.latest_seal(source, at=at)
    else:
        batch = evidence.seal_of(source, digest, at=at)
    then = at if as_of is None else min(as_of, at)
    baselines = baselines_in_force(home, evidence, source, at=at, as_of=then)
    _refuse_own(batch, baselines, source, filesystem)
    _require_fresh(evidence, batch, baselines, policy, at=at, then=then)
    dialect = _dialect(baselines, source)
    return Case(evidence, batch, baselines, policy, rules, dialect, at, then, filesystem)


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

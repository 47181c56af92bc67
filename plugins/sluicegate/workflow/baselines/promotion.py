"""Promote a baseline: build it from batches that passed, and have one or more people sign it.

Whoever confirms builds it again from the sealed bytes. So a signature says that the baseline
follows from its batches, and not only that a file looked right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sluicegate import __version__
from sluicegate.adapters.files.named_file import read_named, write_named
from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest import dsse
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import (
    ConfigError,
    DigestMismatch,
    EvidenceMissing,
    Expired,
    UntrustedKey,
)
from sluicegate.gate.promotion import Lane, Promotion, promotion_from_statement
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.baselines.in_force import anchored_baseline, body_path, read_body
from sluicegate.workflow.baselines.inputs import require_passed_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    import pyarrow as pa

    from sluicegate.attest.keys import Signer
    from sluicegate.attest.trust import TrustPolicy
    from sluicegate.gate.limits import Limits
    from sluicegate.profiling.csv_dialect import CsvDialect
    from sluicegate.profiling.schema import BatchSchema
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.workflow.evidence.batch import SealedBatch
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence

CONFIRM_WITHIN_S = 6 * 3600
"""Longest time to confirm: an audit calls a statement out of order if it is further behind."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """A proposal, and whether it is in force.

    Attributes:
        promotion: What was signed.
        n_signatures: Number of valid signatures of the baseline role.
        index: Its ledger entry; None while signatures are missing.
    """

    promotion: Promotion
    n_signatures: int
    index: int | None


def propose(
    home: SluiceHome,
    evidence: Evidence,
    source: str,
    *,
    lane: Lane,
    digests: Iterable[Digest],
    schema: BatchSchema,
    signer: Signer,
    run: Mapping[str, str],
    at: datetime,
    ttl: timedelta,
    golden: str | Path | None = None,
    seed: int = 0,
    filesystem: Any = None,
) -> Promoted:
    """Build a baseline from sealed batches that passed, and sign it as the first person.

    Args:
        home: Paths of the installation.
        evidence: Open for appending.
        source: Name of the source.
        lane: Which baseline it replaces.
        digests: Sealed batches to build it from, oldest first, each once.
        schema: Roles of the columns.
        signer: A key of the baseline role.
        run: Who proposes.
        at: Aware UTC.
        ttl: How long it may judge.
        golden: Held-out trusted data; the baseline finds its rows in later batches.
        seed: Seed of every random choice.
        filesystem: fsspec file system with credentials, for batches in an object store.

    Raises:
        ConfigError: No batch is named, one is named twice, or there is no golden set although the
            baseline in force has one.
        GateBlocked: A batch did not pass, or is in quarantine.
        VerificationError: The key may not approve baselines.

    Cost: one verified read of the batches, and the time to build the baseline.
    """
    home.require_directory("a proposed baseline")
    inputs = tuple(digests)
    if not inputs or len(set(inputs)) != len(inputs):
        raise ConfigError("a baseline needs batches, each once", locator=source)
    for digest in inputs:
        require_passed_batch(evidence, source, digest, at=at)
    _require_golden_kept(home, evidence, source, golden, at=at)
    body = _build(
        evidence,
        source,
        inputs,
        schema,
        golden,
        at=at,
        now=at,
        ttl=ttl,
        seed=seed,
        fs=filesystem,
        limits=_limits(home, source),
    )
    promotion = Promotion(
        source=source,
        lane=lane,
        baseline=body.digest,
        inputs=inputs,
        rows=body.n_rows,
        created=at,
        expires=at + ttl,
        seed=seed,
        run=run,
        code_version=__version__,
    )
    envelope = dsse.sign(promotion.to_statement().to_bytes(), signer)
    _alone(evidence).verify(envelope, Role.BASELINE, at=at, locator="promotion")
    _write(body_path(home, source, body.digest), body.to_bytes())
    return _complete(home, evidence, envelope, promotion, at=at)


def confirm(
    home: SluiceHome,
    evidence: Evidence,
    source: str,
    *,
    lane: Lane,
    signer: Signer,
    at: datetime,
    golden: str | Path | None = None,
    filesystem: Any = None,
) -> Promoted:
    """Build the proposed baseline again from the sealed bytes, and sign it as the next person.

    Args:
        home: Paths of the installation.
        evidence: Open for appending.
        source: Name of the source.
        lane: Which baseline is replaced.
        signer: Another key of the baseline role.
        at: Aware UTC.
        golden: The held-out data that the proposal was built with.
        filesystem: fsspec file system with credentials, for batches in an object store.

    Raises:
        EvidenceMissing: No baseline is proposed.
        ConfigError: This key has signed already.
        DigestMismatch: The batches give another baseline than the one proposed.
        Expired: The proposal is older than six hours.

    Cost: as `propose`.
    """
    home.require_directory("a confirmed baseline")
    path = _pending_path(home, source, lane)
    raw = read_named(path, "no baseline is proposed", error=EvidenceMissing)
    envelope = dsse.Envelope.from_bytes(raw, locator=str(path))
    statement = _alone(evidence).verify(envelope, Role.BASELINE, at=at, locator=str(path))
    promotion = promotion_from_statement(statement, locator=str(path))
    _require_mine(promotion, source, lane, at=at)
    if signer.public_key.key_id in {signature.key_id for signature in envelope.signatures}:
        raise ConfigError(
            "nobody may confirm their own proposal",
            locator=str(path),
            expected="another key of the baseline role",
        )
    for digest in promotion.inputs:
        require_passed_batch(evidence, source, digest, at=at)
    proposed = read_body(home, promotion)
    again = _build(
        evidence,
        source,
        promotion.inputs,
        proposed.schema,
        golden,
        at=promotion.created,
        now=at,
        ttl=promotion.expires - promotion.created,
        seed=promotion.seed,
        fs=filesystem,
        limits=_limits(home, source),
    )
    if again.digest != promotion.baseline:
        raise DigestMismatch(
            "the batches give another baseline than the one proposed",
            locator=str(path),
            expected=promotion.baseline.short,
            got=again.digest.short,
            next_step="Build with the same version and the same --golden, or propose again.",
        )
    own = dsse.sign(envelope.payload, signer)
    both = replace(envelope, signatures=(*envelope.signatures, *own.signatures))
    return _complete(home, evidence, both, promotion, at=at)


def _limits(home: SluiceHome, source: str) -> Limits:
    return read_policy(home.policy).for_source(source).limits


def _build(
    evidence: Evidence,
    source: str,
    inputs: Iterable[Digest],
    schema: BatchSchema,
    golden: str | Path | None,
    *,
    at: datetime,
    now: datetime,
    ttl: timedelta,
    seed: int,
    fs: Any,
    limits: Limits,
) -> Baseline:
    from sluicegate.adapters.files.promotion import as_one
    from sluicegate.adapters.sources.tables import open_table
    from sluicegate.signals.baseline.build import build_baseline
    from sluicegate.workflow.sealing.sealed_rows import batch_table, judged_dialect

    def parts() -> Iterator[tuple[str, list[pa.RecordBatch]]]:
        for digest in inputs:
            batch = evidence.seal_of(source, digest, at=now)
            # It passed, so whoever wrote the policy accepts what no reader knows.
            dialect = judged_dialect(evidence, batch, at=now)
            _require_same_dialect(batch, dialect, schema)
            table = batch_table(batch, fs, dialect=dialect, limits=limits, unjudged=[])
            yield f"{source}@{digest.short}", table.to_batches()

    return build_baseline(
        as_one(parts()),
        schema,
        created=at,
        seed=seed,
        golden=None if golden is None else open_table(golden, limits=limits, dialect=schema.csv),
        valid_for=ttl,
    )


def _require_same_dialect(batch: SealedBatch, judged: CsvDialect, schema: BatchSchema) -> None:
    """Return if a baseline would read a batch as the verdict on it did."""
    from sluicegate.workflow.sealing.sealed_rows import has_text

    if has_text(batch) and judged != schema.csv:
        raise ConfigError(
            "the batch was judged with another section csv than the schema has",
            locator=f"{batch.source}@{batch.digest.short}",
            next_step="Promote with the section csv of its verdict, or judge it again.",
        )


def _complete(
    home: SluiceHome,
    evidence: Evidence,
    envelope: dsse.Envelope,
    promotion: Promotion,
    *,
    at: datetime,
) -> Promoted:
    """Append the promotion if enough people signed; keep it pending otherwise."""
    path = _pending_path(home, promotion.source, promotion.lane)
    keys = _alone(evidence).check_signatures(envelope, Role.BASELINE, at=at, locator="promotion")
    try:
        evidence.require_signed([envelope], Role.BASELINE, at=at)
    except UntrustedKey:
        # Each signature holds by itself, so only more of them are missing.
        _write(path, envelope.to_bytes())
        return Promoted(promotion, len(keys), None)
    signed = [(Kind.PROMOTION, envelope.to_bytes())]
    evidence.append(promotion.source, promotion.baseline, signed)
    path.unlink(missing_ok=True)
    record = evidence.ledger.by_envelope(sha256_bytes(envelope.to_bytes()))
    return Promoted(promotion, len(keys), None if record is None else record.index)


def _require_mine(promotion: Promotion, source: str, lane: Lane, *, at: datetime) -> None:
    if (promotion.source, promotion.lane) != (source, lane):
        raise UntrustedKey("the proposal is for another source or lane", locator=source)
    if (at - promotion.created).total_seconds() > CONFIRM_WITHIN_S:
        raise Expired(
            "the proposal is too old to confirm",
            locator=source,
            expected=f"at most {CONFIRM_WITHIN_S // 3600} hours",
            next_step="Propose it again with `sluicegate baseline promote`.",
        )


def _require_golden_kept(
    home: SluiceHome, evidence: Evidence, source: str, golden: str | Path | None, *, at: datetime
) -> None:
    """Raise if the new baseline would no longer find leakage, because somebody forgot an option."""
    from sluicegate.signals.copies.golden import GOLDEN

    if golden is not None:
        return
    try:
        anchored = anchored_baseline(home, evidence, source, at=at)
    except (EvidenceMissing, UntrustedKey):
        return  # no baseline judges now, so nothing can be lost
    if GOLDEN.of(anchored).prints:
        raise ConfigError(
            "the baseline in force finds leakage of a golden set, and this one would not",
            locator=source,
            next_step="Name the golden set with --golden.",
        )


def _pending_path(home: SluiceHome, source: str, lane: Lane) -> Path:
    return home.baseline_dir(source) / f"pending-{lane.value}.intoto.json"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_named(path, data, "the promotion cannot be written")


def _alone(evidence: Evidence) -> TrustPolicy:
    return evidence.trust.with_rule(Role.BASELINE, threshold=1, required_algorithms=())

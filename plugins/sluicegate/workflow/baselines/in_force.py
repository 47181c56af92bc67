"""The baselines in force, as the ledger says.

The directory is not trusted. The newest promotion of a lane counts, and an older signed file that
somebody puts back is never read. The batches behind a baseline are checked again each time it
judges; see `workflow.baselines.inputs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.adapters.files.named_file import read_named
from sluicegate.attest import dsse
from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import parse_timestamp
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import (
    DigestMismatch,
    EvidenceMissing,
    Rollback,
    SluicegateError,
    UntrustedKey,
)
from sluicegate.gate.promotion import Lane, Promotion, lane_of, promotion_from_statement
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.baselines.inputs import require_free_inputs, require_sound_inputs
from sluicegate.workflow.baselines.signed import SignedBaseline, read_signed_baseline

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from datetime import datetime
    from pathlib import Path

    from sluicegate.digest.algorithms import Digest
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence


def baselines_in_force(
    home: SluiceHome,
    evidence: Evidence,
    source: str,
    *,
    at: datetime,
    as_of: datetime | None = None,
) -> dict[Lane, SignedBaseline]:
    """Return the baselines that judge a source: the anchored one, and the rolling one if any.

    Args:
        home: Paths of the installation.
        evidence: Ledger and trust policy.
        source: Name of the source.
        at: Aware UTC; signatures must hold then, and the batches behind a baseline must count then.
        as_of: Return those that were in force at this instant; ``at`` when None. The baseline of
            the directory, which nobody promoted, judges everything before the first promotion.

    Raises:
        EvidenceMissing: No anchored baseline was ever signed.
        Rollback: A baseline that nobody promoted is older than one that judged before.
        GateBlocked: A batch behind a promoted one does not count as passed any more.
        VerificationError: A promotion does not hold, or has expired.
        DigestMismatch: The file of a promoted baseline is another one.

    Cost: about 1 ms for each promotion, and for each batch behind it.
    """
    found: dict[Lane, SignedBaseline] = {}
    for promotion, envelope in _newest_promotions(evidence, source, found, at=at):
        then = at if as_of is None else min(as_of, at)
        if then < at and promotion.created > then:
            continue  # it came later
        promotion.require_current(then)
        require_sound_inputs(evidence, promotion, at=at)
        inputs = frozenset(map(str, promotion.inputs))
        found[promotion.lane] = SignedBaseline(
            read_body(home, promotion), inputs, envelope, promoted=True
        )
        if len(found) == len(Lane):
            break
    if Lane.ANCHORED not in found:
        directory = home.baseline_dir(source)
        first = read_signed_baseline(directory, source, evidence.trust, at=at)
        _require_not_older(evidence, source, first, str(directory))
        require_free_inputs(evidence, source, first.inputs, at=at)
        found[Lane.ANCHORED] = first
    return found


def anchored_baseline(
    home: SluiceHome, evidence: Evidence, source: str, *, at: datetime
) -> Baseline:
    """Return the anchored baseline in force, even if it or a batch behind it does not count now.

    Whoever replaces it needs this: a baseline that fell out of force must not keep out its
    successor.

    Args:
        home: Paths of the installation.
        evidence: Ledger and trust policy.
        source: Name of the source.
        at: Aware UTC; keys must be valid then.

    Raises:
        EvidenceMissing: No baseline was ever signed.
        VerificationError: The baseline or a promotion does not hold.
    """
    passed_over: dict[Lane, None] = {}
    for promotion, _ in _newest_promotions(evidence, source, passed_over, at=at):
        if promotion.lane is Lane.ANCHORED:
            return read_body(home, promotion)
        passed_over[promotion.lane] = None
    return read_signed_baseline(home.baseline_dir(source), source, evidence.trust, at=at).baseline


def _newest_promotions(
    evidence: Evidence, source: str, found: Container[str], *, at: datetime
) -> Iterator[tuple[Promotion, bytes]]:
    """Yield the newest promotion of each lane with its envelope, and no superseded one.

    The key of a superseded one may have expired since. Its claim to be of a lane that is found
    already can only leave it out, so the claim needs no verification.

    Raises:
        VerificationError: One that would be the newest of its lane does not hold.
    """
    for entry in evidence.ledger.find(Kind.PROMOTION, source):
        record = evidence.ledger.get_verified(entry.index)
        claimed = _claims(record.envelope)
        if claimed is not None and lane_of(claimed) in found:
            continue
        locator = f"ledger entry {record.index}"
        statement = evidence.statement(record, Role.BASELINE, at=at)
        promotion = promotion_from_statement(statement, locator=locator)
        if (promotion.source, str(promotion.baseline)) != (source, record.entry.subject):
            raise UntrustedKey("the promotion is about another baseline", locator=locator)
        yield promotion, record.envelope


def _require_not_older(
    evidence: Evidence, source: str, baseline: SignedBaseline, where: str
) -> None:
    """Raise if a later baseline has judged. An unverified claim is enough to stop."""
    for found in evidence.ledger.find(Kind.BASELINE, source):
        body = _claims(evidence.ledger.get_verified(found.index).envelope)
        if body is None or lane_of(body):
            continue  # a promoted one; the ledger itself keeps these in order
        used = parse_timestamp(str(body.predicate.get("created")), locator=where)
        if used > baseline.baseline.created:
            raise Rollback(
                "a later baseline has judged this source before",
                locator=where,
                expected=f"built at {used:%Y-%m-%dT%H:%M:%SZ} or later",
                got=f"{baseline.baseline.created:%Y-%m-%dT%H:%M:%SZ}",
                next_step="Restore the newest baseline, or promote one on purpose.",
            )
        return


def _claims(envelope: bytes) -> Statement | None:
    try:
        return Statement.from_bytes(dsse.Envelope.from_bytes(envelope).payload)
    except SluicegateError:
        return None


def read_body(home: SluiceHome, promotion: Promotion) -> Baseline:
    """Return the baseline that a promotion names, from a file that has its digest.

    Args:
        home: Paths of the installation.
        promotion: Verified; names the source and the digest.

    Raises:
        EvidenceMissing: The file is not there or cannot be read.
        DigestMismatch: The file holds other bytes.
        MalformedEnvelope: The bytes are no baseline.
    """
    from sluicegate.signals.baseline.stored import Baseline

    path = body_path(home, promotion.source, promotion.baseline)
    raw = read_named(
        path,
        "the promoted baseline cannot be read",
        error=EvidenceMissing,
        next_step="Restore the file, or promote a baseline again.",
    )
    if (found := sha256_bytes(raw)) != promotion.baseline:
        raise DigestMismatch(
            "the baseline is not the one that was promoted",
            locator=str(path),
            expected=promotion.baseline.short,
            got=found.short,
            next_step="Restore the promoted baseline.",
        )
    return Baseline.from_bytes(raw, locator=str(path))


def body_path(home: SluiceHome, source: str, digest: Digest) -> Path:
    """Return the file of a promoted baseline, named by digest, so that none replaces another.

    Args:
        home: Paths of the installation.
        source: Name of the source.
        digest: SHA-256 of the baseline's bytes.

    Raises:
        ConfigError: ``source`` is not a source name.
    """
    return home.baseline_dir(source) / "promoted" / f"{digest.hex}.json"

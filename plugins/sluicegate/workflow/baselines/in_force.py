"""The baselines in force, as the ledger says.

The directory is not believed: the newest promotion of a lane counts, and an older signed file
that somebody puts back is never looked at. Only batches that a gate passed may stand behind
a promoted baseline, and they are asked again each time it judges.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sluicegate.adapters.files.named_file import read_named
from sluicegate.attest import dsse
from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import parse_timestamp
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import (
    DigestMismatch,
    EvidenceMissing,
    GateBlocked,
    Rollback,
    SluicegateError,
    UntrustedKey,
)
from sluicegate.gate.policy import Mode
from sluicegate.gate.promotion import Lane, Promotion, lane_of, promotion_from_statement
from sluicegate.gate.verdict import verdict_from_statement
from sluicegate.ledger.entry import Kind
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.baselines.signed import SignedBaseline, read_signed_baseline
from sluicegate.workflow.evidence.custody import require_free

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

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
        at: Aware UTC; signatures must hold now, and batches behind a baseline count now.
        as_of: Those in force then; now when None. The directory's own baseline, which nobody
            promoted, is the first one, and judges everything before the first promotion.

    Raises:
        EvidenceMissing: No anchored baseline was ever signed.
        Rollback: A baseline that nobody promoted is older than one that judged before.
        GateBlocked: A batch behind a promoted one does not count as passed any more.
        VerificationError: A promotion does not hold, or has expired.
        DigestMismatch: The file of a promoted baseline is another one.

    Cost: about 1 ms a promotion and a batch behind it.
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
    """Return the anchored baseline in force, although it or a batch behind it may not count now.

    For whoever replaces it: a baseline that fell out of force must not keep out its successor.

    Raises:
        EvidenceMissing: None was ever signed.
        VerificationError: It does not hold.
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

    A superseded one may have been signed with a key that has expired since. Its claim to be of a
    lane that is found already can only leave it out, so nobody need verify it.

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


def require_passed_batch(evidence: Evidence, source: str, digest: Digest, *, at: datetime) -> None:
    """Return if a batch may stand behind a baseline: judged PASSED, enforced, not set aside.

    A verdict that has expired since still says what the batch was, and so does one whose key
    has expired; a revoked key says nothing. Which baseline had judged it is not asked: after a
    baseline's key was revoked, batches that passed must be able to bring forth its successor.

    Raises:
        GateBlocked: WARNED, FAILED, waived, judged in shadow mode, or in quarantine.
        EvidenceMissing: Never judged.
        VerificationError: The verdict does not hold.
    """
    where = f"{source}@{digest.short}"
    require_free(evidence, source, digest, at=at)
    found = next(evidence.ledger.find(Kind.VERDICT, source, digest, limit=1), None)
    if found is None:
        raise EvidenceMissing("the batch was never judged", locator=where)
    record = evidence.ledger.get_verified(found.index)
    payload = dsse.Envelope.from_bytes(record.envelope, locator=where).payload
    claimed = verdict_from_statement(Statement.from_bytes(payload), locator=where)
    statement = evidence.statement(record, Role.GATE, at=min(claimed.issued, at), asked=at)
    verdict = verdict_from_statement(statement, locator=where)
    if (verdict.source, verdict.digest) != (source, digest):
        raise UntrustedKey("the verdict is about another batch", locator=where)
    if verdict.result is not Status.PASSED or verdict.mode is not Mode.ENFORCE:
        raise GateBlocked(
            verdict,
            f"only a batch that passed may stand behind a baseline, and this one is "
            f"{verdict.result} ({verdict.mode})",
            locator=where,
            next_step="Promote a baseline without it.",
        )


def require_sound_inputs(evidence: Evidence, promotion: Promotion, *, at: datetime) -> None:
    """Return if every batch behind a promoted baseline still counts as passed.

    Raises:
        GateBlocked: One does not, or is in quarantine.
        EvidenceMissing: One was never judged.
        VerificationError: A verdict on one does not hold.

    Cost: about 2 ms a batch.
    """
    for digest in promotion.inputs:
        try:
            require_passed_batch(evidence, promotion.source, digest, at=at)
        except GateBlocked as blocked:
            raise _behind(promotion.lane, blocked) from None


def require_free_inputs(
    evidence: Evidence, source: str, inputs: Iterable[str], *, at: datetime
) -> None:
    """Return if no batch behind a baseline that nobody promoted is in quarantine.

    Nobody need have judged them; but whoever set one aside speaks against what was made of it.

    Raises:
        GateBlocked: One is.

    Cost: one look-up for a source of which nothing was ever set aside.
    """
    for name in sorted(evidence.ever_aside(source) & set(inputs)):
        try:
            require_free(evidence, source, Digest.parse(name), at=at)
        except GateBlocked as blocked:
            raise _behind(Lane.ANCHORED, blocked) from None


def _behind(lane: Lane, blocked: GateBlocked) -> GateBlocked:
    return GateBlocked(
        blocked.verdict,
        f"a batch behind the {lane} baseline counts no more: {blocked.what}",
        locator=blocked.locator,
        next_step="Promote or build a baseline without that batch, then run the gate again.",
    )


def passed_batches(evidence: Evidence, source: str, *, last: int, at: datetime) -> list[Digest]:
    """Return the newest batches that may stand behind a baseline, oldest first."""
    found: dict[Digest, None] = {}
    for entry in evidence.ledger.find(Kind.VERDICT, source):
        digest = Digest.parse(entry.entry.subject)
        with suppress(SluicegateError):
            if digest not in found:
                require_passed_batch(evidence, source, digest, at=at)
                found[digest] = None
        if len(found) == last:
            break
    return list(reversed(found))


def _require_not_older(
    evidence: Evidence, source: str, baseline: SignedBaseline, where: str
) -> None:
    """Raise if a later baseline has judged; an unverified claim suffices to stop."""
    for found in evidence.ledger.find(Kind.BASELINE, source):
        body = _claims(evidence.ledger.get_verified(found.index).envelope)
        if body is None or lane_of(body):
            continue  # a promoted one, that the ledger itself keeps in order
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
    """Return the baseline that a promotion names, from bytes that have its digest."""
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
    """Return where a promoted baseline lies: by its digest, so that none replaces another."""
    return home.baseline_dir(source) / "promoted" / f"{digest.hex}.json"

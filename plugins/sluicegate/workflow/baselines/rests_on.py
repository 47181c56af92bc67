"""Check the signed pieces that a verdict rests on: test result, baselines, seal.

Each piece must have held when the verdict was issued, with the revocations of now. What a revoked
key ever signed no longer counts; what only expired since then still counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.predicates import BASELINE
from sluicegate.attest.statement import Statement
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import SHA256, Digest
from sluicegate.errors import (
    BadProof,
    EvidenceMissing,
    GateBlocked,
    SluicegateError,
    VerificationError,
)
from sluicegate.gate.promotion import Lane
from sluicegate.ledger.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.batch import IssuedVerdict
    from sluicegate.workflow.evidence.verified import Evidence

_AGAIN = "Run the gate again."
_NEW_BASELINE = (
    "Build a baseline and sign it with a valid key (sluicegate baseline build, or promote); "
    "then run the gate again."
)


def require_unrevoked(evidence: Evidence, issued: IssuedVerdict, *, at: datetime) -> None:
    """Return if keys that count now signed test result and baselines; batches are not checked.

    Args:
        evidence: Ledger and trust policy.
        issued: The verdict, verified.
        at: Aware UTC; revocations until then count.

    Raises:
        EvidenceMissing: The ledger does not hold a piece.
        VerificationError: A piece does not hold, or one of its keys is revoked.
    """
    require_test_result(evidence, issued, at=at)
    for _ in baselines_of(evidence, issued, at=at):
        pass


def baselines_of(evidence: Evidence, issued: IssuedVerdict, *, at: datetime) -> Iterator[Statement]:
    """Yield, for each baseline of a verdict, a statement about it that holds.

    Args:
        evidence: Ledger and trust policy.
        issued: The verdict, verified.
        at: Aware UTC; revocations until then count.

    Raises:
        EvidenceMissing: The ledger holds no statement about a baseline.
        VerificationError: None of them holds, or its key is revoked.
    """
    verdict = issued.verdict
    for lane, digest in ((Lane.ANCHORED, verdict.baseline), (Lane.ROLLING, verdict.rolling)):
        if digest is not None:
            yield _baseline(evidence, issued, lane, digest, at=at)


def inputs_of(statement: Statement) -> frozenset[str]:
    """Return the batches behind a baseline, as its verified statement names them."""
    named = statement.predicate.get("inputs")
    return frozenset(map(str, named)) if isinstance(named, list) else frozenset()


def require_sealed(
    evidence: Evidence, source: str, digest: Digest, *, then: datetime, at: datetime
) -> None:
    """Return if a seal of a batch counted at an instant and was not revoked since.

    Args:
        evidence: Ledger and trust policy.
        source: Name of the source.
        digest: Identity of the batch.
        then: Aware UTC; the source's key must have been valid then.
        at: Aware UTC; revocations until then count.

    Raises:
        EvidenceMissing: The batch was never sealed.
        VerificationError: No seal of the batch holds.
    """
    refused: SluicegateError | None = None
    for found in evidence.ledger.find(Kind.PROVENANCE, source, digest):
        try:
            record = evidence.ledger.get_verified(found.index)
            evidence.sealed_by(record, at=then, asked=at)
        except SluicegateError as error:
            refused = refused or error
        else:
            return
    raise refused or EvidenceMissing(
        "the ledger has no provenance of this batch", locator=f"{source}@{digest.short}"
    )


def require_test_result(evidence: Evidence, issued: IssuedVerdict, *, at: datetime) -> Statement:
    """Return the test result that a verdict names, if it says the same and counts now.

    Args:
        evidence: Ledger and trust policy.
        issued: The verdict, verified.
        at: Aware UTC; revocations until then count.

    Raises:
        EvidenceMissing: The ledger does not hold it.
        GateBlocked: It is about another batch, or names another result.
        VerificationError: It does not hold, or its key is revoked.
    """
    verdict = issued.verdict
    where = f"{verdict.source}@{verdict.digest.short}"
    record = evidence.ledger.by_envelope(issued.test_result)
    if record is None or record.entry.kind != Kind.TEST_RESULT:
        raise EvidenceMissing(
            "the ledger does not hold the test result that the verdict names",
            locator=where,
            got=issued.test_result.short,
            next_step=_AGAIN,
        )
    try:
        statement = evidence.statement(record, Role.GATE, at=verdict.issued, asked=at)
    except VerificationError as error:
        raise _fallen(issued, "test result", error, _AGAIN) from error
    said = statement.predicate.get("result")
    if (record.entry.source, record.entry.subject, said) != (
        verdict.source,
        str(verdict.digest),
        verdict.result.value,
    ):
        raise GateBlocked(
            verdict,
            "the test result that the verdict names is of another batch, or says otherwise",
            locator=where,
            next_step=_AGAIN,
        )
    return statement


def _baseline(
    evidence: Evidence, issued: IssuedVerdict, lane: Lane, digest: Digest, *, at: datetime
) -> Statement:
    """Return a statement that holds about these bytes; they may have been signed twice."""
    refused: VerificationError | None = None
    for record in _statements_about(evidence, issued, digest):
        try:
            verified = evidence.ledger.get_verified(record.index)
            statement = evidence.statement(
                verified, Role.BASELINE, at=issued.verdict.issued, asked=at
            )
            _require_about(statement, issued, digest, record)
        except VerificationError as error:
            refused = refused or error
        else:
            return statement
    if refused is not None:
        raise _fallen(issued, f"{lane} baseline", refused, _NEW_BASELINE) from refused
    raise EvidenceMissing(
        f"the ledger holds no signed statement about the {lane} baseline of the verdict",
        locator=f"{issued.verdict.source}@{issued.verdict.digest.short}",
        got=digest.short,
        next_step=_NEW_BASELINE,
    )


def _statements_about(
    evidence: Evidence, issued: IssuedVerdict, digest: Digest
) -> Iterator[LedgerRecord]:
    """Yield what the gate logged about a baseline beside the batch, newest first, unverified."""
    verdict = issued.verdict
    for record in evidence.ledger.find(Kind.BASELINE, verdict.source, verdict.digest):
        try:
            claimed = Statement.from_bytes(Envelope.from_bytes(record.envelope).payload)
        except VerificationError:
            continue  # reported by the audit
        if claimed.subjects[0].digest.get(SHA256) == digest.hex:
            yield record


def _require_about(
    statement: Statement, issued: IssuedVerdict, digest: Digest, record: LedgerRecord
) -> None:
    named = (statement.predicate_type, statement.predicate.get("source"))
    (subject, *more) = statement.subjects
    if more or named != (BASELINE, issued.verdict.source) or subject.digest[SHA256] != digest.hex:
        raise BadProof(
            "the statement is about another baseline", locator=f"ledger entry {record.index}"
        )


def _fallen(
    issued: IssuedVerdict, piece: str, error: VerificationError, next_step: str
) -> VerificationError:
    """Say which piece under which verdict no longer counts, with the code of the reason."""
    verdict = issued.verdict
    why = f"{error.locator}: {error.what}" if error.locator else error.what
    return type(error)(
        f"the {piece} under the verdict (ledger entry {issued.index}) no longer counts: {why}",
        locator=f"{verdict.source}@{verdict.digest.short}",
        expected=error.expected,
        got=error.got,
        next_step=next_step,
    )

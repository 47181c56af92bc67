"""What became of each batch of a source, and the way back to the last one that was trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluicegate import __version__
from sluicegate.adapters.sources.open import open_any
from sluicegate.adapters.sources.protocol import ByteSource, RowSource
from sluicegate.attest import dsse
from sluicegate.attest.contents import identity_of
from sluicegate.attest.predicates import provenance_from_statement, provenance_statement
from sluicegate.attest.trust import Role
from sluicegate.errors import (
    DigestMismatch,
    EvidenceMissing,
    GateBlocked,
    MalformedEnvelope,
    SluicegateError,
)
from sluicegate.gate.policy import Mode
from sluicegate.ledger.entry import Kind
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.standing import require_standing
from sluicegate.workflow.evidence.custody import require_free
from sluicegate.workflow.sealing.seal import in_turn
from sluicegate.workflow.sealing.sealed_rows import way_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sluicegate.attest.keys import Signer
    from sluicegate.attest.statement import Subject
    from sluicegate.digest.algorithms import Digest
    from sluicegate.gate.policy import Policy
    from sluicegate.gate.verdict import Verdict
    from sluicegate.workflow.evidence.batch import SealedBatch
    from sluicegate.workflow.evidence.verified import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One sealing of a source, as far as its evidence verifies.

    Attributes:
        batch: What was sealed.
        sealed_at: RFC 3339 text of the provenance.
        run: Who sealed it.
        inputs: Batches that it was made from, as ``name@digest``.
        verdict: The newest verdict on the digest, None if it was never judged.
        quarantined: Whether the digest is in quarantine now.
    """

    batch: SealedBatch
    sealed_at: str
    run: Mapping[str, str]
    inputs: tuple[str, ...]
    verdict: Verdict | None
    quarantined: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        verdict = self.verdict
        return {
            "version": self.batch.version,
            "digest": str(self.batch.digest),
            "locator": self.batch.location,
            "sealed_at": self.sealed_at,
            "sealed_by": dict(self.run),
            "inputs": list(self.inputs),
            "verdict": None if verdict is None else verdict.result.value,
            "reasons": [] if verdict is None else [reason.message for reason in verdict.reasons],
            "judged_by": {} if verdict is None else dict(verdict.run),
            "quarantined": self.quarantined,
        }


def versions(evidence: Evidence, source: str, *, at: datetime) -> Iterator[Version]:
    """Yield every sealing of a source that verifies now, newest first.

    A sealing that does not verify proves nothing, so it is left out; the audit reports it.

    Args:
        evidence: Ledger and trust policy.
        source: Name of the source.
        at: Aware UTC; keys must be valid then.

    Cost: about five signatures and proofs for each sealing.
    """
    for found in evidence.ledger.find(Kind.PROVENANCE, source):
        try:
            record = evidence.ledger.get_verified(found.index)
            batch = evidence.sealed_by(record, at=at)
            said = provenance_from_statement(
                evidence.statement(record, Role.SOURCE, at=at), locator=f"entry {record.index}"
            )
        except SluicegateError:
            continue
        yield Version(
            batch=batch,
            sealed_at=said.sealed_at.isoformat(),
            run=said.run,
            inputs=tuple(map(_named, said.inputs)),
            verdict=_verdict(evidence, batch, at=at),
            quarantined=_held(evidence, batch, at=at),
        )


def last_trusted(evidence: Evidence, policy: Policy, source: str, *, at: datetime) -> SealedBatch:
    """Return the newest batch of a source on whose newest verdict training may rest.

    Only enforced verdicts count, because nobody decided in shadow mode. Expiry and the policy in
    force are checked at admission and not here: an older batch may have to be judged again.

    Args:
        evidence: Ledger and trust policy.
        policy: The policy in force.
        source: Name of the source.
        at: Aware UTC; keys must be valid then.

    Raises:
        EvidenceMissing: There is no such batch.
    """
    policy = policy.for_source(source)
    for version in versions(evidence, source, at=at):
        verdict = version.verdict
        if (
            verdict is not None
            and not version.quarantined
            and verdict.mode is Mode.ENFORCE
            and verdict.result is not Status.FAILED
            and verdict.result in policy.accept
            and _stands(evidence, version.batch, at=at)
        ):
            return version.batch
    raise EvidenceMissing(
        "no batch of the source was ever trusted",
        locator=source,
        next_step="Seal a corrected batch and run the gate.",
    )


def roll_back(
    evidence: Evidence,
    policy: Policy,
    source: str,
    *,
    to: Digest | None,
    signer: Signer,
    run: Mapping[str, str],
    at: datetime,
) -> SealedBatch:
    """Make an older batch the newest one again, by a provenance that says so.

    Args:
        evidence: Open for appending.
        policy: The policy in force.
        source: Name of the source.
        to: Identity of the batch to go back to; the last trusted one when None.
        signer: Source role's key.
        run: Who does it.
        at: Aware UTC.

    Returns:
        The batch, now the newest.

    Raises:
        DigestMismatch: Its bytes are no longer those that were sealed.
        GateBlocked: It is in quarantine, or the policy does not accept its newest verdict.
        EvidenceMissing: It was never sealed or judged.
        VerificationError: What its verdict rests on no longer counts.

    Cost: one read of all bytes.
    """
    policy = policy.for_source(source)
    if to is None:
        target = last_trusted(evidence, policy, source, at=at)
    else:
        target = evidence.seal_of(source, to, at=at)
        require_free(evidence, source, to, at=at)
        issued = evidence.verdict_of(source, to, at=at)
        if issued.verdict.result not in policy.accept:
            raise GateBlocked(
                issued.verdict,
                "the batch to go back to did not pass",
                locator=f"{source}@{to.short}",
            )
        require_standing(evidence, issued, at=at)
    newest = evidence.latest_seal(source, at=at)
    if newest.digest == target.digest:
        return newest
    found = open_any(target.location, filesystem=way_to(target))
    if isinstance(found, ByteSource):
        now = found.manifest(target.manifest.algorithm).digest
    else:
        now = _digest_of_rows(found)
    if now != target.digest:
        raise DigestMismatch(
            "the batch to go back to is not what was sealed",
            locator=target.location,
            expected=target.digest.short,
            got=now.short,
            next_step="Restore its bytes, or name an older batch with --to.",
        )
    return in_turn(lambda: _renewed(evidence, target, signer=signer, run=run, at=at))


def _renewed(
    evidence: Evidence,
    target: SealedBatch,
    *,
    signer: Signer,
    run: Mapping[str, str],
    at: datetime,
) -> SealedBatch:
    """Append the provenance that makes an older batch the newest one."""
    last = evidence.newest_provenance(target.source)
    assert last is not None  # noqa: S101 - the source has sealed batches
    newest = evidence.sealed_by(last, at=at)
    statement = provenance_statement(
        target.source,
        target.contents,
        location=target.location,
        connection=target.connection,
        version=newest.version + 1,
        at=at,
        run={**run, "rollback": f"from version {newest.version} to version {target.version}"},
        code_version=__version__,
    )
    envelope = dsse.sign(statement.to_bytes(), signer)
    evidence.require_signed([envelope], Role.SOURCE, at=at)
    return evidence.append_version(
        target.source,
        target.digest,
        [(Kind.PROVENANCE, envelope.to_bytes())],
        after=last,
        at=at,
    )


def _named(item: Subject) -> str:
    try:
        return f"{item.name}@{identity_of(item, locator=item.name)}"
    except MalformedEnvelope:
        return f"{item.name}@unknown"


def _digest_of_rows(rows: RowSource) -> Digest:
    from sluicegate.adapters.engines.table_commitment import commit_batches

    return commit_batches(rows.batches(), locator=rows.location).digest


def _verdict(evidence: Evidence, batch: SealedBatch, *, at: datetime) -> Verdict | None:
    try:
        return evidence.verdict_of(batch.source, batch.digest, at=at).verdict
    except SluicegateError:
        return None


def _stands(evidence: Evidence, batch: SealedBatch, *, at: datetime) -> bool:
    try:
        issued = evidence.verdict_of(batch.source, batch.digest, at=at)
        require_standing(evidence, issued, at=at)
    except SluicegateError:
        return False
    return True


def _held(evidence: Evidence, batch: SealedBatch, *, at: datetime) -> bool:
    try:
        require_free(evidence, batch.source, batch.digest, at=at)
    except GateBlocked:
        return True
    return False

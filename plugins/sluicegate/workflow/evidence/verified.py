"""Read what the ledger of an installation holds, with full verification.

Everything here starts from public keys. Whatever the ledger's database says is a claim
until its leaf is included under a signed checkpoint and its envelope verifies.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.predicates import Provenance, provenance_from_statement
from sluicegate.attest.seal_form import contents_from_statement, read_seal
from sluicegate.attest.statement import Statement
from sluicegate.attest.trust import Role, TrustPolicy
from sluicegate.digest.algorithms import Digest
from sluicegate.errors import BadProof, EvidenceMissing, Expired
from sluicegate.gate.verdict import named_test_result, verdict_from_statement
from sluicegate.ledger.entry import Entry, Kind
from sluicegate.workflow.evidence.append_time import timing
from sluicegate.workflow.evidence.batch import IssuedVerdict, SealedBatch
from sluicegate.workflow.evidence.sealed import verify_seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from sluicegate.gate.verdict import Verdict
    from sluicegate.ledger.log import Ledger
    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.certified import Certified
    from sluicegate.workflow.evidence.large import PartStore
    from sluicegate.workflow.evidence.recall import Recall


@dataclass(frozen=True, slots=True)
class Evidence:
    """Trust policy and ledger of one installation.

    Attributes:
        trust: The policy, with the keys that certificates add to it.
        ledger: The log.
        parts: Manifests in parts, by root; not trusted.
        certified: The policy as pinned, and the chains beside it; None where there are none.
        recall: What this installation remembers; None where it is not asked.
    """

    trust: TrustPolicy
    ledger: Ledger
    parts: PartStore
    certified: Certified | None = None
    recall: Recall | None = None

    @property
    def pinned(self) -> TrustPolicy:
        """The policy as it lies in its file."""
        return self.trust if self.certified is None else self.certified.policy

    @contextmanager
    def snapshot(self) -> Iterator[Evidence]:
        """Open the ledger as it is now, for a question of several look-ups."""
        with self.ledger.snapshot() as ledger:
            yield replace(self, ledger=ledger)

    def latest_seal(self, source: str, *, at: datetime) -> SealedBatch:
        """Return the newest sealed batch of a source.

        The newest provenance statement says which batch that is: sealing the same files again gives
        the same seal, which the ledger holds only once.

        Args:
            source: Name of the source.
            at: Aware UTC; keys must be valid then.

        Raises:
            EvidenceMissing: The source was never sealed.
            VerificationError: The seal does not hold.
        """
        record = self._newest("provenance", source)
        if record is None:
            raise EvidenceMissing(
                "the source was never sealed",
                locator=source,
                next_step="Check the name, or run SealSourceOperator (`sluicegate gate --seal`).",
            )
        return self.sealed_by(record, at=at)

    def seal_of(
        self, source: str, digest: Digest, *, at: datetime, asked: datetime | None = None
    ) -> SealedBatch:
        """Return the newest seal of one exact batch.

        Args:
            source: Name of the source.
            digest: Identity of the batch.
            at: Aware UTC; keys must be valid then.
            asked: When revocations are judged, if later.

        Raises:
            EvidenceMissing: This batch was never sealed.
            VerificationError: The seal does not hold.
        """
        return self.sealed_by(self._about("provenance", source, digest), at=at, asked=asked)

    def provenance_of(self, source: str, digest: Digest | None, *, at: datetime) -> Provenance:
        """Return the newest provenance of a batch, or of a source if no batch is named.

        Args:
            source: Name of the source.
            digest: Identity of the batch; None for the newest of the source.
            at: Aware UTC; keys must be valid then.

        Raises:
            EvidenceMissing: It was never sealed here.
            VerificationError: The provenance or the seal does not hold.
        """
        record = self._newest("provenance", source, digest)
        if record is None:
            named = source if digest is None else f"{source}@{digest.short}"
            raise EvidenceMissing("the ledger has no provenance of this batch", locator=named)
        self.sealed_by(record, at=at)
        statement = self.statement(record, Role.SOURCE, at=at)
        return provenance_from_statement(statement, locator=_locator(record))

    def newest_provenance(self, source: str) -> LedgerRecord | None:
        """Return the leaf that says which batch of a source is the newest; None if none does."""
        return self._newest(Kind.PROVENANCE, source)

    def verdict_of(self, source: str, digest: Digest, *, at: datetime) -> IssuedVerdict:
        """Return the newest verdict on one exact batch.

        The newest counts, so that a batch judged FAILED after a first PASSED stays out.

        Args:
            source: Name of the source.
            digest: Identity of the batch.
            at: Aware UTC; keys must be valid then.

        Raises:
            EvidenceMissing: This batch was never judged.
            VerificationError: The verdict does not hold.
        """
        record = self._about("verdict", source, digest)
        return _issued(record, self.statement(record, Role.GATE, at=at))

    def past_verdict_of(self, source: str, digest: Digest, *, at: datetime) -> Verdict:
        """Return what the newest verdict on a batch says, if only time has passed since.

        A verdict still says what the batch was after it, or its key, has expired. A revoked key
        says nothing.

        Args:
            source: Name of the source.
            digest: Identity of the batch.
            at: Aware UTC; revocations until then count.

        Raises:
            EvidenceMissing: This batch was never judged.
            VerificationError: The verdict does not hold.
        """
        found = next(self.ledger.find(Kind.VERDICT, source, digest, limit=1), None)
        if found is None:
            raise EvidenceMissing("the batch was never judged", locator=f"{source}@{digest.short}")
        return self.past_verdict(self.ledger.get_verified(found.index), at=at).verdict

    def past_verdict(self, record: LedgerRecord, *, at: datetime) -> IssuedVerdict:
        """Return the verdict of a leaf, if only time has passed since.

        Args:
            record: Proven to be in the log.
            at: Aware UTC; revocations until then count.

        Raises:
            VerificationError: The verdict does not hold.
        """
        locator = _locator(record)
        payload = Envelope.from_bytes(record.envelope, locator=locator).payload
        claimed = verdict_from_statement(Statement.from_bytes(payload), locator=locator)
        statement = self.statement(record, Role.GATE, at=min(claimed.issued, at), asked=at)
        return _issued(record, statement)

    def append(self, source: str, subject: Digest, envelopes: Iterable[tuple[str, bytes]]) -> None:
        """Append envelopes about one subject in one durable step.

        Args:
            source: Name of the source.
            subject: What the envelopes speak of.
            envelopes: Kind and exact bytes, in order.
        """
        with timing():
            self.ledger.append_many(_items(source, subject, envelopes))
        self._remember()

    def append_version(
        self,
        source: str,
        subject: Digest,
        envelopes: Iterable[tuple[str, bytes]],
        *,
        after: LedgerRecord | None,
        at: datetime,
    ) -> SealedBatch:
        """Append envelopes with a provenance that counts the seals before it.

        Args:
            source: Name of the source.
            subject: What the envelopes speak of.
            envelopes: Kind and exact bytes, in order; one is the provenance.
            after: Provenance that was the newest of the source when the version was counted.
            at: Aware UTC.

        Returns:
            The batch of exactly this provenance, read back and verified.

        Raises:
            LedgerConflict: ``after`` is no longer the newest: somebody else has that version.
        """
        items = _items(source, subject, envelopes)
        newest = None if after is None else after.index
        with timing():
            receipts = self.ledger.append_after(newest, Kind.PROVENANCE, source, items)
        self._remember()
        kinds = [entry.kind for entry, _ in items]
        own = receipts[kinds.index(Kind.PROVENANCE)].index
        return self.sealed_by(self.ledger.get_verified(own), at=at)

    def _remember(self) -> None:
        """Remember what was just appended, where this installation remembers."""
        if self.recall is not None:
            self.recall.catch_up(self.ledger)

    def require_signed(self, envelopes: Iterable[Envelope], role: Role, *, at: datetime) -> None:
        """Raise unless ``role`` signed each envelope; call this before one is appended.

        The ledger keeps what it took: an envelope that does not verify would be the newest about
        its batch until somebody appends a better one.

        Args:
            envelopes: About to be appended.
            role: Who must have signed each.
            at: Aware UTC; keys must be valid then.

        Raises:
            VerificationError: A key that may not sign signed it, or too few keys did.
        """
        for envelope in envelopes:
            self.trust.verify(envelope, role, at=at, locator="new evidence")

    def statement(
        self, record: LedgerRecord, role: Role, *, at: datetime, asked: datetime | None = None
    ) -> Statement:
        """Return the statement in a ledger record if ``role`` signed it.

        Args:
            record: Proven to be in the log.
            role: Who must have signed.
            at: Aware UTC; keys must be valid then.
            asked: When revocations are judged, if later; see `TrustPolicy.verify`.
        """
        locator = _locator(record)
        envelope = Envelope.from_bytes(record.envelope, locator=locator)
        return self._signed(
            [record],
            lambda trust: trust.verify(envelope, role, at=at, asked=asked, locator=locator),
            at=at,
        )

    def sealed_by(
        self, record: LedgerRecord, *, at: datetime, asked: datetime | None = None
    ) -> SealedBatch:
        """Return the batch that a provenance record speaks of, with its seal verified.

        Args:
            record: Proven to be in the log.
            at: Aware UTC; keys must be valid then.
            asked: When revocations are judged, if later.
        """
        provenance = provenance_from_statement(
            self.statement(record, Role.SOURCE, at=at, asked=asked), locator=_locator(record)
        )
        source, digest = provenance.source, provenance.digest
        _require_same(record, source, digest)
        seal = self._about("seal", source, digest)
        envelope = read_seal(seal.envelope, locator=_locator(seal))
        signed_provenance = Envelope.from_bytes(record.envelope, locator=_locator(record))
        statement = self._signed(
            [seal, record],
            lambda trust: verify_seal(
                trust, envelope, signed_provenance, at=at, asked=asked, locator=_locator(seal)
            ),
            at=at,
        )
        contents = contents_from_statement(
            statement, locator=_locator(seal), parts=self.parts.parts
        )
        _require_same(seal, statement.subjects[0].name, contents.digest)
        return SealedBatch(
            source=source,
            contents=contents,
            subjects=statement.subjects,
            location=provenance.location,
            version=provenance.version,
            index=seal.index,
            connection=provenance.connection,
        )

    def _signed(
        self,
        records: Sequence[LedgerRecord],
        verify: Callable[[TrustPolicy], Statement],
        *,
        at: datetime,
    ) -> Statement:
        """Return what keys that count now have signed, or keys whose certificates counted then."""
        try:
            return verify(self.trust)
        except Expired:
            then = None
            if self.certified is not None:
                then = self.certified.then(self.ledger, records, at=at)
            if then is None:
                raise
            return verify(then)

    def _about(self, kind: str, source: str, digest: Digest) -> LedgerRecord:
        record = self._newest(kind, source, digest)
        if record is None:
            raise EvidenceMissing(
                f"the ledger has no {kind} of this batch",
                locator=f"{source}@{digest.short}",
                next_step="Run SealSourceOperator and TrainingGateOperator on it.",
            )
        return record

    def newest_of(
        self, kind: str, source: str, digest: Digest | None = None
    ) -> LedgerRecord | None:
        """Return the newest leaf of a kind as the store tells it, if it hides no newer one.

        Args:
            kind: Ledger kind of the leaf.
            source: Name of the source.
            digest: Identity of the batch; None for any of the source.

        Raises:
            LedgerCorrupt: The log holds a newer one.
        """
        found = next(self.ledger.find(kind, source, digest, limit=1), None)
        if self.recall is not None:
            subject = None if digest is None else str(digest)
            index = None if found is None else found.index
            self.recall.require_found(self.ledger, kind, source, subject, index)
        return found

    def ever_aside(self, source: str) -> frozenset[str]:
        """Return the batches that were ever set aside, even those that the store does not tell."""
        told = {record.entry.subject for record in self.ledger.find(Kind.QUARANTINE, source)}
        return frozenset(told if self.recall is None else told | self.recall.held(source))

    def _newest(self, kind: str, source: str, digest: Digest | None = None) -> LedgerRecord | None:
        """Return the newest leaf of a kind, proven to be under the signed checkpoint."""
        found = self.newest_of(kind, source, digest)
        return None if found is None else self.ledger.get_verified(found.index)


def _items(
    source: str, subject: Digest, envelopes: Iterable[tuple[str, bytes]]
) -> list[tuple[Entry, bytes]]:
    return [(Entry.of(kind, source, subject, envelope), envelope) for kind, envelope in envelopes]


def _locator(record: LedgerRecord) -> str:
    return f"ledger entry {record.index}"


def _issued(record: LedgerRecord, statement: Statement) -> IssuedVerdict:
    """Read the verdict of a leaf from its verified statement."""
    verdict = verdict_from_statement(statement, locator=_locator(record))
    # The leaf's routing fields are not signed by the gate: only the statement counts.
    _require_same(record, verdict.source, verdict.digest)
    return IssuedVerdict(
        verdict, Digest.parse(record.entry.envelope), record.index, named_test_result(statement)
    )


def _require_same(record: LedgerRecord, source: str, digest: Digest) -> None:
    """Raise unless the leaf that led here names what the statement in it is about."""
    entry = record.entry
    if (entry.source, entry.subject) != (source, str(digest)):
        raise BadProof(
            "the ledger entry names another batch than its statement",
            locator=_locator(record),
            expected=f"{entry.source}@{entry.subject}",
            got=f"{source}@{digest}",
        )

"""The evidence of one installation: trust policy and ledger, read with full verification.

Everything here starts from public keys. Whatever the ledger's database says is a claim
until its leaf is included under a signed checkpoint and its envelope verifies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.adapters.files.named_file import read_named
from sluicegate.adapters.ledgers.remembered import REMEMBER, require_place
from sluicegate.attest.dsse import Envelope
from sluicegate.attest.predicates import Provenance, provenance_from_statement
from sluicegate.attest.seal_form import contents_from_statement, read_seal
from sluicegate.attest.sealed_table import SealedTable
from sluicegate.attest.trust import Role, TrustPolicy
from sluicegate.attest.trust_file import TrustFile, load_trust
from sluicegate.digest.algorithms import Digest
from sluicegate.digest.merkle_files import MerkleFiles
from sluicegate.digest.merkle_manifest import not_sealed
from sluicegate.errors import BadProof, ConfigError, EvidenceMissing, Expired
from sluicegate.file_access import require_safe
from sluicegate.gate.verdict import Verdict, named_test_result, verdict_from_statement
from sluicegate.ledger.entry import Entry, Kind
from sluicegate.workflow.evidence.certified import read_certified
from sluicegate.workflow.evidence.large import PartStore
from sluicegate.workflow.evidence.recall import MemoryRule, Recall, begin
from sluicegate.workflow.evidence.sealed import verify_seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from sluicegate.attest.contents import Contents
    from sluicegate.attest.keys import PublicKey, Signer
    from sluicegate.attest.statement import Statement, Subject
    from sluicegate.digest.manifest import FileEntry, Manifest
    from sluicegate.ledger.log import Ledger
    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.certified import Certified
    from sluicegate.workflow.evidence.home import SluiceHome


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """One sealed version of a source, verified.

    Attributes:
        source: Name of the source.
        contents: Its files, whole or in parts, or the rows of a table.
        subjects: How every statement names it.
        location: Where the data can be read again.
        version: Position among the seals of its source, from 1.
        index: Ledger entry of the seal.
    """

    source: str
    contents: Contents
    subjects: tuple[Subject, ...]
    location: str
    version: int
    index: int

    @property
    def digest(self) -> Digest:
        """Identity of the batch."""
        return self.contents.digest

    @property
    def table(self) -> SealedTable | None:
        """The rows, if the batch is a table; None if it consists of files."""
        return self.contents if isinstance(self.contents, SealedTable) else None

    def entries_of(self, paths: Sequence[str]) -> list[FileEntry]:
        """Return the entries of some files; of a manifest in parts only their parts are read.

        Raises:
            ManifestMismatch: A path that was not sealed.
        """
        if isinstance(self.contents, MerkleFiles):
            return self.contents.entries_of(paths)
        manifest = self.manifest
        found = [manifest.entry(path) for path in paths]
        return [entry or not_sealed(path) for entry, path in zip(found, paths, strict=True)]

    @property
    def manifest(self) -> Manifest:
        """The files; of a manifest in parts all of them are read.

        Raises:
            ConfigError: The batch is a table and has none.
            BadProof: A part is not the sealed one.
        """
        if isinstance(self.contents, SealedTable):
            raise ConfigError(
                "the batch holds rows of a table and no files",
                locator=f"{self.source}@{self.digest.short}",
                next_step="Read it with load_verified or stream_verified.",
            )
        return self.contents.manifest() if isinstance(self.contents, MerkleFiles) else self.contents


@dataclass(frozen=True, slots=True)
class IssuedVerdict:
    """A verdict with its place in the ledger, verified."""

    verdict: Verdict
    envelope: Digest
    index: int
    test_result: Digest


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

    def latest_seal(self, source: str, *, at: datetime) -> SealedBatch:
        """Return the newest sealed batch of a source.

        The newest provenance statement says which that is: sealing the same files again
        gives the same seal, which the ledger holds once.

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

    def seal_of(self, source: str, digest: Digest, *, at: datetime) -> SealedBatch:
        """Return the newest seal of one exact batch.

        Raises:
            EvidenceMissing: This batch was never sealed.
            VerificationError: The seal does not hold.
        """
        return self.sealed_by(self._about("provenance", source, digest), at=at)

    def provenance_of(self, source: str, digest: Digest | None, *, at: datetime) -> Provenance:
        """Return the newest provenance of a batch, or of a source if no batch is named.

        Raises:
            EvidenceMissing: Never sealed here.
            VerificationError: Provenance or seal does not hold.
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

        Raises:
            EvidenceMissing: This batch was never judged.
            VerificationError: The verdict does not hold.
        """
        record = self._about("verdict", source, digest)
        statement = self.statement(record, Role.GATE, at=at)
        verdict = verdict_from_statement(statement, locator=_locator(record))
        # The leaf's routing fields are not signed by the gate: only the statement counts.
        _require_same(record, verdict.source, verdict.digest)
        return IssuedVerdict(
            verdict,
            Digest.parse(record.entry.envelope),
            record.index,
            named_test_result(statement),
        )

    def append(self, source: str, subject: Digest, envelopes: Iterable[tuple[str, bytes]]) -> None:
        """Append envelopes about one subject as one durable step.

        Args:
            source: Name of the source.
            subject: What the envelopes speak of.
            envelopes: Kind and exact bytes, in order.
        """
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
            LedgerConflict: It is not the newest any more: somebody else has that version.
        """
        items = _items(source, subject, envelopes)
        newest = None if after is None else after.index
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
        """Raise unless ``role`` signed each envelope; to be asked before one is appended.

        What the ledger took it keeps: an envelope that does not verify would stand as the
        newest about its batch until somebody appends a better one.

        Raises:
            VerificationError: Signed with a key that may not, or not often enough.
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
        )

    def _signed(
        self,
        records: Sequence[LedgerRecord],
        verify: Callable[[TrustPolicy], Statement],
        *,
        at: datetime,
    ) -> Statement:
        """Return what was signed by keys that count now, or by certificates that counted then."""
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
        """Return the newest leaf of its kind as the store tells it, and none that hides another.

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
        """Return the batches that were ever set aside, also those that the store does not tell."""
        told = {record.entry.subject for record in self.ledger.find(Kind.QUARANTINE, source)}
        return frozenset(told if self.recall is None else told | self.recall.held(source))

    def _newest(self, kind: str, source: str, digest: Digest | None = None) -> LedgerRecord | None:
        """Return the newest leaf of its kind, proven to be under the signed checkpoint."""
        found = self.newest_of(kind, source, digest)
        return None if found is None else self.ledger.get_verified(found.index)


def _items(
    source: str, subject: Digest, envelopes: Iterable[tuple[str, bytes]]
) -> list[tuple[Entry, bytes]]:
    return [(Entry.of(kind, source, subject, envelope), envelope) for kind, envelope in envelopes]


def _locator(record: LedgerRecord) -> str:
    return f"ledger entry {record.index}"


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


def read_trust(path: Path, *, remembered_version: int | None = None) -> TrustPolicy:
    """Read the trust policy.

    Args:
        path: Signed, or unsigned and pinned by its place.
        remembered_version: Highest version that was ever used.

    Raises:
        ConfigError: Missing, unreadable or unusable.
        VerificationError: Its root keys did not sign it, or it is older than remembered.
    """
    return load_trust(_read(path), locator=str(path), remembered_version=remembered_version)


def read_trust_file(path: Path) -> TrustFile:
    """Read the trust policy with its signatures, which hold.

    Raises:
        ConfigError: Missing, unreadable or unusable.
        VerificationError: Its root keys did not sign it.
    """
    file = TrustFile.from_bytes(_read(path), locator=str(path))
    file.verified(locator=str(path))
    return file


def _read(path: Path) -> bytes:
    return read_named(
        path,
        "the trust policy cannot be read",
        next_step="Create one with `sluicegate trust init`.",
    )


def open_evidence(
    home: SluiceHome,
    *,
    at: datetime,
    ledger_signer: Signer | None = None,
    memory: MemoryRule = MemoryRule.REQUIRED,
) -> Evidence:
    """Open the ledger of ``home`` under the keys its trust policy names.

    Args:
        home: Paths of the installation.
        at: Aware UTC; keys must be valid then.
        ledger_signer: Needed to append, absent to read.
        memory: What is asked of what this installation remembers.

    Raises:
        ConfigError: No usable trust policy, or somebody else could replace it or the policy.
        EvidenceMissing: No ledger, or nothing is remembered of it.
        LedgerError: The ledger cannot be read.
        VerificationError: Trust policy or ledger went back; see `recall`.
    """
    require_safe(home.root, home.trust, home.policy)
    file = read_trust_file(home.trust)
    recall = Recall.read(home.memory, memory, appends=ledger_signer is not None)
    if recall is not None:
        recall.require_trust(file, locator=str(home.trust))
    certified = read_certified(home, file.policy)
    trust = certified.now(at)
    ledger = _open_ledger(home, _ledger_key(home, trust, at), ledger_signer)
    if recall is not None:
        recall.catch_up(ledger)
    return Evidence(trust, ledger, PartStore(home.manifests), certified, recall)


def _ledger_key(home: SluiceHome, trust: TrustPolicy, at: datetime) -> PublicKey:
    keys = trust.keys_for(Role.LEDGER, at=at)
    if len(keys) != 1:
        raise ConfigError(
            "the trust policy must name exactly one valid ledger key",
            locator=str(home.trust),
            got=f"{len(keys)} keys",
        )
    return keys[0]


def _open_ledger(
    home: SluiceHome, public_key: PublicKey, signer: Signer | None, *, create: bool = False
) -> Ledger:
    """Open the ledger in the store that the settings name."""
    if home.ledger_url:
        from sluicegate.adapters.ledgers import postgres as ledger_postgres

        return ledger_postgres.open_ledger(
            home.ledger_url.reveal(), public_key=public_key, signer=signer, create=create
        )
    from sluicegate.adapters.ledgers import sqlite as ledger_sqlite

    return ledger_sqlite.open_ledger(
        home.ledger, public_key=public_key, signer=signer, create=create
    )


def create_ledger(
    home: SluiceHome, *, at: datetime, signer: Signer | None = None, forget: str = ""
) -> str:
    """Create an empty ledger for the keys in ``home``, and begin to remember it.

    Args:
        home: Paths of the installation.
        at: Aware UTC; the ledger key must be valid then.
        signer: The ledger's key; by default the file in ``home``.
        forget: Why what is remembered of a ledger before may be given up.

    Returns:
        Where it is, for messages.

    Raises:
        ConfigError: No usable trust policy or ledger key, the ledger exists, or another one is
            remembered.
    """
    from sluicegate.attest.keys import read_signer

    signer = signer or read_signer(home.key("ledger"))
    file = read_trust_file(home.trust)
    keys = file.policy.keys_for(Role.LEDGER, at=at)
    if (existing := _existing(home, keys[0])) is not None:
        raise ConfigError(
            "the ledger exists already",
            locator=existing,
            next_step="Evidence is never overwritten; choose another home for a new ledger. "
            f"To use this one here for the first time, run: {REMEMBER}.",
        )
    require_place(home.memory, may_replace=bool(forget), home=home.root)
    with _open_ledger(home, keys[0], signer, create=True) as ledger:
        begin(home, ledger, file, at=at, why=forget or "sluicegate ledger init")
        return ledger.locator


def _existing(home: SluiceHome, public_key: PublicKey) -> str | None:
    """Where a ledger is already, whoever's it is; None if there is none."""
    if not home.ledger_url:
        return str(home.ledger) if home.ledger.exists() else None
    try:
        with _open_ledger(home, public_key, None) as ledger:
            return ledger.locator
    except EvidenceMissing:
        return None


def migrate_ledger(home: SluiceHome) -> list[int]:
    """Bring the ledger's tables up to date; returns the versions that were applied.

    Raises:
        LedgerError: The store cannot be changed.
    """
    if not home.ledger_url:
        return []  # the file's layout has had one version so far
    from sluicegate.adapters.ledgers import postgres as ledger_postgres

    return ledger_postgres.migrate_ledger(home.ledger_url.reveal())

"""Verify an evidence folder offline, with nothing but public keys.

Every check runs, and the report says which hold: an auditor wants all findings, not the
first. The steps, and what each stops:

1. The source role signed the seal, and it is of the source that was asked for
                                                      (data sealed by somebody else)
2. Each statement's role signed it                    (invented verdict, baseline, run)
3. Each statement names the sealed batch              (evidence of another batch)
4. Each envelope is in the ledger, under a checkpoint that the ledger role signed
                                                      (evidence nobody logged)
5. The verdict accepts the batch, or two people waived what fired
                                                      (FAILED data in use)
6. The version is not below one that was seen before  (older batch with its valid seal)
7. The data match the manifest                        (changed after the seal)
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.adapters.sources.open import open_source
from sluicegate.attest.certificates import admit, load_certificates
from sluicegate.attest.dsse import Envelope
from sluicegate.attest.predicates import (
    BASELINE,
    PROVENANCE,
    SVR,
    TEST_RESULT,
    provenance_from_statement,
)
from sluicegate.attest.public_key import Algorithm
from sluicegate.attest.seal_form import contents_from_statement, read_seal
from sluicegate.attest.sealed_table import SealedTable
from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust import Role, TrustPolicy
from sluicegate.digest.algorithms import TABLE_TYPE, Digest, sha256_bytes
from sluicegate.digest.manifest import require_same
from sluicegate.digest.merkle_files import MerkleFiles
from sluicegate.digest.merkle_manifest import verify_files
from sluicegate.errors import (
    BadProof,
    ConfigError,
    EvidenceMissing,
    GateBlocked,
    MalformedEnvelope,
    Rollback,
    SluicegateError,
    UntrustedKey,
    VerificationError,
)
from sluicegate.gate.policy import Result
from sluicegate.gate.verdict import Verdict, verdict_from_statement
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.proof import verify_proof
from sluicegate.workflow.folder import EvidenceFolder, read_folder
from sluicegate.workflow.large import MANIFEST_DIRECTORY, PartFolder
from sluicegate.workflow.sealed import verify_seal
from sluicegate.workflow.verify_report import Demands, Finding, Found, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sluicegate.attest.contents import Contents

# Predicate type to (ledger kind, role that may sign it).
_KINDS = {
    PROVENANCE: ("provenance", Role.SOURCE),
    TABLE_TYPE: ("table", Role.SOURCE),
    BASELINE: ("baseline", Role.BASELINE),
    TEST_RESULT: ("test-result", Role.GATE),
    SVR: ("verdict", Role.GATE),
}


_NOTHING_MORE = Demands()


def verify_folder(
    path: Path,
    trust: TrustPolicy,
    *,
    at: datetime,
    data: Path | str | None = None,
    demands: Demands = _NOTHING_MORE,
    only: Sequence[str] = (),
) -> Report:
    """Verify an evidence folder and, if given, the data it speaks of.

    Args:
        path: Evidence folder.
        trust: Public keys by role, from a channel the auditor trusts.
        at: Aware UTC; keys must be valid then.
        data: Path, glob or URL to compare with the manifest.
        demands: What must hold beyond consistency.
        only: Of a manifest in parts in a directory, the only files to compare; neither other
            files nor other parts are read.

    Returns:
        The report; it never raises for evidence that does not hold.

    Raises:
        EvidenceMissing: There is no folder to verify.

    Cost:
        One signature check a statement, and one read of ``data``.
    """
    if demands.post_quantum:
        trust = trust.requiring(Algorithm.ML_DSA_65)
    return _Verification(read_folder(path), trust, at, demands).run(data, only)


class _Verification:
    """Collects findings; each step adds what it found and lets the next one run."""

    def __init__(
        self, folder: EvidenceFolder, trust: TrustPolicy, at: datetime, demands: Demands
    ) -> None:
        self._folder = folder
        self._trust = trust
        self._at = at
        self._demands = demands
        self._versions: list[int] = []
        self._findings: list[Finding] = []
        self._source = ""
        self._contents: Contents | None = None

    def run(self, data: Path | str | None, only: Sequence[str] = ()) -> Report:
        self._check("seal", self._seal)
        if self._contents is not None:
            for number, envelope in enumerate(self._folder.envelopes, start=1):
                self._check(f"statement {number}", partial(self._statement, envelope))
            if self._folder.proofs or self._demands.ledger:
                self._check("ledger", self._in_ledger)
            if self._demands.remembered_version is not None:
                self._check("version", self._not_replayed)
            if data is not None:
                self._check("data", partial(self._data, data, only))
        digest = "" if self._contents is None else str(self._contents.digest)
        return Report(self._source, digest, tuple(self._findings))

    def _check(self, name: str, step: Callable[[], Found]) -> None:
        try:
            self._findings.append(Finding(name, None, step()))
        except SluicegateError as error:
            self._findings.append(Finding(name, error, Found(detail=str(error))))

    def _seal(self) -> Found:
        locator = "seal"
        envelope = read_seal(self._folder.seal, locator=locator)
        provenance = self._provenance()
        trust, refused = self._chained(self._folder.seal)
        with _naming(refused):
            statement = verify_seal(trust, envelope, provenance, at=self._at, locator=locator)
        source = statement.subjects[0].name
        if self._demands.source not in (None, source):
            raise BadProof(
                "the evidence is of another source",
                locator=locator,
                expected=self._demands.source or "",
                got=source[:160],
            )
        parts = PartFolder(self._folder.path / MANIFEST_DIRECTORY)
        self._contents = contents_from_statement(
            statement, locator=locator, parts=lambda _root: parts
        )
        self._source = source
        signers = _one_of(trust, Role.SOURCE).check_signatures(
            envelope, Role.SOURCE, at=self._at, locator=locator
        )
        short = self._contents.digest.short
        return Found(detail=f"{source}@{short}, {_size(self._contents)}", signers=signers)

    def _trust_for(self, envelope: bytes) -> TrustPolicy:
        return self._chained(envelope)[0]

    def _chained(self, envelope: bytes) -> tuple[TrustPolicy, VerificationError | None]:
        """Return the policy with the keys of chains, and why a chain adds none.

        With a timestamp of this envelope those whose certificate was valid then; without, each
        key within its certificate's validity.
        """
        trust = self._trust
        if not any(rule.authorities for rule in trust.roles.values()):
            return trust, None
        stamped = self._stamped(envelope)
        refused: VerificationError | None = None
        for name, chain in self._folder.chains.items():
            try:
                end = load_certificates(chain, locator=name)[0].not_valid_after_utc
                # Not simply now: a key that has expired is to be called expired, not unknown.
                at = stamped or min(self._at, end)
                trust = admit(trust, chain, at=at, stamped=stamped is not None, locator=name)
            except VerificationError as error:
                refused = error
        return trust, refused

    def _stamped(self, envelope: bytes) -> datetime | None:
        """Return when an authority that is believed saw this envelope."""
        stamp = self._folder.timestamps.get(sha256_bytes(envelope).hex)
        own = "".join(self._trust.timestamp_authorities).encode()
        pem = self._demands.timestamp_authorities or own
        if stamp is None or not pem:
            return None
        from sluicegate.adapters.timestamping import verified_time

        roots = load_certificates(pem, locator="timestamp authority")
        return verified_time(stamp, envelope, roots, locator="timestamp")

    def _provenance(self) -> Envelope | None:
        """Return the first line that claims to be a provenance statement, unverified."""
        for line in self._folder.envelopes:
            try:
                envelope = Envelope.from_bytes(line, locator="evidence.intoto.jsonl")
                if self._kind(envelope)[0] == "provenance":
                    return envelope
            except SluicegateError:
                continue  # reported by the check of its own line
        return None

    def _statement(self, line: bytes) -> Found:
        envelope = Envelope.from_bytes(line, locator="evidence.intoto.jsonl")
        kind, role = self._kind(envelope)
        trust, refused = self._chained(line)
        with _naming(refused):
            statement = trust.verify(envelope, role, at=self._at)
        signers = trust.check_signatures(envelope, role, at=self._at, locator=kind)
        if kind == "baseline":
            detail = f"baseline of {statement.predicate.get('source')}"
            time = str(statement.predicate.get("created", ""))
            return Found(detail=detail, signers=signers, time=time)
        self._require_subject(statement)
        if kind == "verdict":
            verdict = verdict_from_statement(statement, locator="verdict")
            time = format_timestamp(verdict.issued)
            return Found(detail=self._verdict(verdict, line), signers=signers, time=time)
        if kind == "provenance":
            said = provenance_from_statement(statement, locator="provenance")
            self._versions.append(said.version)
            time = format_timestamp(said.sealed_at)
            detail = f"provenance, {len(said.inputs)} inputs"
            return Found(detail=detail, signers=signers, version=said.version, time=time)
        if kind == "table":
            rows = SealedTable.from_predicate(statement.predicate, locator=kind)
            return Found(detail=f"table of {_size(rows)}", signers=signers)
        return Found(detail=kind, signers=signers)

    def _not_replayed(self) -> Found:
        """The newest version in the folder counts: an older one beside it proves nothing."""
        remembered = self._demands.remembered_version or 0
        if not self._versions:
            raise EvidenceMissing(
                "no valid provenance statement says which version this is", locator=self._source
            )
        version = max(self._versions)
        if version < remembered:
            raise Rollback(
                "the batch is older than one that was seen before",
                locator=self._source,
                expected=f"version {remembered} or later",
                got=f"version {version}",
                next_step="Get the current evidence; this may be a replay.",
            )
        return Found(detail=f"not below the remembered version {remembered}", version=version)

    def _kind(self, envelope: Envelope) -> tuple[str, Role]:
        claimed = Statement.from_bytes(envelope.payload).predicate_type
        if claimed not in _KINDS:
            raise MalformedEnvelope(
                "statement of a kind this verifier does not know",
                locator="evidence.intoto.jsonl",
                got=claimed,
            )
        return _KINDS[claimed]

    def _require_subject(self, statement: Statement) -> None:
        assert self._contents is not None  # noqa: S101 - run() orders the steps
        expected = self._contents.digest
        got = {
            (subject.name, subject.digest.get(expected.algorithm)) for subject in statement.subjects
        }
        if (self._source, expected.hex) not in got:
            raise BadProof(
                "the statement is about another batch",
                locator=statement.predicate_type,
                expected=f"{self._source}@{expected.short}",
            )

    def _verdict(self, verdict: Verdict, line: bytes) -> str:
        assert self._contents is not None  # noqa: S101 - run() orders the steps
        if (verdict.source, verdict.digest) != (self._source, self._contents.digest):
            raise BadProof("the verdict is about another batch", locator="verdict")
        if verdict.result is Result.FAILED and self._folder.waivers:
            from sluicegate.workflow.verify_waivers import require_waived

            named = sha256_bytes(line)
            return require_waived(self._folder, verdict, named, self._trust_for, at=self._at)
        if verdict.result is Result.FAILED:
            raise GateBlocked(verdict, f"verdict FAILED: {verdict.summary()}", locator=self._source)
        return f"{verdict.result} under policy {verdict.policy.short}: {verdict.summary()}"

    def _in_ledger(self) -> Found:
        assert self._contents is not None  # noqa: S101 - run() orders the steps
        keys = self._trust.keys_for(Role.LEDGER, at=self._at)
        sealed = ("seal", self._folder.seal)
        rest = [(self._kind_name(line), line) for line in self._folder.envelopes]
        waivers = [("waiver", line) for line in self._folder.waivers]
        for kind, envelope in (sealed, *rest, *waivers):
            name = sha256_bytes(envelope)
            if name.hex not in self._folder.proofs:
                raise EvidenceMissing(
                    "an envelope has no ledger proof", locator=f"{kind} {name.short}"
                )
            leaf = self._leaf(kind, name)
            verify_proof(self._folder.proofs[name.hex], leaf, keys)
        return Found(detail=f"{1 + len(rest) + len(waivers)} envelopes under signed checkpoints")

    def _kind_name(self, line: bytes) -> str:
        return self._kind(Envelope.from_bytes(line, locator="evidence.intoto.jsonl"))[0]

    def _leaf(self, kind: str, name: Digest) -> bytes:
        """Rebuild the leaf: it must say this kind, source and batch, or the proof fails."""
        assert self._contents is not None  # noqa: S101 - run() orders the steps
        return Entry(kind, self._source, str(self._contents.digest), str(name)).to_bytes()

    def _data(self, data: Path | str, only: Sequence[str]) -> Found:
        assert self._contents is not None  # noqa: S101 - run() orders the steps
        if isinstance(self._contents, SealedTable):
            return self._rows(self._contents, str(data))
        if isinstance(self._contents, MerkleFiles):
            return self._parts(self._contents, data, only)
        if only:
            raise ConfigError("only a manifest in parts is compared in part", locator="only")
        found = open_source(data)
        now = found.manifest(self._contents.algorithm)
        require_same(self._contents, now, locator=found.locator)
        return Found(detail=f"{_size(self._contents)} match")

    def _parts(self, files: MerkleFiles, data: Path | str, only: Sequence[str]) -> Found:
        if only:
            n_parts = verify_files(Path(data), files.index, files.parts.part, only)
            detail = f"{len(only)} of {_size(files)} match, {n_parts} parts read"
            return Found(detail=detail)
        found = open_source(data)
        now = found.manifest(files.index.algorithm)
        if now.digest != files.digest:  # the parts are read only to name the difference
            require_same(files.manifest(), now, locator=found.locator)
        return Found(detail=f"{_size(files)} match")

    def _rows(self, table: SealedTable, data: str) -> Found:
        # Comparing rows needs numpy and Arrow; everything else here needs cryptography alone.
        from sluicegate.adapters.table_commitment import commit_batches
        from sluicegate.workflow.sealed_rows import require_same_rows, rows_of

        require_same_rows(
            table, commit_batches(rows_of(data, unjudged=[]), locator=data), locator=data
        )
        return Found(detail=f"{_size(table)} match")


def _size(contents: Contents) -> str:
    if isinstance(contents, SealedTable):
        return f"{contents.n_rows} rows"
    if isinstance(contents, MerkleFiles):
        return f"{contents.n_files} files"
    return f"{len(contents.files)} files"


@contextmanager
def _naming(refused: VerificationError | None) -> Iterator[None]:
    """Say what is wrong with a chain rather than that its key is unknown."""
    try:
        yield
    except UntrustedKey:
        if refused is not None:
            raise refused from None
        raise


def _one_of(trust: TrustPolicy, role: Role) -> TrustPolicy:
    """Return the policy under which one signature of a role is enough, for naming its signer."""
    return trust.with_rule(role, threshold=1, required_algorithms=())

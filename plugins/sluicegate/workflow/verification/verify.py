"""Verify an evidence folder offline, with nothing but public keys.

Every check runs, and the report says which hold: an auditor wants all findings, not the
first. The steps, and what each stops:

1. The source role signed the seal, and it is of the source that was asked for
                                                      (data sealed by somebody else)
2. Each statement's role signed it                    (invented verdict, baseline, run)
3. Each statement names the sealed batch              (evidence of another batch)
4. The newest verdict accepts the batch, or two people waived what fired
                                                      (FAILED data in use)
5. Nobody set the batch aside, or a release let it back
                                                      (PASSED data that were found out)
6. Each envelope is in the ledger, under a checkpoint that the ledger role signed
                                                      (evidence nobody logged)
7. If a copy of the log is given: nothing about the batch was left out of the folder
                                                      (a quarantine that somebody removed)
8. The version is not below one that was seen before  (older batch with its valid seal)
9. The data match the manifest                        (changed after the seal)
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.predicates import provenance_from_statement
from sluicegate.attest.public_key import Algorithm
from sluicegate.attest.seal_form import contents_from_statement, read_seal
from sluicegate.attest.sealed_table import SealedTable
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust import Role, TrustPolicy
from sluicegate.errors import (
    BadProof,
    EvidenceMissing,
    GateBlocked,
    Rollback,
    SluicegateError,
    VerificationError,
)
from sluicegate.gate.custody import reasons_of
from sluicegate.gate.verdict import Verdict, verdict_from_statement
from sluicegate.ledger.entry import Kind
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.evidence.folder import EvidenceFolder, read_folder
from sluicegate.workflow.evidence.large import MANIFEST_DIRECTORY, PartFolder
from sluicegate.workflow.evidence.sealed import verify_seal
from sluicegate.workflow.verification.custody import require_not_held
from sluicegate.workflow.verification.data import compare, size_of
from sluicegate.workflow.verification.keys import FolderKeys, naming, one_of, revoked_later
from sluicegate.workflow.verification.lines import newest, of_kind, read_lines, superseded
from sluicegate.workflow.verification.proofs import leaves_of, placed, require_logged
from sluicegate.workflow.verification.report import Demands, Found, Report, ReportedCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from sluicegate.attest.contents import Contents
    from sluicegate.attest.statement import Statement
    from sluicegate.digest.algorithms import Digest
    from sluicegate.gate.pool import Pool
    from sluicegate.workflow.verification.lines import Line

_NOTHING_MORE = Demands()
_TOLD = (Kind.QUARANTINE, Kind.RELEASE, Kind.PROMOTION)


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
        only: The only files to compare, of a directory whose manifest is in parts; no other
            file and no other part is read.

    Returns:
        The report; evidence that does not hold is a finding, not an error.

    Raises:
        EvidenceMissing: There is no folder to verify.

    Cost:
        One signature check for each statement, and one read of ``data``.
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
        self._keys = FolderKeys(trust, folder, demands.timestamp_authorities, at)
        self._at = at
        self._demands = demands
        self._versions: list[int] = []
        self._findings: list[ReportedCheck] = []
        self._source = ""
        self._contents: Contents | None = None
        self._lines = read_lines(folder)
        self._gone: frozenset[int] = frozenset()
        self._pool: Pool | None = None

    def run(self, data: Path | str | None, only: Sequence[str] = ()) -> Report:
        self._check("seal", self._seal)
        if self._contents is not None:
            self._gone = superseded(self._lines, str(self._contents.digest))
            for line in self._lines:
                self._check(f"statement {line.number}", partial(self._statement, line))
            if self._pool is not None:
                self._check("pool", partial(_named, self._pool))
            self._check("custody", self._custody)
            if self._folder.proofs or self._demands.ledger:
                self._check("ledger", self._in_ledger)
            if self._demands.log:
                self._check("log", self._complete)
            if self._demands.remembered_version is not None:
                self._check("version", self._not_replayed)
            if data is not None:
                self._check("data", partial(self._data, data, only))
        digest = "" if self._contents is None else str(self._contents.digest)
        return Report(self._source, digest, tuple(self._findings))

    def _check(self, name: str, step: Callable[[], Found]) -> None:
        try:
            self._findings.append(ReportedCheck(name, None, step()))
        except SluicegateError as error:
            self._findings.append(ReportedCheck(name, error, Found(detail=str(error))))

    def _seal(self) -> Found:
        locator = "seal"
        envelope = read_seal(self._folder.seal, locator=locator)
        provenance = self._provenance()
        trust, refused = self._keys.chained(self._folder.seal)
        with naming(refused):
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
        signers = one_of(trust, Role.SOURCE).check_signatures(
            envelope, Role.SOURCE, at=self._at, locator=locator
        )
        short = self._contents.digest.short
        return Found(detail=f"{source}@{short}, {size_of(self._contents)}", signers=signers)

    def _provenance(self) -> Envelope | None:
        """Return the newest line that claims to be a provenance statement, unverified."""
        line = newest(of_kind(self._lines, Kind.PROVENANCE))
        return None if line is None else Envelope.from_bytes(line.raw)

    def _statement(self, line: Line) -> Found:
        """Check one line. What decides must hold; what is superseded or changes custody is told."""
        assert self._contents is not None  # noqa: S101 - run() orders the steps
        kind, role = line.kind(str(self._contents.digest))
        if line.number not in self._gone and kind not in _TOLD:
            return self._judged(line, kind, role)
        try:
            found = self._judged(line, kind, role)
        except VerificationError as error:
            found = Found(detail=f"{kind} that does not hold: {error}")
        if line.number in self._gone:
            found = replace(found, detail=f"superseded: {found.detail}", superseded=True)
        return found

    def _judged(self, line: Line, kind: Kind, role: Role) -> Found:
        envelope = Envelope.from_bytes(line.raw, locator="evidence.intoto.jsonl")
        trust, refused = self._keys.chained(line.raw)
        with naming(refused):
            statement = trust.verify(envelope, role, at=self._at)
        signers = trust.check_signatures(envelope, role, at=self._at, locator=kind)
        found = self._said(line, kind, statement)
        later = revoked_later(trust, signers)
        return replace(found, detail=found.detail + later, signers=signers)

    def _said(self, line: Line, kind: Kind, statement: Statement) -> Found:
        if kind in (Kind.BASELINE, Kind.PROMOTION):
            lane = statement.predicate.get("lane")
            detail = f"baseline of {statement.predicate.get('source')}"
            if kind is Kind.PROMOTION:
                detail = f"promotion of a {lane} baseline of this batch"
            return Found(detail=detail, time=str(statement.predicate.get("created", "")))
        self._require_subject(statement)
        if kind is Kind.VERDICT:
            verdict = verdict_from_statement(statement, locator="verdict")
            return Found(detail=self._verdict(verdict, line), time=format_timestamp(verdict.issued))
        if kind is Kind.PROVENANCE:
            said = provenance_from_statement(statement, locator="provenance")
            self._versions.append(said.version)
            back = said.run.get("rollback", "")
            detail = f"provenance, {len(said.inputs)} inputs" + (back and f", rollback {back}")
            return Found(detail=detail, version=said.version, time=format_timestamp(said.sealed_at))
        if kind is Kind.TABLE:
            rows = SealedTable.from_predicate(statement.predicate, locator=kind)
            return Found(detail=f"table of {size_of(rows)}")
        if kind in _TOLD:
            time = str(statement.predicate.get("timeCreated", ""))
            return Found(detail=f"{kind}: {reasons_of(statement)}", time=time)
        return Found(detail=str(kind))

    def _custody(self) -> Found:
        assert self._contents is not None  # noqa: S101 - run() orders the steps
        said = require_not_held(
            self._lines,
            self._gone,
            self._source,
            self._contents.digest,
            self._keys.trust_for,
            at=self._at,
        )
        return Found(detail=said)

    def _not_replayed(self) -> Found:
        """Compare the newest version in the folder; an older one beside it proves nothing."""
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

    def _verdict(self, verdict: Verdict, line: Line) -> str:
        assert self._contents is not None  # noqa: S101 - run() orders the steps
        if (verdict.source, verdict.digest) != (self._source, self._contents.digest):
            raise BadProof("the verdict is about another batch", locator="verdict")
        said = f"{verdict.result} under policy {verdict.policy.short}: {verdict.summary()}"
        if line.number in self._gone:
            return said
        self._pool = verdict.pool
        if verdict.result is Status.FAILED and self._folder.waivers:
            from sluicegate.workflow.verification.waivers import require_waived

            return require_waived(
                self._folder, verdict, line.name, self._keys.trust_for, at=self._at
            )
        if verdict.result is Status.FAILED:
            raise GateBlocked(verdict, f"verdict FAILED: {verdict.summary()}", locator=self._source)
        return said

    def _in_ledger(self) -> Found:
        assert self._contents is not None  # noqa: S101 - run() orders the steps
        keys = self._trust.keys_for(Role.LEDGER, at=self._at)
        leaves = self._leaves(self._contents.digest)
        require_logged(self._folder, leaves, keys)
        return Found(detail=f"{len(leaves)} envelopes under signed checkpoints")

    def _complete(self) -> Found:
        assert self._contents is not None  # noqa: S101 - run() orders the steps
        from sluicegate.workflow.verification.log import require_complete

        leaves = self._leaves(self._contents.digest)
        places = placed(self._folder, leaves)
        said = require_complete(
            self._demands.log,
            self._trust.keys_for(Role.LEDGER, at=self._at),
            self._source,
            self._contents.digest,
            held=set(map(str, leaves)),
            places=places,
        )
        return Found(detail=said)

    def _leaves(self, digest: Digest) -> dict[Digest, bytes]:
        return leaves_of(self._folder, self._lines, self._source, digest)

    def _data(self, data: Path | str, only: Sequence[str]) -> Found:
        assert self._contents is not None  # noqa: S101 - run() orders the steps
        return Found(detail=compare(self._contents, data, only))


def _named(pool: Pool) -> Found:
    """Name what the verdict rests on besides the batch; each has evidence of its own."""
    names = ", ".join(map(str, pool.batches)) or "no other batch"
    detail = f"{pool.n_rows} {pool.of.value}; the verdict rests on this batch and on {names}"
    return Found(detail=detail, batches=pool.batches)

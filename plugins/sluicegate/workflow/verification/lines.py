"""The lines of an evidence folder: what each claims to be, and which of them decide.

Nobody signed the order of the lines. The place of a line is the leaf index of its proof, which the
check `ledger` verifies. If all places are known, the newest line of a kind decides, as it does at
admission. If a line has no known place, nothing says that it is old, so it decides too: whoever
takes proofs away cannot turn what speaks against a batch into history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.predicates import BASELINE, PROVENANCE, SVR, TEST_RESULT
from sluicegate.attest.statement import Statement
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import SHA256, TABLE_TYPE, Digest, sha256_bytes
from sluicegate.errors import MalformedEnvelope, SluicegateError
from sluicegate.gate.custody import Custody, custody_of
from sluicegate.gate.promotion import lane_of
from sluicegate.gate.verdict import named_test_result, verdict_from_statement
from sluicegate.ledger.entry import Entry, Kind
from sluicegate.ledger.proof import TlogProof

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sluicegate.workflow.evidence.folder import EvidenceFolder

# Predicate type to (ledger kind, role that may sign it).
_KINDS: Final = {
    PROVENANCE: (Kind.PROVENANCE, Role.SOURCE),
    TABLE_TYPE: (Kind.TABLE, Role.SOURCE),
    BASELINE: (Kind.BASELINE, Role.BASELINE),
    TEST_RESULT: (Kind.TEST_RESULT, Role.GATE),
    SVR: (Kind.VERDICT, Role.GATE),
}
_CUSTODY: Final = {Custody.QUARANTINED: Kind.QUARANTINE, Custody.RELEASED: Kind.RELEASE}
_ONE_COUNTS: Final = (Kind.PROVENANCE, Kind.TABLE, Kind.VERDICT, Kind.QUARANTINE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of ``evidence.intoto.jsonl``; nothing in it is verified.

    Attributes:
        number: From 1.
        raw: Its exact bytes.
        claimed: What it says, None if it cannot be read.
        place: Leaf index that its proof names, None without one.
    """

    number: int
    raw: bytes
    claimed: Statement | None
    place: int | None

    @property
    def name(self) -> Digest:
        """Digest of the envelope."""
        return sha256_bytes(self.raw)

    def kind(self, batch: str) -> tuple[Kind, Role]:
        """Return which ledger kind the statement is, and which role may sign it.

        Args:
            batch: Digest of the folder's batch, as text.

        Raises:
            MalformedEnvelope: The line cannot be read, or is of a kind that no folder holds.
        """
        if self.claimed is None:
            # Raises, and says why.
            payload = Envelope.from_bytes(self.raw, locator="evidence.intoto.jsonl").payload
            Statement.from_bytes(payload)
        assert self.claimed is not None  # noqa: S101 - or one of these two lines had raised
        found = _KINDS.get(self.claimed.predicate_type)
        if found is None:
            raise MalformedEnvelope(
                "statement of a kind this verifier does not know",
                locator="evidence.intoto.jsonl",
                got=self.claimed.predicate_type,
            )
        kind, role = found
        if (state := custody_of(self.claimed)) is not None:
            kind = _CUSTODY[state]
        elif lane_of(self.claimed) and batch in _inputs(self.claimed):
            kind = Kind.PROMOTION
        return kind, role

    def leaf(self, source: str, batch: Digest) -> bytes:
        """Rebuild the leaf. No proof of it holds unless it says this kind, source and batch.

        Args:
            source: Name of the source.
            batch: Identity of the batch.

        Raises:
            MalformedEnvelope: The line is of a kind that no folder holds.
        """
        kind, _ = self.kind(str(batch))
        subject = str(batch)
        if kind is Kind.PROMOTION and self.claimed is not None:
            subject = f"{SHA256}:{_baseline(self.claimed)}"
        return Entry(kind, source, subject, str(self.name)).to_bytes()


def read_lines(folder: EvidenceFolder) -> tuple[Line, ...]:
    """Return the lines of a folder, unverified."""
    return tuple(
        Line(number, raw, _claimed(raw), place_of(folder, raw))
        for number, raw in enumerate(folder.envelopes, start=1)
    )


def place_of(folder: EvidenceFolder, envelope: bytes) -> int | None:
    """Return the leaf index that the proof of an envelope names, None without one.

    Args:
        folder: Holds the proofs, unverified.
        envelope: Exact bytes.
    """
    proof = folder.proofs.get(sha256_bytes(envelope).hex)
    try:
        return None if proof is None else TlogProof.parse(proof, locator="proof").index
    except SluicegateError:
        return None  # reported by the check of the ledger


def of_kind(lines: Iterable[Line], kind: Kind, batch: str = "") -> list[Line]:
    """Return the lines that claim to be of a kind.

    Args:
        lines: Of one folder, unverified.
        kind: Ledger kind.
        batch: Digest of the folder's batch, as text; only promotions depend on it.
    """
    found = []
    for line in lines:
        try:
            if line.kind(batch)[0] is kind:
                found.append(line)
        except SluicegateError:
            continue  # reported by the check of its own line
    return found


def newest(lines: Sequence[Line]) -> Line | None:
    """Return the line that is not known to be older than another."""
    if not lines:
        return None
    return next((line for line in lines if line.place is None), None) or max(
        lines, key=lambda line: line.place or 0
    )


def superseded(lines: Sequence[Line], batch: str) -> frozenset[int]:
    """Return the numbers of lines that are known not to count any more.

    Args:
        lines: Of one folder.
        batch: Digest of its batch, as text.
    """
    gone: set[int] = set()
    for kind in _ONE_COUNTS:
        placed = [line for line in of_kind(lines, kind, batch) if line.place is not None]
        last = newest(placed)
        gone |= {line.number for line in placed if line is not last}
    verdicts = [line for line in of_kind(lines, Kind.VERDICT, batch) if line.number not in gone]
    if len(verdicts) == 1 and verdicts[0].place is not None:
        gone |= _not_under(verdicts[0], lines, batch)
    return frozenset(gone)


def _not_under(verdict: Line, lines: Sequence[Line], batch: str) -> set[int]:
    """Return the placed baselines and test results that the deciding verdict does not name."""
    assert verdict.claimed is not None  # noqa: S101 - its kind was read
    try:
        said = verdict_from_statement(verdict.claimed, locator="verdict")
        details = named_test_result(verdict.claimed)
    except SluicegateError:
        return set()  # reported by its own check
    judged_by = {said.baseline.hex, said.rolling.hex if said.rolling else ""}
    baselines, results = (of_kind(lines, kind, batch) for kind in (Kind.BASELINE, Kind.TEST_RESULT))
    others = [line for line in results if line.name != details]
    others += [line for line in baselines if _baseline(line.claimed) not in judged_by]
    return {line.number for line in others if line.place is not None}


def _claimed(raw: bytes) -> Statement | None:
    try:
        return Statement.from_bytes(Envelope.from_bytes(raw).payload)
    except SluicegateError:
        return None  # reported by the check of its own line


def _baseline(statement: Statement | None) -> str:
    return "" if statement is None else statement.subjects[0].digest.get(SHA256, "")


def _inputs(statement: Statement) -> list[str]:
    named = statement.predicate.get("inputs")
    return list(map(str, named)) if isinstance(named, list) else []

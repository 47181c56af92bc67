"""Find what was made of a batch: features, models, and what was made of those in turn.

People ask this when something turns out to be bad: which models used this file, this contributor's
rows, this row? Only signed statements answer. A provenance names what a batch was made of, and the
verdict on a model names what it was trained on. The log only grows, so one walk along it suffices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluicegate.attest import dsse
from sluicegate.attest.contents import identity_of
from sluicegate.attest.predicates import provenance_from_statement
from sluicegate.attest.statement import Statement
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import Digest
from sluicegate.errors import SluicegateError, UnreadableData
from sluicegate.gate.limits import UNLIMITED
from sluicegate.gate.verdict import TRAINED_ON, verdict_from_statement
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.auditing.history import versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    import pyarrow as pa

    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.batch import SealedBatch
    from sluicegate.workflow.evidence.verified import Evidence

Made = tuple[str, str]
"""Name and digest, as text."""


@dataclass(frozen=True, slots=True)
class Use:
    """A batch or model that was made, directly or through others, of a batch asked about.

    Attributes:
        source: Its name.
        digest: Its identity.
        is_model: Whether a verdict on a model says so, not a provenance.
        of: What it was made of, as far as this leads back to the batch.
        run: Who made or judged it.
        index: The ledger entry that says so.
    """

    source: str
    digest: str
    is_model: bool
    of: tuple[Made, ...]
    run: dict[str, str]
    index: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "source": self.source,
            "digest": self.digest,
            "kind": "model" if self.is_model else "batch",
            "of": [f"{name}@{digest}" for name, digest in self.of],
            "run": self.run,
            "entry": self.index,
        }


@dataclass(frozen=True, slots=True)
class Uses:
    """Which things were made of the batches asked about.

    Attributes:
        batches: The batches that were asked about.
        found: What was made of them, in the order of the log.
        unverified: Ledger entries that do not verify, so what they say is unknown.
    """

    batches: tuple[Made, ...]
    found: tuple[Use, ...]
    unverified: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which batches of a source are meant; all of them if nothing is named.

    Attributes:
        digest: Identity of the batch.
        file: Path in the batch, or digest of a file's content.
        column: Column of a contributor or row id.
        value: Text to find in that column.
    """

    digest: str | None = None
    file: str | None = None
    column: str | None = None
    value: str | None = None


def uses_of(evidence: Evidence, source: str, asked: Asked, *, at: datetime) -> Uses:
    """Find what was made of the batches of a source.

    Args:
        evidence: Ledger and trust policy.
        source: Name of the source.
        asked: Which of its batches.
        at: Aware UTC.

    Raises:
        UnreadableData: A batch had to be read for its rows and could not be.
        IntegrityError: Its rows are not the sealed ones.

    Cost: one proof and one signature for each provenance and verdict. To find a value, also one
        read of each batch.
    """
    sealed = {str(v.batch.digest): v.batch for v in versions(evidence, source, at=at)}
    meant = [
        (source, digest)
        for digest, batch in sealed.items()
        if _is_meant(evidence, batch, asked, at=at)
    ]
    touched, found, unverified = set(meant), {}, []
    for index, what in _said(evidence, at=at):
        if isinstance(what, SluicegateError):
            unverified.append(index)
            continue
        of = tuple(sorted(touched.intersection(what.of)))
        name = (what.source, what.digest)
        if of and name not in meant:
            touched.add(name)
            found[(*name, what.is_model)] = Use(*name, what.is_model, of, what.run, index)
    return Uses(tuple(meant), tuple(found.values()), tuple(unverified))


def _is_meant(evidence: Evidence, batch: SealedBatch, asked: Asked, *, at: datetime) -> bool:
    if asked.digest is not None and asked.digest != str(batch.digest):
        return False
    if asked.file is not None and not _holds_file(batch, asked.file):
        return False
    if asked.column is None:
        return True
    from sluicegate.workflow.sealing.sealed_rows import batch_table, judged_dialect

    dialect = judged_dialect(evidence, batch, at=at)
    table = batch_table(batch, dialect=dialect, limits=UNLIMITED, unjudged=[])
    return _holds_value(table, asked.column, asked.value or "")


def _holds_file(batch: SealedBatch, file: str) -> bool:
    if batch.table is not None:
        return False
    wanted = {file, f"sha256:{file}"}
    return any({entry.path, str(entry.digest)} & wanted for entry in batch.manifest.entries)


def _holds_value(table: pa.Table, column: str, value: str) -> bool:
    """Return whether a row has the value; a batch without the column has no such row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column not in table.column_names:
        return False
    try:
        text = pc.cast(table[column], pa.string())
    except pa.ArrowInvalid:  # its text quotes the value
        raise UnreadableData("the column holds no text", locator=column) from None
    return bool(pc.any(pc.equal(text, value)).as_py())


def _said(evidence: Evidence, *, at: datetime) -> Iterator[tuple[int, Use | SluicegateError]]:
    """Yield every statement that something was made of something, in the order of the log."""
    found = [
        *evidence.ledger.find(Kind.PROVENANCE, newest_first=False),
        *evidence.ledger.find(Kind.VERDICT, newest_first=False),
    ]
    for item in sorted(found, key=lambda record: record.index):
        try:
            record = evidence.ledger.get_verified(item.index)
            use = said_by(evidence, record, at=at)
        except SluicegateError as error:
            yield item.index, error
        else:
            yield item.index, use


def said_by(evidence: Evidence, record: LedgerRecord, *, at: datetime) -> Use:
    """Read what one statement says was made, as of its own day: a key that expired still counts.

    Args:
        evidence: Ledger and trust policy.
        record: A provenance, or a verdict; proven to be in the log.
        at: Aware UTC.

    Returns:
        What was made, with all that it was made of.

    Raises:
        SluicegateError: The statement does not hold.
    """
    where = f"ledger entry {record.index}"
    claimed = Statement.from_bytes(dsse.Envelope.from_bytes(record.envelope).payload)
    if record.entry.kind == Kind.PROVENANCE:
        then = min(at, provenance_from_statement(claimed, locator=where).sealed_at)
        said = provenance_from_statement(
            evidence.statement(record, Role.SOURCE, at=then), locator=where
        )
        of = tuple((item.name, str(identity_of(item, locator=where))) for item in said.inputs)
        return Use(said.source, str(said.digest), False, of, dict(said.run), record.index)
    then = min(at, verdict_from_statement(claimed, locator=where).issued)
    verdict = verdict_from_statement(evidence.statement(record, Role.GATE, at=then), locator=where)
    trained = _trained_on(verdict.run.items())
    return Use(verdict.source, str(verdict.digest), True, trained, dict(verdict.run), record.index)


def _trained_on(run: Iterable[tuple[str, str]]) -> tuple[Made, ...]:
    return tuple(
        (key.removeprefix(TRAINED_ON), str(Digest.parse(value)))
        for key, value in run
        if key.startswith(TRAINED_ON)
    )

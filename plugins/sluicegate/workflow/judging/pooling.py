"""Gather the batches before one that has too few rows, or known labels, to be judged alone.

The ledger says which they are, and their bytes are read and verified again: evidence holds no rows
and no counts of them. A batch stands in a pool if all of this holds:

1. It was sealed before, and first sealed before the batch that is judged
                                            (old batch sealed again to push others out)
2. The gate role signed the newest verdict on it, against the anchored baseline of today
                                            (forged verdict, rows of another world)
3. That verdict is accepted by the policy in force, or only lacks rows
                                            (batch that failed)
4. Nobody set it aside                      (poison that was found out)
5. No baseline that judges was built from it
                                            (rows that fit by themselves)
6. Its bytes are there and are those that were sealed
                                            (batch that was changed since)

A row that comes again, with the same id and content, counts once. The first batch that cannot be
read ends the pool, so nobody takes one out of the middle. Of labels only the rows that have a known
one are kept, and no more than `MOST_BYTES` are read for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluicegate.digest.algorithms import Digest
from sluicegate.errors import (
    DataError,
    EvidenceMissing,
    GateBlocked,
    IntegrityError,
    SluicegateError,
    VerificationError,
)
from sluicegate.gate.pool import WANTED_ROWS, Earlier, Left, Of, Pool, lacks_only_rows, poolable
from sluicegate.ledger.entry import Kind
from sluicegate.profiling.csv_dialect import UNDECLARED, CsvDialect
from sluicegate.workflow.evidence.custody import require_free
from sluicegate.workflow.sealing.sealed_rows import batch_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    import pyarrow as pa

    from sluicegate.gate.judgement import Judgement
    from sluicegate.gate.policy import Policy
    from sluicegate.gate.verdict import Reason
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.workflow.evidence.batch import SealedBatch
    from sluicegate.workflow.evidence.verified import Evidence

LOOKED_AT: Final = 400
"""How many seals are looked at; each costs a proof and a signature. Twice the batches of one row
that make a pool."""

MOST_BYTES: Final = 1 << 30
"""How much of earlier batches is read for their few labels: seconds of a disk."""
_VALUE_BYTES: Final = 8  # what a value of a table counts, whose seal says no bytes

_NOT_HERE: Final = (DataError, EvidenceMissing, IntegrityError, VerificationError)
_NO_PART: Final = (EvidenceMissing, GateBlocked, VerificationError)


@dataclass(frozen=True, slots=True)
class Gathered:
    """A pool and its rows.

    Attributes:
        pool: What the verdict will say of it.
        earlier: Rows of the earlier batches, in one schema with the batch's; None for none.
        rows: The same, and those of the batch.
    """

    pool: Pool
    earlier: pa.Table | None
    rows: pa.Table


def gather(
    evidence: Evidence,
    policy: Policy,
    batch: SealedBatch,
    table: pa.Table,
    *,
    of: Of = Of.ROWS,
    anchored: Baseline,
    is_input: Callable[[SealedBatch], bool],
    at: datetime,
    filesystem: Any = None,
    dialect: CsvDialect = UNDECLARED,
) -> Gathered:
    """Return a batch together with those before it.

    Args:
        evidence: Ledger and trust policy.
        policy: The rules of the source.
        batch: The batch that is judged.
        table: Its rows; of labels those whose label is known.
        of: What it has too few of.
        anchored: The anchored baseline.
        is_input: Whether a batch stands behind a baseline that judges.
        at: Aware UTC; revocations and quarantines until then count.
        filesystem: fsspec file system with credentials, as for the batch itself.
        dialect: How text files are read, as for the batch itself.

    Cost: for each batch of the pool five proofs and signatures and one verified read; about 2 ms
        for each other seal that is looked at, of which there are at most `LOOKED_AT`.
    """
    seen = _Rows(table, anchored.schema.id)
    taken: list[Digest] = []
    ended, n_bytes = "", 0
    for earlier in poolable(_earlier(evidence, policy, batch, anchored.digest, at=at), of):
        if seen.n_rows >= WANTED_ROWS:
            break
        digest = earlier.digest
        try:
            sealed = evidence.seal_of(batch.source, digest, at=earlier.judged, asked=at)
            if is_input(sealed):
                continue
            if of is Of.LABELS and (n_bytes := n_bytes + _size_bytes(sealed)) > MOST_BYTES:
                ended = f"more than {MOST_BYTES >> 30} GiB before them would have to be read"
                break
            found = batch_rows(
                sealed, filesystem, dialect=dialect, limits=policy.limits, unjudged=[]
            )
            rows = _pooled(found, anchored, of)
            brought = seen.add(digest, rows)
        except _NOT_HERE as error:
            ended = f"batch {digest.short} before them cannot be used: [{error.code}] {error.what}"
            break
        if brought:
            taken.append(digest)
    whole = seen.table()
    pool = Pool(whole.num_rows, tuple(reversed(taken)), Left.JUDGED, ended, of)
    before = whole.slice(0, whole.num_rows - table.num_rows) if taken else None
    return Gathered(pool, before, whole)


def _pooled(rows: Iterator[pa.RecordBatch], anchored: Baseline, of: Of) -> pa.Table:
    """Return what a pool takes of an earlier batch."""
    import pyarrow as pa

    from sluicegate.signals.labels.known_labels import with_known_labels

    if of is Of.ROWS:
        return pa.Table.from_batches(rows)
    return pa.Table.from_batches(with_known_labels(anchored, batch) for batch in rows)


def _size_bytes(batch: SealedBatch) -> int:
    if batch.table is None:
        return batch.manifest.size_bytes
    return batch.table.n_rows * len(batch.table.columns) * _VALUE_BYTES


def pooled_signals(of: Of) -> frozenset[str]:
    """Return codes of the signals that are asked of a pool.

    Args:
        of: What is pooled.
    """
    from sluicegate.signals.registry import OF_LABELS, OF_POOLS

    return OF_POOLS if of is Of.ROWS else OF_LABELS


class _Rows:
    """The rows of a pool, the newest batch first."""

    def __init__(self, table: pa.Table, row_id: str | None) -> None:
        self._row_id = row_id
        self._tables = [("the batch", table)]
        self._seen = set(self._named(table))
        self.n_rows = table.num_rows

    def add(self, digest: Digest, table: pa.Table) -> int:
        """Put the rows of an earlier batch before the others, and return how many were new.

        Raises:
            UnreadableData: Its columns do not go with those of the others.
        """
        names = self._named(table)
        kept = table.filter([name not in self._seen for name in names]) if names else table
        self._tables.append((f"batch {digest.short}", kept))
        try:
            self.table()
        except SluicegateError:
            self._tables.pop()
            raise
        self._seen.update(names)
        self.n_rows += kept.num_rows
        return int(kept.num_rows)

    def table(self) -> pa.Table:
        """Return all rows, oldest batch first, in one schema."""
        import pyarrow as pa

        from sluicegate.adapters.files.promotion import as_one

        if len(self._tables) == 1:
            return self._tables[0][1]
        ordered = [(name, table.to_batches()) for name, table in reversed(self._tables)]
        # Of one piece: signals pay for each record batch, and a batch may be a single row.
        return pa.Table.from_batches(as_one(ordered)).combine_chunks()

    def _named(self, table: pa.Table) -> list[str]:
        """Return id and content of each row; nothing where rows have no ids."""
        if self._row_id is None or table.schema.names.count(self._row_id) != 1:
            return []
        columns = sorted(table.schema.names)
        return [repr([row[name] for name in columns]) for row in table.to_pylist()]


def left_by(
    gathered: Gathered,
    judged: Judgement,
    policy: Policy,
    without: Callable[[], Sequence[Reason]],
) -> Left:
    """Return what the judgement of a pool leaves to the batches that come next.

    Args:
        gathered: The pool.
        judged: What its findings mean.
        policy: The rules of the source.
        without: Judges the earlier batches alone; called only if the pool failed.
    """
    asked, against = pooled_signals(gathered.pool.of), _against(judged.reasons, policy)
    if not against:
        return Left.JUDGED
    if gathered.pool.n_rows < WANTED_ROWS and lacks_only_rows(against, judged.records, asked):
        return Left.WAITING
    if gathered.earlier is None or not asked.intersection(code for code, _ in against):
        return Left.JUDGED
    still = asked.intersection(code for code, _ in _against(without(), policy))
    return Left.SPENT if still else Left.JUDGED


def _against(reasons: Sequence[Reason], policy: Policy) -> list[tuple[str, str]]:
    return [(r.code, r.column) for r in reasons if r.result not in policy.accept]


def _earlier(
    evidence: Evidence, policy: Policy, batch: SealedBatch, anchored: Digest, *, at: datetime
) -> Iterator[Earlier]:
    """Yield batches of the source before one, by the place of their first seal, newest first."""
    ledger, source = evidence.ledger, batch.source
    own = _first_seal(evidence, source, batch.digest)
    for record in ledger.find(Kind.SEAL, source, limit=LOOKED_AT):
        digest = Digest.parse(record.entry.subject)
        if record.index >= own or record.index != _first_seal(evidence, source, digest):
            continue
        try:
            require_free(evidence, source, digest, at=at)
            verdict = evidence.past_verdict_of(source, digest, at=at)
        except _NO_PART:
            continue
        if verdict.baseline == anchored:
            pool = verdict.pool
            waits = pool is not None and pool.left is Left.WAITING
            counts = waits or verdict.result in policy.accept
            yield Earlier(digest, verdict.issued, counts, pool)


def _first_seal(evidence: Evidence, source: str, digest: Digest) -> int:
    found = evidence.ledger.find(Kind.SEAL, source, digest, newest_first=False, limit=1)
    return next(record.index for record in found)


__all__ = ["LOOKED_AT", "MOST_BYTES", "Gathered", "gather", "left_by", "pooled_signals"]

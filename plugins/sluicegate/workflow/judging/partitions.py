"""PARTS: a batch that consists of partitions needs an accepted verdict on each of them.

Partitions are batches of a source of their own, sealed and judged one by one, in parallel. The
joint verdict is on the whole: its signals are those of all rows together, and this one says that
the partitions are the whole, file by file, and that each of them may be trained on. A month in
which one airport was poisoned can look harmless as a whole.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sluicegate.digest.algorithms import Digest
from sluicegate.errors import ConfigError, SluicegateError
from sluicegate.signals.decision.record import PARTS
from sluicegate.workflow.admission.admit import require_admissible
from sluicegate.workflow.admission.standing import require_standing
from sluicegate.workflow.evidence.custody import require_free
from sluicegate.workflow.judging.facts import fact_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sluicegate.gate.policy import Policy
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.workflow.evidence.verified import Evidence, SealedBatch

_NAMED = 5

Part = tuple[str, Digest]
"""Source of the partitions, and digest of one."""


def part_records(
    evidence: Evidence,
    policy: Policy,
    whole: SealedBatch,
    parts: Sequence[Part],
    *,
    at: datetime,
) -> tuple[SignalRecord, ...]:
    """Ask for the verdicts of a batch's partitions.

    Args:
        evidence: Ledger and trust policy.
        policy: The file in force, of all sources.
        whole: What they together should be.
        parts: The partitions.
        at: Aware UTC.

    Returns:
        One record.

    Cost: about four signatures a partition.
    """
    against, files = [], Counter[tuple[str, int]]()
    for source, digest in dict.fromkeys(parts):
        where = f"{source}@{digest.short}"
        try:
            files.update(_files(evidence.seal_of(source, digest, at=at)))
            require_free(evidence, source, digest, at=at)
            issued = evidence.verdict_of(source, digest, at=at)
            require_admissible(evidence, policy, issued, at=at)
            require_standing(evidence, issued, at=at)
        except SluicegateError as error:
            against.append(f"{where}: [{error.code}] {error.what}")
    own = _files(whole)
    if missing := own - files:
        against.append(f"{missing.total()} file(s) of the batch are in no partition")
    if extra := files - own:
        against.append(f"{extra.total()} file(s) of the partitions are not in the batch")
    if not against:
        return (_record(whole, "", parts),)
    more = f" (and {len(against) - _NAMED} more)" if len(against) > _NAMED else ""
    text = "; ".join(against[:_NAMED]) + more
    return (_record(whole, text, parts, n_bad=len(against)),)


def _files(batch: SealedBatch) -> Counter[tuple[str, int]]:
    """Return the content of each file; names differ between a directory and a part of it.

    Raises:
        ConfigError: A table, which has no files to compare.
    """
    if batch.table is not None:
        raise ConfigError(
            "partitions are compared by their files, and a table has none",
            locator=f"{batch.source}@{batch.digest.short}",
            next_step="Judge the table as one batch.",
        )
    return Counter((str(entry.digest), entry.size_bytes) for entry in batch.manifest.entries)


def _record(
    whole: SealedBatch, text: str, parts: Sequence[Part], *, n_bad: int = 0
) -> SignalRecord:
    names = sorted({f"{source}@{digest}" for source, digest in parts})
    return fact_record(
        PARTS,
        n_bad,
        unit="objections",
        known="verdicts and files are facts",
        message=text and f"{PARTS}: {whole.source}: {text}",
        evidence={"partitions": len(names), "parts": names},
    )

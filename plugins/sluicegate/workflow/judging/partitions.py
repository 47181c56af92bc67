"""PARTS: a batch that consists of partitions needs an accepted verdict on each of them.

Partitions are batches of a source of their own. Each is sealed and judged by itself, in parallel.
The joint verdict is about the whole batch: its signals look at all rows together, and PARTS adds
two things: the partitions are the whole batch, file by file, and each of them may be trained on. A
month in which one airport was poisoned can look harmless as a whole.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sluicegate.digest.algorithms import Digest, content_digest, files_under
from sluicegate.digest.hashers import hasher_of
from sluicegate.errors import ConfigError, SluicegateError
from sluicegate.signals.decision.record import PARTS
from sluicegate.workflow.admission.admit import require_admissible
from sluicegate.workflow.admission.standing import require_standing
from sluicegate.workflow.evidence.custody import require_free
from sluicegate.workflow.judging.facts import fact_record
from sluicegate.workflow.sealing.sealed_rows import files_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sluicegate.gate.policy import Policy
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.workflow.evidence.batch import SealedBatch
    from sluicegate.workflow.evidence.verified import Evidence

_NAMED = 5

Part = tuple[str, Digest]
"""A partition: the source that all of them belong to, and the digest of this one."""


def part_records(
    evidence: Evidence,
    policy: Policy,
    whole: SealedBatch,
    parts: Sequence[Part],
    *,
    at: datetime,
    filesystem: Any = None,
) -> tuple[SignalRecord, ...]:
    """Ask for the verdicts of a batch's partitions.

    Args:
        evidence: Ledger and trust policy.
        policy: The policy in force, with the rules of all sources.
        whole: The batch that they should make up together.
        parts: The partitions.
        at: Aware UTC.
        filesystem: fsspec file system with credentials, for partitions in an object store.

    Returns:
        One record.

    Cost: about four signature checks for each partition. One that was hashed differently than the
        batch is read again.
    """
    against, files = [], Counter[tuple[str, int]]()
    algorithm = files_under(whole.digest.algorithm)
    for source, digest in dict.fromkeys(parts):
        where = f"{source}@{digest.short}"
        try:
            part = evidence.seal_of(source, digest, at=at)
            files.update(_files(part, algorithm, filesystem))
            require_free(evidence, source, digest, at=at)
            issued = evidence.verdict_of(source, digest, at=at)
            require_admissible(evidence, policy, issued, at=at)
            require_standing(evidence, issued, at=at)
        except SluicegateError as error:
            against.append(f"{where}: [{error.code}] {error.what}")
    own = _files(whole, algorithm, filesystem)
    if missing := own - files:
        against.append(f"{missing.total()} file(s) of the batch are in no partition")
    if extra := files - own:
        against.append(f"{extra.total()} file(s) of the partitions are not in the batch")
    if not against:
        return (_record(whole, "", parts),)
    more = f" (and {len(against) - _NAMED} more)" if len(against) > _NAMED else ""
    text = "; ".join(against[:_NAMED]) + more
    return (_record(whole, text, parts, n_bad=len(against)),)


def _files(batch: SealedBatch, algorithm: str | None, filesystem: Any) -> Counter[tuple[str, int]]:
    """Return digest and size of each file. Names differ between a directory and a part of it.

    A large batch may be sealed by shards and a small part of it by files, so where the algorithms
    differ the sealed bytes are hashed again.

    Raises:
        ConfigError: The batch is a table, which has no files to compare.
    """
    if batch.table is not None:
        raise ConfigError(
            "partitions are compared by their files, and a table has none",
            locator=f"{batch.source}@{batch.digest.short}",
            next_step="Judge the table as one batch.",
        )
    entries = batch.manifest.entries
    if algorithm is None or algorithm == batch.manifest.algorithm:
        return Counter((str(entry.digest), entry.size_bytes) for entry in entries)
    data = files_of(batch, filesystem)
    start = hasher_of(algorithm)
    values = ((start(data.view_verified(entry)).hexdigest(), entry.size_bytes) for entry in entries)
    return Counter((str(content_digest(algorithm, value)), size) for value, size in values)


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

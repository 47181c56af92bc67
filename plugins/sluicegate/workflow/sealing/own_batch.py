"""Find the batch that a run sealed itself, for a run that names no batch.

The newest batch of a source may belong to another run. With several runs at once, a gate that takes
the newest judges some batches twice and others never. Every provenance is signed and says which run
sealed, so no pointer has to be believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.predicates import provenance_from_statement
from sluicegate.attest.statement import Statement
from sluicegate.errors import BadProof, ConfigError, SluicegateError
from sluicegate.ledger.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.batch import SealedBatch
    from sluicegate.workflow.evidence.verified import Evidence

N_SEALS: Final = 200
"""How many of the newest seals of a source are asked for their run."""

_UNMAPPED: Final = "-1"
_Sealed = dict[tuple[str, str], "LedgerRecord"]


def batch_of_run(
    evidence: Evidence,
    source: str,
    run: Mapping[str, str],
    *,
    at: datetime,
    before: Collection[str] = (),
) -> SealedBatch | None:
    """Return the batch of a source that a run sealed.

    If one task sealed in several tries, the newest seal counts. A mapped task means what the seal
    task with its own map index sealed, if that one sealed anything.

    Args:
        evidence: Ledger and trust policy.
        source: Name of the source.
        run: Who asks: ``dag_id``, ``run_id`` and, of a mapped task, ``map_index``.
        at: Aware UTC.
        before: Tasks directly before the one that asks. If they sealed a batch, it is meant.

    Returns:
        The batch, verified; None if the run is of no DAG, or sealed nothing among the newest 200.

    Raises:
        ConfigError: The run sealed several batches, and nothing says which is meant.
        VerificationError: The seal does not hold.

    Cost: reading 200 leaves, unverified; then two proofs and two signatures.
    """
    if not (run.get("dag_id") and run.get("run_id")):
        return None
    sealed: _Sealed = {}
    for record in evidence.ledger.find(Kind.PROVENANCE, source, limit=N_SEALS):
        by = _sealed_by(record)
        if _is_of(by, run):
            sealed.setdefault((by.get("task_id", ""), by.get("map_index", _UNMAPPED)), record)
    index = run.get("map_index", _UNMAPPED)
    sealed = _only(sealed, [task for task in sealed if task[0] in before])
    sealed = _only(sealed, [task for task in sealed if task[1] == index])
    if not sealed:
        return None
    require_one({record.entry.subject for record in sealed.values()}, source)
    # Until here, what was found is only a claim.
    record = evidence.ledger.get_verified(max(record.index for record in sealed.values()))
    if not _is_of(_sealed_by(record), run):
        raise BadProof("the ledger entry is not what a lookup said of it", locator=source)
    return evidence.sealed_by(record, at=at)


def require_one(digests: Collection[str], source: str) -> None:
    """Return if there is one batch to judge.

    Args:
        digests: Identities of the batches, each once.
        source: Name of the source, for the message.

    Raises:
        ConfigError: There are several.
    """
    if len(digests) > 1:
        raise ConfigError(
            f"this run sealed {len(digests)} batches of the source, and none is named",
            locator=source,
            next_step="Name one with batch=, or map the gate over the seal tasks' output.",
        )


def _only(sealed: _Sealed, tasks: list[tuple[str, str]]) -> _Sealed:
    """Return what some tasks sealed, or all where none of them sealed."""
    return {task: sealed[task] for task in tasks} or sealed


def _is_of(by: Mapping[str, str], run: Mapping[str, str]) -> bool:
    return all(by.get(name) == run[name] for name in ("dag_id", "run_id"))


def _sealed_by(record: LedgerRecord) -> Mapping[str, str]:
    """Return which run a provenance names; none where it cannot be read."""
    locator = f"ledger entry {record.index}"
    try:
        envelope = Envelope.from_bytes(record.envelope, locator=locator)
        statement = Statement.from_bytes(envelope.payload, locator=locator)
        return provenance_from_statement(statement, locator=locator).run
    except SluicegateError:
        return {}

"""What the guard's notes in Airflow are worth: each pointer is looked up in the ledger.

Whoever holds a task's token may write such a note. So a note shows where a guard spoke, and only
the verdict in the ledger shows that it spoke the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.errors import SluicegateError, UntrustedKey

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sluicegate.workflow.evidence.verified import Evidence
    from sluicegate.workflow.overview.past import Past, PastVerdict


@dataclass(frozen=True, slots=True)
class Pointed:
    """A verdict that a note names.

    Attributes:
        source: The source that it is said to be about.
        verdict: The verdict; None if the ledger holds no such verdict on this source.
        refusal: Why the note is not believed; None if it is.
    """

    source: str
    verdict: PastVerdict | None
    refusal: SluicegateError | None = None


def pointed(evidence: Evidence, past: Past, source: str, envelope: str, *, at: datetime) -> Pointed:
    """Look up the verdict that a note names.

    Args:
        evidence: Ledger and trust policy.
        past: Reads verdicts.
        source: Name of the source, as noted.
        envelope: Digest of the verdict's envelope, as noted.
        at: Aware UTC; revocations until then count.

    Cost: a proof, and as `Past.one`.
    """
    try:
        record = evidence.ledger.by_envelope(envelope)
        if record is None:
            raise _forged("the ledger holds no such verdict", source)
        found = past.one(evidence, record.index, at=at)
        if found.refusal is not None:
            raise found.refusal
        if found.source != source:
            raise _forged("the verdict is about another source", source)
    except SluicegateError as refusal:
        return Pointed(source, None, refusal)
    return Pointed(source, found)


def issued_by(past: Iterable[PastVerdict], dag: str, run: str, task: str = "") -> list[PastVerdict]:
    """Return the verdicts that say that this run, or this task of it, issued them.

    Args:
        past: Verdicts that were read.
        dag: Id of the DAG.
        run: Id of its run; "" for any.
        task: Id of the task; "" for any.
    """
    wanted = {key: value for key, value in (("run_id", run), ("task_id", task)) if value}
    wanted["dag_id"] = dag
    return [
        one
        for one in past
        if one.issued is not None and wanted.items() <= dict(one.issued.verdict.run).items()
    ]


def _forged(what: str, source: str) -> UntrustedKey:
    return UntrustedKey(
        what, locator=source, next_step="Run: sluicegate audit, with Airflow's URL."
    )

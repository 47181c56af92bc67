"""A task that runs twice on one batch issues one verdict.

The second run judges the bytes again. If it finds exactly what the first one found, the first
verdict stands and nothing is appended. Anything else is a new verdict.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sluicegate.attest.timestamps import CLOCK_SKEW
from sluicegate.errors import SluicegateError
from sluicegate.workflow.admission.standing import require_standing

if TYPE_CHECKING:
    from datetime import datetime

    from sluicegate.gate.verdict import Verdict
    from sluicegate.workflow.evidence.batch import IssuedVerdict
    from sluicegate.workflow.evidence.verified import Evidence

_TASK: Final = ("orchestrator", "dag_id", "run_id", "task_id", "map_index")


def same_verdict(evidence: Evidence, verdict: Verdict, *, at: datetime) -> IssuedVerdict | None:
    """Return the newest verdict on a batch if this one would only repeat it.

    Args:
        evidence: Ledger and trust policy.
        verdict: The verdict that is about to be issued.
        at: Aware UTC.

    Returns:
        The verdict in force that the same task of the same run issued, with the same result,
        reasons, baselines, policy, suite and code; None if there is none.
    """
    task = _task(verdict)
    if not all(task):
        return None
    try:
        issued = evidence.verdict_of(verdict.source, verdict.digest, at=at)
        require_standing(evidence, issued, at=at)
    except SluicegateError:
        return None  # none yet, or one that no longer counts
    found = issued.verdict
    alike = replace(found, issued=verdict.issued, expires=verdict.expires, run=verdict.run)
    in_force = found.issued - at <= CLOCK_SKEW and at < found.expires
    return issued if in_force and _task(found) == task and alike == verdict else None


def _task(verdict: Verdict) -> tuple[str, ...]:
    return tuple(verdict.run.get(name, "") for name in _TASK)

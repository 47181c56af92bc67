"""One message per incident: told from the ledger alone, so nothing has to be remembered.

An incident of a source begins with a verdict that lets nothing train, after one that did (or
none), and ends with the next one that does. Everything in between belongs to it: more batches,
the same batch judged again, a whole backfill.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust import Role
from sluicegate.errors import SluicegateError
from sluicegate.gate.policy import Mode, Result
from sluicegate.gate.verdict import verdict_from_statement
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.evidence import open_evidence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sluicegate.gate.policy import Policy
    from sluicegate.gate.verdict import Verdict
    from sluicegate.workflow.evidence import Evidence
    from sluicegate.workflow.home import SluiceHome

_MOST = 1000
"""Verdicts read back at most; an incident this long has been told about."""


class Turn(StrEnum):
    """What the newest verdict did."""

    OPENED = "opened"
    CONTINUED = "continued"
    RECOVERED = "recovered"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Incident:
    """What there is to tell about the newest verdict of a source.

    Attributes:
        turn: What that verdict did; only the opening and the recovery are news.
        source: Name of the source.
        verdict: The newest verdict.
        n_blocked: Verdicts of the incident that let nothing train.
        since: When the first of them was issued; None without an incident.
    """

    turn: Turn
    source: str
    verdict: Verdict
    n_blocked: int
    since: datetime | None

    @property
    def is_news(self) -> bool:
        """Return whether a person should be told."""
        return self.turn in {Turn.OPENED, Turn.RECOVERED}

    @property
    def subject(self) -> str:
        """One line."""
        if self.turn is Turn.RECOVERED:
            return f"{self.source}: recovered, training may go on"
        codes = sorted({reason.code for reason in self.verdict.reasons if _failed(reason.result)})
        return f"{self.source}: training is blocked by {', '.join(codes) or 'the policy'}"

    @property
    def text(self) -> str:
        """What happened, and what to do; no row values."""
        lines = [self.subject, f"batch {self.verdict.digest}", f"verdict {self.verdict.result}"]
        if self.turn is Turn.RECOVERED and self.since is not None:
            since = format_timestamp(self.since)
            lines.append(f"after {self.n_blocked} blocked verdicts since {since}")
            return "\n".join(lines)
        lines += [f"- {reason.message}" for reason in self.verdict.reasons]
        lines.append("Further blocked batches of this source belong to this incident.")
        return "\n".join(lines)


def incident_of(home: SluiceHome, source: str, *, at: datetime) -> Incident | None:
    """Return what the newest verdict of a source means; None if there is no verdict.

    Verdicts that do not verify tell nothing; the audit reports them.

    Cost: one proof and one signature a verdict of the incident.
    """
    policy = read_policy(home.policy).for_source(source)
    evidence = open_evidence(home, at=at)
    verdicts = _verdicts(evidence, source, at=at)
    newest = next(verdicts, None)
    if newest is None:
        return None
    blocked = [newest] if _blocks(newest, policy) else []
    for verdict in verdicts:
        if not _blocks(verdict, policy):
            break
        blocked.append(verdict)
    return Incident(
        turn=_turn(len(blocked), is_blocked=_blocks(newest, policy)),
        source=source,
        verdict=newest,
        n_blocked=len(blocked),
        since=blocked[-1].issued if blocked else None,
    )


def _turn(n_blocked: int, *, is_blocked: bool) -> Turn:
    if is_blocked:
        return Turn.OPENED if n_blocked == 1 else Turn.CONTINUED
    return Turn.RECOVERED if n_blocked else Turn.QUIET


def _verdicts(evidence: Evidence, source: str, *, at: datetime) -> Iterator[Verdict]:
    for found in islice(evidence.ledger.find(Kind.VERDICT, source), _MOST):
        try:
            record = evidence.ledger.get_verified(found.index)
            statement = evidence.statement(record, Role.GATE, at=at)
            yield verdict_from_statement(statement, locator=f"ledger entry {record.index}")
        except SluicegateError:
            continue


def _blocks(verdict: Verdict, policy: Policy) -> bool:
    return verdict.mode is Mode.ENFORCE and verdict.result not in policy.accept


def _failed(result: Result) -> bool:
    return result is Result.FAILED

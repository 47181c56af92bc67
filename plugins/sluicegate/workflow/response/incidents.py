"""Find incidents, so that each causes one message. Only the ledger is read; nothing is remembered.

An incident of a source begins with a verdict that lets nothing train, if the verdict before it let
training start or there was none. It ends with the next verdict that lets training start. Everything
in between belongs to it: more batches, the same batch judged again, a whole backfill. A backfilled
day that passes ends nothing, because what was bad before or after it is still bad: a backfill is
one incident at most.

Each task looks at its own verdict and those before it, never at the newest. Partitions that are
judged at the same time would see each other's verdicts, and nobody would tell of the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust import Role
from sluicegate.errors import SluicegateError
from sluicegate.gate.policy import Mode
from sluicegate.gate.verdict import AS_OF, verdict_from_statement
from sluicegate.ledger.entry import Kind
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.evidence.opening import open_evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sluicegate.gate.policy import Policy, Result
    from sluicegate.gate.verdict import Verdict
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence

_MOST = 1000
"""How many verdicts are read back at most; a longer incident was told about long ago."""


class Turn(StrEnum):
    """What a verdict did."""

    OPENED = "opened"
    CONTINUED = "continued"
    RECOVERED = "recovered"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Incident:
    """What a verdict of a source means for the people who are told.

    Attributes:
        turn: What that verdict did; only the opening and the recovery are news.
        source: Name of the source.
        verdict: The verdict.
        n_blocked: Number of verdicts of the incident that let nothing train.
        since: When the first of them was issued; None if there is no incident.
    """

    turn: Turn
    source: str
    verdict: Verdict
    n_blocked: int
    since: datetime | None

    @property
    def is_news(self) -> bool:
        """Whether a person should be told."""
        return self.turn in {Turn.OPENED, Turn.RECOVERED}

    @property
    def subject(self) -> str:
        """The subject of the message, one line."""
        if self.turn is Turn.RECOVERED:
            return f"{self.source}: recovered, training may go on"
        codes = sorted({reason.code for reason in self.verdict.reasons if _failed(reason.result)})
        return f"{self.source}: training is blocked by {', '.join(codes) or 'the policy'}"

    @property
    def text(self) -> str:
        """The text of the message: what happened, and what to do. It holds no row values."""
        lines = [self.subject, f"batch {self.verdict.digest}", f"verdict {self.verdict.result}"]
        if self.turn is Turn.RECOVERED and self.since is not None:
            since = format_timestamp(self.since)
            lines.append(f"after {self.n_blocked} blocked verdicts since {since}")
            return "\n".join(lines)
        lines += [f"- {reason.message}" for reason in self.verdict.reasons]
        lines.append("Further blocked batches of this source belong to this incident.")
        return "\n".join(lines)


def incident_of(
    home: SluiceHome, source: str, *, at: datetime, run: Mapping[str, str] | None = None
) -> Incident | None:
    """Return what a verdict of a source means; None if there is no such verdict.

    Verdicts that do not verify are passed over; the audit reports them.

    Args:
        home: Paths of the installation.
        source: Name of the source.
        at: Aware UTC.
        run: Fields that the ``run`` of the verdict must have; the newest such verdict is meant, or
            the newest of all when None.

    Cost: one proof and one signature for each verdict of the incident and each later one.
    """
    policy = read_policy(home.policy).for_source(source)
    evidence = open_evidence(home, at=at)
    verdicts = _verdicts(evidence, source, at=at)
    newest = next((verdict for verdict in verdicts if _is_of(verdict, run or {})), None)
    if newest is None:
        return None
    before = takewhile(lambda verdict: not _ends(verdict, policy), verdicts)
    blocked = [verdict for verdict in (newest, *before) if _blocks(verdict, policy)]
    return Incident(
        turn=_turn(newest, len(blocked), policy),
        source=source,
        verdict=newest,
        n_blocked=len(blocked),
        since=blocked[-1].issued if blocked else None,
    )


def _is_of(verdict: Verdict, run: Mapping[str, str]) -> bool:
    return all(verdict.run.get(name, "") == value for name, value in run.items())


def _ends(verdict: Verdict, policy: Policy) -> bool:
    return not _blocks(verdict, policy) and AS_OF not in verdict.run


def _turn(newest: Verdict, n_blocked: int, policy: Policy) -> Turn:
    if _blocks(newest, policy):
        return Turn.OPENED if n_blocked == 1 else Turn.CONTINUED
    return Turn.RECOVERED if n_blocked and _ends(newest, policy) else Turn.QUIET


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
    return result is Status.FAILED

"""Find which signals of a verdict valid waivers cover. `response.waiver` asks for waivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.gate.waiver_check import Answered, LoggedWaiver, Waived, waived_by
from sluicegate.ledger.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sluicegate.gate.policy import Policy
    from sluicegate.workflow.evidence.batch import IssuedVerdict
    from sluicegate.workflow.evidence.verified import Evidence


def waived_codes(
    evidence: Evidence,
    policy: Policy,
    issued: IssuedVerdict,
    *,
    at: datetime,
    asked: datetime | None = None,
) -> frozenset[str]:
    """Return the codes that valid waivers of exactly this verdict cover at an instant.

    Args:
        evidence: Ledger and trust policy.
        policy: The policy that decides.
        issued: The verdict, verified.
        at: Aware UTC; waivers and their keys must be valid then.
        asked: When revocations of keys are judged, if later.

    Cost: as `waivers_of`.
    """
    return waivers_of(evidence, policy, issued, at=at, asked=asked).codes


def waivers_of(
    evidence: Evidence,
    policy: Policy,
    issued: IssuedVerdict,
    *,
    at: datetime,
    asked: datetime | None = None,
) -> Waived:
    """Return the waivers of exactly this verdict that hold at an instant, and why others do not.

    Args:
        evidence: Ledger and trust policy.
        policy: The policy that decides.
        issued: The verdict, verified.
        at: Aware UTC; waivers and their keys must be valid then.
        asked: When revocations of keys are judged, if later.

    Cost: one proof and two signatures for each waiver of the batch; nothing if the policy allows
        none.
    """
    policy = policy.for_source(issued.verdict.source)
    if policy.waiver is None:
        return Waived((), ())
    entries = _logged(evidence, issued)
    return waived_by(entries, answered(policy, issued), at=at, asked=asked)


def _logged(evidence: Evidence, issued: IssuedVerdict) -> Iterator[LoggedWaiver]:
    verdict = issued.verdict
    for found in evidence.ledger.find(Kind.WAIVER, verdict.source, verdict.digest):
        record = evidence.ledger.get_verified(found.index)
        yield LoggedWaiver(record.envelope, f"ledger entry {record.index}", evidence.trust)


def answered(policy: Policy, issued: IssuedVerdict) -> Answered:
    """Return what a waiver of a verdict must answer.

    Args:
        policy: The rules of the verdict's source.
        issued: The verdict, verified.
    """
    return Answered(issued.verdict, issued.envelope, policy)

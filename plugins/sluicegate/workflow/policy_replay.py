"""What a policy would have decided on the findings that the ledger keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluicegate.attest.trust import Role
from sluicegate.errors import MalformedEnvelope, SluicegateError
from sluicegate.gate.decide import decide
from sluicegate.gate.verdict import verdict_from_statement
from sluicegate.ledger.entry import Kind
from sluicegate.signals.record import Family, SignalRecord, Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sluicegate.gate.policy import Policy, Result
    from sluicegate.workflow.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Replay:
    """One verdict of the past, and what the policy would have made of its findings.

    Attributes:
        index: Ledger entry of the verdict.
        source: Name of the source.
        digest: Identity of the batch.
        was: Result then.
        would_be: Result under the policy; None if the kept findings do not verify or read.
        starts: Whether training would start.
        why: Worst reason, or why it could not be replayed.
    """

    index: int
    source: str
    digest: str
    was: Result
    would_be: Result | None
    starts: bool
    why: str


def replay(
    evidence: Evidence, policy: Policy, source: str | None = None, *, at: datetime
) -> Iterator[Replay]:
    """Decide again on every verdict whose findings the ledger keeps, oldest first.

    Only rules are replayed: a finding keeps the status that it got under the tolerances and
    the budget of then. A policy with other tolerances needs the data again.

    Args:
        evidence: Open ledger and trust policy.
        policy: The policy to try.
        source: Only this source; all when None.
        at: Aware UTC; keys must be valid then.

    Cost: two proofs and two signatures a verdict.
    """
    for found in evidence.ledger.find(Kind.VERDICT, source, newest_first=False):
        try:
            record = evidence.ledger.get_verified(found.index)
            statement = evidence.statement(record, Role.GATE, at=at)
            verdict = verdict_from_statement(statement, locator=f"ledger entry {found.index}")
        except SluicegateError:
            continue  # proves nothing; the audit reports it
        if verdict.source.startswith("model:"):
            continue  # judged by the section `model`, not by signals of a batch
        head = (found.index, verdict.source, str(verdict.digest), verdict.result)
        try:
            named = str(statement.predicate["sluicegate"]["testResult"])
            records = kept_records(evidence, named, at=at)
        except SluicegateError as error:
            yield Replay(*head, None, False, error.what)
            continue
        # What was expected then and left no finding is in the reasons of the verdict alone.
        silent = {r.code for r in verdict.reasons} - {r.code for r in records}
        rules = policy.for_source(verdict.source)
        result, reasons = decide(records, rules.signals, expected=silent)
        why = reasons[0].message if reasons else "no signal fired"
        yield Replay(*head, result, result in rules.accept, why)


def kept_records(evidence: Evidence, envelope: str, *, at: datetime) -> list[SignalRecord]:
    """Return the findings that a test result in the ledger keeps.

    Args:
        evidence: Ledger and trust policy.
        envelope: Digest of its envelope, as the verdict names it.
        at: Aware UTC; the gate's key must be valid then.

    Raises:
        SluicegateError: It is not there, does not verify, or cannot be read.
    """
    record = evidence.ledger.by_envelope(envelope)
    if record is None:
        raise MalformedEnvelope("the ledger does not hold the test result", locator=envelope[:19])
    statement = evidence.statement(record, Role.GATE, at=at)
    try:
        return [_record(item) for item in statement.predicate["sluicegate"]["records"]]
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedEnvelope("the test result cannot be read", locator=envelope[:19]) from error


def _record(item: dict[str, Any]) -> SignalRecord:
    typed = {"family": Family(item["family"]), "status": Status(item["status"])}
    return SignalRecord(**{**item, **typed})

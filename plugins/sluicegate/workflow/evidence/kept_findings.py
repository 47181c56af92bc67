"""The findings behind a verdict, as the ledger keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.attest.trust import Role
from sluicegate.errors import MalformedEnvelope
from sluicegate.signals.decision.record import Family, SignalRecord, Status

if TYPE_CHECKING:
    from datetime import datetime

    from sluicegate.workflow.evidence.verified import Evidence


def kept_records(
    evidence: Evidence, envelope: str, *, at: datetime, asked: datetime | None = None
) -> list[SignalRecord]:
    """Return the findings that a test result in the ledger keeps.

    Args:
        evidence: Ledger and trust policy.
        envelope: Digest of the test result's envelope, as the verdict names it.
        at: Aware UTC; the gate's key must be valid then.
        asked: When revocations are judged, if later.

    Raises:
        SluicegateError: The test result is not there, does not verify, or cannot be read.
    """
    record = evidence.ledger.by_envelope(envelope)
    if record is None:
        raise MalformedEnvelope("the ledger does not hold the test result", locator=envelope[:19])
    statement = evidence.statement(record, Role.GATE, at=at, asked=asked)
    try:
        return [_record(item) for item in statement.predicate["sluicegate"]["records"]]
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedEnvelope("the test result cannot be read", locator=envelope[:19]) from error


def _record(item: dict[str, Any]) -> SignalRecord:
    typed = {"family": Family(item["family"]), "status": Status(item["status"])}
    return SignalRecord(**{**item, **typed})

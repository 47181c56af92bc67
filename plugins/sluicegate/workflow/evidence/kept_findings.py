"""The findings behind a verdict, as the ledger keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluicegate.attest.trust import Role
from sluicegate.errors import MalformedEnvelope
from sluicegate.gate.kept_shapes import Shapes, shapes_from_json
from sluicegate.gate.worst_rows import KeptRows
from sluicegate.signals.decision.record import Family, SignalRecord, Status

if TYPE_CHECKING:
    from datetime import datetime

    from sluicegate.attest.statement import Statement
    from sluicegate.workflow.evidence.verified import Evidence


@dataclass(frozen=True, slots=True)
class Kept:
    """What a test result keeps.

    Attributes:
        records: The findings.
        shapes: How columns are spread, beside each baseline; None in a test result of a version
            that kept none.
        rows: The worst rows; None where the policy did not ask for them.
    """

    records: tuple[SignalRecord, ...]
    shapes: Shapes | None
    rows: KeptRows | None = None


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
    statement = _statement(evidence, envelope, at=at, asked=asked)
    return list(_records(statement, locator=envelope[:19]))


def kept_evidence(
    evidence: Evidence, envelope: str, *, at: datetime, asked: datetime | None = None
) -> Kept:
    """Return all that a test result in the ledger keeps of a batch.

    Args:
        evidence: As `kept_records`.
        envelope: As `kept_records`.
        at: As `kept_records`.
        asked: As `kept_records`.

    Raises:
        SluicegateError: As `kept_records`.
    """
    return kept_in(_statement(evidence, envelope, at=at, asked=asked), locator=envelope[:19])


def kept_in(statement: Statement, *, locator: str) -> Kept:
    """Return what a verified test result keeps.

    Args:
        statement: Payload of an envelope whose signature was verified before.
        locator: Where it came from, for messages.

    Raises:
        MalformedEnvelope: It is no test result, or keeps what no gate writes.
    """
    records = _records(statement, locator=locator)
    kept = statement.predicate["sluicegate"]
    try:
        return Kept(
            records,
            shapes_from_json(kept["shapes"]) if "shapes" in kept else None,
            KeptRows.from_json(kept["rows"]) if "rows" in kept else None,
        )
    except ValueError as error:
        raise MalformedEnvelope(
            "shapes or rows in the test result are malformed", locator=locator, got=str(error)
        ) from error


def _statement(
    evidence: Evidence, envelope: str, *, at: datetime, asked: datetime | None
) -> Statement:
    record = evidence.ledger.by_envelope(envelope)
    if record is None:
        raise MalformedEnvelope("the ledger does not hold the test result", locator=envelope[:19])
    return evidence.statement(record, Role.GATE, at=at, asked=asked)


def _records(statement: Statement, *, locator: str) -> tuple[SignalRecord, ...]:
    try:
        return tuple(_record(item) for item in statement.predicate["sluicegate"]["records"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedEnvelope("the test result cannot be read", locator=locator) from error


def _record(item: dict[str, Any]) -> SignalRecord:
    if not all(isinstance(item[name], str) for name in ("code", "column", "message")):
        raise TypeError("a finding is not named by text")
    typed = {"family": Family(item["family"]), "status": Status(item["status"])}
    return SignalRecord(**{**item, **typed})

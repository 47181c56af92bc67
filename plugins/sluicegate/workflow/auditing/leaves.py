"""Read a leaf of the ledger: its envelope, and what that claims before anything verifies it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sluicegate.adapters.policy_file import load_yaml
from sluicegate.attest import predicates
from sluicegate.attest.bundle import from_bundle
from sluicegate.attest.dsse import Envelope
from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import parse_timestamp
from sluicegate.attest.trust import Role
from sluicegate.errors import (
    ConfigError,
    MalformedEnvelope,
    VerificationError,
)
from sluicegate.gate.policy import Policy, parse_policy
from sluicegate.gate.promotion import promotion_from_statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sluicegate.ledger.log import Ledger
    from sluicegate.ledger.store import LedgerRecord

EXPECTED: Final = {
    "seal": (predicates.OMS_SIGNATURE, Role.SOURCE),
    "provenance": (predicates.PROVENANCE, Role.SOURCE),
    "baseline": (predicates.BASELINE, Role.BASELINE),
    "promotion": (predicates.BASELINE, Role.BASELINE),
    "test-result": (predicates.TEST_RESULT, Role.GATE),
    "verdict": (predicates.SVR, Role.GATE),
    "waiver": (predicates.WAIVER, Role.WAIVER),
}
"""Ledger kind to the predicate it holds and the role that must have signed. Of other kinds
the predicate itself says which roles may sign it."""

_TIME_FIELDS: Final = ("sealedAt", "timeCreated", "issuedAt", "createdAt", "created", "issued")


class _Misrouted(VerificationError):
    """The leaf leads to a statement about something else: a finding of an audit, never its end."""

    code = "MISROUTED"


def envelope_of(record: LedgerRecord) -> Envelope:
    """Return the envelope of a record; that of a seal is in a Sigstore bundle.

    Raises:
        MalformedEnvelope: The record holds no envelope.
    """
    locator = f"ledger entry {record.index}"
    if record.entry.kind == "seal":
        return from_bundle(record.envelope, locator=locator)[0]
    return Envelope.from_bytes(record.envelope, locator=locator)


def records_from(ledger: Ledger, start: int) -> Iterator[LedgerRecord]:
    """Return the records of a ledger in the order of the log, not verified.

    Args:
        ledger: The log.
        start: Index of the first leaf that is wanted.
    """
    if start == 0:
        return ledger.find(newest_first=False)
    fresh = []
    for record in ledger.find():
        if record.index < start:
            break
        fresh.append(record)
    return reversed(fresh)


def claimed_time(record: LedgerRecord) -> datetime | None:
    """Return the time that a statement gives itself, None if it gives none. It is only a claim."""
    try:
        body = Statement.from_bytes(envelope_of(record).payload).predicate
    except VerificationError:
        return None
    for name in _TIME_FIELDS:
        if name in body:
            try:
                return parse_timestamp(body[name])
            except MalformedEnvelope:
                return None
    return None


def require_routing(record: LedgerRecord, statement: Statement) -> None:
    """Return if a leaf names what the statement in it is about.

    Args:
        record: The leaf.
        statement: What it holds, verified.

    Raises:
        VerificationError: It names something else.
    """
    entry = record.entry
    if entry.kind == "promotion":
        promotion = promotion_from_statement(statement, locator="promotion")
        if (promotion.source, str(promotion.baseline)) != (entry.source, entry.subject):
            raise _Misrouted("the promotion is of another baseline or source")
        return
    if entry.kind == "baseline":
        # The statement is about the baseline, and is logged beside the batch that it judged.
        named: Any = statement.predicate.get("source")
        if named not in (None, entry.source):
            raise _Misrouted("the baseline is of another source", got=str(named)[:64])
        return
    algorithm, _, value = entry.subject.partition(":")
    for subject in statement.subjects:
        if (subject.name, subject.digest.get(algorithm)) == (entry.source, value):
            return
    raise _Misrouted("the statement is not about the batch that its leaf names")


def kept_policy(raw: bytes | None) -> Policy | None:
    """Return the policy in the bytes that a test result kept, None if they cannot be read."""
    if raw is None:
        return None
    try:
        return parse_policy(load_yaml(raw, locator="kept policy"), raw, locator="kept policy")
    except ConfigError:
        return None  # a later version than this auditor knows is reported as unknown

"""Quarantine and release: what the gate says of a batch that is set aside.

Both are Simple Verification Results of the role `gate`, as a verdict is. They have another property
and another extension, so that nobody can read them as a verdict (docs/formats/quarantine.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sluicegate.attest.contents import identity_of
from sluicegate.attest.predicates import SVR
from sluicegate.attest.statement import Statement, Subject
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.errors import ConfigError, MalformedEnvelope
from sluicegate.gate.verdict import VERIFIER_ID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sluicegate.digest.algorithms import Digest

_EXTENSION: Final = "sluicegateCustody"


class Custody(StrEnum):
    """Whether a batch is kept from training, or not any more."""

    QUARANTINED = "QUARANTINED"
    RELEASED = "RELEASED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyChange:
    """One change of custody.

    Attributes:
        state: What holds from now on.
        subjects: The sealed subject, as the seal names it.
        reasons: Why, in one sentence for each reason; at least one.
        answers: Envelope digest of the quarantine that a release ends; "" for a quarantine.
        run: Who did it.
        at: When, aware UTC.

    Raises:
        ConfigError: There is no reason, or one is blank.
    """

    state: Custody
    subjects: tuple[Subject, ...]
    reasons: tuple[str, ...]
    answers: str
    run: Mapping[str, str]
    at: datetime

    def __post_init__(self) -> None:
        if not self.reasons or not all(reason.strip() for reason in self.reasons):
            raise ConfigError("a change of custody needs a reason", locator=self.state)

    def to_statement(self) -> Statement:
        """Return the statement to sign."""
        return Statement(
            self.subjects,
            SVR,
            {
                "verifier": {"id": VERIFIER_ID},
                "timeCreated": format_timestamp(self.at),
                "properties": [f"SLUICEGATE_{self.state}"],
                _EXTENSION: {
                    "state": self.state.value,
                    "reasons": list(self.reasons),
                    "answers": self.answers,
                    "run": dict(self.run),
                },
            },
        )


def custody_of(statement: Statement) -> Custody | None:
    """Return the change of custody that a statement claims to be; None if it claims none."""
    said = _said(statement).get("state")
    return Custody(said) if said in set(Custody) else None


def answered_by(statement: Statement) -> str:
    """Return the envelope digest of the quarantine that a release claims to end; "" if none."""
    return str(_said(statement).get("answers", ""))


def reasons_of(statement: Statement) -> str:
    """Return in one line why custody changed, in the words of its signer."""
    said = _said(statement).get("reasons")
    return "; ".join(map(str, said)) if isinstance(said, list) else ""


def require_release(
    statement: Statement, source: str, digest: Digest, quarantine: str, *, locator: str
) -> None:
    """Return if a verified statement releases exactly this batch from this quarantine.

    Args:
        statement: Payload of an envelope whose signature was verified before.
        source: Name of the batch's source.
        digest: Identity of the batch.
        quarantine: Envelope digest of the quarantine that the release must end.
        locator: Where the statement came from, for messages.

    Raises:
        MalformedEnvelope: It says anything else.
    """
    (subject, *more) = statement.subjects
    said = _said(statement)
    if (
        more
        or (subject.name, identity_of(subject, locator=locator)) != (source, digest)
        or (said.get("state"), said.get("answers")) != (Custody.RELEASED, quarantine)
    ):
        raise MalformedEnvelope("the statement does not release this batch", locator=locator)


def _said(statement: Statement) -> Mapping[str, Any]:
    body = statement.predicate.get(_EXTENSION)
    return body if statement.predicate_type == SVR and isinstance(body, dict) else {}

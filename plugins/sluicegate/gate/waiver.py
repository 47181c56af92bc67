"""A waiver: two people accept, for a while, that named signals fired on one exact batch.

Specified in docs/formats/waiver.md. A waiver is text from people. The policy in force decides what
it lets pass, and only for the one verdict that it answers.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluicegate.attest.contents import identity_of
from sluicegate.attest.predicates import WAIVER
from sluicegate.attest.statement import Statement, Subject
from sluicegate.attest.timestamps import format_timestamp, parse_timestamp, require_in_force
from sluicegate.digest.algorithms import Digest
from sluicegate.errors import ConfigError, MalformedEnvelope, UntrustedKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sluicegate.gate.waiver_rules import WaiverRules

GRANT: Final = "grant"
REVOKE: Final = "revoke"
MAX_REASON_CHARS: Final = 2000
_NOBODY: Final = frozenset({"", "anonymous", "none", "null"})
_FIELDS: Final = frozenset(
    {"action", "verdict", "signals", "reason", "requestedBy", "confirmedBy", "issued", "expires"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """What two people sign.

    Attributes:
        subjects: The sealed subject, as seal and verdict name it.
        verdict: Digest of the envelope of the verdict that it answers.
        signals: Codes that may have fired; at least one.
        reason: Why, in words; at most `MAX_REASON_CHARS` characters.
        requested_by: Name of the first approver.
        confirmed_by: Name of the second, or "" if the first did not know who it would be.
        issued: Aware UTC.
        expires: First instant at which it lets nothing pass any more, aware UTC.

    Raises:
        ConfigError: A person, reason, signal or time is missing, or one person is there twice.
    """

    subjects: tuple[Subject, ...]
    verdict: Digest
    signals: frozenset[str]
    reason: str
    requested_by: str
    confirmed_by: str
    issued: datetime
    expires: datetime

    def __post_init__(self) -> None:
        require_person(self.requested_by)
        if self.confirmed_by:
            require_other_person(self.requested_by, self.confirmed_by)
        if not self.reason.strip() or len(self.reason) > MAX_REASON_CHARS:
            raise _refused("a waiver needs a reason", f"1 to {MAX_REASON_CHARS} characters")
        if not self.signals or not all(self.signals):
            raise _refused("a waiver names the signals that it covers", "at least one code")
        if self.issued >= self.expires:
            raise _refused("a waiver needs a time in which it holds", "issued before expires")

    @property
    def source(self) -> str:
        """Name of the source."""
        return self.subjects[0].name

    @property
    def digest(self) -> Digest:
        """Identity of the only batch that it speaks of."""
        return identity_of(self.subjects[0], locator="waiver")

    def to_statement(self) -> Statement:
        """Return the statement to sign."""
        return Statement(
            self.subjects,
            WAIVER,
            {
                "action": GRANT,
                "verdict": str(self.verdict),
                "signals": sorted(self.signals),
                "reason": self.reason,
                "requestedBy": self.requested_by,
                "confirmedBy": self.confirmed_by,
                "issued": format_timestamp(self.issued),
                "expires": format_timestamp(self.expires),
            },
        )

    def require_allowed(self, rules: WaiverRules | None, *, at: datetime) -> WaiverRules:
        """Return the rules if they let this waiver hold now.

        Args:
            rules: Rules of the policy in force; None allows no waiver.
            at: Now, aware UTC.

        Raises:
            ConfigError: Nobody may waive one of its signals, or it holds too long.
            Expired: It does not hold any more, or was signed in the future by more than clocks
                differ.
        """
        if rules is None:
            raise _refused("the policy allows no waivers", "a section `waiver`")
        if forbidden := sorted(self.signals - rules.allow):
            raise _refused(
                f"the policy lets nobody waive {', '.join(forbidden)}",
                f"of {', '.join(sorted(rules.allow))}",
            )
        if (self.expires - self.issued).total_seconds() > rules.max_s:
            raise _refused("the waiver holds too long", f"at most {rules.max_s / 3600:g} hours")
        require_in_force(
            "the waiver",
            self.issued,
            self.expires,
            at=at,
            locator=f"{self.source}@{self.digest.short}",
            next_step="Have it waived again, or correct the batch.",
        )
        return rules


def require_approvers(
    waiver: Waiver, key_ids: Sequence[str], rules: WaiverRules, *, locator: str
) -> None:
    """Raise unless enough different people stand behind keys that signed.

    Args:
        waiver: What they signed.
        key_ids: Ids of the keys of the waiver role whose signatures hold, each once.
        rules: Rules of the policy in force.
        locator: Where the waiver came from, for messages.

    Raises:
        UntrustedKey: There are too few keys or people, or a name belongs to none of the keys.
    """
    if not rules.persons:
        found = len(set(key_ids))
    else:
        names = {person_key(rules.persons[key]) for key in key_ids if key in rules.persons}
        found = len(names)
        for said in filter(None, (waiver.requested_by, waiver.confirmed_by)):
            if person_key(said) not in names:
                raise UntrustedKey(
                    "the waiver names a person whose key did not sign it",
                    locator=locator,
                    got=ascii(said)[:60],
                )
    if found < rules.approvers:
        raise UntrustedKey(
            "too few people approved the waiver",
            locator=locator,
            expected=f"{rules.approvers} different people, each with a key of the waiver role",
            got=str(found),
        )


def waiver_from_statement(statement: Statement, *, locator: str) -> Waiver:
    """Read a waiver from its verified statement.

    Args:
        statement: Payload of an envelope whose signature was verified before.
        locator: Where it came from, for messages.

    Raises:
        MalformedEnvelope: It is no waiver, or a field is missing, unknown or mistyped.
    """
    body = statement.predicate
    if statement.predicate_type != WAIVER or body.keys() != _FIELDS or body["action"] != GRANT:
        raise MalformedEnvelope("the statement is not a waiver", locator=locator, expected=WAIVER)
    try:
        waiver = Waiver(
            subjects=statement.subjects,
            verdict=Digest.parse(_text(body["verdict"])),
            signals=frozenset(_text(code) for code in body["signals"]),
            reason=_text(body["reason"]),
            requested_by=_text(body["requestedBy"]),
            confirmed_by=_text(body["confirmedBy"]),
            issued=parse_timestamp(body["issued"]),
            expires=parse_timestamp(body["expires"]),
        )
        (_only,) = statement.subjects
        _ = waiver.digest
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise MalformedEnvelope(
            "the statement is not a waiver", locator=locator, got=str(error)[:200]
        ) from error
    return waiver


def revocation_statement(
    subjects: tuple[Subject, ...], *, reason: str, by: str, at: datetime
) -> Statement:
    """Return the statement that no earlier waiver of a batch holds any more.

    Args:
        subjects: The sealed subject, as seal and verdict name it.
        reason: Why, in words.
        by: Name of the person who revokes.
        at: When, aware UTC.

    Raises:
        ConfigError: There is no reason or no person.
    """
    require_person(by)
    if not reason.strip():
        raise _refused("a revocation needs a reason", "text")
    return Statement(
        subjects,
        WAIVER,
        {"action": REVOKE, "reason": reason, "requestedBy": by, "issued": format_timestamp(at)},
    )


def is_revocation(statement: Statement) -> bool:
    """Return whether a statement claims to revoke. The claim is enough to stop training."""
    return statement.predicate.get("action") == REVOKE


def person_key(name: str) -> str:
    """Return the form in which two spellings of one name are equal."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def require_person(name: str) -> None:
    """Raise ConfigError unless a name can belong to somebody."""
    if person_key(name) in _NOBODY or not name.isprintable():
        raise _refused("a waiver is given by a person with a name", "a name", ascii(name)[:60])


def require_other_person(first: str, second: str) -> None:
    """Raise ConfigError unless two names belong to two people.

    Args:
        first: Name of a person.
        second: Name that must be another person's.
    """
    require_person(second)
    if person_key(first) == person_key(second):
        raise _refused("nobody may confirm their own waiver", "another person", ascii(second)[:60])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


def _refused(what: str, expected: str = "", got: str = "") -> ConfigError:
    return ConfigError(what, locator="waiver", expected=expected, got=got)

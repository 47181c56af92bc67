"""Whether what Airflow hands back from its form is the answer of a person. No input or output.

Airflow resumes a parked task with what somebody, or nobody, answered. It checks that the person was
logged in and assigned. Everything else is checked here, and an answer that does not count raises.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sluicegate.errors import ConfigError, GateBlocked, VerificationError
from sluicegate.gate.waiver import person_key, require_person

if TYPE_CHECKING:
    from collections.abc import Mapping

APPROVE: Final = "Approve"
REJECT: Final = "Reject"
ABOUT: Final = "about"
"""Field of the form that carries what the question is about. It must come back unchanged, so that
no answer counts that was given to an older question, or made up without reading this one."""

READING_S: Final = 5.0
"""Nobody reads the reasons and decides in less time; a faster answer was prepared before."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person decided.

    Attributes:
        by: Name of the person, as the policy has it.
        fields: What was entered into the form.
    """

    by: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a text that was entered.

        Raises:
            ConfigError: The entry is empty or is not a text.
        """
        value = self.fields.get(name)
        if not isinstance(value, str) or not value.strip():
            raise ConfigError("the form lacks an entry", locator=name, expected="text")
        return value.strip()

    def number(self, name: str, most: float) -> float:
        """Return a number above 0 that was entered.

        Args:
            name: Field of the form.
            most: Largest number that is accepted.

        Raises:
            ConfigError: The entry is not a number, or is not in (0, most].
        """
        value = self.fields.get(name)
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
        if not math.isfinite(number) or not 0 < number <= most:
            raise ConfigError(
                "the form's number is out of range", locator=name, expected=f"0 to {most:g}"
            )
        return float(number)


def answer_of(
    event: Mapping[str, Any], *, about: str, asked_at: datetime, people: Mapping[str, str]
) -> Answer:
    """Return the answer in an event, if it counts.

    Args:
        event: What Airflow resumed the task with.
        about: What the question was about.
        asked_at: Aware UTC; when it was asked.
        people: Who may answer: Airflow's id of each person to the name in the policy.

    Raises:
        GateBlocked: The person rejected.
        ConfigError: The person may not answer.
        VerificationError: A timeout answered; or the answer came too early, or is about something
            else.
    """
    # 1. A person answered, not a timeout               (silence is not consent)
    user = event.get("responded_by_user")
    if event.get("error") or event.get("timedout") or not isinstance(user, dict):
        raise _uncounted("no person answered")
    # 2. One of those the policy names                  ("Anonymous", another user)
    require_person(str(user.get("name", "")))
    name = people.get(str(user.get("id", "")))
    if name is None:
        raise ConfigError(
            "this person may not answer",
            locator=ascii(user.get("id", ""))[:60],
            expected=f"of {', '.join(sorted(people))}",
        )
    # 3. After reading the question                     (answer prepared before, or of a script)
    if (_moment(event.get("responded_at")) - asked_at).total_seconds() < READING_S:
        raise _uncounted(f"the answer came less than {READING_S:g} s after the question")
    # 4. About this very question                       (answer to an older one)
    fields = event.get("params_input")
    if not isinstance(fields, dict) or fields.get(ABOUT) != about:
        raise _uncounted("the answer is about something else")
    # 5. And says yes
    if event.get("chosen_options") != [APPROVE]:
        raise GateBlocked(None, f"{name} rejected the waiver", locator=about[:19])
    return Answer(name, fields)


def people_of(names: tuple[str, ...], user_ids: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping of Airflow's user ids to the names of people.

    Args:
        names: Who may answer, as the policy names them.
        user_ids: Name to Airflow's id; a name that is missing is its own id.

    Raises:
        ConfigError: Two names have the same id.
    """
    found: dict[str, str] = {}
    for name in names:
        if (user_id := user_ids.get(name, name)) in found:
            raise ConfigError("two people have one user id", locator=ascii(user_id)[:60])
        found[user_id] = name
    return found


def same_person(one: str, other: str) -> bool:
    """Return whether two names belong to the same person.

    Args:
        one: A name, as somebody wrote it.
        other: Another; case and spacing make no difference.
    """
    return person_key(one) == person_key(other)


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise _uncounted("the answer has no time")
    return moment.astimezone(UTC)


def _uncounted(what: str) -> VerificationError:
    return VerificationError(
        what, locator="waiver form", next_step="Clear the task to ask again; nothing was waived."
    )

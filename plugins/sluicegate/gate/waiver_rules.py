"""The policy's section on waivers: which signals, for how long, and by how many people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.gate.policy_reader import PolicyReader

MAX_HOURS: Final = 24 * 31
"""Longest validity of a waiver, in hours: a longer exception belongs into the policy."""

_KEYS = frozenset({"allow", "max_hours", "approvers", "persons"})


@dataclass(frozen=True, slots=True)
class WaiverRules:
    """What people may waive.

    Attributes:
        allow: Codes of the signals that may be waived; no other may be.
        max_s: Longest validity of a waiver, in seconds.
        approvers: Number of different people, each with a key of their own, 2 to 16.
        persons: Name of each key's holder by key id, as the administrator knows them. If it is
            empty, people are told apart by their keys and by the names that they gave.
    """

    allow: frozenset[str]
    max_s: int
    approvers: int = 2
    persons: Mapping[str, str] = field(default_factory=dict)


def read_waiver_rules(reader: PolicyReader, value: Any) -> WaiverRules:
    """Read the section ``waiver``.

    Args:
        reader: Of the policy file.
        value: What the YAML parser made of the section.

    Raises:
        ConfigError: Keys are unknown, missing or ill-typed, or there are fewer than two
            approvers.
    """
    body = reader.mapping(value, "waiver")
    reader.only(body, _KEYS, required=frozenset({"allow", "max_hours"}), where="waiver")
    approvers = body.get("approvers", 2)
    # One approver would be self-approval under another name.
    if not isinstance(approvers, int) or isinstance(approvers, bool) or not 2 <= approvers <= 16:
        raise reader.error("waiver.approvers", "2 to 16", repr(approvers)[:20])
    return WaiverRules(
        allow=frozenset(
            reader.text(code, "waiver.allow")
            for code in reader.items(body["allow"], "waiver.allow")
        ),
        max_s=round(3600 * reader.number(body["max_hours"], "waiver.max_hours", MAX_HOURS)),
        approvers=approvers,
        persons=_persons(reader, body["persons"]) if "persons" in body else {},
    )


def _persons(reader: PolicyReader, value: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, keys in reader.mapping(value, "waiver.persons").items():
        for key in reader.items(keys, f"waiver.persons.{name}"):
            if reader.text(key, "waiver.persons") in found:
                raise reader.error("waiver.persons", "each key once", f"{key[:12]} twice")
            found[key] = name
    return found

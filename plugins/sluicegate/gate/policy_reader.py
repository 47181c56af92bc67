"""Strict readers of a policy's fields.

Every ``field`` is the path of a field in the file, as ``waiver.allow``, and each refusal names it.
A ``value`` is what the YAML parser made of the field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_E = TypeVar("_E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class PolicyReader:
    """Strict readers that share the file's name for their messages.

    Attributes:
        locator: Name of the file.
    """

    locator: str

    def error(self, field: str, expected: str, got: str) -> ConfigError:
        """Return the error of one field.

        Args:
            field: Path of the field in the file.
            expected: What would be usable.
            got: What is there: its kind, or a value that is no secret.
        """
        return ConfigError(
            f"{field} of the policy is not usable",
            locator=self.locator,
            expected=expected,
            got=got,
            next_step="Correct the policy file; `sluicegate policy lint` checks it.",
        )

    def mapping(self, value: Any, field: str) -> Mapping[str, Any]:
        """Return a mapping with text keys and at least one entry.

        Args:
            value: What the YAML parser made of the field.
            field: Path of the field in the file.
        """
        if not isinstance(value, dict) or not value or not all(isinstance(k, str) for k in value):
            raise self.error(field, "a mapping with at least one entry", kind_of(value))
        return value

    def items(self, value: Any, field: str) -> list[Any]:
        """Return a list with at least one entry.

        Args:
            value: What the YAML parser made of the field.
            field: Path of the field in the file.
        """
        if not isinstance(value, list) or not value:
            raise self.error(field, "a list with at least one entry", kind_of(value))
        return value

    def only(
        self,
        body: Mapping[str, Any],
        known: frozenset[str],
        *,
        required: frozenset[str],
        where: str,
    ) -> None:
        """Refuse unknown keys and missing ones.

        Args:
            body: From `mapping`.
            known: All keys that it may have.
            required: Keys that it must have.
            where: Path of the mapping in the file.
        """
        if unknown := sorted(body.keys() - known):
            raise self.error(where, f"only {', '.join(sorted(known))}", f"also {unknown[0]}")
        if missing := sorted(required - body.keys()):
            raise self.error(where, f"a key {missing[0]}", "none")

    def text(self, value: Any, field: str) -> str:
        """Return text that is not blank.

        Args:
            value: What the YAML parser made of the field.
            field: Path of the field in the file.
        """
        if not isinstance(value, str) or not value.strip():
            raise self.error(field, "text", kind_of(value))
        return value

    def choice(self, value: Any, choices: Iterable[_E], field: str) -> _E:
        """Return one of the members of an enum.

        Args:
            value: What the YAML parser made of the field; it is shown if it is no member.
            choices: The members that are accepted.
            field: Path of the field in the file.
        """
        for choice in choices:
            if choice == value:
                return choice
        raise self.error(field, " or ".join(choices), repr(value))

    def number(self, value: Any, field: str, most: float) -> float:
        """Return a number above 0.

        Args:
            value: What the YAML parser made of the field; a Boolean is no number.
            field: Path of the field in the file.
            most: Largest number accepted.
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(field, "a number", kind_of(value))
        if not (math.isfinite(value) and 0 < value <= most):
            raise self.error(field, f"above 0 and at most {most:g}", f"{value:g}")
        return float(value)

    def share(self, value: Any, field: str) -> float:
        """Return a number in [0, 1].

        Args:
            value: What the YAML parser made of the field; a Boolean is no number.
            field: Path of the field in the file.
        """
        if not isinstance(value, bool) and value == 0:
            return 0.0
        return self.number(value, field, 1)


def kind_of(value: Any) -> str:
    """Return the kind of a value, never the value itself."""
    return "nothing" if value in (None, "", [], {}) else type(value).__name__

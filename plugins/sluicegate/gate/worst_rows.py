"""The worst rows of a batch: what a policy lets a gate keep of them, and the form in which it does.

docs/formats/policy.md and docs/formats/verdict.md, section Rows. They decide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from sluicegate.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.gate.policy_reader import PolicyReader

MOST: Final = 200
"""Rows that are kept of a batch, at most."""
MAX_TEXT: Final = 80
"""Longest value that is kept, in characters."""
_CODES: Final = 40
_KEYS: Final = {"named", "worst", "lack"}
_ROW_KEYS: Final = {"row", "score", "codes", "values"}


class Shown(StrEnum):
    """Roles of columns whose values a policy may let a gate keep."""

    ID = "id"
    LABEL = "label"
    CONTRIBUTOR = "contributor"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class RowRules:
    """What may be kept of rows.

    Attributes:
        most: Rows, 1 to `MOST`.
        values: Roles whose values are kept with them; none by default.
    """

    most: int
    values: frozenset[Shown] = frozenset()

    def shows_more_than(self, other: RowRules | None) -> bool:
        """Return whether it lets more of a row be seen than another; None keeps no row."""
        return other is None or self.most > other.most or bool(self.values - other.values)


def read_row_rules(reader: PolicyReader, value: Any) -> RowRules:
    """Read the section ``worst_rows``.

    Args:
        reader: Of the policy file.
        value: What the YAML parser made of the section.

    Raises:
        ConfigError: Keys are unknown, missing or ill-typed, or a role is unknown.
    """
    body = reader.mapping(value, "worst_rows")
    known = frozenset({"most", "values"})
    reader.only(body, known, required=frozenset({"most"}), where="worst_rows")
    most = reader.number(body["most"], "worst_rows.most", MOST)
    if most != int(most):
        raise reader.error("worst_rows.most", "a whole number", f"{most:g}")
    where = "worst_rows.values"
    roles = reader.items(body["values"], where) if "values" in body else []
    return RowRules(int(most), frozenset(reader.choice(role, Shown, where) for role in roles))


@dataclass(frozen=True, slots=True)
class WorstRow:
    """A row that findings name.

    Attributes:
        row: Its place in the batch, from 0.
        score: Probability that it is bad, in [0, 1].
        codes: Signals that name it.
        values: What the policy lets be kept of it, by role; a missing value is "".
    """

    row: int
    score: float
    codes: tuple[str, ...]
    values: Mapping[Shown, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shown = {role: visible(text, MAX_TEXT) for role, text in self.values.items()}
        object.__setattr__(self, "values", shown)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        values = {role.value: text for role, text in self.values.items()}
        return {"row": self.row, "score": self.score, "codes": list(self.codes), "values": values}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what `to_json` wrote, and nothing else.

        Args:
            value: Parsed JSON.

        Raises:
            ValueError: Not a row.
        """
        _require(isinstance(value, dict) and value.keys() == _ROW_KEYS, "a row has other fields")
        row, score, codes, values = (value[key] for key in ("row", "score", "codes", "values"))
        _require(type(row) is int and row >= 0, "a row has no place")
        _require(type(score) in {int, float} and 0 <= score <= 1, "a score is no probability")
        _require(isinstance(codes, list) and 0 < len(codes) <= _CODES, "no, or many, codes")
        _require(all(isinstance(c, str) and len(c) <= MAX_TEXT for c in codes), "a code is no text")
        _require(isinstance(values, dict), "values of a row are no object")
        texts = values.values()
        _require(
            all(isinstance(t, str) and len(t) <= MAX_TEXT for t in texts), "a value is no text"
        )
        found = cls(row, score, tuple(codes), {Shown(key): text for key, text in values.items()})
        _require(found.to_json() == value, "a row holds text that would not be shown as it is")
        return found


@dataclass(frozen=True, slots=True)
class KeptRows:
    """The worst rows of a batch.

    Attributes:
        named: How many rows findings name.
        worst: The worst of them, worst first.
        lack: Why none are kept although the policy asks for them; else "".
    """

    named: int
    worst: tuple[WorstRow, ...]
    lack: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        worst = [row.to_json() for row in self.worst]
        return {"named": self.named, "worst": worst, "lack": self.lack}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what `to_json` wrote, and nothing else.

        Args:
            value: Parsed JSON.

        Raises:
            ValueError: Not rows, or more than are kept.
        """
        _require(isinstance(value, dict) and value.keys() == _KEYS, "rows have other fields")
        named, worst, lack = value["named"], value["worst"], value["lack"]
        _require(isinstance(worst, list) and len(worst) <= MOST, "no list of rows, or too many")
        _require(type(named) is int and named >= len(worst), "fewer rows are named than kept")
        _require(isinstance(lack, str) and visible(lack, MAX_TEXT) == lack, "a lack is no text")
        return cls(named, tuple(WorstRow.from_json(row) for row in worst), lack)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


__all__ = ["MAX_TEXT", "MOST", "KeptRows", "RowRules", "Shown", "WorstRow", "read_row_rules"]

"""A shape: how a column is spread in baseline and batch, in few enough cells to draw and to keep.

A report draws it, and a gate keeps it with its findings (docs/formats/verdict.md, section Shapes).
Its numbers are rows, so that equal counts give equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from sluicegate.untrusted import visible

MAX_CELLS: Final = 32
"""Cells of a shape, at most; those of a number, of classes and of times are fewer."""
MAX_PARTS: Final = 8
"""Groups of rows that a shape tells apart, at most."""
MAX_TEXT: Final = 80
"""Longest name of a cell or group, in characters."""
MAX_COLUMN: Final = 255
"""Longest name of a column whose shape is kept, in characters."""

_KEYS: Final = {"column", "role", "kind", "cells", "baseline", "batch", "parts", "note"}
_PART_KEYS: Final = {"subject", "baseline", "batch"}


class Played(StrEnum):
    """What a column is to its source, as far as drawings tell roles apart."""

    LABEL = "label"
    CONTRIBUTOR = "contributor"
    OTHER = "other"


class Drawn(StrEnum):
    """What the cells of a shape are; those of all but VALUES and PRESENCE have an order."""

    NUMBERS = "numbers"
    LENGTHS = "lengths"
    VALUES = "values"
    PRESENCE = "presence"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the rows, in the cells of their shape.

    Attributes:
        subject: Which rows, for a person.
        rows_before: Those of the baseline in each cell.
        rows_now: Those of the batch in each cell.
    """

    subject: str
    rows_before: tuple[int, ...]
    rows_now: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", visible(self.subject, MAX_TEXT))


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows of one column, cell by cell.

    Attributes:
        column: Its name.
        kind: What the cells are.
        cells: Their names. Bounds, classes and categories come from the baseline, never from rows
            of the batch.
        rows_before: Rows of the baseline in each cell.
        rows_now: Rows of the batch in each cell.
        parts: The same of some groups of rows, such as those of one contributor.
        note: What the baseline's rows are, if they are not all of them.
        role: What the column is to its source.
    """

    column: str
    kind: Drawn
    cells: tuple[str, ...]
    rows_before: tuple[int, ...]
    rows_now: tuple[int, ...]
    parts: tuple[Part, ...] = ()
    note: str = ""
    role: Played = Played.OTHER

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", tuple(visible(name, MAX_TEXT) for name in self.cells))

    @property
    def baseline(self) -> tuple[float, ...]:
        """Share of the baseline's rows in each cell, in [0, 1]; zeros where it has none."""
        return _shares(self.rows_before)

    @property
    def batch(self) -> tuple[float, ...]:
        """Share of the batch's rows in each cell, in [0, 1]; zeros where it has none."""
        return _shares(self.rows_now)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "column": self.column,
            "role": self.role.value,
            "kind": self.kind.value,
            "cells": list(self.cells),
            "baseline": list(self.rows_before),
            "batch": list(self.rows_now),
            "parts": [
                {
                    "subject": part.subject,
                    "baseline": list(part.rows_before),
                    "batch": list(part.rows_now),
                }
                for part in self.parts
            ],
            "note": self.note,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what `to_json` wrote, and nothing else.

        Args:
            value: Parsed JSON.

        Raises:
            ValueError: Not a shape, or a larger one than is kept.
        """
        _require(isinstance(value, dict) and value.keys() == _KEYS, "a shape has other fields")
        cells, parts = value["cells"], value["parts"]
        _require(isinstance(cells, list) and 0 < len(cells) <= MAX_CELLS, "no, or many, cells")
        _require(isinstance(parts, list) and len(parts) <= MAX_PARTS, "too many parts")
        found = cls(
            column=_text(value["column"], MAX_COLUMN),
            kind=Drawn(_text(value["kind"])),
            cells=tuple(_text(name) for name in cells),
            rows_before=_rows(value["baseline"], len(cells)),
            rows_now=_rows(value["batch"], len(cells)),
            parts=tuple(_part(part, len(cells)) for part in parts),
            note=_text(value["note"]),
            role=Played(_text(value["role"])),
        )
        _require(found.to_json() == value, "a shape holds text that would not be shown as it is")
        return found


def _part(value: Any, n_cells: int) -> Part:
    fits = isinstance(value, dict) and value.keys() == _PART_KEYS
    _require(fits, "a part of a shape has other fields")
    return Part(
        _text(value["subject"]),
        _rows(value["baseline"], n_cells),
        _rows(value["batch"], n_cells),
    )


def _rows(value: Any, n_cells: int) -> tuple[int, ...]:
    _require(isinstance(value, list) and len(value) == n_cells, "rows do not fit the cells")
    _require(all(type(count) is int and count >= 0 for count in value), "rows are no counts")
    return tuple(value)


def _text(value: Any, most: int = MAX_TEXT) -> str:
    _require(isinstance(value, str) and len(value) <= most, "a name is no text, or too long")
    return str(value)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _shares(rows: tuple[int, ...]) -> tuple[float, ...]:
    total = sum(rows)
    return tuple(count / total if total else 0.0 for count in rows)


__all__ = ["MAX_CELLS", "MAX_COLUMN", "MAX_PARTS", "MAX_TEXT", "Drawn", "Part", "Played", "Shape"]

"""What kind of label a column holds: classes, or numbers that were measured.

The schema says it (`label: {column: price, kind: number}`). Where it does not, the values do, and
never their type: counts are as often stored as floats as classes are as integers. Whole numbers of
many values may be either, so nobody guesses: the baseline is refused until the schema says it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.errors import ConfigError
from sluicegate.profiling.buffers import floats, plain
from sluicegate.profiling.columns import MAX_BINS, Kind, kind_of

if TYPE_CHECKING:
    import pyarrow as pa


class LabelKind(StrEnum):
    """What a label is, as the schema file names it."""

    CLASS = "class"
    NUMBER = "number"


TARGET = "target"
"""The role of a measured label, beside those of the schema file."""


def label_role(name: str, values: pa.Array | pa.ChunkedArray, declared: LabelKind | None) -> str:
    """Return the role that fixes the cells of a label: "label" of classes, or `TARGET`.

    Args:
        name: The label's column.
        values: All its baseline values. Lists and structures stay "label": nobody judges them.
        declared: What the schema says; None if it says nothing.

    Raises:
        ConfigError: The values cannot be what the schema says, they are dates, or they are whole
            numbers of more than 64 values and the schema does not say what they are.

    Cost: one sort of numbers.
    """
    array = plain(values)
    kind = kind_of(array.type)
    if kind is Kind.DATETIME:
        raise _refused(
            name,
            "numbers or classes",
            "dates or times",
            "Give the label as a number, "
            "such as days since a fixed date, and declare it: kind: number.",
        )
    if declared is LabelKind.NUMBER and kind is not Kind.NUMERIC:
        raise _refused(
            name,
            "numbers, because the schema says kind: number",
            str(array.type),
            "Cast the column to a number, or declare it: kind: class.",
        )
    if declared is not None or kind is not Kind.NUMERIC:
        return TARGET if declared is LabelKind.NUMBER else "label"
    finite = floats(array.drop_null())
    finite = np.unique(finite[np.isfinite(finite)])
    if finite.size <= MAX_BINS:
        return "label"
    if (finite != np.floor(finite)).any():
        return TARGET
    raise _refused(
        name,
        f"at most {MAX_BINS} different whole numbers, or a schema that says what they are",
        f"{finite.size}, which may be classes or measurements",
        f"Write `label: {{column: {name}, kind: number}}` into the schema if they are counted or "
        "measured, `kind: class` if they are names.",
    )


def _refused(name: str, expected: str, got: str, next_step: str) -> ConfigError:
    return ConfigError(
        "label cannot be judged",
        locator=f"schema: label {name}",
        expected=expected,
        got=got,
        next_step=next_step,
    )

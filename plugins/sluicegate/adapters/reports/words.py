"""Words and signs for findings: the report of `check` and the page in Airflow show the same.

The page's program repeats what it cannot import; a test holds both alike.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from sluicegate.signals.decision.record import Status
from sluicegate.signals.decision.shape import Drawn
from sluicegate.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.signals.decision.record import SignalRecord

SIGNS: Final[Mapping[str, str]] = {
    Status.PASSED: "✓",
    Status.WARNED: "!",
    Status.FAILED: "✕",
    Status.NOT_EVALUATED: "\u2013",
}
"""A sign for each result, for whoever sees no colours."""

AT_LEAST: Final = "at least"
TOLERATED: Final = "tolerated"
BY_SUBJECT: Final = "Share of the batch, by subject"
TIED: Final = "Share of rows that hold what the finding is about"
IN_WINDOW: Final = "Share of the batch's rows in a window of time, UTC"
LABELS_BY: Final = "Labels by contributor: baseline above, batch below"
CELLS: Final[Mapping[str, str]] = {
    Drawn.NUMBERS: "Cells hold about as many rows of the baseline each, or one value each where it "
    "has few.",
    Drawn.LENGTHS: "Length of the texts in characters. Cells hold about as many texts of the "
    "baseline each, or one length each.",
    Drawn.TIME: "When rows came, UTC.",
}
"""What the cells of a plot are."""
NO_SIGNAL: Final = "No signal fired."
PARTS: Final = ("Baseline and batch", "Rows to look at", "Findings", "What passed", "Evidence")
"""Titles of what is shown of a verdict, in their order."""
PASSED_HEADS: Final = ("Signal", "Column", "Effect", "Tolerated", "p")

_TINY: Final = 1e-12
_SENTENCE: Final = re.compile(r"(?<=[^.]\.) (?=[A-Z])")


def number(value: float | None) -> str:
    """Return a number with three significant digits; "" for none."""
    return "" if value is None else f"{value:.3g}"


def chance(p_value: float | None) -> str:
    """Return a p-value; one below what the statistics compute exactly says only that."""
    return "< 1e-12" if p_value is not None and p_value < _TINY else number(p_value)


def counted(n: int, what: str) -> str:
    """Return a number of things, with commas.

    Args:
        n: How many.
        what: One of them; two have an s.

    Example:
        >>> counted(1, "row"), counted(28128, "row")
        ('1 row', '28,128 rows')
    """
    return f"{n:,} {what}{'s'[: n != 1]}"


def titled(code: str, column: str) -> str:
    """Return what a finding is called.

    Args:
        code: Its signal.
        column: That it is about, or "".
    """
    return f"{code}: {visible(column, 100)}" if column else code


def untitled(message: str, code: str, column: str = "") -> str:
    """Return the message of a finding without what stands beside it already.

    Args:
        message: As the signal wrote it.
        code: Of the signal.
        column: That it is about; "" keeps it.
    """
    text = message.removeprefix(f"{code}: ")
    text = text.removeprefix(f"column {visible(column)}: ") if column else text
    return text[:1].upper() + text[1:]


def in_two(text: str) -> tuple[str, str]:
    """Return the first sentence of a message, and the rest, which says what to do next.

    Args:
        text: A message. A name in it may end a sentence too early; nothing is lost.
    """
    first, *rest = _SENTENCE.split(text, maxsplit=1)
    return first, "".join(rest)


def would_pass(record: SignalRecord) -> str:
    """Say which tolerance, or how many fewer affected rows, would have passed; "" if none is known.

    Args:
        record: What the signal found.
    """
    bound, tolerance = record.effect_bound, record.tolerance
    if record.p_value is None or bound is None or tolerance is None or bound <= tolerance:
        return ""
    rows = math.ceil((bound - tolerance) * record.n_batch)
    enough = bound * 1.006  # rounded to three digits, it is never below the bound
    return (
        f"Would pass if {enough:.3g} were tolerated, or if about {rows} fewer rows of "
        f"{record.n_batch} were affected."
    )

"""When rows of a batch came, beside the same hours of the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sluicegate.signals.arrival.time_counts import ZERO, bulk
from sluicegate.signals.decision.shape import Drawn, Shape

if TYPE_CHECKING:
    from sluicegate.signals.arrival.reference import ArrivalReference
    from sluicegate.signals.arrival.time_counts import Counts, TimeCounts

MAX_TIMES: Final = 24
"""Cells drawn of the time in which most rows of a batch come."""
_WEEK_MS: Final = 7 * 24 * 3_600_000
_NOTES: Final = {0: "of the same time", 1: "of the same hours a week before"}
_UNITS: Final = ((60_000, "m"), (1_000, "s"), (1, "ms"))


def time_shape(
    column: str, reference: ArrivalReference, counts: TimeCounts, n_rows: int
) -> Shape | None:
    """Return when rows came, or None for a batch without times.

    Cells are a power of two of milliseconds wide, none finer than the baseline's. The baseline's
    rows are those of the same hours, as many weeks earlier as it takes to be within the baseline.

    Args:
        column: Name of the timestamp column.
        reference: How the baseline's rows arrive.
        counts: How those of the batch do.
        n_rows: Rows of the batch, those without a time included.
    """
    cells, rows = counts.by_time()
    if not cells.size:
        return None
    low, span = bulk(cells, rows)
    level = max(counts.level, reference.level)
    first, last = _ends(low, span, level - counts.level)
    while last - first >= MAX_TIMES:
        level += 1
        first, last = _ends(low, span, level - counts.level)
    n = last - first + 1
    at = np.clip((cells >> (level - counts.level)) - first, -1, n) + 1
    now = np.bincount(at, weights=rows, minlength=n + 2).astype(np.int64)
    before, weeks = _before(reference, level, first, n)
    return Shape(
        column,
        Drawn.TIME,
        ("earlier", *(_named(first + i, level) for i in range(n)), "later", "no time"),
        (0, *before, 0, 0),
        (*(int(k) for k in now), n_rows - counts.n_rows),
        note=_NOTES.get(weeks, f"of the same hours {weeks} weeks before"),
    )


def _ends(low: int, span: int, steps: int) -> tuple[int, int]:
    return low >> steps, (low + span - 1) >> steps


def _before(
    reference: ArrivalReference, level: int, first: int, n: int
) -> tuple[tuple[int, ...], int]:
    """Return the baseline's rows in as many cells, and how many weeks before they came."""
    end_ms = (first + n) << level
    known_ms = int(reference.cells[-1] + 1) << reference.level
    weeks = max(0, -(-(end_ms - known_ms) // _WEEK_MS))
    middle: Counts = (reference.cells << reference.level) + (1 << reference.level >> 1)
    at = ((middle + weeks * _WEEK_MS) >> level) - first
    inside = (at >= 0) & (at < n)
    found = np.bincount(at[inside], weights=reference.rows[inside], minlength=n)
    return tuple(int(k) for k in found), weeks


def _named(cell: int, level: int) -> str:
    """Return when a cell begins, UTC, as fine as its width."""
    begins = np.datetime64((cell << level) - ZERO, "ms")
    unit = next(unit for ms, unit in _UNITS if 1 << level >= ms)
    return str(begins.astype(f"datetime64[{unit}]"))

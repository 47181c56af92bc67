"""The course of a counter: where its values are at what time, and how fast they move on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.counters.nature import band_of, time_cells
from sluicegate.signals.decision.tails import student_quantile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Times = NDArray[np.int64]

CELLS: Final = 64
_LEAST_CELLS: Final = 6
_SPEEDS: Final = 12
_CONFIDENCE: Final = 0.99999  # of each end of the speeds to expect
LEAVES: Final = 2.0 * (1.0 - _CONFIDENCE)
"""Chance that a clean batch leaves its course."""
_WIDE: Final = 2.0  # interquartile ranges beyond the quartiles, where no time tells rows apart


@dataclass(frozen=True, slots=True)
class Course:
    """What a baseline knows of one counter.

    Attributes:
        ends: Last time of each cell, milliseconds, int64, shape (n_cells,), increasing.
        low: Least usual value of each, float64, same shape.
        high: Largest usual value of each, float64, same shape.
        slack: How far from its course a row may be: the usual width of a cell and its widest step.
        slow: Least movement per millisecond beyond the baseline's time.
        fast: Largest movement per millisecond.
    """

    ends: Times
    low: Floats
    high: Floats
    slack: float
    slow: float
    fast: float

    def holds(self, times: Floats, values: Floats) -> Flags:
        """Return whether values are where the baseline lets one expect them.

        Args:
            times: Milliseconds, float64, shape (n,).
            values: float64, same shape.

        Returns:
            bool, shape (n,).
        """
        last = self.ends.size - 1
        cell = np.searchsorted(self.ends, times)
        before, after = np.maximum(cell - 1, 0), np.minimum(cell + 1, last)
        here = np.minimum(cell, last)
        low = np.minimum(np.minimum(self.low[before], self.low[after]), self.low[here])
        high = np.maximum(np.maximum(self.high[before], self.high[after]), self.high[here])
        later = np.maximum(times - float(self.ends[-1]), 0.0)
        earlier = np.maximum(float(self.ends[0]) - times, 0.0)
        low = low - self.slack + self.slow * later - self.fast * earlier
        high = high + self.slack + self.fast * later - self.slow * earlier
        inside: Flags = (values >= low) & (values <= high)
        return inside

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "ends": pack(self.ends, "<i8"),
            "low": pack(self.low, "<f8"),
            "high": pack(self.high, "<f8"),
            "slack": self.slack,
            "slow": self.slow,
            "fast": self.fast,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        ends = unpack(value["ends"], "<i8", (-1,))
        low, high = (unpack(value[key], "<f8", ends.shape) for key in ("low", "high"))
        slack, slow, fast = (float(value[key]) for key in ("slack", "slow", "fast"))
        if not 0 < ends.size <= CELLS or (np.diff(ends) <= 0).any():
            raise ValueError("times of a course do not increase")
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
            raise ValueError("values of a course are malformed")
        if not (math.isfinite(slack) and math.isfinite(slow) and math.isfinite(fast)):
            raise ValueError("speeds of a course are no numbers")
        if slack < 0.0 or slow > fast:
            raise ValueError("speeds of a course are out of range")
        return cls(ends, low, high, slack, slow, fast)


def learn_course(times: Times, values: Floats) -> Course | None:
    """Learn a course; None of too few rows, or of too few different times.

    Args:
        times: Milliseconds, int64, shape (n,).
        values: float64, same shape, finite.
    """
    cells = time_cells(times, CELLS)
    if cells.size == 0 or int(cells[-1]) + 1 < _LEAST_CELLS:
        return None
    order = np.argsort(times, kind="stable")
    ordered = values[order]
    low, high = band_of(ordered, cells)
    ends = times[order][np.cumsum(np.bincount(cells)) - 1]
    middles = medians(ordered, cells)
    slack = float(np.median(high - low) + np.abs(np.diff(middles)).max())
    slow, fast = _speeds(medians(times[order].astype(np.float64), cells), middles)
    return Course(ends, low, high, slack, slow, fast)


def medians(values: Floats, cells: NDArray[np.int64]) -> Floats:
    """Return the median of each cell, float64, shape (n_cells,).

    Args:
        values: float64, shape (n,).
        cells: Increasing, int64, same shape, 0..n_cells-1, none empty.
    """
    rows = np.bincount(cells)
    ordered = values[np.lexsort((values, cells))]
    starts = np.cumsum(rows) - rows
    middle: Floats = (ordered[starts + (rows - 1) // 2] + ordered[starts + rows // 2]) / 2.0
    return middle


def _speeds(times: Floats, middles: Floats) -> tuple[float, float]:
    """Return the least and largest speed to expect of what comes next.

    Source: prediction interval of a normal sample, Hahn 1969; of logarithms where a counter
    always moves one way, because a source that delivers twice as much counts twice as fast.
    """
    parts = np.array_split(np.arange(times.size), min(_SPEEDS + 1, times.size // 2))
    when = np.array([times[p].mean() for p in parts])
    where = np.array([middles[p].mean() for p in parts])
    speed = np.diff(where) / np.diff(when)
    k = speed.size
    reach = student_quantile(_CONFIDENCE, k - 1) * math.sqrt(1.0 + 1.0 / k)
    if (speed > 0.0).all() or (speed < 0.0).all():
        logs = np.log(np.abs(speed))
        centre, spread = float(logs.mean()), float(logs.std(ddof=1)) * reach
        sign = 1.0 if speed[0] > 0.0 else -1.0
        reached = sign * math.exp(centre - spread), sign * math.exp(min(centre + spread, 700.0))
    else:
        centre, spread = float(speed.mean()), float(speed.std(ddof=1)) * reach
        reached = centre - spread, centre + spread
    return min(reached), max(reached)


def strays(times: Times, values: Floats, course: Course | None) -> Flags:
    """Return which rows are far from where the other rows of their time are.

    The rows are held against each other, not against the baseline: a counter that jumped as a
    whole has no rows that stray.

    Args:
        times: Milliseconds, int64, shape (n,).
        values: float64, same shape.
        course: Says how far is far; without one, far is beyond twice the middle half of all.

    Returns:
        bool, shape (n,).
    """
    out = np.zeros(values.size, dtype=bool)
    if values.size == 0:
        return out
    if course is None:
        first, third = np.quantile(values, (0.25, 0.75))
        reach = _WIDE * max(float(third - first), 1.0)
        far: Flags = (values < first - reach) | (values > third + reach)
        return far
    cells, order = time_cells(times, CELLS), np.argsort(times, kind="stable")
    middle = medians(values[order], cells)
    step = np.diff(middle) if middle.size > 1 else np.zeros(1)
    before = np.r_[middle[0] - step[0], middle[:-1]]
    after = np.r_[middle[1:], middle[-1] + step[-1]]
    # A small batch has few and long cells, in which a counter moves further than in the baseline's.
    slack = course.slack + float(np.median(np.abs(step)))
    low = np.minimum(np.minimum(before, after), middle) - slack
    high = np.maximum(np.maximum(before, after), middle) + slack
    out[order] = (values[order] < low[cells]) | (values[order] > high[cells])
    return out


def left(times: Times, values: Floats, course: Course) -> float:
    """Return the share of rows in parts of the batch's time that left the baseline's course.

    A part has left it if its middle is not where the baseline lets one expect it; or if, since the
    first part of the batch, it moved further or less than the baseline's speeds allow: long after
    the baseline much may be expected, and still no counter stops or runs backwards.

    Args:
        times: Milliseconds, int64, shape (n,), at least one.
        values: float64, same shape.
        course: Of the baseline.
    """
    cells, order = time_cells(times, CELLS), np.argsort(times, kind="stable")
    when, where = medians(times[order].astype(np.float64), cells), medians(values[order], cells)
    since, moved = when - when[0], where - where[0]
    slack = course.slack
    astray = (moved < course.slow * since - slack) | (moved > course.fast * since + slack)
    gone = astray | ~course.holds(when, where)
    return float(np.bincount(cells)[gone].sum()) / values.size

"""What a baseline knows of its counters: their course, and how often their values repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from sluicegate.profiling.row_ids import hashable, id_hashes
from sluicegate.signals.copies.copy_count import spectrum
from sluicegate.signals.copies.duplicates import SIZES
from sluicegate.signals.copies.repeats import rows_in_groups
from sluicegate.signals.counters.course import Course, learn_course, left, strays
from sluicegate.signals.counters.nature import moments_of, time_cells
from sluicegate.signals.counting import natural
from sluicegate.signals.decision.budget import prediction_bound
from sluicegate.signals.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sluicegate.signals.copies.repeats import Spectrum
    from sluicegate.signals.learning import Learning

    Floats = NDArray[np.float64]

_RARE: Final = 0.01  # share of rows in large groups up to which values are taken to be different
_BLOCKS: Final = 12


@dataclass(frozen=True, slots=True)
class Counted:
    """One counter in the baseline.

    Attributes:
        n_rows: Rows with a number and a time; 0 of a counter that is text.
        course: None without a timestamp, or with too few times.
        strays: Rows that stray from the other rows of their block.
        budget: Share of rows that may stray in one more block.
        left: Largest share of a block's rows that had left the course of the blocks before it.
        groups: How often values repeat: group sizes with the number of groups; None if they repeat
            by nature.
    """

    n_rows: int
    course: Course | None
    strays: int
    budget: float
    left: float
    groups: Spectrum | None

    @property
    def judged(self) -> bool:
        """Whether there is anything to hold a batch against."""
        return self.course is not None or self.groups is not None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "n_rows": self.n_rows,
            "course": None if self.course is None else self.course.to_json(),
            "strays": self.strays,
            "budget": self.budget,
            "left": self.left,
            "groups": None if self.groups is None else [list(pair) for pair in self.groups],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        course, groups = value["course"], value["groups"]
        n_rows, astray = natural(value["n_rows"]), natural(value["strays"])
        budget, gone = float(value["budget"]), float(value["left"])
        if astray > n_rows or not (0.0 <= budget <= 1.0 and 0.0 <= gone <= 1.0):
            raise ValueError("shares of a counter are out of range")
        return cls(
            n_rows,
            None if course is None else Course.from_json(course),
            astray,
            budget,
            gone,
            None if groups is None else [(natural(a), natural(b)) for a, b in groups],
        )


def _counted(learning: Learning, column: str) -> Counted:
    moments = moments_of(learning.layout, learning.batch, column)
    times, values = moments.times[moments.present], moments.values[moments.present]
    timed = learning.layout.schema.timestamp is not None
    course = learn_course(times, values) if timed else None
    astray, budget = _strays(times, values, course)
    return Counted(
        n_rows=int(times.size),
        course=course,
        strays=astray,
        budget=budget,
        left=0.0 if course is None else _left(times, values),
        groups=_groups(learning, column),
    )


def _strays(times: NDArray[np.int64], values: Floats, course: Course | None) -> tuple[int, float]:
    """Take each block for a batch: how many of its rows stray, and how many may in the next."""
    if values.size == 0:
        return 0, 0.0
    if course is None:  # no time tells the blocks apart
        astray = int(strays(times, values, None).sum())
        return astray, astray / values.size
    cells, order = time_cells(times, _BLOCKS), np.argsort(times, kind="stable")
    rows = np.bincount(cells)
    found = [
        int(strays(times[order][cells == c], values[order][cells == c], course).sum())
        for c in range(rows.size)
    ]
    usual = sum(found) / values.size
    noise = np.maximum(usual * (1.0 - usual), 0.5 / values.size) / rows
    return sum(found), min(prediction_bound(np.array(found) / rows - usual, noise), 1.0)


def _left(times: NDArray[np.int64], values: Floats) -> float:
    """Hold each later block against the course of those before it."""
    cells, order = time_cells(times, _BLOCKS), np.argsort(times, kind="stable")
    shares = [0.0]
    for block in range(_BLOCKS // 2, int(cells[-1]) + 1):
        before = order[cells < block]
        known = learn_course(times[before], values[before])
        if known is not None:
            own = order[cells == block]
            shares.append(left(times[own], values[own], known))
    return max(shares)


def _groups(learning: Learning, column: str) -> Spectrum | None:
    array = learning.column(column)
    if array is None or not hashable(array.type) or array.null_count == len(array):
        return None
    hashes, there = id_hashes(array, learning.seed)
    hashes = hashes[there]
    groups = spectrum(hashes)
    return groups if rows_in_groups(groups, SIZES[0]) <= _RARE * hashes.size else None


def learned_counters(learning: Learning) -> dict[str, Counted]:
    """Learn each counter of a baseline."""
    return {c.name: _counted(learning, c.name) for c in learning.layout.counters}


def _learn(learning: Learning) -> dict[str, Counted]:
    return learning.once(learned_counters)


def _write(found: Mapping[str, Counted]) -> dict[str, Any]:
    # A baseline without counters is written as it was before there were any.
    return {"counters": {n: c.to_json() for n, c in sorted(found.items())}} if found else {}


def _read(value: Mapping[str, Any]) -> dict[str, Counted]:
    found = value.get("counters", {})
    return {str(name): Counted.from_json(item) for name, item in found.items()}


COUNTERS: Section[Mapping[str, Counted]] = Section("counters", _learn, _write, _read)

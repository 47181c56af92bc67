"""What a source does by itself between blocks that are as short, or as narrow, as a batch.

A day differs more from three months than a week does, and one shop more than all shops: a batch
is held against blocks like itself. Blocks of time are hours, days and weeks; blocks of a column
are the rows that share a value of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from sluicegate.signals.arrival.arrival_count import TIMES
from sluicegate.signals.arrival.reference import ARRIVAL
from sluicegate.signals.arrival.time_counts import bulk
from sluicegate.signals.decision.budget import number_of_blocks
from sluicegate.signals.decision.finding import NEXT
from sluicegate.signals.learning import MIN_BLOCK_ROWS
from sluicegate.signals.model.clean_spread import LabelHabits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sluicegate.profiling.counts import Profile
    from sluicegate.signals.comparison import Comparison

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_NOISY: Final = ("DRIFT_", "LABEL_PRIOR:")  # distances, whose noise would grow with them
LENGTHS: Final[Mapping[int, str]] = {HOUR_MS: "hours", DAY_MS: "days", 7 * DAY_MS: "weeks"}
"""Blocks of time that sources have by nature, with their names in the plural."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What was learned from one way to split a baseline into blocks.

    Attributes:
        column: Whose values the blocks are; "" for blocks of time.
        length_ms: Length of a block of time, a key of `LENGTHS`; 0 for blocks of a column.
        n_blocks: Number of blocks behind it.
        constant: Columns that have one value in most of the blocks.
        tolerances: Learned drift budgets by "CODE:column", shares.
        labels: What labels do; None without a model.
    """

    column: str
    length_ms: int
    n_blocks: int
    constant: tuple[str, ...]
    tolerances: Mapping[str, float]
    labels: LabelHabits | None

    @property
    def name(self) -> str:
        """Return the blocks in words."""
        if self.column:
            return f"{self.n_blocks} values of column {self.column}"
        return f"{self.n_blocks} {LENGTHS[self.length_ms]}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "column": self.column,
            "length_ms": self.length_ms,
            "n_blocks": self.n_blocks,
            "constant": list(self.constant),
            "tolerances": dict(self.tolerances),
            "labels": None if self.labels is None else self.labels.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], n_classes: int) -> Self:
        """Read what `to_json` wrote.

        Args:
            value: The object.
            n_classes: Classes of the label model; 0 without one.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        length, labels = int(value["length_ms"]), value["labels"]
        if (length in LENGTHS) == bool(value["column"]) or (length and length not in LENGTHS):
            raise ValueError("blocks are neither of time nor of a column")
        if (labels is None) != (n_classes == 0):
            raise ValueError("habits of labels are there without a model, or lacking")
        return cls(
            str(value["column"]),
            length,
            int(value["n_blocks"]),
            tuple(str(name) for name in value["constant"]),
            {str(k): float(v) for k, v in value["tolerances"].items()},
            None if labels is None else LabelHabits.from_json(labels, n_classes),
        )


@dataclass(frozen=True, slots=True)
class Usual:
    """What one batch is held against.

    Attributes:
        name: The blocks in words.
        tolerances: Learned drift budgets by "CODE:column", shares.
        labels: What labels do; None without a model.
        shared: Cells of the columns in which the whole batch has one value, by name.
        narrow: Those of them in which blocks of its length have several.
        aged: How many times further a source may have moved on than the second half of its
            baseline did from the first, at least 1.
    """

    name: str
    tolerances: Mapping[str, float]
    labels: LabelHabits | None
    shared: Mapping[str, int]
    narrow: tuple[str, ...] = ()
    aged: float = 1.0


def usual_for(comparison: Comparison) -> Usual:
    """Return what the baseline's blocks do that are most like the batch.

    Of blocks of time those whose length is nearest to the batch's. For each column in which the
    whole batch has one value, what such rows differ by is added, unless blocks of that length
    have one value there too: distances add up, by the triangle inequality, at most.

    Args:
        comparison: The batch beside its baseline.
    """
    baseline = comparison.baseline
    columns = [h.column for h in baseline.habits if h.column]
    shared = _shared(columns, comparison.profile, baseline.profile)
    found, implied = (
        Usual(
            f"{number_of_blocks(baseline.n_rows)} parts of equal size",
            baseline.tolerances,
            None if baseline.labels is None else baseline.labels.whole.habits,
            shared,
        ),
        frozenset[str](),
    )
    times = [h for h in baseline.habits if h.length_ms]
    nearest = _nearest(comparison, times)
    if nearest is not None:
        # A short block takes part in the movement of the long one it is in.
        longer = [h for h in times if h.length_ms >= nearest.length_ms]
        for habits in sorted(longer, key=lambda h: -h.length_ms):
            found = Usual(habits.name, *_at_least(habits, found), shared)
        implied = frozenset(nearest.constant)
    names, narrow = [found.name], []
    for habits in baseline.habits:
        if habits.column in shared and habits.column not in implied:
            found = Usual(found.name, *_plus(habits, found), shared)
            names.append(habits.name)
            narrow.append(habits.column)
    return _older(replace(found, name=" and ".join(names), narrow=tuple(narrow)), _aged(comparison))


def _older(usual: Usual, aged: float) -> Usual:
    return replace(
        usual,
        tolerances=_capped({}, {k: _further(k, v, aged) for k, v in usual.tolerances.items()}),
        labels=None if usual.labels is None else usual.labels.times(aged),
        aged=aged,
    )


def _further(key: str, value: float, aged: float) -> float:
    if ".between." in key or (key.startswith(_NOISY) and NEXT not in key):
        return value
    return 1.0 + (value - 1.0) * aged if ".density." in key else value * aged


def _aged(comparison: Comparison) -> float:
    """Return how many times further than within its baseline the source may have moved on.

    What moves without aim is as far as the root of the time that went by: from the middle of the
    baseline, in which half of its time goes by. A batch that says it comes after the baseline's
    validity is as old as that.
    """
    baseline, reference = comparison.baseline, ARRIVAL.of(comparison.baseline)
    counts = TIMES.of(comparison).counts if reference is not None else None
    if reference is None or counts is None or not counts.n_rows:
        return 1.0
    first, width = bulk(reference.cells, reference.rows)
    start, half = first << reference.level, (width << reference.level) / 2.0
    valid = (baseline.expires - baseline.created).total_seconds() * 1000.0
    now = bulk(*counts.by_time())[0] << counts.level
    gone = min(now - start, 2.0 * half + valid) - half
    return math.sqrt(max(gone / half, 1.0))


def _nearest(comparison: Comparison, times: list[Habits]) -> Habits | None:
    """Return the blocks of time nearest to the batch; None for the parts of the baseline."""
    reference = ARRIVAL.of(comparison.baseline)
    if reference is None or not times:
        return None
    counts = TIMES.of(comparison).counts
    if not counts.n_rows:
        return None
    span = bulk(*counts.by_time())[1] << counts.level
    whole = bulk(reference.cells, reference.rows)[1] << reference.level
    part = whole / number_of_blocks(comparison.baseline.n_rows)

    def gap(length: float) -> float:
        return abs(math.log(max(span, 1) / max(length, 1)))

    nearest = min(times, key=lambda h: gap(h.length_ms))
    return nearest if gap(nearest.length_ms) < gap(part) else None


def _shared(columns: Iterable[str], batch: Profile, base: Profile) -> dict[str, int]:
    """Return the cell of each column in which all rows of a batch are, if the baseline knows it."""
    found = {}
    for column in columns:
        if column not in batch.cells:
            continue
        used = np.flatnonzero(batch.marginal(column))
        if used.size == 1 and int(base.marginal(column)[used[0]]) >= MIN_BLOCK_ROWS:
            found[column] = int(used[0])
    return found


def _at_least(habits: Habits, other: Usual) -> tuple[dict[str, float], LabelHabits | None]:
    """Return what short blocks do, at least what the longer ones do.

    Triggers are apart: days differ from each other within a week, and so tie values to labels that
    within a day nothing does.
    """
    longer = {k: v for k, v in other.tolerances.items() if not k.startswith("TRIGGER_")}
    larger = {k: max(v, longer.get(k, 0.0)) for k, v in _bounds(habits)}
    return _capped(longer, larger), _labels(habits, other, LabelHabits.at_least)


def _plus(habits: Habits, other: Usual) -> tuple[dict[str, float], LabelHabits | None]:
    sums = {k: v + other.tolerances.get(k, 0.0) for k, v in _bounds(habits)}
    return _capped(other.tolerances, sums), _labels(habits, other, LabelHabits.plus)


def _capped(known: Mapping[str, float], shares: Mapping[str, float]) -> dict[str, float]:
    return {
        **known,
        **{k: v if ".density." in k else min(v, 1.0) for k, v in shares.items()},
    }


def _labels(
    habits: Habits, other: Usual, join: Callable[[LabelHabits, LabelHabits], LabelHabits]
) -> LabelHabits | None:
    both = habits.labels, other.labels
    return None if both[0] is None or both[1] is None else join(both[0], both[1])


def _bounds(habits: Habits) -> Iterator[tuple[str, float]]:
    """Yield what grows with shorter blocks; how contributors differ over all rows does not."""
    return ((k, v) for k, v in habits.tolerances.items() if ".between." not in k)

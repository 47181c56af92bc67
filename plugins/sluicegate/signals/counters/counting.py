"""What is counted of the counters of a batch: a sample of their course, and repeated values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sluicegate.profiling.distinct import Distinct
from sluicegate.profiling.row_ids import hashable, id_hashes
from sluicegate.signals.copies.copy_count import distinct_json, read_distinct
from sluicegate.signals.counters.nature import Moments, moments_of
from sluicegate.signals.counters.reference import COUNTERS
from sluicegate.signals.counters.sample import MomentSample
from sluicegate.signals.counting import Counter, Counting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk


@dataclass(frozen=True, slots=True)
class CounterRows:
    """Rows of one counter.

    Attributes:
        moments: Values and times.
        hashes: Of the values, uint64, shape (n_rows,).
        there: Whether a row has a value, bool, same shape.
    """

    moments: Moments
    hashes: NDArray[np.uint64]
    there: NDArray[np.bool_]


def counter_rows(chunk: Chunk) -> dict[str, CounterRows]:
    """Return the rows of each counter that is there and judged."""
    found = {}
    for name, known in COUNTERS.of(chunk.baseline).items():
        array = chunk.column(name)
        if known.judged and array is not None and name in chunk.encoded.cells:
            hashes, there = np.zeros(chunk.n_rows, np.uint64), np.zeros(chunk.n_rows, bool)
            if hashable(array.type):
                hashes, there = id_hashes(array, chunk.baseline.seed)
            found[name] = CounterRows(moments_of(chunk.layout, chunk.batch, name), hashes, there)
    return found


@dataclass(slots=True, eq=False)
class CounterCount(Counter):
    """Counters of a batch.

    Attributes:
        seed: Key of the samples.
        courses: Values and times by column.
        values: Different values by column.
    """

    seed: int
    courses: dict[str, MomentSample]
    values: dict[str, Distinct]

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        for name, rows in chunk.once(counter_rows).items():
            some = rows.moments.present
            self.courses[name].add(rows.moments.times[some], rows.moments.values[some], self.seed)
            self.values[name].add(rows.hashes[rows.there])

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(
            self.seed,
            {name: own.merge(other.courses[name]) for name, own in self.courses.items()},
            {name: own.merge(other.values[name]) for name, own in self.values.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "seed": self.seed,
            "courses": {name: own.to_json() for name, own in self.courses.items()},
            "values": {name: distinct_json(own) for name, own in self.values.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        return cls(
            int(value["seed"]),
            {str(n): MomentSample.from_json(own) for n, own in value["courses"].items()},
            {str(n): read_distinct(own) for n, own in value["values"].items()},
        )


def _start(baseline: Baseline) -> CounterCount:
    names = [name for name, known in COUNTERS.of(baseline).items() if known.judged]
    return CounterCount(
        baseline.seed, {n: MomentSample() for n in names}, {n: Distinct() for n in names}
    )


COUNTER_ROWS = Counting("counters", CounterCount, _start)

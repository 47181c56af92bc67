"""When rows of a batch come, by contributor and label."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sluicegate.profiling.instants import instants
from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.arrival.reference import ARRIVAL, contributor_index
from sluicegate.signals.arrival.time_counts import KEPT, TimeCounts
from sluicegate.signals.counting import Counter, Counting, natural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sluicegate.signals.arrival.time_counts import Counts
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk

NOWHEN = int(np.iinfo(np.int64).min)
"""Stands for the time of a row that has none."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Rows of a record batch.

    Attributes:
        times: Milliseconds since 1970, or `NOWHEN`, int64, shape (n_rows,).
        contributor: `contributor_index`, int64, same shape.
        slot: Label slot, uint8, same shape.
    """

    times: Counts
    contributor: Counts
    slot: NDArray[np.uint8]


def arrivals_of(chunk: Chunk) -> Arrivals:
    """Return when the rows of a record batch came, of which contributor and class."""
    reference, name = ARRIVAL.of(chunk.baseline), chunk.baseline.schema.timestamp
    times, array = np.full(chunk.n_rows, NOWHEN), chunk.column(name)
    if array is not None and name in chunk.encoded.cells:
        found, present = instants(array)
        times = np.where(present, found, NOWHEN)
    names = () if reference is None else reference.contributors
    return Arrivals(times, contributor_index(chunk.encoded, names), chunk.encoded.slot)


@dataclass(slots=True, eq=False)
class ArrivalCount(Counter):
    """Rows that have a time.

    Attributes:
        counts: Rows by time, contributor and label.
    """

    counts: TimeCounts = field(default_factory=TimeCounts)

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        found = chunk.once(arrivals_of)
        some = found.times != NOWHEN
        self.counts.add(found.times[some], found.contributor[some], found.slot[some])

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(self.counts.merge(other.counts))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "limit": self.counts.limit,
            "level": self.counts.level,
            "keys": pack(self.counts.keys, "<i8"),
            "counts": pack(self.counts.counts, "<i8"),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        limit, level = natural(value["limit"]), natural(value["level"])
        keys = unpack(value["keys"], "<i8", (-1,))
        counts = unpack(value["counts"], "<i8", keys.shape)
        if (counts <= 0).any() or (keys < 0).any() or (np.diff(keys) <= 0).any():
            raise ValueError("counts over time are malformed")
        if not 0 < limit <= KEPT or not TimeCounts().level <= level < 63:
            raise ValueError("cells of time are malformed")
        # Merging with nothing widens cells if they are too many, which then differ.
        return cls(TimeCounts(limit, level, keys, counts).merge(TimeCounts(limit)))


def _start(_: Baseline) -> ArrivalCount:
    return ArrivalCount()


TIMES = Counting("times", ArrivalCount, _start)

"""Deliveries: rows whose id and whole content are equal are one row that was delivered again.

Sources that promise "at least once" repeat rows, each a time or two. That is no flood: it has a
signal of its own, and DUPLICATES does not count it. A row that comes a fourth time is a copy like
any other, because a flood may keep its id.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from sluicegate.profiling.columns import Kind
from sluicegate.profiling.distinct import Distinct
from sluicegate.profiling.fingerprints import N_TABLES
from sluicegate.profiling.row_ids import hashable, id_hashes
from sluicegate.profiling.tokens import mix
from sluicegate.signals.chunk import prints_of
from sluicegate.signals.copies.conflict_count import read_pairs, written_pairs
from sluicegate.signals.copies.conflict_reference import row_hashes
from sluicegate.signals.copies.copy_count import distinct_json, read_distinct
from sluicegate.signals.copies.known_rows import packed
from sluicegate.signals.copies.pair_counts import PairCounts
from sluicegate.signals.counting import Counter, Counting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sluicegate.profiling.layout import Layout
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk, EncodedRows
    from sluicegate.signals.copies.repeats import Spectrum

    Hashes = NDArray[np.uint64]

AGAIN: Final = 2
"""How often a row may be delivered again before it counts as a copy."""
_TAGS: Final = np.uint64(255)
_NOBODY: Final = np.uint64(0)  # tag of rows without an id, which nothing excuses


def delivery_hashes(rows: EncodedRows, seed: int) -> Hashes:
    """Return a hash of each row's id and content; a row without an id is like no other.

    Features enter as in `fingerprints`, exactly; ignored columns do not enter, so that a source
    may stamp each delivery. Lists and structures that are no embedding are not compared.

    Args:
        rows: With their cells and the columns of embeddings.
        seed: Key of the hashes.

    Returns:
        uint64, shape (n_rows,); 0 for a row without an id.

    Cost: about 40 ns for each value that is no feature.
    """
    found = rows.once(prints_of)[0].copy()
    present = np.zeros(rows.n_rows, dtype=bool)
    for name in _beside_features(rows.layout):
        array = rows.column(name)
        if array is None or not hashable(array.type):
            continue
        salt = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
        hashes, there = id_hashes(array, seed ^ salt)
        # Missing values are equal to each other, and to nothing else.
        found ^= np.where(there, hashes, mix(np.array([salt], dtype=np.uint64))[0])
        if name == rows.layout.schema.id:
            present = there
    found = mix(found)
    found[~present] = 0
    return found


def _beside_features(layout: Layout) -> list[str]:
    """Return the columns that a fingerprint of features does not hold."""
    held = {c.name for c in layout.features if c.listed or c.kind in (Kind.NUMERIC, Kind.TEXT)}
    return [c.name for c in layout.columns if c.name not in held]


def deliveries_of(chunk: Chunk) -> Hashes:
    """Return `delivery_hashes` of a record batch, uint64, shape (n_rows,)."""
    return delivery_hashes(chunk, chunk.baseline.seed)


@dataclass(slots=True, eq=False)
class DeliveryCount(Counter):
    """Rows of a batch by delivery.

    Attributes:
        rows: How often each delivery occurs, of rows that have an id.
        groups: For each table of fingerprints its groups, by one of 255 tags of the delivery, so
            that one delivery counts once in a group. In a group of hundreds some deliveries share
            a tag, and it seems smaller than it is; never so small as to go unnoticed.
    """

    rows: Distinct
    groups: tuple[PairCounts, ...]

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        found = chunk.once(deliveries_of)
        named = found != 0
        self.rows.add(found[named])
        tags = np.where(named, found % _TAGS + np.uint64(1), _NOBODY).astype(np.uint8)
        for groups, prints in zip(self.groups, chunk.once(prints_of), strict=True):
            groups.add(packed(row_hashes(prints), tags))

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        pairs = zip(self.groups, other.groups, strict=True)
        return type(self)(
            self.rows.merge(other.rows), tuple(own.merge(others) for own, others in pairs)
        )

    def excused(self) -> float:
        """Return the rows that repeat a delivery and are no copies."""
        scale = 1 << self.rows.level
        return float(scale * sum(min(s - 1, AGAIN) * k for s, k in self.rows.spectrum()))

    def again(self) -> float:
        """Return all rows that repeat a delivery."""
        return float((1 << self.rows.level) * sum((s - 1) * k for s, k in self.rows.spectrum()))

    def spectrum(self, table: int) -> tuple[Spectrum, int]:
        """Return a table's groups of copies without what is excused, and what scales them.

        Args:
            table: Of fingerprints.
        """
        counted = self.groups[table]
        counted.settle()
        hashes = counted.keys >> np.uint64(8)
        starts = np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]][: hashes.size])
        if starts.size == 0:
            return [], 1
        tagged = counted.keys & np.uint64(0xFF) != _NOBODY
        kept = np.where(tagged, np.maximum(counted.counts - AGAIN, 1), counted.counts)
        sizes = np.add.reduceat(kept, starts)
        values, numbers = np.unique(sizes, return_counts=True)
        return list(zip(values.tolist(), numbers.tolist(), strict=True)), 1 << counted.level

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "rows": distinct_json(self.rows),
            "groups": [written_pairs(groups) for groups in self.groups],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        groups = tuple(read_pairs(groups) for groups in value["groups"])
        if len(groups) not in (0, N_TABLES):
            raise ValueError("groups of deliveries are missing")
        return cls(read_distinct(value["rows"]), groups)


def _start(_: Baseline) -> DeliveryCount:
    return DeliveryCount(Distinct(), tuple(PairCounts() for _ in range(N_TABLES)))


DELIVERIES = Counting("deliveries", DeliveryCount, _start)

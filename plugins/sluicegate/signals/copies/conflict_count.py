"""Rows of a batch by fingerprint and label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.chunk import prints_of
from sluicegate.signals.copies.conflict_reference import CONFLICTS, row_hashes, tables_of
from sluicegate.signals.copies.known_rows import packed
from sluicegate.signals.copies.pair_counts import KEPT, PairCounts
from sluicegate.signals.counting import Counter, Counting, natural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk


def kept_labels(chunk: Chunk) -> NDArray[np.uint8]:
    """Return label cells, uint8, shape (n_rows,); null where the label cannot be read."""
    label, cells = chunk.layout.label, chunk.encoded.label
    null = 0 if label is None else label.null_cell
    return np.full(chunk.n_rows, null, dtype=np.uint8) if cells is None else cells


@dataclass(slots=True, eq=False)
class ConflictCount(Counter):
    """Rows of a batch that have a label.

    Attributes:
        tables: One count for each of `tables_of`; none if the baseline has no reference.
    """

    tables: tuple[PairCounts, ...]

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        label, cells, prints = chunk.layout.label, chunk.once(kept_labels), chunk.once(prints_of)
        if label is None:
            return
        rows = cells != label.null_cell
        for table, count in zip(tables_of(chunk.baseline.n_rows), self.tables, strict=True):
            count.add(packed(row_hashes(prints[table]), cells)[rows])

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        pairs = zip(self.tables, other.tables, strict=True)
        return type(self)(tuple(own.merge(others) for own, others in pairs))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"tables": [written_pairs(table) for table in self.tables]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        return cls(tuple(read_pairs(table) for table in value["tables"]))


def written_pairs(table: PairCounts) -> dict[str, Any]:
    """Return rows by fingerprint and label as plain JSON types."""
    table.settle()
    return {
        "limit": table.limit,
        "level": table.level,
        "keys": pack(table.keys, "<u8"),
        "counts": pack(table.counts, "<i8"),
    }


def read_pairs(value: Mapping[str, Any]) -> PairCounts:
    """Read what `written_pairs` wrote.

    Raises:
        ValueError: Not what it wrote; for some faults KeyError or TypeError instead.
    """
    limit, level = natural(value["limit"]), natural(value["level"])
    keys = unpack(value["keys"], "<u8", (-1,))
    counts = unpack(value["counts"], "<i8", keys.shape)
    if not 0 < limit <= KEPT or level >= 64 or (keys[1:] <= keys[:-1]).any():
        raise ValueError("keys of rows by label are malformed")
    if (counts <= 0).any():
        raise ValueError("counts of rows by label are malformed")
    # Merging with nothing drops what does not belong to the level, which then differs.
    return PairCounts(limit, level, keys, counts).merge(PairCounts(limit, level))


def _start(baseline: Baseline) -> ConflictCount:
    return ConflictCount(tuple(PairCounts() for _ in CONFLICTS.of(baseline)))


LABELS_BY_PRINT = Counting("labels by fingerprint", ConflictCount, _start)

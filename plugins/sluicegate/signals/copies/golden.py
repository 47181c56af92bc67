"""Fingerprints of the golden set, and the rows that have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sluicegate.profiling.fingerprints import N_TABLES
from sluicegate.profiling.layout import encode_batch
from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.chunk import EncodedRows, prints_of
from sluicegate.signals.counting import Counter, Counting, natural
from sluicegate.signals.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.learning import Learning


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """What a baseline keeps of it, for each table of fingerprints; nothing without one.

    Attributes:
        prints: Its fingerprints, sorted, uint64, shape (n_prints,) for each table.
        in_baseline: Baseline rows that have one of them.
    """

    prints: tuple[NDArray[np.uint64], ...]
    in_baseline: tuple[int, ...]


@dataclass(slots=True, eq=False)
class GoldenCount(Counter):
    """Rows of a batch with a fingerprint of the golden set.

    Attributes:
        rows: One number for each table of fingerprints.
    """

    rows: tuple[int, ...] = (0,) * N_TABLES

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        pairs = zip(chunk.once(prints_of), GOLDEN.of(chunk.baseline).prints, strict=True)
        found = [int(matches(prints, golden).sum()) for prints, golden in pairs]
        self.rows = tuple(a + b for a, b in zip(self.rows, found, strict=True))

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(tuple(a + b for a, b in zip(self.rows, other.rows, strict=True)))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"rows": list(self.rows)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        rows = tuple(natural(k) for k in value["rows"])
        if len(rows) != N_TABLES:
            raise ValueError("counts of golden rows are missing")
        return cls(rows)


def matches(prints: NDArray[np.uint64], golden: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which fingerprints are in a sorted array of fingerprints.

    Args:
        prints: Fingerprints, uint64, shape (n,).
        golden: Sorted fingerprints, uint64, shape (n_golden,).

    Returns:
        bool, shape (n,).
    """
    if golden.size == 0:
        return np.zeros(prints.size, dtype=bool)
    at = np.minimum(np.searchsorted(golden, prints), golden.size - 1)
    found: NDArray[np.bool_] = golden[at] == prints
    return found


def _learn(learning: Learning) -> GoldenSet:
    if learning.golden is None:
        return GoldenSet((), ())
    layout, none = learning.layout, np.zeros((N_TABLES, 0), np.uint64)
    parts = map(layout.projected, learning.golden)
    prints = [prints_of(EncodedRows(layout, part, encode_batch(layout, part))) for part in parts]
    golden = tuple(np.unique(row) for row in np.concatenate([none, *prints], axis=1))
    pairs = zip(learning.once(prints_of), golden, strict=True)
    return GoldenSet(golden, tuple(int(matches(own, known).sum()) for own, known in pairs))


def _write(golden: GoldenSet) -> dict[str, Any]:
    return {
        "golden": [pack(prints, "<u8") for prints in golden.prints],
        "golden_in_baseline": list(golden.in_baseline),
    }


def _read(value: Mapping[str, Any]) -> GoldenSet:
    prints = tuple(unpack(g, "<u8", (-1,)) for g in value["golden"])
    if any((np.sort(g) != g).any() for g in prints):
        raise ValueError("golden fingerprints are not sorted")
    return GoldenSet(prints, tuple(int(v) for v in value["golden_in_baseline"]))


def _start(_: Baseline) -> GoldenCount:
    return GoldenCount()


GOLDEN = Section("golden", _learn, _write, _read)
GOLDEN_ROWS = Counting("golden rows", GoldenCount, _start)

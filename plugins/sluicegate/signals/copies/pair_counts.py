"""Rows by fingerprint and label, in bounded memory: who has equal features, and which labels.

Rows are counted by `known_rows.packed` numbers. Up to `KEPT` different fingerprints all are
counted; beyond, only those below a bound that halves with each level, a sample of whole groups
chosen by the hash alone. The state depends on the set of rows: order, partitions and merging
change nothing. Source: adaptive sampling, as in `profiling.distinct`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.copies.known_rows import CELL, Hashes, KnownRows

Counts = NDArray[np.int64]
KEPT = 1 << 15
"""Fingerprints kept, 16 bytes for each of their labels."""
_SHIFT = np.uint64(8)


@dataclass(frozen=True, slots=True)
class Conflicts:
    """How often rows with equal features disagree; estimates beyond `KEPT` fingerprints.

    Attributes:
        conflicts: Disagreeing rows: in a group of s rows with n of each class
            (s^2 - sum n^2) / (2 (s - 1)), so that one flipped row among equals counts one.
        rows: Rows that share their features with another row.
        error: Standard error of ``conflicts``, 0 if all groups were counted.
    """

    conflicts: float
    rows: float
    error: float


@dataclass(frozen=True, slots=True)
class Meeting:
    """Rows of a batch whose features the baseline knows.

    Attributes:
        met: Counted rows with known features.
        contradicted: Those with another label than known.
        share: Share of all rows that was looked at, in (0, 1].
        error: Standard error that looking at a share adds to ``contradicted``, in counted rows.
    """

    met: int
    contradicted: int
    share: float
    error: float


@dataclass(slots=True)
class PairCounts:
    """A mergeable count of rows by fingerprint and label.

    Attributes:
        limit: Fingerprints kept at most.
        level: Zero bits that a kept hash begins with.
        keys: `packed` numbers, uint64, shape (n_kept,), sorted, each once.
        counts: Rows of each, int64, same shape.
        waiting: Numbers not counted yet, uint64, each array of shape (n_fresh,).
        n_waiting: How many these are.
    """

    limit: int = KEPT
    level: int = 0
    keys: Hashes = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    counts: Counts = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    waiting: list[Hashes] = field(default_factory=list)
    n_waiting: int = 0

    def add(self, keys: Hashes) -> None:
        """Count rows in place.

        Args:
            keys: `packed` rows, uint64, shape (n,).

        Cost: 60 ns per row while all are kept, 2 ns later.
        """
        fresh = keys[self._inside(keys)]
        self.waiting.append(fresh)
        self.n_waiting += fresh.size
        if self.n_waiting >= 2 * self.limit:
            self.settle()

    def merge(self, other: PairCounts) -> PairCounts:
        """Return the count of both sets of rows."""
        self.settle()
        other.settle()
        both = PairCounts(min(self.limit, other.limit), max(self.level, other.level))
        for part in (self, other):
            both.keys, both.counts = _added(both.keys, both.counts, part.keys, part.counts)
        both._shrink()
        return both

    def settle(self) -> None:
        """Count waiting rows, and raise the level until few enough remain."""
        if not self.waiting:
            return
        fresh, counts = np.unique(np.concatenate(self.waiting), return_counts=True)
        self.waiting, self.n_waiting = [], 0
        self.keys, self.counts = _added(self.keys, self.counts, fresh, counts)
        self._shrink()

    def conflicts(self) -> Conflicts:
        """Return how often rows with equal features disagree."""
        self.settle()
        size, halves = group_conflicts(self.keys, self.counts)
        scale = float(1 << self.level)
        return Conflicts(
            conflicts=scale * float(halves.sum()),
            rows=scale * float(size[size > 1].sum()),
            error=math.sqrt(scale * (scale - 1.0) * float((halves**2).sum())),
        )

    def meet(self, known: KnownRows) -> Meeting:
        """Compare with rows that the baseline knows."""
        self.settle()
        cells = known.cells(self.keys)
        met = cells >= 0
        wrong = met & (cells != (self.keys & CELL).astype(np.int16))
        share = min(1.0 / (1 << self.level), known.coverage)
        clusters = float((self.counts[wrong].astype(np.float64) ** 2).sum())
        return Meeting(
            met=int(self.counts[met].sum()),
            contradicted=int(self.counts[wrong].sum()),
            share=share,
            error=math.sqrt((1.0 - share) * clusters),
        )

    def _inside(self, keys: Hashes) -> NDArray[np.bool_]:
        if self.level == 0:
            return np.ones(keys.size, dtype=bool)
        inside: NDArray[np.bool_] = keys >> np.uint64(64 - self.level) == 0
        return inside

    def _shrink(self) -> None:
        inside = self._inside(self.keys)
        self.keys, self.counts = self.keys[inside], self.counts[inside]
        while _starts(self.keys).size > self.limit:
            self.level += 1
            inside = self._inside(self.keys)
            self.keys, self.counts = self.keys[inside], self.counts[inside]


def group_conflicts(keys: Hashes, counts: Counts) -> tuple[Counts, NDArray[np.float64]]:
    """Return rows and conflicts of each fingerprint.

    Args:
        keys: `packed` numbers, uint64, shape (n,), sorted, each once.
        counts: Rows of each, int64, same shape.

    Returns:
        int64 and float64, shape (n_fingerprints,).
    """
    starts = _starts(keys)
    if starts.size == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    size = np.add.reduceat(counts, starts)
    squares = np.add.reduceat(counts.astype(np.float64) ** 2, starts)
    halves = (size.astype(np.float64) ** 2 - squares) / (2.0 * np.maximum(size - 1, 1))
    return size, halves


def _starts(keys: Hashes) -> NDArray[np.intp]:
    hashes = keys >> _SHIFT
    return np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]][: keys.size])


def _added(
    keys: Hashes, counts: Counts, more: Hashes, more_counts: Counts
) -> tuple[Hashes, Counts]:
    joined, inverse = np.unique(np.concatenate([keys, more]), return_inverse=True)
    total = np.zeros(joined.size, dtype=np.int64)
    np.add.at(total, inverse, np.concatenate([counts, more_counts]))
    return joined, total

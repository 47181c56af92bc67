"""Rows that the baseline knows again, by a hash, and the class that each had.

A row is 64 bits: 56 of a hash, 8 of its label cell, so that one sorted array is the whole table.
Of more than `KEPT` different hashes those below a bound are kept, a sample chosen by the hash
alone: order and partitions change nothing, and a batch is judged on the same sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.ordered import ordered
from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.decision.budget import prediction_bound
from sluicegate.signals.decision.tails import binomial_sf, rate_excess_p

if TYPE_CHECKING:
    from collections.abc import Mapping

Hashes = NDArray[np.uint64]
KEPT = 100_000
"""Hashes kept, 8 bytes each."""
CELL = np.uint64(0xFF)
_SHIFT = np.uint64(8)
NATURAL = 0.001
"""Share of known rows that may be relabelled where the baseline says nothing."""
_MAJORITY = 0.9  # a hash whose rows agree less than this has no class of its own


def packed(hashes: Hashes, cells: NDArray[np.uint8]) -> Hashes:
    """Return hash and label cell of each row in one number.

    Args:
        hashes: uint64, shape (n,); the lowest 8 bits are lost.
        cells: Label cell of each, uint8, shape (n,).

    Returns:
        uint64, shape (n,).
    """
    keys: Hashes = (hashes & ~CELL) | cells.astype(np.uint64)
    return keys


@dataclass(frozen=True, slots=True)
class KnownRows:
    """A table of hashes, and how often rows of the baseline contradict the rest of it.

    Attributes:
        keys: `packed`, uint64, shape (n_known,), sorted, each hash once.
        coverage: Share of all hashes that the table can hold, in (0, 1].
        met: Baseline rows whose hash rows of other blocks have too.
        contradicted: Those of them whose class is another one there.
    """

    keys: Hashes
    coverage: float
    met: int
    contradicted: int

    def cells(self, hashes: Hashes) -> NDArray[np.int16]:
        """Return the label cell that each hash had, -1 where it is not known.

        Args:
            hashes: uint64, shape (n,).

        Returns:
            int16, shape (n,).
        """
        if self.keys.size == 0 or hashes.size == 0:
            return np.full(hashes.size, -1, dtype=np.int16)
        wanted = hashes & ~CELL
        at = np.minimum(np.searchsorted(self.keys, wanted), self.keys.size - 1)
        found = self.keys[at]
        cells: NDArray[np.int16] = np.where(
            found & ~CELL == wanted, (found & CELL).astype(np.int16), np.int16(-1)
        )
        return cells

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "keys": pack(self.keys, "<u8"),
            "coverage": self.coverage,
            "met": self.met,
            "contradicted": self.contradicted,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        keys = unpack(value["keys"], "<u8", (-1,))
        coverage = float(value["coverage"])
        met, contradicted = int(value["met"]), int(value["contradicted"])
        hashes = keys >> _SHIFT
        if (hashes[1:] <= hashes[:-1]).any():
            raise ValueError("known rows are not sorted")
        if not (0.0 < coverage <= 1.0 and 0 <= contradicted <= met):
            raise ValueError("counts of known rows are out of range")
        return cls(keys, coverage, met, contradicted)


def learn_known_rows(
    hashes: Hashes,
    cells: NDArray[np.uint8],
    blocks: NDArray[np.int64],
    *,
    trusted: Hashes | None = None,
    kept: int = KEPT,
) -> tuple[KnownRows, float]:
    """Remember rows, and measure how often they contradict each other by themselves.

    Args:
        hashes: Hash of each row that has a known class, uint64, shape (n,).
        cells: Its label cell, uint8, shape (n,).
        blocks: Its block, int64, shape (n,), values 0..k-1: rows are compared with those of other
            blocks.
        trusted: `packed` rows of a golden set, uint64, shape (n_golden,), remembered too and
            believed more.
        kept: Hashes kept at most.

    Returns:
        The table, and the excess of contradictions to expect of one more block, a share of rows.
    """
    keys = packed(hashes, cells)
    trusted = np.zeros(0, np.uint64) if trusted is None else trusted
    bound = _bound(np.concatenate([keys, trusted]), kept)
    inside = keys < bound if bound is not None else np.ones(keys.size, dtype=bool)
    keys, blocks = keys[inside], blocks[inside]
    met, contradicted, rows = _between_blocks(keys, blocks)
    rate = contradicted.sum() / max(int(met.sum()), 1)
    noise = np.maximum(rate * met, 0.5) / np.maximum(rows, 1) ** 2
    excess = (contradicted - rate * met) / np.maximum(rows, 1)
    gold = agreed(trusted if bound is None else trusted[trusted < bound])
    own = agreed(keys)
    own = own[~np.isin(own >> _SHIFT, gold >> _SHIFT)]
    known = KnownRows(
        keys=np.sort(np.concatenate([own, gold])),
        coverage=1.0 if bound is None else float(bound) / 2.0**64,
        met=int(met.sum()),
        contradicted=int(contradicted.sum()),
    )
    return known, min(prediction_bound(excess, noise), 1.0)


def _bound(keys: Hashes, kept: int) -> np.uint64 | None:
    """Return a bound that leaves at most so many different hashes, or None if all fit."""
    hashes = ordered(keys) >> _SHIFT
    distinct = hashes[np.r_[True, hashes[1:] != hashes[:-1]][: hashes.size]]
    return None if distinct.size <= kept else np.uint64(int(distinct[kept]) << 8)


def _between_blocks(
    keys: Hashes, blocks: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return for each block: rows known to the other blocks, those contradicted, all rows."""
    n_blocks = int(blocks.max(initial=0)) + 1
    met = np.zeros(n_blocks, dtype=np.int64)
    contradicted = np.zeros(n_blocks, dtype=np.int64)
    # Only hashes that occur twice can be met again, and most sources have few.
    _, inverse, sizes = np.unique(keys >> _SHIFT, return_inverse=True, return_counts=True)
    again = sizes[inverse] > 1
    keys, held = keys[again], blocks[again]
    for block in range(n_blocks):
        own = held == block
        rest = KnownRows(agreed(keys[~own]), 1.0, 0, 0)
        cells = rest.cells(keys[own])
        met[block] = int((cells >= 0).sum())
        contradicted[block] = int(
            ((cells >= 0) & (cells != (keys[own] & CELL).astype(np.int16))).sum()
        )
    return met, contradicted, np.bincount(blocks, minlength=n_blocks)


def agreed(keys: Hashes) -> Hashes:
    """Return one key for each hash whose rows have one class, nine in ten at least.

    Args:
        keys: `packed` rows, uint64, shape (n,).

    Returns:
        uint64, shape (n_hashes,), sorted.
    """
    if keys.size == 0:
        return keys
    pairs, counts = np.unique(keys, return_counts=True)
    hashes = pairs >> _SHIFT
    starts = np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]])
    total = np.add.reduceat(counts, starts)
    most = np.maximum.reduceat(counts, starts)
    group = np.cumsum(np.r_[True, hashes[1:] != hashes[:-1]]) - 1
    chosen = (counts == most[group]) & (counts >= _MAJORITY * total[group])
    kept: Hashes = pairs[chosen]
    return kept


def relabelled_p(k: int, m: int, known: KnownRows) -> float:
    """Return the p-value of "known rows are contradicted no more often than in the baseline".

    Args:
        k: Rows of the batch that contradict what is known.
        m: Rows of the batch that are known, at least k.
        known: The baseline's side.

    Returns:
        In [0, 1]; 1 if no row is known.
    """
    p = binomial_sf(k, m, NATURAL)
    return max(p, rate_excess_p(k, m, known.contradicted, known.met)) if known.contradicted else p

"""A sample of a counter's values and times, in bounded memory: the same for any order of the rows.

Kept are the pairs of time and value with the smallest keyed hashes, with the number of their rows,
so that merging, order and partitions change nothing. Up to `KEPT` different pairs all are kept.
Source: bottom-k samples, Cohen and Kaplan 2007.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from sluicegate.profiling.packed import pack, unpack
from sluicegate.profiling.tokens import mix
from sluicegate.signals.counting import natural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Hashes = NDArray[np.uint64]

KEPT: Final = 8192
"""Pairs kept, 32 bytes each: 0.2 % of them are 16."""
_SPREAD: Final = 1 << 16


def _none(dtype: str) -> Any:
    return lambda: np.zeros(0, dtype=dtype)


@dataclass(slots=True)
class MomentSample:
    """A mergeable sample.

    Attributes:
        limit: Pairs kept at most.
        n_rows: Rows that were counted, kept or not.
        keys: Hashes of the kept pairs, uint64, shape (n_kept,), increasing.
        times: Milliseconds, int64, same shape.
        values: float64, same shape.
        rows: Rows of each pair, int64, same shape.
    """

    limit: int = KEPT
    n_rows: int = 0
    keys: Hashes = field(default_factory=_none("<u8"))
    times: Ints = field(default_factory=_none("<i8"))
    values: Floats = field(default_factory=_none("<f8"))
    rows: Ints = field(default_factory=_none("<i8"))

    def add(self, times: Ints, values: Floats, seed: int) -> None:
        """Count rows in place.

        Args:
            times: Milliseconds, int64, shape (n,).
            values: float64, same shape, finite.
            seed: Key of the hash, so that nobody outside can choose rows that are not looked at.

        Cost: about 20 ns per row once the sample is full.
        """
        salt = mix(np.array([seed % (1 << 64)], dtype=np.uint64))
        keys = mix((values + 0.0).view(np.uint64) ^ mix(times.view(np.uint64) ^ salt))
        self.n_rows += keys.size
        if self.keys.size >= self.limit:
            some = keys <= self.keys[-1]
            keys, times, values = keys[some], times[some], values[some]
        self.take(keys, times, values, np.ones(keys.size, dtype=np.int64))

    def merge(self, other: Self) -> Self:
        """Return the sample of both sets of rows."""
        both = type(self)(min(self.limit, other.limit), self.n_rows + other.n_rows)
        for part in (self, other):
            both.take(part.keys, part.times, part.values, part.rows)
        return both

    def spread(self) -> tuple[Ints, Floats]:
        """Return time and value of each sampled row, int64 and float64, shape (n_sampled,).

        A pair of many rows is that many rows, in proportion where they are more than `_SPREAD`.
        """
        total = int(self.rows.sum())
        rows = self.rows
        if total > _SPREAD:
            rows = np.maximum(rows * (_SPREAD / total), 1.0).astype(np.int64)
        return np.repeat(self.times, rows), np.repeat(self.values, rows)

    def take(self, keys: Hashes, times: Ints, values: Floats, rows: Ints) -> None:
        """Sort pairs in, and let go of those with the largest hashes.

        Args:
            keys: Hashes of pairs, uint64, shape (n,), in any order.
            times: Milliseconds, int64, same shape.
            values: float64, same shape.
            rows: Rows of each pair, int64, same shape.
        """
        joined = np.concatenate([self.keys, keys])
        unique, first, inverse = np.unique(joined, return_index=True, return_inverse=True)
        total = np.zeros(unique.size, dtype=np.int64)
        np.add.at(total, inverse, np.concatenate([self.rows, rows]))
        kept = slice(0, self.limit)
        self.times = np.concatenate([self.times, times])[first[kept]]
        self.values = np.concatenate([self.values, values])[first[kept]]
        self.keys, self.rows = unique[kept], total[kept]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "limit": self.limit,
            "n_rows": self.n_rows,
            "keys": pack(self.keys, "<u8"),
            "times": pack(self.times, "<i8"),
            "values": pack(self.values, "<f8"),
            "rows": pack(self.rows, "<i8"),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        limit, n_rows = natural(value["limit"]), natural(value["n_rows"])
        keys = unpack(value["keys"], "<u8", (-1,))
        times, rows = (unpack(value[key], "<i8", keys.shape) for key in ("times", "rows"))
        values = unpack(value["values"], "<f8", keys.shape)
        if not 0 < limit <= KEPT or keys.size > limit or (keys[1:] <= keys[:-1]).any():
            raise ValueError("a sample of a counter is malformed")
        if (rows <= 0).any() or int(rows.sum()) > n_rows or not np.isfinite(values).all():
            raise ValueError("rows of a sample are malformed")
        return cls(limit, n_rows, keys, times, values, rows)

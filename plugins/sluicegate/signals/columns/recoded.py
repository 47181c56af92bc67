"""What may explain that a column changed: another unit, other letters, blanks around words.

Only names of transformations are told, never values. Numbers: a batch is held against the baseline
as it would look in another unit; one that brings the Kolmogorov distance down to chance
or to what the source does by itself may be why. Values outside all but the outermost bins are
counted to a four-thousandth of themselves, those inside by their bins. Categories that the baseline
never had are compared with those that it had, without case and outer blanks.
Source: Kolmogorov's distribution of the distance, its quantile of 0.999.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from sluicegate.profiling.buffers import bits, floats, large_strings, plain, strings
from sluicegate.profiling.columns import Kind
from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.counting import Counter, Counting, added, natural

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.counts import Counts
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.comparison import Comparison

Floats = NDArray[np.float64]
Far = tuple[NDArray[np.uint64], NDArray[np.int64]]
"""Leading bits of values outside the range, increasing, and rows of each."""
_EDGES: Final = 4  # of a column with so few different values no unit can be told
_DROPPED: Final = np.uint64(40)  # of 52 bits after the point: 12 stay
_CHANCE: Final = 1.95
_CLEARLY: Final = 3.0  # times as close: of two that hardly differ neither explains anything
UNITS: Final[tuple[tuple[float, float, str], ...]] = (
    (100.0, 0.0, "100, as cents for dollars or centimetres for metres"),
    (1000.0, 0.0, "1,000, as grams for kilograms or milliseconds for seconds"),
    (1e6, 0.0, "1,000,000, as micrometres for metres"),
    (10.0, 0.0, "10"),
    (60.0, 0.0, "60, as seconds for minutes"),
    (3600.0, 0.0, "3,600, as seconds for hours"),
    (24.0, 0.0, "24, as hours for days"),
    (2.54, 0.0, "2.54, as centimetres for inches"),
    (1.0 / 0.3048, 0.0, "3.28, as feet for metres"),
    (1.609344, 0.0, "1.609, as kilometres for miles"),
    (1.0 / 0.45359237, 0.0, "2.205, as pounds for kilograms"),
    (1.8, 32.0, "1.8 and adding 32, as Fahrenheit for Celsius"),
    (1.0, 273.15, "1 and adding 273.15, as kelvin for Celsius"),
)
"""Factor, what is added, and in words how a value of the baseline becomes one of the batch."""


def likely_unit(comparison: Comparison, column: Column, habit: float) -> str:
    """Return which change of unit may be why a number moved, in words, or "".

    Args:
        comparison: The batch beside its baseline.
        column: A numeric feature of the baseline.
        habit: Kolmogorov distance that its blocks have by themselves, a share of rows.
    """
    base = comparison.baseline.profile.marginal(column.name)
    batch = comparison.profile.marginal(column.name)
    far, inside = FAR.of(comparison).columns.get(column.name), base[1:-3].astype(np.float64)
    if far is None or not inside.sum() or not batch[:-2].sum():
        return ""
    edges, before = np.array(column.edges), np.r_[0.0, np.cumsum(inside) / inside.sum()]

    def apart(factor: float, shift: float) -> float:
        now = _below(edges * factor + shift, edges, batch, far)
        return float(np.abs(now - before).max())

    found = []
    for factor, shift, words in UNITS:
        found.append((apart(factor, shift), f"multiplication by {words}"))
        found.append((apart(1.0 / factor, -shift / factor), f"division by {words}, the other way"))
    least, words = min(found)
    chance = _CHANCE * math.sqrt(1.0 / inside.sum() + 1.0 / float(batch[:-2].sum()))
    return words if least <= chance + habit and least * _CLEARLY < apart(1.0, 0.0) else ""


def _below(points: Floats, edges: Floats, batch: Counts, far: Far) -> Floats:
    """Return the share of the batch's values below some points, float64, same shape."""
    values = (far[0] << _DROPPED).view(np.float64)
    order = np.argsort(values, kind="stable")
    values, rows = values[order], far[1][order].astype(np.float64)
    low = values < edges[1]
    at = np.r_[values[low], edges[1:-1], values[~low]]
    # Steps at values far out; between the outermost bins, bins are straight lines.
    steps = np.r_[rows[low], 0.0, batch[2:-4].astype(np.float64), rows[~low]]
    shares: Floats = np.cumsum(steps) / max(float(steps.sum()), 1.0)
    return np.interp(points, at, shares, left=0.0)


@dataclass(slots=True, eq=False)
class FarCount(Counter):
    """Values of numeric features outside all but the outermost bins of the baseline.

    Attributes:
        columns: Leading bits of the values, uint64, and rows of each, int64, both of shape (k,), by
            column; at most 4,096 an octave.
    """

    columns: dict[str, Far] = field(default_factory=dict)

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        found = {}
        for column in chunk.layout.features:
            codes = chunk.encoded.cells.get(column.name)
            if codes is None or column.kind is not Kind.NUMERIC or len(column.edges) < _EDGES:
                continue
            last = column.n_cells - 4
            rows = np.flatnonzero((codes <= 1) | ((codes >= last) & (codes <= last + 1)))
            values = floats(plain(chunk.column(column.name)))[rows] if rows.size else np.zeros(0)
            # 24 bits stay, which sort faster as 32.
            short = (values.view(np.uint64) >> _DROPPED).astype(np.uint32)
            keys, counts = np.unique(short, return_counts=True)
            found[column.name] = keys.astype(np.uint64), counts.astype(np.int64)
        self.columns = _joined(self.columns, found)

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(_joined(self.columns, other.columns))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        found = self.columns.items()
        return {"columns": {name: [pack(k, "<u8"), pack(n, "<i8")] for name, (k, n) in found}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        columns = {}
        for name, (keys, counts) in value["columns"].items():
            found = unpack(keys, "<u8", (-1,))
            rows = unpack(counts, "<i8", found.shape)
            if (found[1:] <= found[:-1]).any() or (rows <= 0).any() or (found >> 24).any():
                raise ValueError("values outside the range are malformed")
            columns[str(name)] = found, rows
        return cls(columns)


def _joined(first: Mapping[str, Far], second: Mapping[str, Far]) -> dict[str, Far]:
    out = dict(first)
    for name, far in second.items():
        if name not in out:
            out[name] = far
            continue
        keys = np.concatenate([out[name][0], far[0]])
        rows = np.concatenate([out[name][1], far[1]])
        order = np.argsort(keys, kind="stable")  # merges what is sorted already
        keys, rows = keys[order], rows[order]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]][: keys.size])
        out[name] = (keys[starts], np.add.reduceat(rows, starts)) if keys.size else (keys, rows)
    return out


def likely_spelling(comparison: Comparison, column: Column, new: int) -> str:
    """Return which other spelling explains new categories, in words, or "".

    Args:
        comparison: The batch beside its baseline.
        column: A categorical feature of the baseline.
        new: Rows with a new category, at least 1.
    """
    counts = SPELLINGS.of(comparison).columns.get(column.name, (0, 0, 0))
    rows, words = max(zip(counts, ("case", "outer blanks", "case and outer blanks"), strict=True))
    return f"{rows} of these {new} rows differ from a known one by {words} alone" if rows else ""


@dataclass(slots=True, eq=False)
class SpellingCount(Counter):
    """Rows with a new category that is a known one, spelled otherwise.

    Attributes:
        columns: Rows that differ by case alone, by outer blanks alone, by both, by column.
    """

    columns: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        for column in chunk.layout.features:
            codes = chunk.encoded.cells.get(column.name)
            if codes is None or column.kind is not Kind.CATEGORICAL or not column.closed:
                continue
            new = codes == len(column.categories)
            if new.any():
                found = _spelled(column, strings(plain(chunk.column(column.name))), new)
                self.columns = _summed(self.columns, {column.name: found})

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(_summed(self.columns, other.columns))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"columns": {name: list(counts) for name, counts in self.columns.items()}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        found = value["columns"].items()
        return cls({str(n): (natural(a), natural(b), natural(c)) for n, (a, b, c) in found})


def _spelled(column: Column, values: pa.Array, new: NDArray[np.bool_]) -> tuple[int, int, int]:
    known = large_strings(column.categories)
    case, blanks = pc.utf8_lower, pc.utf8_trim_whitespace
    found, told = [], np.zeros(new.size, dtype=bool)
    for form in (case, blanks, _both):
        same = bits(pc.is_in(form(values), value_set=form(known))) & new & ~told
        told |= same
        found.append(int(same.sum()))
    return found[0], found[1], found[2]


def _both(values: pa.Array) -> pa.Array:
    return pc.utf8_lower(pc.utf8_trim_whitespace(values))


def _summed(
    first: Mapping[str, tuple[int, int, int]], second: Mapping[str, tuple[int, int, int]]
) -> dict[str, tuple[int, int, int]]:
    arrays = [{n: np.array(c) for n, c in part.items()} for part in (first, second)]
    return {n: (int(c[0]), int(c[1]), int(c[2])) for n, c in added(*arrays).items()}


def _no_far(_: Baseline) -> FarCount:
    return FarCount()


def _no_spelling(_: Baseline) -> SpellingCount:
    return SpellingCount()


FAR = Counting("numbers out of range", FarCount, _no_far)
SPELLINGS = Counting("new spellings", SpellingCount, _no_spelling)

"""Copies among rows: what a source shows by itself, and what is counted of a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.distinct import KEPT, Distinct
from sluicegate.profiling.fingerprints import N_TABLES
from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.chunk import prints_of
from sluicegate.signals.copies.golden import matches
from sluicegate.signals.counting import Counter, Counting, natural
from sluicegate.signals.decision.budget import prediction_bound
from sluicegate.signals.learning import MIN_BLOCK_ROWS, key_columns
from sluicegate.signals.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.copies.repeats import Spectrum
    from sluicegate.signals.learning import Learning

LEAST_DENSITY = 2.0
"""Natural repeats come from values that many rows share, and how many do moves with every season
(punctual months repeat "no delay"): pairs may become twice as frequent before it means anything."""
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Repeats:
    """What a baseline keeps, for each table of fingerprints; nothing without features.

    Attributes:
        spectra: Group sizes with the number of groups.
        density: How many times more rows a clean batch may seem to have.
        alike: The same spectra of the rows that share a value, by column and cell, with their
            number: such rows are equal more often, because they differ in one column less.
    """

    spectra: tuple[Spectrum, ...]
    density: tuple[float, ...]
    alike: Mapping[tuple[str, int], tuple[int, tuple[Spectrum, ...]]] = field(default_factory=dict)

    def like(self, shared: Mapping[str, int], n_rows: int) -> tuple[int, tuple[Spectrum, ...]]:
        """Return number and spectra of the fewest baseline rows that are like a batch.

        Args:
            shared: Cells of the columns in which the whole batch has one value.
            n_rows: Rows of the baseline.
        """
        known = [self.alike[key] for key in shared.items() if key in self.alike]
        return min(known, default=(n_rows, self.spectra), key=lambda found: found[0])


@dataclass(slots=True, eq=False)
class CopyCount(Counter):
    """Different fingerprints of a batch, and how often each occurs.

    Attributes:
        tables: One count for each table of fingerprints.
    """

    tables: tuple[Distinct, ...]

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        for table, prints in zip(self.tables, chunk.once(prints_of), strict=True):
            table.add(prints)

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        pairs = zip(self.tables, other.tables, strict=True)
        return type(self)(tuple(own.merge(others) for own, others in pairs))

    def scale(self, table: int) -> int:
        """Return by what a table's numbers of groups are multiplied: 1 unless it is a sample."""
        return 1 << self.tables[table].level

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"tables": [distinct_json(table) for table in self.tables]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        tables = tuple(read_distinct(table) for table in value["tables"])
        if len(tables) != N_TABLES:
            raise ValueError("tables of fingerprints are missing")
        return cls(tables)


def distinct_json(table: Distinct) -> dict[str, Any]:
    """Return a count of different fingerprints as plain JSON types."""
    table.settle()
    return {
        "limit": table.limit,
        "level": table.level,
        "values": pack(table.values, "<u8"),
        "repeated": pack(table.repeated, "<u8"),
        "times": pack(table.times, "<i8"),
    }


def read_distinct(value: Mapping[str, Any]) -> Distinct:
    """Read what `distinct_json` wrote.

    Raises:
        ValueError: Not what it wrote; for some faults KeyError or TypeError instead.
    """
    limit, level = natural(value["limit"]), natural(value["level"])
    values, repeated = (unpack(value[key], "<u8", (-1,)) for key in ("values", "repeated"))
    times = unpack(value["times"], "<i8", repeated.shape)
    if not 0 < limit <= KEPT or level >= 64 or values.size > limit:
        raise ValueError("size of a table of fingerprints is malformed")
    if (values[1:] <= values[:-1]).any() or (repeated[1:] <= repeated[:-1]).any():
        raise ValueError("fingerprints are not in order")
    if (times <= 0).any() or not matches(repeated, values).all():
        raise ValueError("counts of fingerprints are malformed")
    found = Distinct(limit, level)
    found.add(values)
    found.settle()
    if found.values.size != values.size:
        raise ValueError("fingerprints do not belong to their level")
    found.repeated, found.times = repeated, times
    return found


@dataclass(frozen=True, slots=True)
class BlockCopies:
    """Copies within each block of a baseline.

    Attributes:
        rows: Rows of each, float64, shape (n_blocks,), > 0.
        found: Its copies, float64, same shape.
        expected: Copies to expect among so many rows of the whole baseline, float64, same shape.
        share: Share of the baseline that each block is, float64, same shape, in (0, 1].
    """

    rows: NDArray[np.float64]
    found: NDArray[np.float64]
    expected: NDArray[np.float64]
    share: NDArray[np.float64]

    def density(self) -> float:
        """Return how many times more rows a batch may seem to have than it has, at least 2.

        Rows of one period resemble each other more than rows of many, as if there were more of
        them: two rows of a block are equal that many times as often as two of the whole baseline.
        """
        some = self.expected > 0.0
        if not some.any():
            return LEAST_DENSITY
        ratio = self.found[some] / self.expected[some]
        return max(LEAST_DENSITY, 1.0 + prediction_bound(ratio - 1.0, 1.0 / self.expected[some]))

    def surplus(self) -> float:
        """Return which share of a batch may be copies beyond expectation.

        Where most rows are copies by nature, ten times as many rows would hardly be more of them.
        """
        noise = (self.found + self.expected * self.share + 1.0) / self.rows**2
        more = (self.found - self.expected) / self.rows
        usual = max(float(more.mean()), 0.0)
        return min(usual + prediction_bound(more - usual, noise), 1.0)


def copies_of_blocks(hashes: Hashes, blocks: NDArray[np.int64]) -> BlockCopies:
    """Count the copies within each block of a baseline.

    Args:
        hashes: Fingerprints of the baseline, uint64, shape (n_rows,).
        blocks: Block of each row, int64, shape (n_rows,), each of 0..n_blocks-1 used; -1 for none.
    """
    whole, inside = spectrum(hashes), blocks >= 0
    rows = np.bincount(blocks[inside])
    expected = [expected_copies(whole, blocks.size, n) for n in rows.tolist()]
    found = [copies(hashes[blocks == block]) for block in range(rows.size)]
    share = rows / blocks.size
    return BlockCopies(
        *(np.array(values, dtype=np.float64) for values in (rows, found, expected, share))
    )


def copies(hashes: Hashes) -> int:
    """Return how many rows repeat an earlier one.

    Args:
        hashes: Fingerprint of each row, uint64, shape (n_rows,).
    """
    ordered = np.sort(hashes)  # np.unique hashes since numpy 2.3: nine times slower here
    return int((ordered[1:] == ordered[:-1]).sum())


def spectrum(hashes: Hashes) -> Spectrum:
    """Return (group size, number of groups), increasing by size.

    Args:
        hashes: Fingerprint of each row, uint64, shape (n_rows,).
    """
    _, sizes = np.unique(hashes, return_counts=True)
    values, counts = np.unique(sizes, return_counts=True)
    return [(int(v), int(c)) for v, c in zip(values, counts, strict=True)]


def expected_copies(groups: Sequence[tuple[int, int]], m: int, n: float) -> float:
    """Return the copies to expect among n rows of a source with this spectrum in m rows.

    Below m each group is thinned; above, the chance of a row to be a copy grows with n.

    Args:
        groups: Spectrum of the baseline.
        m: Rows of the baseline.
        n: Rows of the batch; may be fractional.
    """
    share = min(n / m, 1.0)
    size = np.array([g[0] for g in groups], dtype=np.float64)
    number = np.array([g[1] for g in groups], dtype=np.float64)
    distinct = float((number * (1.0 - (1.0 - share) ** size)).sum())
    inside = max(share * float((number * size).sum()) - distinct, 0.0)
    if n <= m:
        return inside
    single = math.log1p(-min(inside / m, 1.0 - 1e-12))
    return n * -math.expm1(single * n / m)


def learned_repeats(learning: Learning) -> Repeats:
    """Learn how often rows of the baseline repeat each other."""
    if not any(c.binned or c.listed for c in learning.layout.features):
        return Repeats((), ())
    prints, blocks = learning.once(prints_of), learning.blocks
    density = tuple(copies_of_blocks(table, blocks).density() for table in prints)
    return Repeats(_spectra(prints), density, _alike(learning, prints))


def _spectra(prints: Hashes) -> tuple[Spectrum, ...]:
    return tuple(spectrum(table) for table in prints)


def _alike(
    learning: Learning, prints: Hashes
) -> dict[tuple[str, int], tuple[int, tuple[Spectrum, ...]]]:
    found = {}
    for column in key_columns(learning):
        cells = learning.encoded.cells[column.name]
        rows = np.bincount(cells)
        for cell in np.flatnonzero(rows >= MIN_BLOCK_ROWS).tolist():
            found[column.name, cell] = int(rows[cell]), _spectra(prints[:, cells == cell])
    return found


def _write(repeats: Repeats) -> dict[str, Any]:
    spectra = [[list(pair) for pair in groups] for groups in repeats.spectra]
    alike = [
        [column, cell, rows, [[list(pair) for pair in groups] for groups in own]]
        for (column, cell), (rows, own) in sorted(repeats.alike.items())
    ]
    # A baseline of an earlier version has none, and must give its own bytes again.
    return {
        "spectra": spectra,
        "density": list(repeats.density),
        **({"alike_spectra": alike} if alike else {}),
    }


def _read(value: Mapping[str, Any]) -> Repeats:
    alike = {
        (str(column), int(cell)): (int(rows), _read_spectra(own))
        for column, cell, rows, own in value.get("alike_spectra", [])
    }
    if any(rows < 1 or len(own) != N_TABLES for rows, own in alike.values()):
        raise ValueError("spectra of rows that share a value are malformed")
    density = tuple(float(v) for v in value["density"])
    return Repeats(_read_spectra(value["spectra"]), density, alike)


def _read_spectra(value: Any) -> tuple[Spectrum, ...]:
    return tuple([(int(a), int(b)) for a, b in groups] for groups in value)


def _start(_: Baseline) -> CopyCount:
    return CopyCount(tuple(Distinct() for _ in range(N_TABLES)))


REPEATS = Section("repeats", lambda learning: learning.once(learned_repeats), _write, _read)
COPIES = Counting("copies", CopyCount, _start)

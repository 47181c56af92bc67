"""How far out rows are: the baseline's limits, and the rows of a batch beyond them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.buffers import floats, plain
from sluicegate.profiling.columns import Kind
from sluicegate.profiling.layout import unique_column
from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.columns.scatter import Scatter, cell_scores, outward
from sluicegate.signals.counting import Counter, Counting, natural
from sluicegate.signals.decision.budget import prediction_bound
from sluicegate.signals.decision.distance import ordered_gap
from sluicegate.signals.decision.tails import binomial_sf
from sluicegate.signals.section import Section

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.counts import Profile
    from sluicegate.profiling.layout import Layout
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk, EncodedRows, Plan
    from sluicegate.signals.columns.scatter import Positions
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.learning import Learning, Split

Floats = NDArray[np.float64]
QUANTILES = (0.995, 0.999)
_MOVED = 0.25
_CHANCE = 0.05
_MOST_ROWS = 40_000  # from which a scatter is learned: more tell it no better


@dataclass(frozen=True, slots=True)
class Limits:
    """What is far out in a baseline.

    Attributes:
        limits: Quantiles of the distance; empty without numeric features.
        rows: Baseline rows beyond each.
        scatter: What distances are measured by.
    """

    limits: tuple[float, ...]
    rows: tuple[int, ...]
    scatter: Scatter


def numbers(layout: Layout) -> list[Column]:
    """Return the numeric features."""
    return [c for c in layout.features if c.kind is Kind.NUMERIC]


def moved_columns(layout: Layout, base: Profile, batch: Profile) -> tuple[str, ...]:
    """Return the numeric columns of which more than a quarter of the mass moved.

    Args:
        layout: Columns.
        base: Counts of the baseline.
        batch: Counts of the batch.
    """
    moved = []
    for column in numbers(layout):
        before, now = base.marginal(column.name)[:-2], batch.marginal(column.name)[:-2]
        if before.sum() and now.sum() and ordered_gap(before, now).effect > _MOVED:
            moved.append(column.name)
    return tuple(moved)


def _scores(plan: Plan) -> list[Positions]:
    profile = plan.baseline.profile
    return [cell_scores(c, profile.marginal(c.name)) for c in numbers(plan.baseline.layout)]


def positions_of(chunk: Chunk) -> Positions:
    """Return the normal scores of rows, float32, shape (n_columns, n_rows)."""
    tables, columns = chunk.plan.once(_scores), numbers(chunk.layout)
    out = np.zeros((len(columns), chunk.n_rows), dtype=np.float32)
    for i, (column, table) in enumerate(zip(columns, tables, strict=True)):
        codes = chunk.encoded.cells.get(column.name)
        if codes is None:
            continue
        np.take(table, codes, out=out[i])
        beyond = np.flatnonzero((codes == 0) | (codes == column.n_cells - 3))
        if beyond.size and len(column.edges) > 1:
            values = _values(chunk, column)[beyond]
            low, high = column.edges[0], column.edges[-1]
            out[i, beyond] = outward(column, out[i, beyond], values, low, high)
    return out


def outermost_of(chunk: Chunk) -> tuple[NDArray[np.intp], Positions]:
    """Return the rows beyond the lowest limit, and their normal scores.

    Leaving columns out later brings rows nearer, so no other row can pass a limit then.

    Returns:
        intp, shape (n_far,), and float32, shape (n_columns, n_far).
    """
    reference, positions = LIMITS.of(chunk.baseline), positions_of(chunk)
    far = np.flatnonzero(reference.scatter.distance(positions) > min(reference.limits))
    return far, positions[:, far]


@dataclass(slots=True, eq=False)
class OutermostCount(Counter):
    """Rows beyond the lowest limit: only these may be outliers, whichever columns are left out.

    Memory grows with the rows far out, 4 bytes for each numeric column.

    Attributes:
        scatter: What distances are measured by.
        parts: Normal scores of such rows of each record batch, float32, shape (n_columns, n_far).
    """

    scatter: Scatter
    parts: list[Positions] = field(default_factory=list)

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        self.parts.append(chunk.once(outermost_of)[1])

    def merge(self, other: Self) -> Self:
        """Return the rows of both."""
        return type(self)(self.scatter, [*self.parts, *other.parts])

    def beyond(self, limits: tuple[float, ...], skipped: Container[str]) -> tuple[int, ...]:
        """Return how many rows lie beyond each limit.

        Args:
            limits: Of the distance, none below the lowest of the baseline.
            skipped: Columns that moved as a whole.
        """
        found = (self.scatter.distance(part, skipped) for part in self.parts)
        return _counted(found, limits)

    def beyond_without_each(
        self, limits: tuple[float, ...], skipped: Container[str]
    ) -> dict[str, tuple[int, ...]]:
        """Return how many rows lie beyond each limit without one column more, by its name.

        Args:
            limits: As `beyond`.
            skipped: As `beyond`.
        """
        out = {name: (0,) * len(limits) for name in self.scatter.names if name not in skipped}
        for part in self.parts:
            for name, far in self.scatter.without_each(part, skipped):
                more = zip(out[name], _counted([far], limits), strict=True)
                out[name] = tuple(a + b for a, b in more)
        return out

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        joined = self._joined()
        return {
            "scatter": self.scatter.to_json(),
            "n_rows": joined.shape[1],
            "positions": pack(joined, "<f4"),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        scatter, n_rows = Scatter.from_json(value["scatter"]), natural(value["n_rows"])
        positions = unpack(value["positions"], "<f4", (len(scatter.names), n_rows))
        if not np.isfinite(positions).all():
            raise ValueError("a position is not finite")
        return cls(scatter, [positions] if n_rows else [])

    def _joined(self) -> Positions:
        none = np.zeros((len(self.scatter.names), 0), dtype=np.float32)
        return np.concatenate([none, *self.parts], axis=1)


def _counted(distances: Iterable[Floats], limits: tuple[float, ...]) -> tuple[int, ...]:
    found = np.zeros(len(limits), dtype=np.int64)
    for far in distances:
        found += [int((far > limit).sum()) for limit in limits]
    return tuple(found.tolist())


def moved(comparison: Comparison) -> tuple[str, ...]:
    """Return the columns of a batch that moved as a whole, and are left out."""
    baseline = comparison.baseline
    return moved_columns(baseline.layout, baseline.profile, comparison.profile)


@dataclass(frozen=True, slots=True)
class _Learned:
    limits: Limits
    far: NDArray[np.bool_]


def learned_limits(learning: Learning) -> _Learned:
    """Measure every block by the others, their ranges included: a new batch is not in its own."""
    columns = numbers(learning.layout)
    names, n = tuple(c.name for c in columns), learning.n_rows
    if not columns:
        nothing = Scatter((), np.zeros((0, 0)))
        return _Learned(Limits((), (), nothing), np.zeros(n, dtype=bool))
    ranges = [_Ranges.of(learning, column) for column in columns]
    distance = np.zeros(n)
    for block in range(learning.n_blocks):
        inside = learning.blocks == block
        tables = [
            cell_scores(c, np.bincount(r.codes[~inside], minlength=c.n_cells))
            for c, r in zip(columns, ranges, strict=True)
        ]
        scatter = Scatter.of(names, _sampled(ranges, tables, np.flatnonzero(~inside)))
        held = np.stack(
            [r.held(c, t, block) for c, r, t in zip(columns, ranges, tables, strict=True)]
        )
        distance[inside] = scatter.distance(held)
    ordered = np.sort(distance)
    # A shade more than the row at the quantile, whose equals must not pass it by rounding.
    limits = tuple(float(ordered[min(int(q * n), n - 1)]) * (1.0 + 1e-6) for q in QUANTILES)
    rows = tuple(int((distance > limit).sum()) for limit in limits)
    every = [
        cell_scores(c, np.bincount(r.codes, minlength=c.n_cells))
        for c, r in zip(columns, ranges, strict=True)
    ]
    scatter = Scatter.of(names, _sampled(ranges, every, np.arange(n)))
    return _Learned(Limits(limits, rows, scatter), distance > limits[0])


def _sampled(
    ranges: Sequence[_Ranges], tables: Sequence[Positions], rows: NDArray[np.intp]
) -> Positions:
    rows = rows[:: max(1, rows.size // _MOST_ROWS)]
    return np.stack([t[r.codes[rows]] for r, t in zip(ranges, tables, strict=True)])


@dataclass(frozen=True, slots=True)
class _Ranges:
    """A column of the baseline, and the range of each block's others.

    Attributes:
        codes: Cells, uint8, shape (n_rows,).
        values: float64, same shape.
        blocks: Block of each row, int64, same shape.
        low: Smallest value in all other blocks, float64, shape (n_blocks,).
        high: Largest, same shape.
    """

    codes: NDArray[np.uint8]
    values: Floats
    blocks: NDArray[np.int64]
    low: Floats
    high: Floats

    @classmethod
    def of(cls, learning: Learning, column: Column) -> Self:
        codes, values = learning.encoded.cells[column.name], _values(learning, column)
        some, blocks, k = codes < column.n_cells - 2, learning.blocks, learning.n_blocks
        low, high = np.full(k, np.inf), np.full(k, -np.inf)
        np.minimum.at(low, blocks[some], values[some])
        np.maximum.at(high, blocks[some], values[some])
        others = [np.arange(k) != block for block in range(k)]
        return cls(
            codes,
            values,
            blocks,
            np.array([low[o].min(initial=np.inf) for o in others]),
            np.array([high[o].max(initial=-np.inf) for o in others]),
        )

    def held(self, column: Column, table: Positions, block: int) -> Positions:
        """Return the normal scores of a block's rows as the others see them, float32."""
        inside = self.blocks == block
        codes, values = self.codes[inside].copy(), self.values[inside]
        low, high = self.low[block], self.high[block]
        known = codes < column.n_cells - 2
        if low <= high:
            codes[known & (values < low)] = 0
            codes[known & (values > high)] = column.n_cells - 3
        scores: Positions = table[codes]
        beyond = np.flatnonzero(known & ((values < low) | (values > high)))
        if beyond.size and low <= high:
            scores[beyond] = outward(column, scores[beyond], values[beyond], low, high)
        return scores


def _values(rows: EncodedRows, column: Column) -> Floats:
    values: Floats = floats(plain(unique_column(rows.batch, column.name)))
    return values


def share_of_extremes(split: Split) -> float | None:
    """Return how much larger the share of extreme rows is in one more block; None without any."""
    learned, inside = split.learning.once(learned_limits), split.blocks >= 0
    if not learned.limits.limits:
        return None
    usual, blocks = float(learned.far.mean()), split.blocks[inside]
    rows = np.bincount(blocks, minlength=split.n_blocks)
    found = np.bincount(blocks[learned.far[inside]], minlength=split.n_blocks)
    if chance_explains(found, rows):
        return 0.0
    noise = usual * (1 - usual) / rows
    return prediction_bound(found / rows - usual, noise, complete=split.complete)


def chance_explains(found: NDArray[np.int64], rows: NDArray[np.int64]) -> bool:
    """Return whether no block has more of some rows than chance gives one of so many.

    Of a handful of rows in a few blocks, one block often has most: that is no habit.

    Args:
        found: Rows of each block that count, int64, shape (n_blocks,).
        rows: All rows of each, int64, same shape, > 0.
    """
    total, n = int(found.sum()), int(rows.sum())
    shares = zip(found.tolist(), rows.tolist(), strict=True)
    least = min((binomial_sf(k, total, r / n) for k, r in shares if r < n), default=1.0)
    return least * rows.size > _CHANCE


def _learn(learning: Learning) -> Limits:
    return learning.once(learned_limits).limits


def _start(baseline: Baseline) -> OutermostCount:
    return OutermostCount(LIMITS.of(baseline).scatter)


def _read(value: Mapping[str, Any]) -> Limits:
    limits = tuple(float(v) for v in value["extreme_limits"])
    rows = tuple(int(v) for v in value["extreme_rows"])
    return Limits(limits, rows, Scatter.from_json(value["extreme_scatter"]))


LIMITS: Section[Limits] = Section(
    "extremes",
    _learn,
    lambda known: {
        "extreme_limits": list(known.limits),
        "extreme_rows": list(known.rows),
        "extreme_scatter": known.scatter.to_json(),
    },
    _read,
)
OUTERMOST = Counting("outermost rows", OutermostCount, _start)

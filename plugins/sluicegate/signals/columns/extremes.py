"""How extreme rows are: the baseline's limits, and the rows of a batch beyond them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.buffers import floats, plain
from sluicegate.profiling.columns import Column, Kind
from sluicegate.profiling.layout import Encoded, Layout, unique_column
from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.counting import Counter, Counting, natural
from sluicegate.signals.decision.budget import prediction_bound
from sluicegate.signals.decision.distance import ordered_gap
from sluicegate.signals.section import Section

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    import pyarrow as pa

    from sluicegate.profiling.counts import Profile
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk, Plan
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.learning import Learning, Split

Floats = NDArray[np.float64]
Extremes = dict[str, tuple[NDArray[np.intp], Floats]]
"""Rows that are extreme in each column, and how much."""
QUANTILES = (0.995, 0.999)
_TAIL_CAP = 3.0  # about the outer 0.5 % of a column, beyond the outer tenth
_MOVED = 0.25
_CAP = 50.0  # of one column: a single absurd value is enough, more adds nothing


@dataclass(frozen=True, slots=True)
class Limits:
    """What is far out in a baseline.

    Attributes:
        limits: Quantiles of extremeness; empty without numeric features.
        rows: Baseline rows beyond each.
    """

    limits: tuple[float, ...]
    rows: tuple[int, ...]


def tail_scores(column: Column, counts: NDArray[np.int64]) -> Floats:
    """Return -log of the two-sided tail of every cell, float64, shape (256,).

    Args:
        column: A binned column.
        counts: Baseline rows by cell, int64, shape (n_cells,).
    """
    scores = np.zeros(256)
    inside = counts[: column.n_cells - 2].astype(np.float64)
    total = inside.sum()
    if total:
        low = (np.cumsum(inside) - inside / 2 + 0.5) / (total + 1.0)
        tail = np.clip(2.0 * np.minimum(low, 1.0 - low), 1.0 / (total + 1.0), 1.0)
        # Only the outer tenth counts: the middle of twenty columns must not add up.
        scores[: inside.size] = np.clip(-np.log(tail) + np.log(0.1), 0.0, _TAIL_CAP)
    return scores


def extremes(
    layout: Layout, encoded: Encoded, batch: pa.RecordBatch, tables: Mapping[str, Floats]
) -> Extremes:
    """Return each column's extreme rows, intp, and how much, float64, both of shape (n_extreme,).

    Args:
        layout: Columns.
        encoded: The batch as cells.
        batch: The batch, for the distance of values outside the range.
        tables: `tail_scores` of the columns that count, float64, shape (256,).
    """
    out: Extremes = {}
    for column in layout.features:
        codes = encoded.cells.get(column.name)
        if codes is None or column.name not in tables or column.kind is not Kind.NUMERIC:
            continue
        table = tables[column.name]
        scored = table != 0.0
        if len(column.edges) > 1:
            scored[[0, column.n_cells - 3]] = True
        rows = np.flatnonzero(scored.take(codes))
        own = codes[rows]
        score = table[own]
        beyond = np.flatnonzero((own == 0) | (own == column.n_cells - 3))
        if beyond.size and len(column.edges) > 1:
            values = floats(plain(unique_column(batch, column.name)))[rows[beyond]]
            score[beyond] += _distance(column, values)
        some = np.flatnonzero(score)
        out[column.name] = rows[some], np.minimum(score[some], _CAP)
    return out


def extremeness(found: Extremes, n_rows: int, skipped: Container[str] = ()) -> Floats:
    """Return each row's extremeness, float64, shape (n_rows,).

    Args:
        found: What `extremes` returned: intp and float64, shape (n_extreme,), by column.
        n_rows: Number of rows.
        skipped: Columns that moved as a whole.
    """
    out = np.zeros(n_rows)
    for name, (rows, scores) in found.items():
        if name not in skipped:
            out[rows] += scores
    return out


def outermost(found: Extremes, n_rows: int, limit: float) -> tuple[int, Extremes]:
    """Return how many rows lie beyond a limit, and like ``found`` only these, renumbered.

    Leaving columns out later makes rows less extreme, so no other row can pass the limit then.

    Args:
        found: What `extremes` returned: intp and float64, shape (n_extreme,), by column.
        n_rows: Number of rows.
        limit: The smallest limit that counts.
    """
    far = extremeness(found, n_rows) > limit
    number = np.cumsum(far) - 1
    kept = {}
    for name, (rows, scores) in found.items():
        inside = far[rows]
        kept[name] = number[rows[inside]], scores[inside]
    return int(far.sum()), kept


def moved_columns(layout: Layout, base: Profile, batch: Profile) -> tuple[str, ...]:
    """Return the numeric columns of which more than a quarter of the mass moved.

    Args:
        layout: Columns.
        base: Counts of the baseline.
        batch: Counts of the batch.
    """
    moved = []
    for column in layout.features:
        if column.kind is Kind.NUMERIC:
            before, now = base.marginal(column.name)[:-2], batch.marginal(column.name)[:-2]
            if before.sum() and now.sum() and ordered_gap(before, now).effect > _MOVED:
                moved.append(column.name)
    return tuple(moved)


def _distance(column: Column, values: Floats) -> Floats:
    """Distance outside the range in units of the middle 80 % of the baseline."""
    edges = np.asarray(column.edges)
    a, b = edges[len(edges) // 10], edges[-1 - len(edges) // 10]
    width = max(float(b - a), (float(edges[-1]) - float(edges[0])) / 10.0, 1e-300)
    outside = np.maximum(edges[0] - values, values - edges[-1])
    distance: Floats = 10.0 * np.clip(outside / width, 0.0, 1e6)
    return distance


def _tails(plan: Plan) -> dict[str, Floats]:
    baseline = plan.baseline
    binned = (c for c in baseline.layout.features if c.binned)
    return {c.name: tail_scores(c, baseline.profile.marginal(c.name)) for c in binned}


def extremes_of(chunk: Chunk) -> Extremes:
    """Return each column's extreme rows, intp, and how much, float64, both shape (n_extreme,)."""
    return extremes(chunk.layout, chunk.encoded, chunk.batch, chunk.plan.once(_tails))


@dataclass(slots=True, eq=False)
class OutermostCount(Counter):
    """Rows beyond the lowest limit: only these may be outliers, whichever columns are left out.

    Memory grows with the rows far out, 16 bytes for each of their columns.

    Attributes:
        parts: How many such rows each record batch has, and their extremes: intp and float64, shape
            (n_extreme,), by column.
    """

    parts: list[tuple[int, Extremes]] = field(default_factory=list)

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        lowest = min(LIMITS.of(chunk.baseline).limits)
        self.parts.append(outermost(chunk.once(extremes_of), chunk.n_rows, lowest))

    def merge(self, other: Self) -> Self:
        """Return the rows of both."""
        return type(self)([*self.parts, *other.parts])

    def beyond(self, limits: tuple[float, ...], skipped: Container[str]) -> tuple[int, ...]:
        """Return how many rows lie beyond each limit.

        Args:
            limits: Of extremeness, none below the lowest of the baseline.
            skipped: Columns that moved as a whole.
        """
        scores = [extremeness(found, n, skipped) for n, found in self.parts]
        return tuple(sum(int((s > limit).sum()) for s in scores) for limit in limits)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        n_rows, found = self._joined()
        return {
            "n_rows": n_rows,
            "columns": {
                name: [pack(rows, "<i8"), pack(scores, "<f8")]
                for name, (rows, scores) in found.items()
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        n_rows, found = natural(value["n_rows"]), {}
        for name, (rows, scores) in value["columns"].items():
            at = unpack(rows, "<i8", (-1,)).astype(np.intp)
            far = unpack(scores, "<f8", at.shape)
            if (np.diff(at) <= 0).any() or (at < 0).any() or (at >= n_rows).any():
                raise ValueError("rows far out are not in order")
            if not ((far > 0.0) & (far <= _CAP)).all():
                raise ValueError("extremeness is out of range")
            found[str(name)] = at, far
        return cls([(n_rows, found)] if n_rows else [])

    def _joined(self) -> tuple[int, Extremes]:
        start, columns = 0, dict[str, list[tuple[NDArray[np.intp], Floats]]]()
        for n_rows, found in self.parts:
            for name, (rows, scores) in found.items():
                if rows.size:
                    columns.setdefault(name, []).append((rows + start, scores))
            start += n_rows
        joined = {
            name: (np.concatenate([r for r, _ in found]), np.concatenate([s for _, s in found]))
            for name, found in columns.items()
        }
        return start, joined


def moved(comparison: Comparison) -> tuple[str, ...]:
    """Return the columns of a batch that moved as a whole, and are left out."""
    baseline = comparison.baseline
    return moved_columns(baseline.layout, baseline.profile, comparison.profile)


@dataclass(frozen=True, slots=True)
class _Learned:
    limits: Limits
    far: NDArray[np.bool_]


def learned_limits(learning: Learning) -> _Learned:
    """Score every block by the tails of the others: a new batch is not in its own tails."""
    numbers = [c for c in learning.layout.features if c.kind is Kind.NUMERIC]
    if not numbers:
        return _Learned(Limits((), ()), np.zeros(learning.n_rows, dtype=bool))
    scores, cells, blocks = np.zeros(learning.n_rows), learning.encoded.cells, learning.blocks
    for block in range(learning.n_blocks):
        inside = blocks == block
        tails = {
            c.name: tail_scores(c, np.bincount(cells[c.name][~inside], minlength=c.n_cells))
            for c in numbers
        }
        far = extremes(learning.layout, learning.encoded, learning.batch, tails)
        scores[inside] = extremeness(far, learning.n_rows)[inside]
    ordered = np.sort(scores)
    limits = tuple(float(ordered[min(int(q * ordered.size), ordered.size - 1)]) for q in QUANTILES)
    rows = tuple(int((scores > limit).sum()) for limit in limits)
    return _Learned(Limits(limits, rows), scores > limits[0])


def share_of_extremes(split: Split) -> float | None:
    """Return how much larger the share of extreme rows is in one more block; None without any."""
    learned, inside = split.learning.once(learned_limits), split.blocks >= 0
    if not learned.limits.limits:
        return None
    usual, blocks = float(learned.far.mean()), split.blocks[inside]
    rows = np.bincount(blocks, minlength=split.n_blocks)
    shares = np.bincount(blocks, weights=learned.far[inside], minlength=split.n_blocks) / rows
    noise = usual * (1 - usual) / rows
    return prediction_bound(shares - usual, noise, complete=split.complete)


def _learn(learning: Learning) -> Limits:
    return learning.once(learned_limits).limits


def _start(_: Baseline) -> OutermostCount:
    return OutermostCount()


LIMITS: Section[Limits] = Section(
    "extremes",
    _learn,
    lambda limits: {"extreme_limits": list(limits.limits), "extreme_rows": list(limits.rows)},
    lambda value: Limits(
        tuple(float(v) for v in value["extreme_limits"]),
        tuple(int(v) for v in value["extreme_rows"]),
    ),
)
OUTERMOST = Counting("outermost rows", OutermostCount, _start)

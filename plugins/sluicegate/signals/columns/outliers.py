"""OUTLIERS: rows are not more extreme than this source's extremes.

Null hypothesis: the share of rows beyond the baseline's 99.5 % and 99.9 % quantiles of
extremeness is not larger than in the baseline. Minimum n: 50. Extremeness of a row is the sum
over numeric columns of -log of the two-sided tail of its cell, at most 3 a column, plus ten
times the distance outside the baseline's range in units of its middle: one column that drifts
a little beyond its old maximum is drift, a row far out or odd in several columns is an
outlier. Fitted on the baseline alone, because dense poison would hide in a fit on both. A
column of which more than a quarter of the mass moved is left out: that is a season, DRIFT
says so, and calling every row of a summer an outlier would help nobody.
Source: Fisher 1932 (sum of log p); HBOS, Goldstein and
Dengel 2012.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.buffers import floats, plain
from sluicegate.profiling.columns import Column, Kind
from sluicegate.profiling.layout import Encoded, Layout, unique_column
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.distance import ordered_distance
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    import pyarrow as pa

    from sluicegate.profiling.counts import Profile
    from sluicegate.signals.comparison import Comparison

CODE = "OUTLIERS"
Floats = NDArray[np.float64]
Extremes = dict[str, tuple[NDArray[np.intp], Floats]]
QUANTILES = (0.995, 0.999)
_TAIL_CAP = 3.0  # about the outer 0.5 % of a column, beyond the outer tenth
_MOVED = 0.25
_CAP = 50.0  # of one column: a single absurd value is enough, more adds nothing


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has numeric features."""
    reference = comparison.baseline.contamination
    if not reference.extreme_limits:
        return []
    reason = comparison.too_few() or comparison.lacking_feature()
    if reason:
        return [not_evaluated(CODE, Family.CONTAMINATION, reason)]
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    candidates = []
    for k, before in zip(comparison.outlying_rows, reference.extreme_rows, strict=True):
        candidates.append(
            Candidate(
                effect=k / n - before / m,
                bound=binomial_lower(k, n) - before / m,
                tolerance=comparison.tolerance(CODE, ""),
                p_value=rate_excess_p(k, n, before, m),
                text=f"{percent(k / n)} of rows are further out than the baseline's outermost "
                f"{percent(before / m)}",
                hint="Look at the named rows; they may be errors of a sensor or planted.",
            )
        )
    return [
        Finding(
            code=CODE,
            family=Family.CONTAMINATION,
            null_hypothesis="extreme rows are not more frequent than in the baseline",
            effect_unit="share of rows",
            n_baseline=m,
            n_batch=n,
            candidates=candidates,
            evidence={"left_out": list(comparison.moved)},
        )
    ]


def tail_scores(column: Column, counts: NDArray[np.int64]) -> Floats:
    """Return -log of the two-sided tail of every cell, float64, shape (256,).

    Args:
        column: A binned column.
        counts: Baseline rows by cell.
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
    """Return the rows that are extreme in each column, and how much.

    Args:
        layout: Columns.
        encoded: The batch as cells.
        batch: The batch, for the distance of values outside the range.
        tables: `tail_scores` of the columns that count.
    """
    out: Extremes = {}
    for column in layout.features:
        codes = encoded.cells.get(column.name)
        if codes is None or column.name not in tables or column.kind is not Kind.NUMERIC:
            continue
        score = tables[column.name][codes]
        beyond = np.flatnonzero((codes == 0) | (codes == column.n_cells - 3))
        if beyond.size and len(column.edges) > 1:
            values = floats(plain(unique_column(batch, column.name)))[beyond]
            score[beyond] += _distance(column, values)
        rows = np.flatnonzero(score)
        out[column.name] = rows, np.minimum(score[rows], _CAP)
    return out


def extremeness(found: Extremes, n_rows: int, skipped: Container[str] = ()) -> Floats:
    """Return each row's extremeness, float64, shape (n_rows,).

    Args:
        found: What `extremes` returned.
        n_rows: Number of rows.
        skipped: Columns that moved as a whole.
    """
    out = np.zeros(n_rows)
    for name, (rows, scores) in found.items():
        if name not in skipped:
            out[rows] += scores
    return out


def outermost(found: Extremes, n_rows: int, limit: float) -> tuple[int, Extremes]:
    """Return only the rows beyond a limit, renumbered, and how many they are.

    Leaving columns out later makes rows less extreme, so no other row can pass the limit then.
    """
    far = extremeness(found, n_rows) > limit
    number = np.cumsum(far) - 1
    kept = {}
    for name, (rows, scores) in found.items():
        inside = far[rows]
        kept[name] = number[rows[inside]], scores[inside]
    return int(far.sum()), kept


def moved_columns(layout: Layout, base: Profile, batch: Profile) -> tuple[str, ...]:
    """Return the numeric columns of which more than a quarter of the mass moved."""
    moved = []
    for column in layout.features:
        if column.kind is Kind.NUMERIC:
            before, now = base.marginal(column.name)[:-2], batch.marginal(column.name)[:-2]
            if before.sum() and now.sum() and ordered_distance(before, now).effect > _MOVED:
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

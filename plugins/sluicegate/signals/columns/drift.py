"""DRIFT_NUMERIC, DRIFT_CATEGORICAL, DRIFT_TEXT: a column's values are spread as before.

Null hypothesis: batch and baseline rows have one distribution over the column's cells.
Minimum n: 50 values that are present on either side. Drift is a change of P(x): it warns,
because the world moves; it never blocks alone. Sources: see `distance`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sluicegate.profiling.columns import Column, Kind
from sluicegate.signals.comparison import MIN_ROWS, Comparison
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.distance import Distance, listed_distance, ordered_distance
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.decision.tails import rate_excess_p

if TYPE_CHECKING:
    from sluicegate.profiling.counts import Counts

_CODES = {
    Kind.NUMERIC: "DRIFT_NUMERIC",
    Kind.TEXT: "DRIFT_TEXT",
    Kind.CATEGORICAL: "DRIFT_CATEGORICAL",
    Kind.BOOLEAN: "DRIFT_CATEGORICAL",
    Kind.NESTED: "DRIFT_CATEGORICAL",
}
_HINT = "Expect worse predictions; widen the baseline if this is the new normal."
NEW_CATEGORIES = 0.01
"""Accepted share of rows with categories the baseline never had, unless learned wider."""


def code_of(column: Column) -> str | None:
    """Return the drift signal that judges a feature, or None for kinds without drift."""
    return _CODES.get(column.kind)


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for each feature that has cells; nested ones are not evaluated."""
    found = []
    for column in comparison.baseline.layout.features:
        code = code_of(column)
        if code is not None:
            found.append(_column(comparison, column, code))
    return found


def present(column: Column, counts: Counts) -> Counts:
    """Return the counts without missing values, which COMPLETENESS judges."""
    return counts[:-2] if column.binned else counts[:-1]


def distance(column: Column, base: Counts, batch: Counts) -> Distance:
    """Return the distance of two histograms of present values of one column."""
    return ordered_distance(base, batch) if column.binned else listed_distance(base, batch)


def _column(comparison: Comparison, column: Column, code: str) -> Finding:
    reason = comparison.missing(column.name)
    if column.kind is Kind.NESTED:
        reason = "nested values are not supported; declare it as embedding or drop it"
    if not reason:
        base = present(column, comparison.baseline.profile.marginal(column.name))
        batch = present(column, comparison.profile.marginal(column.name))
        n, m = int(base.sum()), int(batch.sum())
        if n < MIN_ROWS or m < MIN_ROWS:
            reason = f"{n} values in the baseline and {m} in the batch, {MIN_ROWS} needed"
    if reason:
        return not_evaluated(code, Family.DRIFT, reason, column=column.name)
    found = distance(column, base, batch)
    tolerance = comparison.tolerance(code, column.name)
    moved = Candidate(
        effect=found.effect,
        bound=found.bound,
        tolerance=tolerance,
        p_value=found.p_value,
        text=f"{percent(found.effect)} of the mass moved",
        hint=_HINT,
        severity=Status.WARNED,
    )
    candidates = [moved]
    if column.kind is Kind.CATEGORICAL and column.closed:
        candidates.append(_new(column, base, batch, max(NEW_CATEGORIES, tolerance / 10.0)))
    return Finding(
        code=code,
        family=Family.DRIFT,
        column=column.name,
        null_hypothesis="batch and baseline have one distribution over the column's cells",
        effect_unit="share of rows",
        n_baseline=n,
        n_batch=m,
        candidates=candidates,
        evidence={"cells": _largest_moves(column, base, batch)},
    )


def _new(column: Column, base: Counts, batch: Counts, tolerance: float) -> Candidate:
    n, m, k = int(base.sum()), int(batch.sum()), int(batch[len(column.categories)])
    share = k / m
    return Candidate(
        subject="new categories",
        effect=share,
        bound=share - 1.645 * math.sqrt(share * (1 - share) / m),
        tolerance=tolerance,
        p_value=rate_excess_p(k, m, 0, n),
        text=f"{percent(share)} of rows have a category that the baseline never had",
        hint="Check whether the categories are real; a model cannot have learned them.",
        severity=Status.WARNED,
    )


def _largest_moves(column: Column, base: Counts, batch: Counts) -> list[dict[str, object]]:
    p, q = base / base.sum(), batch / batch.sum()
    order = sorted(range(p.size), key=lambda i: -abs(float(q[i] - p[i])))[:5]
    return [
        {"cell": cell_name(column, i), "baseline": float(p[i]), "batch": float(q[i])} for i in order
    ]


def cell_name(column: Column, cell: int) -> str:
    """Return a cell's name for a person; bounds of bins come from the baseline."""
    if column.listed:
        return column.categories[cell] if cell < len(column.categories) else "new or other"
    last = len(column.edges) - 1
    if cell == 0 or not column.edges:
        return "below the baseline's minimum"
    if cell > last:
        return "above the baseline's maximum"
    return f"{column.edges[cell - 1]:g} to {column.edges[cell]:g}"

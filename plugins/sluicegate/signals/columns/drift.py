"""DRIFT_NUMERIC, DRIFT_CATEGORICAL, DRIFT_TEXT: a column's values are spread as before.

Null hypothesis: batch and baseline rows have one distribution over the column's cells. Minimum n:
50 values that are present on either side. Drift is a change of P(x): it warns, because the world
moves; it never blocks alone. Corrected over its questions (what moved, what is new), and by Holm
over columns. Ties within a cell make p-values conservative; missing and infinite values are left
out, because COMPLETENESS judges them.
Sources: see `distance`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sluicegate.profiling.columns import Column, Kind
from sluicegate.signals.columns.recoded import FAR, SPELLINGS, likely_spelling, likely_unit
from sluicegate.signals.comparison import MIN_ROWS, Comparison
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.distance import (
    Distance,
    Gap,
    excess_over_noise,
    listed_distance,
    listed_gap,
    ordered_distance,
    ordered_gap,
)
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.decision.tails import rate_excess_p
from sluicegate.signals.definition import Signal
from sluicegate.signals.learning import block_counts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sluicegate.profiling.counts import Counts
    from sluicegate.profiling.layout import Layout
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.counting import Counting
    from sluicegate.signals.learning import Split

_NULL = "batch and baseline have one distribution over the column's cells"
_HINT = "Expect worse predictions; widen the baseline if this is the new normal."
NEW_CATEGORIES = 0.01
"""Accepted share of rows with categories the baseline never had, unless learned wider."""


def signal_of(column: Column) -> Signal | None:
    """Return the signal that judges a column, or None for kinds without drift."""
    return _BY_KIND.get(column.kind)


def drifting(layout: Layout) -> tuple[Column, ...]:
    """Return the columns whose values may drift: features, and a label that is a number."""
    label = layout.label
    return layout.features if label is None or label.listed else (*layout.features, label)


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for each column that has cells; nested ones are not evaluated."""
    found = []
    for column in drifting(comparison.baseline.layout):
        signal = signal_of(column)
        if signal is not None:
            found.append(_column(comparison, column, signal))
    return found


def present(column: Column, counts: Counts) -> Counts:
    """Return the counts without missing values, which COMPLETENESS judges.

    Args:
        column: What was counted.
        counts: Rows by cell, int64, shape (n_cells,).

    Returns:
        int64, shape (n_cells - 2,) of a number, else (n_cells - 1,).
    """
    return counts[:-2] if column.binned else counts[:-1]


def distance(column: Column, base: Counts, batch: Counts) -> Distance:
    """Return the distance of two histograms of present values of one column.

    Args:
        column: What was counted.
        base: `present` rows of one side, int64, shape (k,); at least one row.
        batch: The same of the other, int64, same shape.
    """
    return ordered_distance(base, batch) if column.binned else listed_distance(base, batch)


def _column(comparison: Comparison, column: Column, signal: Signal) -> Finding:
    reason = comparison.missing(column.name)
    if column.kind is Kind.NESTED:
        reason = (
            "nested values are not supported; declare it as embedding, or ignore it in the schema"
        )
    if not reason:
        base = present(column, comparison.baseline.profile.marginal(column.name))
        batch = present(column, comparison.profile.marginal(column.name))
        n, m = int(base.sum()), int(batch.sum())
        if not n or not m:
            reason = f"{n} values in the baseline and {m} in the batch"
    if reason:
        return not_evaluated(signal, reason, column=column.name)
    if n < MIN_ROWS or m < MIN_ROWS:
        return _too_few(signal, column, n, m)
    found = distance(column, base, batch)
    tolerance = comparison.tolerance(signal, column.name)
    unit = unit_of(comparison, column)
    moved = Candidate(
        effect=found.effect,
        bound=found.bound,
        tolerance=tolerance,
        p_value=found.p_value,
        text=f"the distribution moved by {percent(found.effect)} of rows",
        hint=f"Another unit may be why: {unit}. Convert it back before training."
        if unit
        else _HINT,
    )
    candidates = [moved]
    if column.kind is Kind.CATEGORICAL and column.closed:
        accepted = max(NEW_CATEGORIES, tolerance / 10.0)
        candidates.append(_new(comparison, column, base, batch, accepted=accepted))
    return Finding(
        signal=signal,
        column=column.name,
        null_hypothesis=_NULL,
        effect_unit="share of rows",
        n_baseline=n,
        n_batch=m,
        candidates=candidates,
        evidence={"cells": _largest_moves(column, base, batch)},
    )


def _too_few(signal: Signal, column: Column, n: int, m: int) -> Finding:
    """A column is mostly missing, which COMPLETENESS judges: nothing is left that could drift."""
    few = f"{n} values in the baseline and {m} in the batch are too few to compare"
    return Finding(
        signal=signal,
        column=column.name,
        null_hypothesis=_NULL,
        effect_unit="share of rows",
        n_baseline=n,
        n_batch=m,
        candidates=[Candidate(effect=0.0, bound=0.0, tolerance=0.0, p_value=1.0, text=few)],
    )


def unit_of(comparison: Comparison, column: Column) -> str:
    """Return which change of unit may be why a number moved by more than is tolerated, or "".

    Args:
        comparison: The batch beside its baseline.
        column: Of the baseline.
    """
    base = present(column, comparison.baseline.profile.marginal(column.name))
    batch = present(column, comparison.profile.marginal(column.name))
    if column.kind is not Kind.NUMERIC or min(int(base.sum()), int(batch.sum())) < MIN_ROWS:
        return ""
    if distance(column, base, batch).bound <= comparison.tolerance(NUMERIC, column.name):
        return ""
    habit = comparison.baseline.tolerances.get(f"{NUMERIC.code}:{column.name}", 0.0)
    return likely_unit(comparison, column, habit)


def _new(
    comparison: Comparison, column: Column, base: Counts, batch: Counts, *, accepted: float
) -> Candidate:
    n, m, k = int(base.sum()), int(batch.sum()), int(batch[len(column.categories)])
    share, spelled = k / m, likely_spelling(comparison, column, k) if k else ""
    return Candidate(
        subject="new categories",
        effect=share,
        bound=share - 1.645 * math.sqrt(share * (1 - share) / m),
        tolerance=accepted,
        p_value=rate_excess_p(k, m, 0, n),
        text=f"{percent(share)} of rows have a category that the baseline never had"
        + (f"; {spelled}" if spelled else ""),
        hint="Spell them as before."
        if spelled
        else "Check whether the categories are real; a model cannot have learned them.",
    )


def _largest_moves(column: Column, base: Counts, batch: Counts) -> list[dict[str, object]]:
    p, q = base / base.sum(), batch / batch.sum()
    order = sorted(range(p.size), key=lambda i: -abs(float(q[i] - p[i])))[:5]
    return [
        {"cell": cell_name(column, i), "baseline": float(p[i]), "batch": float(q[i])} for i in order
    ]


def cell_name(column: Column, cell: int) -> str:
    """Return a cell's name for a person; bounds of bins come from the baseline.

    Args:
        column: Whose cell it is.
        cell: Its cell, 0..n_cells-1.
    """
    if column.listed:
        return column.categories[cell] if cell < len(column.categories) else "new or other"
    last = len(column.edges) - 1
    if cell == 0 or not column.edges:
        return "below the baseline's minimum"
    if cell > last:
        return "above the baseline's maximum"
    return f"{column.edges[cell - 1]:g} to {column.edges[cell]:g}"


def _block_gaps(column: Column, table: Counts) -> Iterable[Gap]:
    """Yield how far each block of the baseline is from all others."""
    gap = ordered_gap if column.binned else listed_gap
    for own, rest in zip(table[:-1], table.sum(axis=0) - table[:-1], strict=True):
        here, there = present(column, own), present(column, rest)
        if here.sum() and there.sum():
            yield gap(there, here)


def _features(baseline: Baseline, code: str) -> list[str]:
    features = ((c.name, signal_of(c)) for c in drifting(baseline.layout))
    return [name for name, signal in features if signal is not None and signal.code == code]


def _habits(split: Split, code: str) -> dict[str, float]:
    tables = split.once(block_counts)
    judged = ((c, signal_of(c)) for c in drifting(split.learning.layout))
    return {
        f"{code}:{c.name}": excess_over_noise(
            _block_gaps(c, tables[c.name]), complete=split.complete
        )
        for c, signal in judged
        if signal is not None and signal.code == code
    }


def _drift(
    code: str,
    *,
    asks: str,
    demand: str,
    needs: str,
    expectation: str,
    counters: tuple[Counting[Any], ...] = (),
) -> Signal:
    return Signal(
        code=code,
        family=Family.DRIFT,
        severity=Status.WARNED,
        floor=0.10,
        moves=True,
        asks=asks,
        demand=demand,
        needs=f"{MIN_ROWS} {needs}",
        min_rows=MIN_ROWS,
        expectation=expectation,
        applies=lambda baseline: bool(_features(baseline, code)),
        columns=lambda baseline: _features(baseline, code),
        counters=counters,
        habits=lambda split: _habits(split, code),
        findings=findings,
    )


NUMERIC = _drift(
    "DRIFT_NUMERIC",
    asks="distribution of a number moved (Kolmogorov distance over 64 equi-mass bins)",
    demand="The distribution of each numeric column must stay within tolerance.",
    needs="values",
    expectation="ExpectNumericDriftWithinTolerance",
    counters=(FAR,),
)
CATEGORICAL = _drift(
    "DRIFT_CATEGORICAL",
    asks="category shares moved (total variation), or new categories (1 %)",
    demand="The shares of the values of each categorical column must stay within tolerance.",
    needs="values",
    expectation="ExpectCategoricalDriftWithinTolerance",
    counters=(SPELLINGS,),
)
TEXT = _drift(
    "DRIFT_TEXT",
    asks="text lengths moved",
    demand="The length and words of each text column must stay within tolerance.",
    needs="texts",
    expectation="ExpectTextDriftWithinTolerance",
)
SIGNALS = (NUMERIC, CATEGORICAL, TEXT)
_BY_KIND = {
    Kind.NUMERIC: NUMERIC,
    Kind.TEXT: TEXT,
    Kind.CATEGORICAL: CATEGORICAL,
    Kind.BOOLEAN: CATEGORICAL,
    Kind.NESTED: CATEGORICAL,
}

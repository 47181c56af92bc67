"""COMPLETENESS: no column lost more values than its past says is usual.

Null hypothesis: the share of null, NaN and infinite values is not larger than in the
baseline. Minimum n: 50. Source: conditional test of two rates (Przyborowski and Wilenski
1940); Wald bound of a difference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import rate_excess_p

if TYPE_CHECKING:
    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.counts import Counts
    from sluicegate.signals.comparison import Comparison

CODE = "COMPLETENESS"


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding a column of the baseline."""
    return [_column(comparison, c) for c in comparison.baseline.layout.columns]


def absent(column: Column, counts: Counts) -> int:
    """Return how many of the counted values are null, NaN or infinite."""
    return int(counts[-2:].sum() if column.binned else counts[-1])


def _column(comparison: Comparison, column: Column) -> Finding:
    reason = comparison.missing(column.name)
    if reason:
        return not_evaluated(CODE, Family.COMPLETENESS, reason, column=column.name)
    base = comparison.baseline.profile.marginal(column.name)
    batch = comparison.profile.marginal(column.name)
    n, m = int(base.sum()), int(batch.sum())
    j, k = absent(column, base), absent(column, batch)
    effect = k / m - j / n
    error = math.sqrt(
        (k + 0.5) / (m + 1) * (m - k + 0.5) / (m + 1) / m
        + (j + 0.5) / (n + 1) * (n - j + 0.5) / (n + 1) / n
    )
    return Finding(
        code=CODE,
        family=Family.COMPLETENESS,
        column=column.name,
        null_hypothesis="the share of missing values is not larger than in the baseline",
        effect_unit="share of rows",
        n_baseline=n,
        n_batch=m,
        candidates=[
            Candidate(
                effect=effect,
                bound=effect - 1.645 * error,
                tolerance=comparison.tolerance(CODE, column.name),
                p_value=rate_excess_p(k, m, j, n),
                text=f"{percent(k / m)} of values are missing (baseline {percent(j / n)})",
                hint="Find out which step lost them before training.",
            )
        ],
        evidence={"missing_batch": k, "missing_baseline": j},
    )

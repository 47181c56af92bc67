"""COMPLETENESS: no column lost more values than its past says is usual.

Null hypothesis: the share of null, NaN and infinite values is not larger than in the baseline.
Minimum n: 50. One question for each column; Holm corrects over columns. A column that is absent is
NOT_EVALUATED. A feature that lost up to one value in twenty warns: that is a fault of a source, and
flips cannot hide in it, because `LABEL_FLIPS` counts the rows that it cannot judge. Labels, ids,
times and contributors block from the tolerance on: without them other signals are blind.
Source: conditional test of two rates (Przyborowski and Wilenski 1940); Wald bound of a difference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.decision.budget import prediction_bound
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.decision.tails import rate_excess_p
from sluicegate.signals.definition import Signal
from sluicegate.signals.learning import block_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.counts import Counts
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.learning import Split

CODE = "COMPLETENESS"
_FEW: Final = 0.05


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for each column of the baseline."""
    layout = comparison.baseline.layout
    features = {column.name for column in layout.features}
    return [_column(comparison, c, feature=c.name in features) for c in layout.columns]


def absent(column: Column, counts: Counts) -> int:
    """Return how many of the counted values are null, NaN or infinite.

    Args:
        column: What was counted.
        counts: Rows by cell, int64, shape (n_cells,).
    """
    return int(counts[-2:].sum() if column.binned else counts[-1])


def _column(comparison: Comparison, column: Column, *, feature: bool) -> Finding:
    reason = comparison.missing(column.name)
    if reason:
        return not_evaluated(SIGNAL, reason, column=column.name)
    base = comparison.baseline.profile.marginal(column.name)
    batch = comparison.profile.marginal(column.name)
    n, m = int(base.sum()), int(batch.sum())
    j, k = absent(column, base), absent(column, batch)
    effect = k / m - j / n
    error = math.sqrt(
        (k + 0.5) / (m + 1) * (m - k + 0.5) / (m + 1) / m
        + (j + 0.5) / (n + 1) * (n - j + 0.5) / (n + 1) / n
    )
    bound = effect - 1.645 * error
    return Finding(
        signal=SIGNAL,
        column=column.name,
        null_hypothesis="the share of missing values is not larger than in the baseline",
        effect_unit="share of rows",
        n_baseline=n,
        n_batch=m,
        candidates=[
            Candidate(
                effect=effect,
                bound=bound,
                tolerance=comparison.tolerance(SIGNAL, column.name),
                p_value=rate_excess_p(k, m, j, n),
                text=f"{percent(k / m)} of values are missing (baseline {percent(j / n)})",
                hint="Find and mend the step that lost them.",
                severity=Status.WARNED if feature and bound <= _FEW else None,
            )
        ],
        evidence={"missing_batch": k, "missing_baseline": j},
    )


def _habits(split: Split) -> dict[str, float]:
    """Learn how far the share of missing values of a block strays from that of all rows."""
    return {
        f"{CODE}:{column.name}": _share_bound(
            np.array([absent(column, own) / max(int(own.sum()), 1) for own in table]),
            table.sum(axis=1),
            complete=split.complete,
        )
        for column, table in (
            (c, split.once(block_counts)[c.name]) for c in split.learning.layout.columns
        )
    }


def _share_bound(shares: NDArray[np.float64], rows: NDArray[np.int64], *, complete: bool) -> float:
    """Return how far a block's share strays; the last line holds the rows in no block."""
    centre = float(np.average(shares, weights=np.maximum(rows, 1)))
    noise = centre * (1 - centre) / np.maximum(rows, 1)
    return prediction_bound((shares - centre)[:-1], noise[:-1], complete=complete)


def _columns(baseline: Baseline) -> list[str]:
    return [column.name for column in baseline.layout.columns]


SIGNAL = Signal(
    code=CODE,
    family=Family.COMPLETENESS,
    floor=0.02,
    moves=True,
    exact=True,
    asks="more null, NaN or infinite values, each column",
    demand="The share of missing values of each column must stay within tolerance.",
    needs=f"{MIN_ROWS} rows",
    min_rows=MIN_ROWS,
    expectation="ExpectBatchCompletenessWithinTolerance",
    applies=lambda _: True,
    columns=_columns,
    habits=_habits,
    findings=findings,
)

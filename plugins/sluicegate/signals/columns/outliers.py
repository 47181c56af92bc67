"""OUTLIERS: rows are not more extreme than this source's extremes.

Null hypothesis: the share of rows beyond the baseline's 99.5 % and 99.9 % quantiles of the distance
is not larger than in the baseline, whose every block is measured by the others as a batch is by all
of them. Minimum n: 50. The distance is that of all numeric columns together (`scatter`): one column
that drifts a little beyond its old maximum is drift; a row far out, odd in several columns, or
against what goes together is an outlier. Fitted on the baseline alone, because dense poison would
hide in a fit on both. A column of which more than a quarter of the mass moved is left out: that is
a season, DRIFT says so, and calling every row of a summer an outlier would help nobody. If one
column alone makes rows outliers, the finding is about it, and a second one is about all others.
Corrected over both limits. Rows at a limit are not beyond it. Missing values are not extreme.
Source: see `scatter`; calibration on rows held out, Vovk 2013 (cross-conformal prediction).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.profiling.columns import Kind
from sluicegate.signals.columns.extremes import (
    LIMITS,
    OUTERMOST,
    moved,
    outermost_of,
    share_of_extremes,
)
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p
from sluicegate.signals.definition import Signal
from sluicegate.signals.traces import excess_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Split
    from sluicegate.signals.traces import Traces

CODE = "OUTLIERS"
_HINT = "Look at the rows that `check --rows` names; they may be errors of a sensor or planted."
_OF_ONE = " If the column moves by nature, name it under `counter` in the schema."


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has numeric features."""
    reference = LIMITS.of(comparison.baseline)
    if not reference.limits:
        return []
    numbers = [c.name for c in comparison.baseline.layout.features if c.kind is Kind.NUMERIC]
    reason, note = comparison.unjudged(numbers)
    if reason:
        return [not_evaluated(SIGNAL, reason)]
    left_out = moved(comparison)
    column = _column_of(comparison, left_out)
    if not column:
        return [_finding(comparison, "", left_out, note)]
    # What the other columns show is judged apart, so that a rule of one column rules no other.
    rest = _finding(comparison, "", (*left_out, column), note)
    return [_finding(comparison, column, left_out, note), rest]


def _finding(comparison: Comparison, column: str, left_out: tuple[str, ...], note: str) -> Finding:
    reference, n, m = LIMITS.of(comparison.baseline), *_rows_of(comparison)
    found = OUTERMOST.of(comparison).beyond(reference.limits, left_out)
    return Finding(
        signal=SIGNAL,
        column=column,
        null_hypothesis="extreme rows are not more frequent than in the baseline",
        effect_unit="share of rows",
        n_baseline=m,
        n_batch=n,
        candidates=[
            Candidate(
                effect=k / n - before / m,
                bound=binomial_lower(k, n) - before / m,
                tolerance=_tolerance(comparison, column),
                p_value=rate_excess_p(k, n, before, m),
                text=f"{percent(k / n)} of rows lie beyond a limit that {percent(before / m)} of "
                "the baseline's rows pass",
                hint=_HINT + (_OF_ONE if column else ""),
                question=f"limit {i}",
            )
            for i, (k, before) in enumerate(zip(found, reference.rows, strict=True))
        ],
        note=note,
        evidence={"left_out": list(left_out)},
    )


def _rows_of(comparison: Comparison) -> tuple[int, int]:
    return comparison.profile.n_rows, comparison.baseline.n_rows


def _tolerance(comparison: Comparison, column: str) -> float:
    """The policy may have one for a column; what the source does by itself is known as a whole."""
    own = comparison.overrides.get(f"{CODE}:{column}")
    return comparison.tolerance(SIGNAL, "") if own is None else own


def _column_of(comparison: Comparison, left_out: tuple[str, ...]) -> str:
    """Return the only column without which too few rows would be far out, or ""."""
    limits, found = LIMITS.of(comparison.baseline).limits, OUTERMOST.of(comparison)
    if not _too_many(comparison, found.beyond(limits, left_out)):
        return ""
    # A column that is no number changes nothing, so it is never the one.
    features = {c.name for c in comparison.baseline.layout.features}
    without = found.beyond_without_each(limits, left_out)
    named = [c for c, k in without.items() if c in features and not _too_many(comparison, k)]
    return named[0] if len(named) == 1 else ""


def _too_many(comparison: Comparison, found: tuple[int, ...]) -> bool:
    reference, n, m = LIMITS.of(comparison.baseline), *_rows_of(comparison)
    tolerance = comparison.tolerance(SIGNAL, "")
    pairs = zip(found, reference.rows, strict=True)
    return any(binomial_lower(k, n) - before / m > tolerance for k, before in pairs)


def _habits(split: Split) -> dict[str, float]:
    share = share_of_extremes(split)
    return {} if share is None else {f"{CODE}:": share}


def _rows(traces: Traces, record: SignalRecord) -> NDArray[np.float64]:
    """Name the rows beyond the highest limit."""
    left_out, reference = record.evidence["left_out"], LIMITS.of(traces.baseline)
    flags = []
    for (rows, positions), n in zip(traces.of(outermost_of), traces.sizes, strict=True):
        far = np.zeros(n, dtype=bool)
        beyond = reference.scatter.distance(positions, left_out) > reference.limits[-1]
        far[rows[beyond]] = True
        flags.append(far)
    return excess_share(record, np.concatenate([np.zeros(0, dtype=bool), *flags]))


SIGNAL = Signal(
    code=CODE,
    family=Family.CONTAMINATION,
    floor=0.002,
    moves=True,
    asks="rows far outside, odd in several columns, or against what goes together",
    demand="The share of rows far from all rows of the baseline must stay within tolerance.",
    needs="a numeric feature",
    min_rows=MIN_ROWS,
    expectation="ExpectOutliersWithinTolerance",
    applies=lambda baseline: bool(LIMITS.of(baseline).limits),
    sections=(LIMITS,),
    counters=(OUTERMOST,),
    habits=_habits,
    findings=findings,
    keeps=(outermost_of,),
    rows=_rows,
)

"""ROW_COUNT: as many rows come as in this part of the week.

Null hypothesis: the logarithm of the number of rows is one more draw of those in windows of the
baseline that are as long as the batch and begin in the same hour of the week; of the day where the
baseline holds too few weeks. Minimum n: four such windows with 20 rows each on average. Two
questions: fewer rows, more rows. It is not asked of a batch longer than eight days, nor of one
that is narrow by a column, as one shop; then it passes and says so. A batch that ends early looks
like a shorter one: how long it should be, nobody told. Rows without a time are left out.
Source: prediction interval of a normal sample, Hahn 1969; counting noise by Poisson.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from sluicegate.signals.arrival.arrival_count import TIMES
from sluicegate.signals.arrival.reference import ARRIVAL
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.decision.tails import beta_i, student_quantile
from sluicegate.signals.definition import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.arrival.reference import ArrivalReference
    from sluicegate.signals.arrival.time_counts import TimeCounts
    from sluicegate.signals.comparison import Comparison

CODE = "ROW_COUNT"
DAY_MS: Final = 86_400_000
_LONGEST = 8 * DAY_MS
_MIN_WINDOWS = 4
_MIN_EXPECTED = 20.0
_STRAY = 0.005  # of the rows at each end may have times that say nothing of the batch's length
_CONFIDENCE = 0.995


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline knows how rows arrive."""
    reference, column = ARRIVAL.of(comparison.baseline), comparison.baseline.schema.timestamp
    if reference is None or column is None:
        return []
    counts, reason = TIMES.of(comparison).counts, comparison.absent(column)
    if not reason and not counts.n_rows:
        reason = "no time in the batch can be read"
    if reason:
        return [not_evaluated(SIGNAL, reason, column=column)]
    narrow = () if comparison.usual is None else comparison.usual.narrow
    windows = np.zeros(0) if narrow else rows_of_windows(reference, *extent(counts))
    tolerance = comparison.tolerance(SIGNAL, column)
    return [
        Finding(
            signal=SIGNAL,
            column=column,
            null_hypothesis="as many rows come as in the same hours of the baseline's weeks",
            effect_unit="share of rows",
            n_baseline=int(reference.rows.sum()),
            n_batch=counts.n_rows,
            candidates=_candidates(counts.n_rows, windows, tolerance),
            evidence={"windows": windows.size},
        )
    ]


def extent(counts: TimeCounts) -> tuple[int, int]:
    """Return when the rows of a batch begin and end, but for a few strays, in milliseconds.

    Args:
        counts: The batch, with at least one row.
    """
    cells, rows = counts.by_time()
    below = np.cumsum(rows)
    first, last = (
        int(cells[np.searchsorted(below, q * below[-1])]) for q in (_STRAY, 1.0 - _STRAY)
    )
    return first << counts.level, last + 1 << counts.level


def rows_of_windows(reference: ArrivalReference, start: int, end: int) -> NDArray[np.float64]:
    """Return the rows of the baseline in windows like one of a batch.

    Args:
        reference: The baseline.
        start: Begin of the batch, in the milliseconds of the reference's cells.
        end: Its end.

    Returns:
        float64, shape (k,): windows whole weeks apart from the batch, or whole days where there
        are fewer than four of those; none for a batch of more than eight days.
    """
    cell = 1 << reference.level
    first, last = int(reference.cells[0]) * cell, (int(reference.cells[-1]) + 1) * cell
    if end - start > _LONGEST:
        return np.zeros(0)
    for step in (7 * DAY_MS, DAY_MS):
        starts = np.arange(start - (start - first) // step * step, last, step, dtype=np.int64)
        # A cell at each end of the baseline may reach over its edge.
        starts = starts[(starts >= first - cell) & (starts + (end - start) <= last + cell)]
        if starts.size >= _MIN_WINDOWS:
            return _between(reference, starts, end - start)
    return np.zeros(0)


def _between(
    reference: ArrivalReference, starts: NDArray[np.int64], length: int
) -> NDArray[np.float64]:
    """Count rows between two times; the rows of a cell are spread evenly over it."""
    cell = 1 << reference.level
    edges = np.stack([reference.cells * cell, (reference.cells + 1) * cell], axis=1).ravel()
    below = np.cumsum(reference.rows)
    total = np.stack([below - reference.rows, below], axis=1).ravel().astype(np.float64)
    begin, finish = (np.interp(t, edges, total) for t in (starts, starts + length))
    found: NDArray[np.float64] = finish - begin
    return found


def _candidates(n: int, windows: NDArray[np.float64], tolerance: float) -> list[Candidate]:
    if windows.size < _MIN_WINDOWS or windows.mean() < _MIN_EXPECTED:
        text = "the baseline has no hours of the week to compare the number of rows with"
        return [Candidate(effect=0.0, bound=0.0, tolerance=tolerance, p_value=1.0, text=text)]
    logs, k = np.log(np.maximum(windows, 1.0)), windows.size
    usual, spread = math.exp(float(logs.mean())), float(logs.std(ddof=1)) * math.sqrt(1 + 1 / k)
    widest = 1.0 - math.exp(-student_quantile(_CONFIDENCE, k - 1) * spread)
    t = (math.log(n) - math.log(usual)) / math.sqrt(spread**2 + 1 / usual + 1 / n)
    slack = 1.645 * math.sqrt(n)
    text = f"{n} rows, where {usual:.0f} are usual in these hours ({k} windows of the baseline)"
    return [
        Candidate(
            subject=subject,
            effect=effect,
            bound=bound,
            tolerance=max(tolerance, widest),
            p_value=_student_sf(away, k - 1),
            text=f"{text}: {percent(abs(effect))} {subject.removesuffix(' rows')}",
            hint=hint,
        )
        for subject, effect, bound, away, hint in (
            (
                "fewer rows",
                1.0 - n / usual,
                1.0 - (n + slack) / usual,
                -t,
                "Find out whether the file was cut, or who did not deliver.",
            ),
            (
                "more rows",
                1.0 - usual / n,
                1.0 - usual / max(n - slack, 1e-9),
                t,
                "Find out whether rows were delivered twice.",
            ),
        )
    ]


def _student_sf(t: float, df: int) -> float:
    """Return P(T > t) of Student's t. Source: DLMF 8.17.2 with x = df / (df + t^2)."""
    tail = 0.5 * beta_i(df / 2.0, 0.5, df / (df + t * t))
    return tail if t > 0.0 else 1.0 - tail


SIGNAL = Signal(
    code=CODE,
    family=Family.COMPLETENESS,
    severity=Status.WARNED,
    floor=0.25,
    asks="fewer or more rows than usual in these hours of the week",
    demand="As many rows must come as in the same hours of the baseline's weeks.",
    needs="timestamp column",
    min_rows=1,
    expectation="ExpectRowCountWithinTolerance",
    applies=lambda baseline: ARRIVAL.of(baseline) is not None,
    sections=(ARRIVAL,),
    counters=(TIMES,),
    findings=findings,
)

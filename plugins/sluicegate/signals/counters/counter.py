"""COUNTER: a column that moves by nature keeps its course, and its values do not repeat.

Null hypotheses: rows that are far from where the other rows of their time are, are as rare as in
blocks of the baseline; the batch goes on where the baseline's speeds let one expect it; values
repeat in large groups as rarely as in the baseline. Minimum n: 50 rows. A counter is no feature:
no other signal looks at its values, so that an id that grows is neither drift nor an outlier nor a
copy. Its increments are judged instead. Rows that stray, and values that repeat, fail: somebody
wrote them. A counter of which more than a quarter changed warns: it stopped, jumped, ran backwards
or begins anew with each file, because sources are moved and clocks are set. Without a timestamp
rows that stray from all others warn, and the course is not judged. A sample of 8,192 pairs of time
and value stands for larger batches. Corrected over the questions. Rows without a value or time are
left out, because COMPLETENESS judges them.
Source: exact binomial tail; prediction interval, Hahn 1969; groups: `repeats`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.copies.duplicates import SIZES
from sluicegate.signals.copies.repeats import excess_groups_p, rows_in_groups
from sluicegate.signals.counters.counting import COUNTER_ROWS, counter_rows
from sluicegate.signals.counters.course import LEAVES, left, strays
from sluicegate.signals.counters.reference import COUNTERS, learned_counters
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p
from sluicegate.signals.definition import Signal
from sluicegate.signals.traces import unexplained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.copies.repeats import Spectrum
    from sluicegate.signals.counters.reference import Counted
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Learning
    from sluicegate.signals.traces import Traces

CODE = "COUNTER"
STRAY: Final = "rows"
LEFT: Final = "course"
REPEATED: Final = "values"
_MOVED: Final = 0.25
"""Share of a batch's rows beyond which a counter changed as a whole, and no longer some rows."""


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for each counter that has a course or different values."""
    return [_column(comparison, name) for name in counters_judged(comparison.baseline)]


def _column(comparison: Comparison, name: str) -> Finding:
    known, when = COUNTERS.of(comparison.baseline)[name], comparison.baseline.schema.timestamp
    reason = comparison.missing(name) or (comparison.missing(when) if when else "")
    sample = COUNTER_ROWS.of(comparison).courses[name]
    n = sample.n_rows if known.n_rows else int(comparison.profile.marginal(name)[:-1].sum())
    if not reason and n < MIN_ROWS:
        reason = f"{n} rows with a value and a time, {MIN_ROWS} needed"
    if reason:
        return not_evaluated(SIGNAL, reason, column=name)
    return Finding(
        signal=SIGNAL,
        column=name,
        null_hypothesis="the counter moves on as in the baseline, and repeats as rarely",
        effect_unit="share of rows",
        n_baseline=comparison.baseline.n_rows,
        n_batch=comparison.profile.n_rows,
        candidates=list(_candidates(comparison, name, known)),
        evidence={"sampled": int(sample.rows.sum()), "course": known.course is not None},
    )


def _candidates(comparison: Comparison, name: str, known: Counted) -> Iterator[Candidate]:
    tolerance = comparison.tolerance(SIGNAL, name)
    if known.groups is not None:
        yield from _repeats(comparison, name, known.groups, tolerance)
    if known.n_rows == 0:
        return
    times, values = COUNTER_ROWS.of(comparison).courses[name].spread()
    astray, n, m = int(strays(times, values, known.course).sum()), values.size, known.n_rows
    yield Candidate(
        subject=STRAY,
        effect=astray / n - known.strays / m,
        bound=binomial_lower(astray, n) - known.strays / m,
        tolerance=tolerance,
        p_value=rate_excess_p(astray, n, known.strays, m),
        text=f"it moves by nature and is no feature; {percent(astray / n)} of rows are far from "
        f"where it was at their time (baseline {percent(known.strays / m)})",
        hint="Look at the rows that `check --rows` names: somebody wrote these values.",
        severity=_severity(astray / n) if known.course else Status.WARNED,
        depth=1,
    )
    if known.course is not None:
        gone = left(times, values, known.course)
        yield Candidate(
            subject=LEFT,
            effect=gone,
            bound=gone,
            tolerance=max(_MOVED, known.left),
            p_value=LEAVES if gone else 1.0,
            text=f"for {percent(gone)} of rows it is not where its usual speed would have brought "
            "it by their time: it stopped, jumped or went back",
            hint="Ask the owner of the source what moved it. If it stays so, rebuild the baseline; "
            "numbers that begin anew with each file belong under `ignore` of the schema.",
            severity=Status.WARNED,
        )


def _repeats(
    comparison: Comparison, name: str, groups: Spectrum, tolerance: float
) -> Iterator[Candidate]:
    table = COUNTER_ROWS.of(comparison).values[name]
    batch, scale = table.spectrum(), 1 << table.level
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    for least in SIZES:
        k = scale * rows_in_groups(batch, least)
        usual = rows_in_groups(groups, least) / m
        yield Candidate(
            subject=REPEATED,
            effect=k / n - usual,
            bound=binomial_lower(min(k, n), n) - usual,
            tolerance=tolerance,
            p_value=excess_groups_p(batch, groups, ratio=n / m, least=least, sampled=1.0 / scale),
            text=f"it moves by nature and is no feature; {percent(k / n)} of rows share their "
            f"value with {least - 1} others or more (baseline {percent(usual)})",
            hint="It stopped, or somebody wrote one value into many rows: look at the rows that "
            "`check --rows` names.",
            severity=_severity(k / n),
            depth=1,
        )


def _severity(share: float) -> Status | None:
    """A few rows were written by somebody; a quarter of all and more is the source itself."""
    return Status.WARNED if share > _MOVED else None


def counters_judged(baseline: Baseline) -> list[str]:
    """Return the counters that have a course or different values; nothing else can be judged."""
    return [name for name, known in COUNTERS.of(baseline).items() if known.judged]


def _budgets(learning: Learning) -> dict[str, float]:
    return {f"{CODE}:{n}": known.budget for n, known in learning.once(learned_counters).items()}


def _rows(traces: Traces, record: SignalRecord) -> NDArray[np.float64]:
    """Name rows that stray, and rows of large groups, as far as they fired."""
    known, fired = COUNTERS.of(traces.baseline)[record.column], record.evidence.get("fired", [])
    parts = [part[record.column] for part in traces.of(counter_rows) if record.column in part]
    out = np.zeros(traces.n_rows)
    if sum(part.there.size for part in parts) != out.size:
        return out
    if STRAY in fired:
        rows = np.flatnonzero(np.concatenate([p.moments.present for p in parts]))
        times = np.concatenate([p.moments.times for p in parts])[rows]
        values = np.concatenate([p.moments.values for p in parts])[rows]
        far = np.zeros(out.size, dtype=bool)
        far[rows] = strays(times, values, known.course)
        out = np.maximum(out, unexplained(far, known.strays / known.n_rows * out.size))
    if REPEATED in fired:
        there = np.concatenate([p.there for p in parts])
        hashes = np.concatenate([p.hashes for p in parts])
        _, inverse, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
        many = (sizes[inverse] >= SIZES[0]) & there
        usual = rows_in_groups(known.groups or [], SIZES[0]) / traces.baseline.n_rows * out.size
        out = np.maximum(out, unexplained(many, usual))
    return out


SIGNAL = Signal(
    code=CODE,
    family=Family.CONTAMINATION,
    floor=0.002,
    asks="a column that only grows (an id, an epoch, a meter) strays, repeats, stops, jumps or "
    "runs backwards",
    demand="Columns that move by nature must keep their course, and not repeat.",
    needs=f"a counter (recognised in the baseline, or named in the schema), {MIN_ROWS} rows",
    min_rows=MIN_ROWS,
    expectation="ExpectCountersToKeepTheirCourse",
    applies=lambda baseline: bool(counters_judged(baseline)),
    columns=counters_judged,
    sections=(COUNTERS,),
    counters=(COUNTER_ROWS,),
    budgets=_budgets,
    findings=findings,
    keeps=(counter_rows,),
    rows=_rows,
)

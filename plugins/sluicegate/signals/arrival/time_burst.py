"""TIME_BURST: rows arrive over time as this source's rows do.

Null hypotheses: no window of the batch holds a larger share of its rows than the densest such
window of the baseline does of its own; rows older than the baseline or far after the batch's bulk
are rarer than one in a thousand. Minimum n: 50 times. Windows are 1/32, 1/256 and 1/2048 of the
batch's bulk, so that 1 and 100 times the rows are asked the same; the baseline is asked with the
same width in spans of the same length, so its days, weeks and deliveries in one go are no bursts;
a batch that is silent in some hours of the week, as one of Mondays, is compared with the others.
A burst warns. It fails where its rows also lean to one label, or to one contributor, beyond what
windows of the baseline do: somebody delivered for the moment of the snapshot (frontrunning).
Corrected over windows, leanings and times out of range; the p-value of a window is corrected over
the places that it may have. Rows without a time are left out.
Source: scan statistic, Naus 1965, with Bonferroni's bound over disjoint windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sluicegate.signals.arrival.arrival_count import TIMES, arrivals_of
from sluicegate.signals.arrival.burst_rows import burst_probability
from sluicegate.signals.arrival.reference import ARRIVAL, MIN_TIMES, window_rows
from sluicegate.signals.arrival.time_counts import (
    N_CONTRIBUTORS,
    N_SLOTS,
    NEW_CONTRIBUTOR,
    NO_CONTRIBUTOR,
    STRIDE,
    ZERO,
    bulk,
)
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.decision.tails import binomial_lower, binomial_sf
from sluicegate.signals.definition import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.arrival.reference import ArrivalReference
    from sluicegate.signals.arrival.time_counts import Counts, TimeCounts
    from sluicegate.signals.comparison import Comparison

CODE = "TIME_BURST"
SCALES = (32, 256, 2048)
STRAY = 0.001
"""Share of rows whose time may be wrong by itself."""
_OLD, _FAR = "rows older than the baseline", "rows long after the batch's bulk"


@dataclass(frozen=True, slots=True)
class _Window:
    """The densest window of one width.

    Attributes:
        subject: For messages.
        start: First cell.
        width: Cells.
        rows: Rows inside.
        usual: The largest share that the baseline explains.
        burst: Its candidate.
    """

    subject: str
    start: int
    width: int
    rows: int
    usual: float
    burst: Candidate


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline knows how rows arrive."""
    reference, column = ARRIVAL.of(comparison.baseline), comparison.baseline.schema.timestamp
    if reference is None or column is None:
        return []
    counts, reason = TIMES.of(comparison).counts, comparison.missing(column)
    if not reason and counts.n_rows < MIN_TIMES:
        reason = f"{counts.n_rows} times in the batch can be read, {MIN_TIMES} needed"
    if reason:
        return [not_evaluated(SIGNAL, reason, column=column)]
    windows = _windows(comparison, reference, counts)
    candidates = [*(w.burst for w in windows), *_strays(comparison, reference, counts)]
    evidence: dict[str, Any] = {
        w.subject: _described(w, counts, share=1.0, rows=w.rows) for w in windows
    }
    for window in windows:
        for kind, lean in _leanings(comparison, reference, counts, window):
            candidates.append(lean)
            evidence[lean.subject] = kind
    return [
        Finding(
            signal=SIGNAL,
            column=column,
            null_hypothesis="rows arrive over time as in the densest windows of the baseline",
            effect_unit="share of rows",
            n_baseline=int(reference.rows.sum()),
            n_batch=counts.n_rows,
            candidates=candidates,
            evidence={"windows": evidence},
        )
    ]


def _windows(
    comparison: Comparison, reference: ArrivalReference, counts: TimeCounts
) -> list[_Window]:
    cells, rows = counts.by_time()
    _, span = bulk(cells, rows)
    n, found, seen = counts.n_rows, [], set()
    narrow = reference.in_rhythm(cells, counts.level)
    for scale in SCALES:
        width = max(1, round(span / scale))
        if width in seen or span < 2 * width:
            continue  # all rows have one time, or the finer window is the same one
        seen.add(width)
        inside = window_rows(cells, rows, width)
        at = int(inside.argmax())
        k, ms = int(inside[at]), float(1 << counts.level)
        known = (r.densest(span * ms, width * ms) for r in (reference, narrow))
        usual = min(max(known), 1.0 - 1e-12)
        subject = f"window of 1/{scale} of the time"
        burst = Candidate(
            subject=subject,
            effect=k / n - usual,
            bound=binomial_lower(k, n) - usual,
            tolerance=comparison.tolerance(SIGNAL, comparison.baseline.schema.timestamp or ""),
            p_value=min(1.0, binomial_sf(k, n, usual) * span / width),
            text=f"{percent(k / n)} of rows come in it (at most {percent(usual)} in such a window "
            "of the baseline)",
            hint="Ask what happened then; poison is often delivered just before a snapshot.",
        )
        found.append(_Window(subject, int(cells[at]), width, k, usual, burst))
    return found


def _described(window: _Window, counts: TimeCounts, *, share: float, rows: int) -> dict[str, Any]:
    """Say where a window is, and how many of its rows the baseline explains.

    Args:
        window: Where.
        counts: The batch.
        share: Usual share of the rows that are meant among those of a window.
        rows: Rows that are meant.
    """
    level = counts.level
    return {
        "from_ms": (window.start << level) - ZERO,
        "to_ms": ((window.start + window.width) << level) - ZERO,
        "rows": rows,
        "explained": window.usual * counts.n_rows * share,
    }


def _leanings(
    comparison: Comparison, reference: ArrivalReference, counts: TimeCounts, window: _Window
) -> list[tuple[dict[str, Any], Candidate]]:
    """Ask of the densest window which class and which contributor it leans to most."""
    cell, kind = counts.keys // STRIDE, counts.keys % STRIDE
    inside = (cell >= window.start) & (cell < window.start + window.width)
    found = []
    if comparison.baseline.layout.label is not None:
        n_classes = comparison.baseline.layout.n_slots - 2
        table = _sides(kind % N_SLOTS, counts.counts, inside, N_SLOTS)
        usual = _share(table[1]) + reference.slot_shift
        most, lean = _lean(
            comparison, window, table[0], usual, what="label", kinds=range(n_classes)
        )
        found.append((_leaning(window, counts, "slot", most, (table[0], usual)), lean))
    if comparison.baseline.schema.contributor is not None:
        table = _sides(kind // N_SLOTS, counts.counts, inside, N_CONTRIBUTORS)
        before = _usual_contributors(comparison, reference)
        usual = np.maximum(_share(table[1]), before) + reference.contributor_shift
        most, lean = _lean(
            comparison, window, table[0], usual, what="contributor", kinds=range(NO_CONTRIBUTOR)
        )
        found.append((_leaning(window, counts, "who", most, (table[0], usual)), lean))
    return found


def _leaning(
    window: _Window,
    counts: TimeCounts,
    key: str,
    most: int,
    tables: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> dict[str, Any]:
    rows, share = int(tables[0][most]), min(float(tables[1][most]), 1.0)
    return {key: most, **_described(window, counts, share=share, rows=rows)}


def _lean(
    comparison: Comparison,
    window: _Window,
    inside: NDArray[np.float64],
    usual: NDArray[np.float64],
    *,
    what: str,
    kinds: range,
) -> tuple[int, Candidate]:
    n, k = TIMES.of(comparison).counts.n_rows, window.rows
    usual = np.clip(usual, 0.0, 1.0)
    most = max(kinds, key=lambda i: inside[i] - usual[i] * k, default=0)
    own, share = int(inside[most]), float(usual[most])
    lower = (binomial_lower(own, k) - share) * k / n
    chance = binomial_sf(own, k, min(share, 1.0 - 1e-12)) * len(kinds) if share < 1.0 else 1.0
    return most, Candidate(
        subject=f"{what} in a {window.subject}",
        effect=(own - share * k) / n,
        # It needs a burst too: a window that is no denser than usual may hold what it likes.
        bound=min(lower, window.burst.bound),
        tolerance=window.burst.tolerance,
        p_value=min(1.0, max(chance, window.burst.p_value)),
        text=f"{percent(own / max(k, 1))} of its {k} rows have one {what} "
        f"(usually at most {percent(share)}), and more rows come in it than usual",
        hint=f"Hold back the rows of that window until their {what} is explained.",
        severity=Status.FAILED,
        depth=1,
    )


def _sides(
    kind: Counts, rows: Counts, inside: NDArray[np.bool_], n_kinds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    weights = rows.astype(np.float64)
    own = np.bincount(kind[inside], weights=weights[inside], minlength=n_kinds).astype(np.float64)
    rest = np.bincount(kind[~inside], weights=weights[~inside], minlength=n_kinds)
    return own, rest.astype(np.float64)


def _share(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / max(float(rows.sum()), 1.0)


def _usual_contributors(comparison: Comparison, reference: ArrivalReference) -> NDArray[np.float64]:
    rows = np.zeros(N_CONTRIBUTORS)
    rank = {name: i for i, name in enumerate(reference.contributors)}
    for name, table in comparison.baseline.profile.contributors.items():
        rows[NO_CONTRIBUTOR if name is None else rank.get(name, NEW_CONTRIBUTOR)] += int(
            table.sum()
        )
    return _share(rows)


def _strays(
    comparison: Comparison, reference: ArrivalReference, counts: TimeCounts
) -> list[Candidate]:
    """Rows with times that honest rows of this batch do not have."""
    cells, rows = counts.by_time()
    low, span = bulk(cells, rows)
    first = int(reference.cells[0]) << reference.level
    old = int(rows[(cells + 1) << counts.level <= first].sum())
    far = int(rows[cells > low + 2 * span].sum())
    tolerance = comparison.tolerance(SIGNAL, comparison.baseline.schema.timestamp or "")
    return [
        Candidate(
            subject=subject,
            effect=k / counts.n_rows,
            bound=binomial_lower(k, counts.n_rows),
            tolerance=tolerance,
            p_value=binomial_sf(k, counts.n_rows, STRAY),
            text=f"{k} rows ({percent(k / counts.n_rows)})",
            hint="Ask where these times come from.",
        )
        for subject, k in ((_OLD, old), (_FAR, far))
    ]


SIGNAL = Signal(
    code=CODE,
    family=Family.CONTAMINATION,
    severity=Status.WARNED,
    escalates="the window leans to a label or contributor",
    floor=0.005,
    asks="rows come in a window of time beyond the densest of the baseline, or with times out of "
    "range",
    demand="Rows must not come in bursts that the baseline never had, nor with times out of range.",
    needs=f"timestamp column, {MIN_TIMES} times",
    min_rows=MIN_TIMES,
    expectation="ExpectArrivalTimesWithinTolerance",
    applies=lambda baseline: ARRIVAL.of(baseline) is not None,
    sections=(ARRIVAL,),
    counters=(TIMES,),
    findings=findings,
    keeps=(arrivals_of,),
    rows=burst_probability,
)

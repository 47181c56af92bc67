"""LEAKAGE: the batch holds no rows of the sealed golden set.

Null hypothesis: batch rows equal golden rows as rarely as baseline rows do. Minimum n: 1.
Training on rows that will later judge the model makes the judgement worthless. Corrected over the
four tables.
Source: fingerprints of the golden rows are stored, not the rows; tables: `fingerprints`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.chunk import prints_of
from sluicegate.signals.copies.golden import GOLDEN, GOLDEN_ROWS, matches
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p
from sluicegate.signals.definition import Signal
from sluicegate.signals.traces import NAMED, unexplained

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.traces import Traces

CODE = "LEAKAGE"
KINDS = ("exact rows", "close rows", "near rows", "rough rows")
"""What each table of fingerprints finds."""


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline was built with a golden set."""
    golden = GOLDEN.of(comparison.baseline)
    if not golden.prints:
        return []
    reason = comparison.lacking_feature()
    if reason:
        return [not_evaluated(SIGNAL, reason)]
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    candidates = []
    found = GOLDEN_ROWS.of(comparison).rows
    for table, (before, k) in enumerate(zip(golden.in_baseline, found, strict=True)):
        candidates.append(
            Candidate(
                subject=KINDS[table],
                depth=1 if table == 0 else 0,
                effect=k / n - before / m,
                bound=binomial_lower(k, n) - before / m,
                tolerance=comparison.tolerance(SIGNAL, ""),
                p_value=rate_excess_p(k, n, before, m),
                text=f"{k} rows ({percent(k / n)}) are in the golden set "
                f"(baseline {percent(before / m)})",
                hint="Remove them from training, or replace the golden set.",
            )
        )
    return [
        Finding(
            signal=SIGNAL,
            null_hypothesis="batch rows equal golden rows as rarely as baseline rows do",
            effect_unit="share of rows",
            n_baseline=m,
            n_batch=n,
            candidates=candidates,
            evidence={"golden_fingerprints": int(golden.prints[0].size)},
        )
    ]


def _rows(traces: Traces, record: SignalRecord) -> NDArray[np.float64]:
    """Name golden rows by each table that fired; a coarser one must explain its own finds."""
    golden, prints = GOLDEN.of(traces.baseline), traces.joined(prints_of)
    out, n, m = np.zeros(traces.n_rows), traces.n_rows, traces.baseline.n_rows
    for table, kind in enumerate(KINDS):
        if any(subject.startswith(kind) for subject in record.evidence.get("fired", [])):
            more = matches(prints[table], golden.prints[table]) & (out <= NAMED)
            out = np.maximum(out, unexplained(more, golden.in_baseline[table] * n / m))
    return out


SIGNAL = Signal(
    code=CODE,
    family=Family.CONTAMINATION,
    floor=0.001,
    asks="rows of the golden set, exactly or nearly",
    demand="Rows of the golden set must not turn up in training data.",
    needs="baseline built with `--golden`",
    min_rows=1,
    expectation="ExpectGoldenSetNotToLeak",
    applies=lambda baseline: bool(GOLDEN.of(baseline).prints),
    sections=(GOLDEN,),
    counters=(GOLDEN_ROWS,),
    findings=findings,
    keeps=(prints_of,),
    rows=_rows,
)

"""LABEL_TRUSTED: rows that were delivered before carry the label that they had then.

Null hypothesis: rows of known ids are relabelled as rarely as in the baseline (where its ids
repeat; else one in a thousand). Minimum n: 50 rows; none of them need be known, because where
nothing was redelivered nothing was contradicted. The baseline keeps keyed hashes of its ids with
their class (`known_rows`); ids of the golden set are known too, and believed before the
baseline's. An id whose baseline rows disagree has no class and is not asked. One question. Rows
without an id or a label are left out.
Source: exact binomial tail; conditional test of two rates, Przyborowski and Wilenski 1940.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.copies.known_rows import NATURAL, relabelled_p
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower
from sluicegate.signals.definition import Signal
from sluicegate.signals.labels.known_ids import KNOWN_IDS, TRUSTED, contradicting, learned_ids
from sluicegate.signals.traces import excess_share

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.contributors.names import ContributorNames
    from sluicegate.signals.copies.known_rows import KnownRows
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.labels.known_ids import KnownIdCount
    from sluicegate.signals.learning import Learning
    from sluicegate.signals.traces import Traces

CODE = "LABEL_TRUSTED"


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline remembers ids with their classes."""
    known, label = TRUSTED.of(comparison.baseline), comparison.baseline.layout.label
    column = comparison.baseline.schema.id
    if known is None or label is None or column is None:
        return []
    reason = comparison.missing(column) or comparison.missing(label.name)
    if not reason and not comparison.profile.label_counts()[:-1].any():
        reason = "no row of the batch has a label"
    if reason:
        return [not_evaluated(SIGNAL, reason, column=column)]
    met = KNOWN_IDS.of(comparison)
    return [
        Finding(
            signal=SIGNAL,
            column=column,
            null_hypothesis="rows of known ids are relabelled as rarely as in the baseline",
            effect_unit="share of rows",
            n_baseline=int(known.keys.size),
            n_batch=comparison.profile.n_rows,
            # Without a known row there is no chance to be wrong, and no need of a budget.
            exact=met.n_known == 0,
            candidates=[_candidate(comparison, known, met)],
            evidence={
                "known_rows": met.n_known,
                "contradicting": met.n_contradicting,
                "coverage": known.coverage,
                "contributors": _contributors(met, comparison.naming),
            },
        )
    ]


def _candidate(comparison: Comparison, known: KnownRows, met: KnownIdCount) -> Candidate:
    n, m, k = comparison.profile.n_rows, met.n_known, met.n_contradicting
    # Of a baseline too large to remember only some ids are known: k is counted on these.
    rows = n * known.coverage
    usual = max(known.contradicted / known.met if known.met else 0.0, NATURAL)
    expected = usual * m / rows
    return Candidate(
        effect=k / rows - expected,
        bound=binomial_lower(k, m) * m / rows - expected,
        tolerance=max(comparison.tolerance(SIGNAL, comparison.baseline.schema.id or ""), expected),
        p_value=relabelled_p(k, m, known),
        text=f"{k} of {m} redelivered rows contradict the label that they had"
        if m
        else "no row was delivered before (n = 0)",
        hint="Ask who changed these labels, and restore those that were approved.",
    )


def _contributors(met: KnownIdCount, naming: ContributorNames) -> list[list[object]]:
    named = [(name, count) for name, count in met.contributors.items() if name is not None]
    ordered = sorted(named, key=lambda item: (-item[1], item[0]))[:5]
    return [[naming.of(name), count] for name, count in ordered]


def _budgets(learning: Learning) -> dict[str, float]:
    known, excess = learning.once(learned_ids)
    return {} if known is None else {f"{CODE}:{learning.layout.schema.id}": excess}


def _rows(traces: Traces, record: SignalRecord) -> NDArray[np.float64]:
    """Name the rows that contradict."""
    return excess_share(record, traces.joined(contradicting))


SIGNAL = Signal(
    code=CODE,
    family=Family.LABEL,
    floor=0.001,
    asks="rows of known ids, of baseline or golden set, contradict the label that they had",
    demand="Rows whose id was delivered before must carry the label that they had then.",
    needs=f"id column, classes, {MIN_ROWS} rows",
    min_rows=MIN_ROWS,
    labelled=True,
    expectation="ExpectKnownRowsToKeepTheirLabels",
    applies=lambda baseline: TRUSTED.of(baseline) is not None,
    sections=(TRUSTED,),
    counters=(KNOWN_IDS,),
    budgets=_budgets,
    findings=findings,
    keeps=(contradicting,),
    rows=_rows,
)

"""LABEL_CONFLICTS: rows with equal or near-equal features carry equal labels, as they used to.

Null hypotheses: rows of the batch that share their features disagree as rarely as in a baseline
sample of the batch's size; rows whose features the baseline knows contradict its label as rarely as
one block of the baseline contradicts the others. Minimum n: 50 rows. "Equal" is table 0 of
`fingerprints`, "near-equal" table 2, or 3 beside fewer than 2,000 rows; texts by their words. What
is expected is rarefied from the baseline's groups, and where the batch has more equal rows than
that, grows with them: copies alone are no conflict. Where the baseline showed no neighbours that
disagree, they may as often as its label model errs about either. Beyond 32,768 different rows a
sample of whole groups estimates (`pair_counts`), whose error enters bound and p-value. Corrected
over both tables, inside the batch and against the baseline. Rows without a label are left out.
Where a column moved or went missing as a whole, rows may look alike that are not: then an
accusation only warns.
Source: rarefaction, Hurlbert 1971; disagreement of pairs, Simpson 1949; conditional test of two
rates, Przyborowski and Wilenski 1940.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.chunk import prints_of
from sluicegate.signals.columns.moved import changed_features, explained
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.copies.conflict_count import LABELS_BY_PRINT, kept_labels
from sluicegate.signals.copies.conflict_reference import (
    AGAINST,
    CONFLICTS,
    WITHIN,
    conflict_habits,
    expected_within,
    usual_rate,
)
from sluicegate.signals.copies.conflict_rows import conflict_probability
from sluicegate.signals.copies.known_rows import relabelled_p
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, accusing, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, binomial_sf, normal_sf, rate_excess_p
from sluicegate.signals.definition import Signal

if TYPE_CHECKING:
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.copies.conflict_reference import ConflictTable
    from sluicegate.signals.copies.pair_counts import Meeting
    from sluicegate.signals.learning import Split

CODE = "LABEL_CONFLICTS"
_UNIT = "share of rows"
_HINT = "Look at the rows that `check --rows` names: equal features cannot have both labels right."


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has classes, and features with fingerprints."""
    reference, label = CONFLICTS.of(comparison.baseline), comparison.baseline.layout.label
    if not reference or label is None:
        return []
    n = int(comparison.profile.label_counts()[:-1].sum())
    reason = comparison.missing(label.name) or comparison.lacking_feature()
    if not reason and n == 0:
        reason = "no row of the batch has a label"
    if reason:
        return [not_evaluated(SIGNAL, reason, column=label.name)]
    counts = LABELS_BY_PRINT.of(comparison).tables
    found = [count.conflicts() for count in counts]
    met = [count.meet(table.known) for count, table in zip(counts, reference, strict=True)]
    candidates = [
        *(_within(comparison, t, n) for t in range(len(counts))),
        *(_against(comparison, t, n, met[t]) for t in range(len(counts))),
    ]
    expected = comparison.expecting(SIGNAL, label.name, candidates)
    if accusing(expected) and (changed := changed_features(comparison)):
        candidates = explained(expected, changed)
    return [
        Finding(
            signal=SIGNAL,
            column=label.name,
            null_hypothesis="rows with equal features disagree as rarely as in the baseline",
            effect_unit=_UNIT,
            n_baseline=reference[0].n_rows,
            n_batch=n,
            candidates=candidates,
            # Where no two rows are alike nobody can disagree, by chance or otherwise.
            exact=not any(c.rows for c in found) and not any(m.met for m in met),
            evidence={
                "conflicts": [round(c.conflicts, 1) for c in found],
                "alike": [round(c.rows) for c in found],
                "known_rows": [m.met for m in met],
                "contradicting": [m.contradicted for m in met],
            },
        )
    ]


def _within(comparison: Comparison, t: int, n: int) -> Candidate:
    """Rows of the batch against each other."""
    table = CONFLICTS.of(comparison.baseline)[t]
    found, m = LABELS_BY_PRINT.of(comparison).tables[t].conflicts(), table.n_rows
    expected = expected_within(table, n, found.rows)
    excess = found.conflicts - expected
    spread = math.sqrt(found.conflicts + expected * n / m + 1.0 + found.error**2)
    p_value = _within_p(table, found.conflicts, n, expected)
    if found.error:
        p_value = max(p_value, normal_sf(excess / spread))
    return Candidate(
        subject=WITHIN[t],
        effect=excess / n,
        bound=(excess - 1.645 * spread) / n,
        tolerance=max(comparison.tolerance(SIGNAL, WITHIN[t]), expected / n),
        p_value=p_value,
        text=f"{percent(found.conflicts / n)} of labels contradict an equal row "
        f"(expected {percent(expected / n)})",
        hint=_HINT,
        question=WITHIN[t],
    )


def _within_p(table: ConflictTable, conflicts: float, n: int, expected: float) -> float:
    m = table.n_rows
    if n <= m and expected <= table.expected(n):
        return rate_excess_p(int(conflicts), table.exposure(n), math.ceil(table.conflicts), 1.0)
    # Copies alone are no conflict: they meet more often than a sample of the baseline would.
    return rate_excess_p(int(conflicts), n, math.ceil(expected * m / n), m)


def _against(comparison: Comparison, t: int, n: int, met: Meeting) -> Candidate:
    """Rows of the batch against those of the baseline."""
    known = CONFLICTS.of(comparison.baseline)[t].known
    rows, k = n * met.share, met.contradicted
    expected = usual_rate(known, t) * met.met / rows
    seen = known.contradicted / known.met if known.met else 0.0
    return Candidate(
        subject=AGAINST[t],
        effect=k / rows - expected,
        bound=(binomial_lower(k, met.met) * met.met - 1.645 * met.error) / rows - expected,
        tolerance=max(comparison.tolerance(SIGNAL, AGAINST[t]), seen * met.met / rows),
        p_value=_against_p(comparison, t, met),
        text=f"{k} of {met.met} rows that match rows of the baseline have another label "
        f"(expected {percent(usual_rate(known, t))})",
        hint=_HINT,
        question=AGAINST[t],
    )


def _against_p(comparison: Comparison, t: int, met: Meeting) -> float:
    known = CONFLICTS.of(comparison.baseline)[t].known
    p_value = relabelled_p(met.contradicted, met.met, known)
    if t > 0 and known.contradicted == 0:
        highest = -math.expm1(math.log(0.05) / (known.met + 1))
        rate = min(highest, _chance(comparison))
        p_value = binomial_sf(met.contradicted, met.met, rate)
    if met.error:
        excess = met.contradicted - usual_rate(known, t) * met.met
        spread = math.sqrt(met.contradicted + 1.0 + met.error**2)
        p_value = max(p_value, normal_sf(excess / spread))
    return p_value


def _chance(comparison: Comparison) -> float:
    """How often two rows with equal features disagree, at most.

    As often as any two rows; or, where one of both is what the label model is wrong about, at most
    twice as often as that.
    """
    counts = comparison.baseline.profile.label_counts()[:-1].astype(np.float64)
    any_two = float(1.0 - ((counts / max(counts.sum(), 1.0)) ** 2).sum())
    reference = comparison.baseline.labels
    if reference is None:
        return any_two
    e, rows = reference.whole.error, max(int(reference.whole.scale.own.sum()), 1)
    return min(any_two, 2.0 * (e + 3.0 * math.sqrt((e * (1.0 - e) + 1.0 / rows) / rows)))


def _habits(split: Split) -> dict[str, float]:
    return {f"{CODE}:{kind}": share for kind, share in conflict_habits(split).items()}


SIGNAL = Signal(
    code=CODE,
    # Labels that contradict copies; the budget of LABEL belongs to flips seen by a model.
    family=Family.CONTAMINATION,
    floor=0.003,
    moves=True,
    asks="rows with equal or near-equal features carry different labels, within the batch or "
    "against the baseline, beyond the natural rate of each",
    demand="Rows with equal or nearly equal features must not carry different labels.",
    needs=f"features, classes, {MIN_ROWS} rows",
    min_rows=MIN_ROWS,
    labelled=True,
    expectation="ExpectEqualRowsToAgreeOnLabels",
    applies=lambda baseline: bool(CONFLICTS.of(baseline)),
    sections=(CONFLICTS,),
    counters=(LABELS_BY_PRINT,),
    habits=_habits,
    findings=findings,
    keeps=(prints_of, kept_labels),
    rows=conflict_probability,
)

"""LABEL_CONFLICTS: rows with equal or near-equal features carry equal labels, as they used to.

Null hypotheses: rows of the batch that share their features disagree as rarely as in a baseline
sample of the batch's size; rows whose features the baseline knows contradict its label as rarely
as one block of the baseline contradicts the others. Minimum n: 50 rows. "Equal" is table 0 of
`fingerprints`, "near-equal" table 2; texts by their words. What is expected is rarefied from the
baseline's groups, and where the batch has more equal rows than that, grows with them: copies
alone are no conflict. Beyond 32,768 different rows a sample of whole groups estimates
(`pair_counts`), whose error enters bound and p-value.
Source: rarefaction, Hurlbert 1971; disagreement of pairs, Simpson 1949; conditional test of two
rates, Przyborowski and Wilenski 1940.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.copies.conflict_reference import (
    AGAINST,
    TABLES,
    WITHIN,
    ConflictTable,
    row_hashes,
)
from sluicegate.signals.copies.known_rows import KnownRows, packed
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, binomial_sf, normal_sf, rate_excess_p
from sluicegate.signals.labels.trusted import NATURAL, relabelled_p

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.profiling.layout import Encoded, Layout
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.copies.known_rows import Hashes
    from sluicegate.signals.copies.pair_counts import Meeting, PairCounts

CODE = "LABEL_CONFLICTS"
_UNIT = "share of rows"
_HINT = "Look at the named rows: equal features cannot have both labels right."


@dataclass(slots=True)
class ConflictCount:
    """Rows of a batch by fingerprint and label.

    Attributes:
        tables: One count for each of `TABLES`; none if the baseline has no reference.
        cells: Label cells of each record batch, if rows are kept; null where not counted.
    """

    tables: tuple[PairCounts, ...] = ()
    cells: list[NDArray[np.uint8]] = field(default_factory=list)

    def update(self, layout: Layout, encoded: Encoded, prints: Hashes, *, keep: bool) -> None:
        """Count one record batch."""
        if not self.tables or layout.label is None:
            return
        null = layout.label.null_cell
        cells = encoded.label
        if cells is None:
            cells = np.full(encoded.n_rows, null, dtype=np.uint8)
        if keep:
            self.cells.append(cells)
        rows = cells != null
        for table, count in zip(TABLES, self.tables, strict=True):
            count.add(packed(row_hashes(prints[table]), cells)[rows])


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has classes, and features with fingerprints."""
    reference, label = comparison.baseline.contamination.conflicts, comparison.baseline.layout.label
    if not reference or label is None:
        return []
    n = int(comparison.profile.label_counts()[:-1].sum())
    reason = comparison.missing(label.name) or comparison.lacking_feature()
    if not reason and n == 0:
        reason = "no row of the batch has a label"
    if reason:
        return [not_evaluated(CODE, Family.CONTAMINATION, reason, column=label.name)]
    counts = comparison.conflicts.tables
    found = [count.conflicts() for count in counts]
    met = [count.meet(table.known) for count, table in zip(counts, reference, strict=True)]
    candidates = [
        *(_within(comparison, t, n) for t in range(len(TABLES))),
        *(_against(comparison, t, n, met[t]) for t in range(len(TABLES))),
    ]
    return [
        Finding(
            code=CODE,
            # Labels that contradict copies; the budget of LABEL belongs to flips seen by a model.
            family=Family.CONTAMINATION,
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
    table = comparison.baseline.contamination.conflicts[t]
    found, m = comparison.conflicts.tables[t].conflicts(), table.n_rows
    expected = expected_within(table, n, found.rows)
    excess = found.conflicts - expected
    spread = math.sqrt(found.conflicts + expected * n / m + 1.0 + found.error**2)
    p_value = rate_excess_p(int(found.conflicts), n, math.ceil(expected * m / n), m)
    if found.error:
        p_value = max(p_value, normal_sf(excess / spread))
    return Candidate(
        subject=WITHIN[t],
        effect=excess / n,
        bound=(excess - 1.645 * spread) / n,
        tolerance=max(comparison.tolerance(CODE, WITHIN[t]), expected / n),
        p_value=p_value,
        text=f"{percent(found.conflicts / n)} of labels contradict an equal row "
        f"(expected {percent(expected / n)})",
        hint=_HINT,
    )


def expected_within(table: ConflictTable, n: int, alike: float) -> float:
    """Return the conflicts to expect among n rows of which so many share their features."""
    return max(table.expected(n), table.disagreement() * alike)


def _against(comparison: Comparison, t: int, n: int, met: Meeting) -> Candidate:
    """Rows of the batch against those of the baseline."""
    known = comparison.baseline.contamination.conflicts[t].known
    rows, k = n * met.share, met.contradicted
    expected = usual_rate(known, t) * met.met / rows
    seen = known.contradicted / known.met if known.met else 0.0
    return Candidate(
        subject=AGAINST[t],
        effect=k / rows - expected,
        bound=(binomial_lower(k, met.met) * met.met - 1.645 * met.error) / rows - expected,
        tolerance=max(comparison.tolerance(CODE, AGAINST[t]), seen * met.met / rows),
        p_value=_against_p(comparison, t, met),
        text=f"{k} of {met.met} rows that the baseline knows contradict its label "
        f"(expected {percent(usual_rate(known, t))})",
        hint=_HINT,
    )


def usual_rate(known: KnownRows, t: int) -> float:
    """Return how often a row of the source contradicts an equal (0) or near-equal (1) one.

    An exact copy in a source that has none is a redelivery; a neighbour may be anything until
    the baseline has shown what neighbours are.
    """
    if t == 0:
        return max(known.contradicted / known.met if known.met else 0.0, NATURAL)
    return (known.contradicted + 0.5) / (known.met + 1.0)


def _against_p(comparison: Comparison, t: int, met: Meeting) -> float:
    known = comparison.baseline.contamination.conflicts[t].known
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
    """How often two rows disagree whose features say nothing."""
    counts = comparison.baseline.profile.label_counts()[:-1].astype(np.float64)
    return float(1.0 - ((counts / max(counts.sum(), 1.0)) ** 2).sum())

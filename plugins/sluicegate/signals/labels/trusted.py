"""LABEL_TRUSTED: rows that were delivered before carry the label that they had then.

Null hypothesis: rows of known ids are relabelled as rarely as in the baseline (where its ids
repeat; else one in a thousand). Minimum n: 50 rows; none of them need be known, because where
nothing was redelivered nothing was contradicted. The baseline keeps keyed hashes of its ids with
their class (`known_rows`); ids of the golden set are known too, and believed before the
baseline's. An id whose baseline rows disagree has no class and is not asked.
Source: exact binomial tail; conditional test of two rates, Przyborowski and Wilenski 1940.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.profiling.layout import unique_column
from sluicegate.profiling.row_ids import hashable, id_hashes
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, binomial_sf, rate_excess_p

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from sluicegate.profiling.layout import Encoded
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.contributors.names import ContributorNames
    from sluicegate.signals.copies.known_rows import KnownRows

CODE = "LABEL_TRUSTED"
NATURAL = 0.001
"""Share of known rows that may be relabelled where the baseline says nothing."""
_BITS = np.uint64(20)  # of the filter in front of the table: most ids of a batch are new


@dataclass(slots=True)
class TrustedCount:
    """Rows of a batch whose id is known; counts add up.

    Attributes:
        known: What the baseline remembers, or None.
        n_known: Rows with a known id and a label.
        n_contradicting: Those with another label.
        contributors: The latter by contributor; None stands for null.
        flags: Contradicting rows of each record batch, if rows are kept.
        filter: Whether any known hash begins with these bits.
    """

    known: KnownRows | None
    n_known: int = 0
    n_contradicting: int = 0
    contributors: dict[str | None, int] = field(default_factory=dict)
    flags: list[NDArray[np.bool_]] = field(default_factory=list)
    filter: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def update(
        self, baseline: Baseline, batch: pa.RecordBatch, encoded: Encoded, *, keep: bool
    ) -> None:
        """Count one record batch."""
        if self.known is None:
            return
        wrong = self._contradicting(self.known, baseline, batch, encoded)
        if keep:
            self.flags.append(wrong)
        self.n_contradicting += int(wrong.sum())
        if encoded.contributor is not None and wrong.any():
            found = np.bincount(encoded.contributor[wrong], minlength=len(encoded.contributors))
            for name, count in zip(encoded.contributors, found.tolist(), strict=True):
                if count:
                    self.contributors[name] = self.contributors.get(name, 0) + count

    def _contradicting(
        self, known: KnownRows, baseline: Baseline, batch: pa.RecordBatch, encoded: Encoded
    ) -> NDArray[np.bool_]:
        wrong, label, name = (
            np.zeros(encoded.n_rows, bool),
            baseline.layout.label,
            baseline.schema.id,
        )
        array = unique_column(batch, name) if name else None
        if array is None or label is None or encoded.label is None or name not in encoded.cells:
            return wrong
        if not hashable(array.type):
            return wrong
        hashes, present = id_hashes(array, baseline.seed)
        present &= encoded.label != label.null_cell
        rows = np.flatnonzero(present & self._maybe(known)[hashes >> (np.uint64(64) - _BITS)])
        cells = known.cells(hashes[rows])
        self.n_known += int((cells >= 0).sum())
        wrong[rows] = (cells >= 0) & (cells != encoded.label[rows])
        return wrong

    def _maybe(self, known: KnownRows) -> NDArray[np.bool_]:
        if self.filter.size == 0:
            self.filter = np.zeros(1 << int(_BITS), dtype=bool)
            self.filter[known.keys >> (np.uint64(64) - _BITS)] = True
        return self.filter


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline remembers ids with their classes."""
    known, label = comparison.baseline.contamination.trusted, comparison.baseline.layout.label
    column = comparison.baseline.schema.id
    if known is None or label is None or column is None:
        return []
    reason = comparison.missing(column) or comparison.missing(label.name)
    if not reason and not comparison.profile.label_counts()[:-1].any():
        reason = "no row of the batch has a label"
    if reason:
        return [not_evaluated(CODE, Family.LABEL, reason, column=column)]
    met = comparison.trusted
    return [
        Finding(
            code=CODE,
            family=Family.LABEL,
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


def _candidate(comparison: Comparison, known: KnownRows, met: TrustedCount) -> Candidate:
    n, m, k = comparison.profile.n_rows, met.n_known, met.n_contradicting
    # Of a baseline too large to remember only some ids are known: k is counted on these.
    rows = n * known.coverage
    usual = max(known.contradicted / known.met if known.met else 0.0, NATURAL)
    expected = usual * m / rows
    return Candidate(
        effect=k / rows - expected,
        bound=binomial_lower(k, m) * m / rows - expected,
        tolerance=max(comparison.tolerance(CODE, comparison.baseline.schema.id or ""), expected),
        p_value=relabelled_p(k, m, known),
        text=f"{k} of {m} redelivered rows contradict the label that they had"
        if m
        else "no row was delivered before (n = 0)",
        hint="Ask who changed these labels, and restore those that were approved.",
    )


def relabelled_p(k: int, m: int, known: KnownRows) -> float:
    """Return the p-value of "known rows are contradicted no more often than in the baseline"."""
    p = binomial_sf(k, m, NATURAL)
    return max(p, rate_excess_p(k, m, known.contradicted, known.met)) if known.contradicted else p


def _contributors(met: TrustedCount, naming: ContributorNames) -> list[list[object]]:
    named = [(name, count) for name, count in met.contributors.items() if name is not None]
    ordered = sorted(named, key=lambda item: (-item[1], item[0]))[:5]
    return [[naming.of(name), count] for name, count in ordered]

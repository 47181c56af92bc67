"""DICTIONARY: texts are not stuffed with words that speak for another class.

Null hypothesis: documents whose words are as odd as those of the oddest 0.5 % and 0.1 % of
the baseline are not more frequent than there. Minimum n: 50 documents with a known label.
Corrected for the two limits. What makes words odd, and the source: `word_evidence`. Each word
of such a text is innocent and may be frequent, so TRIGGER_TOKENS is blind to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p

if TYPE_CHECKING:
    from sluicegate.signals.comparison import Comparison

CODE = "DICTIONARY"


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for each text column, if the baseline's labels have classes."""
    return [_finding(comparison, name) for name in sorted(comparison.baseline.contamination.texts)]


def _finding(comparison: Comparison, column: str) -> Finding:
    label = comparison.baseline.layout.label
    reason = comparison.missing(label.name) if label else "no label"
    reason = reason or comparison.missing(column)
    table = comparison.token_tables.get(column)
    n = 0 if table is None else int(table.rows.sum())
    if not reason and n < MIN_ROWS:
        reason = f"{n} rows with a known label in the batch, {MIN_ROWS} needed"
    if reason:
        return not_evaluated(CODE, Family.CONTAMINATION, reason, column=column)
    text = comparison.baseline.contamination.texts[column]
    found, m = comparison.odd_texts[column].tolist(), int(text.table.rows.sum())
    return Finding(
        code=CODE,
        family=Family.CONTAMINATION,
        column=column,
        null_hypothesis="texts with odd words are not more frequent than in the baseline",
        effect_unit="share of rows",
        n_baseline=m,
        n_batch=n,
        candidates=[
            Candidate(
                effect=k / n - before / m,
                bound=binomial_lower(k, n) - before / m,
                tolerance=comparison.tolerance(CODE, column),
                p_value=rate_excess_p(k, n, before, m),
                text=f"the words of {percent(k / n)} of rows contradict their label, speak for two "
                f"classes or stand in no order, as {percent(before / m)} of the baseline's do",
                hint="Read the named rows: texts stuffed with another class's words look so.",
            )
            for k, before in zip(found, text.evidence.rows, strict=True)
        ],
    )

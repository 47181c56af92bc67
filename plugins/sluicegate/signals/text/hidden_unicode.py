"""HIDDEN_UNICODE: invisible, reordering or look-alike characters are as rare as before.

Null hypothesis: the share of texts with such characters is not larger than in the baseline:
not zero, because honest text in many languages holds some. Minimum n: 50 texts.
Source: Boucher et al. 2022; Unicode TS 39; Przyborowski and Wilenski 1940.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p

if TYPE_CHECKING:
    from sluicegate.signals.comparison import Comparison

CODE = "HIDDEN_UNICODE"


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding a text column."""
    before = comparison.baseline.contamination.hidden
    return [_column(comparison, name, before[name]) for name in sorted(before)]


def _column(comparison: Comparison, name: str, before: int) -> Finding:
    reason = comparison.missing(name)
    if reason:
        return not_evaluated(CODE, Family.CONTAMINATION, reason, column=name)
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    k = comparison.hidden.get(name, 0)
    return Finding(
        code=CODE,
        family=Family.CONTAMINATION,
        column=name,
        null_hypothesis="texts with hidden characters are not more frequent than before",
        effect_unit="share of rows",
        n_baseline=m,
        n_batch=n,
        candidates=[
            Candidate(
                effect=k / n - before / m,
                bound=binomial_lower(k, n) - before / m,
                tolerance=comparison.tolerance(CODE, name),
                p_value=rate_excess_p(k, n, before, m),
                text=f"{percent(k / n)} of texts hold invisible or look-alike characters "
                f"(baseline {percent(before / m)})",
                hint="Normalise the text, and ask who inserted them.",
            )
        ],
        evidence={"rows": k},
    )

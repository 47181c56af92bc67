"""LEAKAGE: the batch holds no rows of the sealed golden set.

Null hypothesis: batch rows equal golden rows as rarely as baseline rows do. Minimum n: 50.
Training on rows that will later judge the model makes the judgement worthless.
Source: fingerprints of the golden rows are stored, not the rows; tables: `fingerprints`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.comparison import Comparison

CODE = "LEAKAGE"
KINDS = ("exact rows", "close rows", "near rows", "rough rows")
"""What each table of fingerprints finds."""


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline was built with a golden set."""
    reference = comparison.baseline.contamination
    if not reference.golden:
        return []
    reason = comparison.too_few() or comparison.lacking_feature()
    if reason:
        return [not_evaluated(CODE, Family.CONTAMINATION, reason)]
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    candidates = []
    for table, before in enumerate(reference.golden_in_baseline):
        k = comparison.golden_rows[table]
        candidates.append(
            Candidate(
                subject=KINDS[table],
                depth=1 if table == 0 else 0,
                effect=k / n - before / m,
                bound=binomial_lower(k, n) - before / m,
                tolerance=comparison.tolerance(CODE, ""),
                p_value=rate_excess_p(k, n, before, m),
                text=f"{k} rows ({percent(k / n)}) are in the golden set "
                f"(baseline {percent(before / m)})",
                hint="Remove them from training, or replace the golden set.",
            )
        )
    return [
        Finding(
            code=CODE,
            family=Family.CONTAMINATION,
            null_hypothesis="batch rows equal golden rows as rarely as baseline rows do",
            effect_unit="share of rows",
            n_baseline=m,
            n_batch=n,
            candidates=candidates,
            evidence={"golden_fingerprints": int(reference.golden[0].size)},
        )
    ]


def matches(prints: NDArray[np.uint64], golden: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which fingerprints are in a sorted array of fingerprints."""
    if golden.size == 0:
        return np.zeros(prints.size, dtype=bool)
    at = np.minimum(np.searchsorted(golden, prints), golden.size - 1)
    found: NDArray[np.bool_] = golden[at] == prints
    return found

"""LABEL_NEW_CLASS: no class that the baseline did not have.

Null hypothesis: new classes are no more frequent than the baseline's own rare classes lead
one to expect; with few, well filled classes that is never. Minimum n: 1 label.
Source: Good 1953, the chance of the unseen is the share of singletons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p

if TYPE_CHECKING:
    from sluicegate.signals.comparison import Comparison

CODE = "LABEL_NEW_CLASS"


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has a label with classes."""
    label = comparison.baseline.layout.label
    if label is None or not label.listed:
        return []
    reason = comparison.missing(label.name)
    if not reason and not label.closed:
        reason = f"more than {len(label.categories)} classes: new ones cannot be told apart"
    if not reason and not comparison.baseline.profile.label_counts()[:-1].any():
        reason = "no row of the baseline has a label"
    if reason:
        return [not_evaluated(CODE, Family.LABEL, reason, column=label.name)]
    base = comparison.baseline.profile.label_counts()[:-1]
    batch = comparison.profile.label_counts()[:-1]
    n, m, k = int(base.sum()), int(batch.sum()), int(batch[-1])
    singletons = int((base == 1).sum())
    share = k / m if m else float("nan")
    names = sorted(comparison.profile.new_labels)
    return [
        Finding(
            code=CODE,
            family=Family.LABEL,
            column=label.name,
            null_hypothesis="new classes are as rare as the baseline's singletons predict",
            effect_unit="share of rows",
            n_baseline=n,
            n_batch=m,
            exact=singletons == 0,
            candidates=[
                Candidate(
                    effect=share,
                    bound=share if singletons == 0 else binomial_lower(k, m),
                    tolerance=max(comparison.tolerance(CODE, label.name), singletons / n),
                    p_value=rate_excess_p(k, m, singletons, n),
                    text=f"{k} rows ({percent(share)}) carry {len(names)} class(es) that the "
                    "baseline never had",
                    hint="Correct the labels, or rebuild the baseline with the new class.",
                )
            ],
            evidence={"n_new_classes": len(names), "classes": [name[:64] for name in names[:10]]},
        )
    ]

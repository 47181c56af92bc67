"""LABEL_PRIOR: classes are as frequent as before.

Null hypothesis: batch and baseline labels have one distribution. Minimum n: 50. A change of
P(y) has many innocent causes (seasons, campaigns), so it warns; labels that contradict their
features are LABEL_FLIPS, which a change of P(y) alone does not move. Source: see `distance`.
"""

from __future__ import annotations

from sluicegate.signals.comparison import MIN_ROWS, Comparison
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.distance import listed_distance
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status

CODE = "LABEL_PRIOR"


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has a label."""
    label = comparison.baseline.layout.label
    if label is None:
        return []
    reason = comparison.missing(label.name)
    if not reason:
        base = comparison.baseline.profile.label_counts()[:-1]
        batch = comparison.profile.label_counts()[:-1]
        n, m = int(base.sum()), int(batch.sum())
        if n < MIN_ROWS or m < MIN_ROWS:
            reason = f"{n} labels in the baseline and {m} in the batch, {MIN_ROWS} needed"
    if reason:
        return [not_evaluated(CODE, Family.LABEL, reason, column=label.name)]
    found = listed_distance(base, batch)
    return [
        Finding(
            code=CODE,
            family=Family.LABEL,
            column=label.name,
            null_hypothesis="labels of batch and baseline have one distribution",
            effect_unit="share of rows",
            n_baseline=n,
            n_batch=m,
            candidates=[
                Candidate(
                    effect=found.effect,
                    bound=found.bound,
                    tolerance=comparison.tolerance(CODE, label.name),
                    p_value=found.p_value,
                    text=f"class shares moved by {percent(found.effect)} of rows",
                    hint="Ask whether classes became more frequent or were labelled differently.",
                    severity=Status.WARNED,
                )
            ],
            evidence={"baseline": (base / n).tolist(), "batch": (batch / m).tolist()},
        )
    ]

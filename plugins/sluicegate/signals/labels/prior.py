"""LABEL_PRIOR: classes are as frequent as before.

Null hypothesis: batch and baseline labels have one distribution. Minimum n: 50. A change of P(y)
has many innocent causes (seasons, campaigns), so it warns; labels that contradict their features
are LABEL_FLIPS, which a change of P(y) alone does not move. One question. Rows without a label are
left out; classes that the baseline never had are one class.
Source: see `distance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.distance import excess_over_noise, listed_distance, listed_gap
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.definition import Signal
from sluicegate.signals.learning import block_counts

if TYPE_CHECKING:
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.learning import Split

CODE = "LABEL_PRIOR"


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline's label has classes."""
    label = comparison.baseline.layout.label
    if label is None or not label.listed:
        return []
    reason = comparison.missing(label.name)
    if not reason:
        base = comparison.baseline.profile.label_counts()[:-1]
        batch = comparison.profile.label_counts()[:-1]
        n, m = int(base.sum()), int(batch.sum())
        if n < MIN_ROWS or m < MIN_ROWS:
            reason = f"{m} labels in the batch and {n} in the baseline, {MIN_ROWS} needed of each"
    if reason:
        return [not_evaluated(SIGNAL, reason, column=label.name)]
    found = listed_distance(base, batch)
    return [
        Finding(
            signal=SIGNAL,
            column=label.name,
            null_hypothesis="labels of batch and baseline have one distribution",
            effect_unit="share of rows",
            n_baseline=n,
            n_batch=m,
            candidates=[
                Candidate(
                    effect=found.effect,
                    bound=found.bound,
                    tolerance=comparison.tolerance(SIGNAL, label.name),
                    p_value=found.p_value,
                    text=f"class shares moved by {percent(found.effect)} of rows",
                    hint="Ask whether classes became more frequent or were labelled differently.",
                )
            ],
            evidence={"baseline": (base / n).tolist(), "batch": (batch / m).tolist()},
        )
    ]


def _habits(split: Split) -> dict[str, float]:
    """Learn how far the class shares of a block stray from those of all others."""
    label = split.learning.layout.label
    if label is None or not label.listed:
        return {}
    table = split.once(block_counts)[label.name][:, :-1]
    pairs = zip(table[:-1], table.sum(axis=0) - table[:-1], strict=True)
    found = [listed_gap(rest, own) for own, rest in pairs if own.sum() and rest.sum()]
    return {f"{CODE}:{label.name}": excess_over_noise(found, complete=split.complete)}


def _applies(baseline: Baseline) -> bool:
    label = baseline.layout.label
    return label is not None and label.listed


SIGNAL = Signal(
    code=CODE,
    family=Family.LABEL,
    severity=Status.WARNED,
    floor=0.05,
    moves=True,
    asks="class shares moved",
    demand="The share of each class of the label must stay within tolerance.",
    needs=f"{MIN_ROWS} labels",
    min_rows=MIN_ROWS,
    labelled=True,
    expectation="ExpectLabelPriorWithinTolerance",
    applies=_applies,
    habits=_habits,
    findings=findings,
)

"""LABEL_NEW_CLASS: no class that the baseline did not have.

Null hypothesis: new classes are no more frequent than the baseline's own rare classes lead one to
expect; with few, well filled classes that is never. Minimum n: 1 label. One question; an exact
fact where the baseline has no class with a single row. Rows without a label are left out. What is
at most `_RARE` of the rows cannot teach a model much, and warns. So does a class that the schema
declares: a person has said that it is one, and only the baseline's model knows nothing of it.
Source: Good 1953, the chance of the unseen is the share of singletons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.profiling.columns import Kind
from sluicegate.signals.decision.correction import listed, percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p
from sluicegate.signals.definition import Signal

if TYPE_CHECKING:
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.comparison import Comparison

_RARE: Final = 0.002


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has a label with classes."""
    label = comparison.baseline.layout.label
    if label is None or not label.listed:
        return []
    reason = comparison.absent(label.name)
    if not reason and not label.closed:
        reason = f"more than {len(label.categories)} classes: new ones cannot be told apart"
    if not reason and not comparison.baseline.profile.label_counts()[:-1].any():
        reason = "no row of the baseline has a label"
    if reason:
        return [not_evaluated(SIGNAL, reason, column=label.name)]
    base = comparison.baseline.profile.label_counts()[:-1]
    batch = comparison.profile.label_counts()[:-1]
    declared = comparison.baseline.schema.classes
    known, names = (
        sorted(name for name in comparison.profile.new_labels if (name in declared) is told)
        for told in (True, False)
    )
    n, m = int(base.sum()), int(batch.sum())
    of_known = sum(comparison.profile.new_labels[name] for name in known)
    k, singletons = int(batch[-1]) - of_known, int((base == 1).sum())
    share = k / m if m else float("nan")
    floor = max(comparison.tolerance(SIGNAL, label.name), singletons / n)
    return [
        Finding(
            signal=SIGNAL,
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
                    tolerance=floor,
                    p_value=rate_excess_p(k, m, singletons, n),
                    text=f"{k} of {m} rows ({percent(share)}) have {_counted(len(names))} that "
                    "the baseline never had",
                    # A name that nobody approved may be anything; the evidence holds it.
                    hint="`check --json` names it: correct the labels, or rebuild the baseline "
                    "with the new class.",
                    severity=Status.WARNED if share <= _RARE else None,
                ),
                *_declared(of_known, m, known, floor),
            ],
            evidence={"n_new_classes": len(names), "classes": [name[:64] for name in names[:10]]},
        )
    ]


def _declared(k: int, m: int, names: list[str], floor: float) -> list[Candidate]:
    """Return the question about classes that the schema declares, if rows have such a class."""
    share, named = k / m if m else 0.0, listed(names)
    warned = Candidate(
        effect=share,
        bound=share,
        tolerance=floor,
        p_value=0.0,
        text=f"{k} of {m} rows ({percent(share)}) have a class that the schema declares and the "
        f"baseline never had: {named}",
        hint="The label model says nothing of them: build a baseline that has the class.",
        severity=Status.WARNED,
    )
    return [warned] if names else []


def _counted(n_classes: int) -> str:
    return "a class" if n_classes == 1 else f"{n_classes} classes"


def _applies(baseline: Baseline) -> bool:
    label = baseline.layout.label
    return label is not None and label.kind is Kind.CATEGORICAL


SIGNAL = Signal(
    code="LABEL_NEW_CLASS",
    family=Family.LABEL,
    floor=0.0,
    asks="a class the baseline never had",
    demand="The label must have no class that the baseline does not know.",
    needs="1 label",
    min_rows=1,
    expectation="ExpectLabelClassesToBeKnown",
    applies=_applies,
    findings=findings,
)

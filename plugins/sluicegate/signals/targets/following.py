"""TARGET_RANGE and TARGET_SHIFT: a measured label follows the features as on the baseline.

TARGET_RANGE, null hypothesis: the share of rows whose residual lies out of the conformal ranges of
99 % and 99.8 % of their group of like prediction is that of the baseline; a contributor beside its
own past and the rest of the batch. It finds values of another scale, sign or row, and leverage
points. TARGET_SHIFT, null hypothesis: residuals stand as high in their group as on the baseline; a
contributor as before. It finds values that one contributor raised or lowered; if all rows or those
of one size moved, it warns, because prices rise. Minimum n: 50 values; contributors and groups with
fewer than 10 are not asked. Both are corrected over all that are asked. Equal values share the
middle of their ranks; missing and infinite values are left out, because COMPLETENESS judges them.
Where a feature moved as a whole, the baseline never saw what it predicts there: values out of range
over all rows then warn; a contributor's are still held against the rest of the batch.
The model needs no skill: without any, both judge the values alone.
Source: `residuals` (ranges), `scores` (Mann and Whitney), `contrast` (contributors),
`tails.mean_excess_p` (p-value).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.columns.moved import changed_features, explained
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, accusing, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.definition import Signal
from sluicegate.signals.targets.questions import Question
from sluicegate.signals.targets.reference import TARGETS, TargetReference
from sluicegate.signals.targets.residual_count import RESIDUALS, kept_cells
from sluicegate.signals.targets.residuals import RANGES
from sluicegate.signals.targets.scores import beyond, usual_shares
from sluicegate.signals.traces import unexplained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.profiling.columns import Column
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.targets.questions import Answer
    from sluicegate.signals.traces import Traces

Counts = NDArray[np.int64]
_INNER = min(RANGES)
_NOT_BUILT = "the baseline was built before numbers were judged; build it again"


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for each signal if the baseline's label is a number."""
    label = comparison.baseline.layout.label
    if label is None or not label.binned:
        return []
    reference, counted = TARGETS.of(comparison.baseline), RESIDUALS.of(comparison)
    n = sum(int(table.sum()) for table in counted.rows.values())
    reason = comparison.missing(label.name) or counted.reason
    if not isinstance(reference, TargetReference):
        reason = reference or _NOT_BUILT
    elif not reason and n < MIN_ROWS:
        reason = f"{n} values in the batch, at least {MIN_ROWS} needed"
    if reason or not isinstance(reference, TargetReference):
        return [not_evaluated(signal, reason, column=label.name) for signal in SIGNALS]
    batch = np.sum(list(counted.rows.values()), axis=0)
    asked = {
        RANGE: list(_out_of_range(comparison, label, reference, batch)),
        SHIFT: list(_shifted(comparison, label, reference, batch)),
    }
    return [
        Finding(
            signal=signal,
            column=label.name,
            null_hypothesis=_NULL[signal.code],
            effect_unit="share of rows",
            n_baseline=int(reference.residuals.own.sum()),
            n_batch=n,
            candidates=candidates,
            evidence={"explained": reference.explained},
        )
        for signal, candidates in asked.items()
    ]


def _out_of_range(
    comparison: Comparison, label: Column, reference: TargetReference, batch: Counts
) -> Iterator[Candidate]:
    floor, hint = (
        comparison.tolerance(RANGE, label.name),
        "Check unit and sign, and whether they stand in the wrong rows.",
    )
    overall = []
    for held in RANGES:
        found = _question(reference, f"range {held}").overall(batch)
        now, usual = _shares(reference, found, held)
        text = f"{now} of values are outside the range that the features predict (baseline {usual})"
        overall.append(_candidate(found, floor, text, f"{hint} `check --rows` names the rows."))
    if accusing(overall) and (changed := changed_features(comparison)):
        overall = explained(overall, changed)  # a winter's values are not those of a summer
    yield from overall
    rows = RESIDUALS.of(comparison).rows
    for found in _question(reference, f"range {_INNER}").by_contributor(rows):
        yield _part(comparison, reference, found, floor, hint)
    for found in _question(reference, "straying").by_contributor(rows):
        subject = _subject(comparison, reference, found)
        yield _candidate(
            found,
            floor,
            "its values lie further from what the features predict than its past and the rest of "
            f"the batch: {percent(found.effect)} of the batch or more moved",
            f"Values of {subject} may stand in the wrong rows: review it or exclude its rows.",
            subject=subject,
        )


def _part(
    comparison: Comparison, reference: TargetReference, found: Answer, floor: float, hint: str
) -> Candidate:
    now, usual = _shares(reference, found, _INNER)
    text = (
        f"{now} of its values are outside the range that features predict (baseline {usual}): "
        f"{percent(found.effect)} of the batch beyond the rest"
    )
    return _candidate(
        found,
        floor,
        text,
        hint,
        subject=_subject(comparison, reference, found),
    )


def _shifted(
    comparison: Comparison, label: Column, reference: TargetReference, batch: Counts
) -> Iterator[Candidate]:
    floor = comparison.tolerance(SHIFT, label.name)
    for sign, way in ((1.0, "higher"), (-1.0, "lower")):
        question = _question(reference, "standing", sign)
        found = question.overall(batch)
        text = f"values stand {way} than the features predict: {percent(found.effect)}"
        yield _candidate(
            found,
            floor,
            f"{text} of rows or more moved",
            "Ask whether values rose or their unit changed.",
        )
        for part in (
            *question.by_group(batch),
            *question.by_contributor(RESIDUALS.of(comparison).rows),
        ):
            subject = _subject(comparison, reference, part)
            yield _candidate(
                part,
                floor,
                f"its values stand {way} than its features, its past and the rest of the batch "
                f"predict: {percent(part.effect)} of the batch or more moved",
                f"Review {subject} or exclude its rows.",
                subject=subject,
                severity=Status.FAILED if isinstance(part.part, str) else None,
            )


def _question(reference: TargetReference, name: str, sign: float = 1.0) -> Question:
    return Question(reference, sign * reference.score(name), reference.habits[name])


def _candidate(
    found: Answer,
    floor: float,
    text: str,
    hint: str,
    *,
    subject: str = "",
    severity: Status | None = None,
) -> Candidate:
    return Candidate(
        subject=subject,
        effect=found.effect,
        bound=found.bound,
        tolerance=max(floor, found.budget),
        p_value=found.p_value,
        text=text,
        hint=hint,
        severity=severity,
        depth=1 if isinstance(found.part, str) and subject else 0,
    )


def _shares(reference: TargetReference, found: Answer, held: float) -> tuple[str, str]:
    """Return in words which share of a part's rows lies out of a range, now and as usual."""
    by_group = found.rows.sum(axis=1)
    n = int(by_group.sum())
    usual = float(by_group @ usual_shares(reference.residuals, held)) / n
    return percent(float((found.rows @ beyond(held)).sum()) / n), percent(usual)


def _subject(comparison: Comparison, reference: TargetReference, found: Answer) -> str:
    if isinstance(found.part, str):
        return comparison.naming.subject(found.part)
    bounds = reference.scores.values_at(reference.residuals.bounds)
    low = f"from {bounds[found.part - 1]:.3g}" if found.part else ""
    high = f"below {bounds[found.part]:.3g}" if found.part < bounds.size else ""
    return f"rows predicted {' and '.join(filter(None, (low, high)))}"


def _rows(traces: Traces, _: SignalRecord) -> NDArray[np.float64]:
    """Name rows out of range, by how many more there are than usual."""
    reference, cells = TARGETS.of(traces.baseline), traces.joined(kept_cells)
    out = np.zeros(cells.size)
    if not isinstance(reference, TargetReference):
        return out
    own = reference.residuals.own.sum(axis=0)
    known = int((cells >= 0).sum())
    for held in RANGES:
        outer = np.flatnonzero(beyond(held))
        usual = known * float(own[outer].sum()) / float(own.sum())
        out = np.maximum(out, unexplained(np.isin(cells, outer), usual))
    return out


def _applies(baseline: Baseline) -> bool:
    label = baseline.layout.label
    return label is not None and label.binned


_NULL = {
    "TARGET_RANGE": "values lie out of the predicted range as often as on the baseline",
    "TARGET_SHIFT": "given the prediction, values stand as high as on the baseline",
}
RANGE = Signal(
    code="TARGET_RANGE",
    family=Family.LABEL,
    floor=0.005,
    moves=True,
    asks="values of a measured label out of the range that the features predict: over all rows, "
    "by contributor",
    demand="A measured label must lie where the features predict it as often as on the baseline.",
    needs=f"a label of numbers, a feature, {MIN_ROWS} values",
    min_rows=MIN_ROWS,
    labelled=True,
    expectation="ExpectTargetInPredictedRange",
    applies=_applies,
    sections=(TARGETS,),
    counters=(RESIDUALS,),
    findings=findings,
    keeps=(kept_cells,),
    rows=_rows,
)
SHIFT = Signal(
    code="TARGET_SHIFT",
    family=Family.LABEL,
    severity=Status.WARNED,
    escalates="values of one contributor moved",
    floor=0.02,
    moves=True,
    asks="values of a measured label moved against what the features predict: over all rows, by "
    "size, by contributor",
    demand="A measured label must stand where the features, a contributor's past and its peers "
    "predict it.",
    needs=f"a label of numbers, a feature, {MIN_ROWS} values",
    min_rows=MIN_ROWS,
    labelled=True,
    expectation="ExpectTargetToFollowFeatures",
    applies=_applies,
    sections=(TARGETS,),
    counters=(RESIDUALS,),
    findings=findings,
)
SIGNALS = (RANGE, SHIFT)

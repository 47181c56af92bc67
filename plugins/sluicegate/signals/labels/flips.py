"""LABEL_FLIPS: labels agree with what the trusted baseline says about such rows.

Null hypothesis: given its label, a row's margin under the reference model is distributed as
cross-fitted on the baseline; for a contributor, up to its own past and what the rest of the
batch moves. Minimum n: 50 labelled rows; contributors with fewer than 10 are not asked.
Corrected over all rows, classes and contributors that are asked. Labels that the model does not
know, and null, are left out. A row with a value that the baseline does not know is judged without
that column, or is silent (`unknown`); an accusation must hold without a column that moved as a
whole (`evidence`). Source: see `questions`.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from sluicegate.signals.columns.moved import explained
from sluicegate.signals.comparison import MIN_ROWS, Comparison
from sluicegate.signals.decision.finding import Candidate, Finding, accusing, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.definition import Signal
from sluicegate.signals.labels.flipped_rows import KEPT
from sluicegate.signals.labels.information import MOST, TELL_LITTLE, information_limit, tells
from sluicegate.signals.labels.questions import Asked, by_class, by_contributor, overall
from sluicegate.signals.model.evidence import evidence_of, heard, moved_columns, silenced
from sluicegate.signals.model.margin_count import MARGINS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.model.evidence import Evidence
    from sluicegate.signals.traces import Traces

CODE = "LABEL_FLIPS"
_CONTRIBUTOR = 2  # depth of the questions about one of them
_PEERS = 4  # contributors of whom none stands out; of fewer one could be most of the batch


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has a label with classes."""
    label, reference = comparison.baseline.layout.label, comparison.baseline.labels
    if label is None or not _applies(comparison.baseline):
        return []
    if reference is None:
        reason = comparison.missing(label.name) or comparison.baseline.unlabelled
        return [not_evaluated(SIGNAL, reason or "no model", column=label.name)]
    floor, judged = comparison.tolerance(SIGNAL, label.name), evidence_of(comparison)
    reason = comparison.missing(label.name) or silenced(comparison, floor)
    if not reason and judged.n_rows < MIN_ROWS:
        reason = comparison.few_labels(judged.n_rows)
    if reason:
        return [not_evaluated(SIGNAL, reason, column=label.name)]
    asked, unclear = _asked(comparison, judged, floor), []
    for i in moved_columns(comparison):
        spared = _asked(comparison, evidence_of(comparison, i), floor)
        if _unclear(asked, spared):
            unclear.append(reference.telling[i].column)
        else:
            asked = _weaker(asked, spared)
    candidates = _together(comparison, _doubted(comparison, asked, floor))
    candidates = explained(candidates, unclear) if unclear else candidates
    note, left_out = heard(comparison)
    limit = information_limit(reference, judged.n_rows, judged.error)
    if limit > MOST:
        little = f"{TELL_LITTLE} among {judged.n_rows} rows, unless most labels were flipped"
        note = f"{note}; {little}" if note else little
    return [
        Finding(
            signal=SIGNAL,
            column=label.name,
            null_hypothesis="given the label, margins are distributed as on the baseline",
            effect_unit="share of rows",
            n_baseline=int(judged.base[0].sum()),
            n_batch=judged.n_rows,
            candidates=candidates,
            note=note,
            evidence={
                "model_error": judged.error,
                "information_limit": limit,
                "contributors": _table(candidates),
                "budget": candidates[0].tolerance,
                "sequence": [asdict(excess) for _, excess in asked],
                **left_out,
            },
        )
    ]


def _together(comparison: Comparison, found: list[Candidate]) -> list[Candidate]:
    """Return the questions; of an old baseline what all contributors' labels did alike only warns.

    Whoever flips labels is one of several who deliver; a world that has moved moves everybody.
    """
    each = [c for c in found if c.depth == _CONTRIBUTOR]
    if not comparison.old or len(each) < _PEERS or accusing(each):
        return found
    most = max(c.effect for c in each)
    hint = (
        f"None of the {len(each)} contributors stands out, and the baseline is old: the world may "
        "have moved. Build a newer baseline, and have some of the rows labelled again."
    )
    return [
        replace(c, severity=Status.WARNED, hint=hint)
        if c.depth < _CONTRIBUTOR and 2.0 * most <= c.effect
        else c
        for c in found
    ]


def _asked(comparison: Comparison, judged: Evidence, floor: float) -> list[Asked]:
    if not judged.n_rows:
        return []
    asked = [
        overall(judged, floor),
        *by_class(comparison, judged, floor),
        *by_contributor(comparison, judged, floor),
    ]
    column = comparison.baseline.layout.label
    candidates = [candidate for candidate, _ in asked]
    expected = comparison.expecting(SIGNAL, column.name if column else "", candidates)
    return [(own, excess) for own, (_, excess) in zip(expected, asked, strict=True)]


def _unclear(asked: list[Asked], spared: list[Asked]) -> bool:
    """Return whether labels are accused, and a column that moved may or may not be why.

    It is why where the strongest accusation is refuted without the column. It is not where labels
    are accused without it too.
    """
    accused = [candidate for candidate, _ in asked]
    if not accusing(accused) or accusing([candidate for candidate, _ in spared]):
        return False
    strongest = max(accused, key=lambda c: c.bound - c.tolerance)
    others = [c for c, _ in spared if c.subject == strongest.subject]
    return not any(2.0 * c.effect - c.bound < strongest.bound for c in others)


def _doubted(comparison: Comparison, asked: list[Asked], floor: float) -> list[Candidate]:
    """Return the questions; of an accusation that rests on one column alone the hint says so.

    Flipped labels contradict each column that tells something, so the estimate is the same without
    any of them. Where it is not, that column may have broken instead, of one contributor perhaps,
    or the flips were chosen by it. Nobody can tell these apart.
    """
    found, reference = [candidate for candidate, _ in asked], comparison.baseline.labels
    if reference is None or not accusing(found):
        return found
    spared = [
        (
            column.column,
            {c.subject: c for c, _ in _asked(comparison, evidence_of(comparison, i), floor)},
        )
        for i, column in enumerate(reference.telling)
    ]
    return [_with_doubt(candidate, spared) for candidate in found]


def _with_doubt(own: Candidate, spared: list[tuple[str, dict[str, Candidate]]]) -> Candidate:
    others = [(others[own.subject], name) for name, others in spared if own.subject in others]
    if own.bound <= own.tolerance or not others:
        return own
    least, name = min(others, key=lambda item: (item[0].effect, item[1]))
    if least.effect > own.effect / 2.0 or 2.0 * least.effect - least.bound >= own.bound:
        return own
    hint = f"Look at column {name[:64]} first: the finding depends on it."
    return replace(own, hint=f"{hint} {own.hint}")


def _weaker(first: list[Asked], second: list[Asked]) -> list[Asked]:
    """Return of each accusation the form that claims less; what only one can ask stays."""
    others = {candidate.subject: (candidate, excess) for candidate, excess in second}
    return [
        _less(own, others[own[0].subject]) if own[0].subject in others else own for own in first
    ]


def _less(first: Asked, second: Asked) -> Asked:
    (a, _), (b, _) = first, second
    candidate, excess = first if a.bound - a.tolerance <= b.bound - b.tolerance else second
    return replace(candidate, p_value=max(a.p_value, b.p_value)), excess


def _table(candidates: list[Candidate]) -> list[dict[str, object]]:
    worst = sorted(candidates, key=lambda c: (c.p_value, -c.effect))[:10]
    return [
        {"subject": c.subject, "effect": c.effect, "bound": c.bound, "p_value": c.p_value}
        for c in worst
        if c.subject
    ]


def _applies(baseline: Baseline) -> bool:
    label, reference = baseline.layout.label, baseline.labels
    told = reference is None or tells(reference)
    return label is not None and label.listed and told


def _rows(traces: Traces, _: SignalRecord) -> NDArray[np.float64]:
    """Name rows by the label model's ranking, which knows already that this fired."""
    return traces.ranking


SIGNAL = Signal(
    code=CODE,
    family=Family.LABEL,
    floor=0.005,
    moves=True,
    asks="labels contradict the baseline's model: over all rows, by class, by contributor",
    demand="Labels must agree with what the baseline says of rows like these.",
    needs=f"{MIN_ROWS} labels, two classes with 20 rows",
    min_rows=MIN_ROWS,
    labelled=True,
    expectation="ExpectLabelsToAgreeWithBaseline",
    applies=_applies,
    counters=(MARGINS,),
    findings=findings,
    keeps=KEPT,
    rows=_rows,
)

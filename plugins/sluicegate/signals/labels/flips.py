"""LABEL_FLIPS: labels agree with what the trusted baseline says about such rows.

Null hypothesis: given its label, a row's margin under the reference model is distributed as
cross-fitted on the baseline; for a contributor, up to its own past and what the rest of the
batch moves. Minimum n: 50 labelled rows; contributors with fewer than 10 are not asked.
Corrected over all rows, classes and contributors that are asked. Labels that the model does not
know, and null, are left out. Source: see `margins` (estimate), `contrast` (contributors),
`tails.mean_excess_p` (p-value).
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.comparison import MIN_ROWS, Comparison
from sluicegate.signals.contributors.contrast import contrasts
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import mean_excess_p, tail_p
from sluicegate.signals.definition import Signal
from sluicegate.signals.labels.excess import Excess
from sluicegate.signals.labels.flipped_rows import KEPT
from sluicegate.signals.labels.information import MOST, TELL_LITTLE, information_limit, tells
from sluicegate.signals.labels.margin_count import MARGINS

if TYPE_CHECKING:
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.labels.reference import LabelReference
    from sluicegate.signals.traces import Traces

CODE = "LABEL_FLIPS"
_MIN_CONTRIBUTOR_ROWS = 10
_Z95 = 1.645
_BOUND_ERRORS = 4.0  # a prediction bound of a few blocks is three to four errors wide
Floats = NDArray[np.float64]
Asked = tuple[Candidate, Excess]
"""A question about this batch, and what it adds to the sequence of batches."""


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has a label with classes."""
    label = comparison.baseline.layout.label
    reference = comparison.baseline.labels
    if label is None or not _applies(comparison.baseline):
        return []
    margins = MARGINS.of(comparison)
    reason = comparison.missing(label.name) or margins.reason
    if reference is None:
        reason = comparison.baseline.unlabelled
    counts = margins.usable
    if reference is None or counts is None or reason:
        return [not_evaluated(SIGNAL, reason or "no model", column=label.name)]
    batch = np.sum([np.zeros_like(reference.scale.own), *counts.values()], axis=0)
    n, m = int(batch.sum()), int(reference.scale.own.sum())
    limit = information_limit(reference, n)
    if n < MIN_ROWS:
        reason = f"{n} labelled rows of modelled classes, at least {MIN_ROWS} needed"
    elif limit > MOST:
        reason = f"{TELL_LITTLE} among {n} rows"
    if reason:
        return [not_evaluated(SIGNAL, reason, column=label.name)]
    floor = comparison.tolerance(SIGNAL, label.name)
    asked = [_overall(reference, batch, floor)]
    asked += _by_class(comparison, reference, batch, floor)
    asked += _by_contributor(comparison, reference, floor)
    candidates = [candidate for candidate, _ in asked]
    excesses = [excess for _, excess in asked]
    return [
        Finding(
            signal=SIGNAL,
            column=label.name,
            null_hypothesis="given the label, margins are distributed as on the baseline",
            effect_unit="share of rows",
            n_baseline=m,
            n_batch=n,
            candidates=candidates,
            evidence={
                "model_error": reference.error,
                "information_limit": limit,
                "contributors": _table(candidates),
                "budget": candidates[0].tolerance,
                "sequence": [asdict(e) for e in excesses],
            },
        )
    ]


def _variances(reference: LabelReference) -> Floats:
    f, _ = reference.scale.densities()
    u = reference.scale.flip_scores()
    variance: Floats = (f * u**2).sum(axis=1)
    return variance


def _overall(reference: LabelReference, batch: NDArray[np.int64], floor: float) -> Asked:
    u, (f, _) = reference.scale.flip_scores(), reference.scale.densities()
    by_class, base = batch.sum(axis=1), reference.scale.own.sum(axis=1)
    n = by_class.sum()
    weight = by_class / n
    variance = _variances(reference)
    effect = float((batch * u).sum() / n)
    own = float((weight**2 * variance / np.maximum(by_class, 1)).sum())
    shared = float((weight**2 * variance / base).sum())
    squared = own + shared
    # Chance includes that a model, or a month, is off by itself.
    effective = float(weight @ variance) / (squared + reference.moves[0])
    p = mean_excess_p(u.ravel(), (f * weight[:, None]).ravel(), effective, effect)
    excess = _excess("", 0, effect, own, shared, moves=reference.moves[0], p_value=p)
    return Candidate(
        effect=effect,
        bound=effect - _Z95 * math.sqrt(squared),
        tolerance=max(floor, reference.budget),
        p_value=p,
        text=f"about {percent(max(effect, 0.0))} of labels contradict the baseline's model "
        "beyond its usual error",
        hint="Have the listed rows labelled again before training.",
    ), excess


def _excess(
    subject: str,
    level: int,
    effect: float,
    own: float,
    shared: float,
    *,
    moves: float,
    p_value: float,
) -> Excess:
    """A season lasts longer than one batch, so its movement counts as shared and as own."""
    errors = math.sqrt(own + moves), math.sqrt(shared + moves)
    return Excess(subject, level, effect, *errors, p_value)


def _by_class(
    comparison: Comparison, reference: LabelReference, batch: NDArray[np.int64], floor: float
) -> list[Asked]:
    label = comparison.baseline.layout.label
    u, (f, _) = reference.scale.flip_scores(), reference.scale.densities()
    variance, n = _variances(reference), int(batch.sum())
    out = []
    for y, slot in enumerate(reference.model.classes):
        rows, base = int(batch[y].sum()), int(reference.scale.own[y].sum())
        if rows < _MIN_CONTRIBUTOR_ROWS:
            continue
        share, weight = float(batch[y] @ u[y]) / rows, rows / n
        error = math.sqrt(variance[y] * (1 / rows + 1 / base))
        name = label.categories[slot] if label else ""
        p = mean_excess_p(u[y], f[y], variance[y] / (error**2 + reference.moves[y + 1]), share)
        scale = weight**2
        excess = _excess(
            f"label {name[:64]}",
            1,
            share * weight,
            scale * variance[y] / rows,
            scale * variance[y] / base,
            moves=scale * reference.moves[y + 1],
            p_value=p,
        )
        out.append(
            (
                Candidate(
                    subject=excess.subject,
                    depth=1,
                    effect=share * weight,
                    bound=(share - _Z95 * error) * weight,
                    tolerance=max(floor, reference.class_budgets[y] * weight),
                    p_value=p,
                    text=f"about {percent(max(share, 0.0))} of its rows belong to another class, "
                    f"{percent(max(share, 0.0) * weight)} of the batch",
                    hint="Have the listed rows labelled again before training.",
                ),
                excess,
            )
        )
    return out


def _by_contributor(comparison: Comparison, reference: LabelReference, floor: float) -> list[Asked]:
    counts = MARGINS.of(comparison).usable or {}
    names = sorted(k for k in counts if k is not None and counts[k].sum() > 0)
    if len(names) < 2:
        return []
    u, (f, _) = reference.scale.flip_scores(), reference.scale.densities()
    batch = np.stack([counts[k] for k in names])
    zero = np.zeros_like(reference.scale.own)
    base = np.stack([reference.scale.contributors.get(k, zero) for k in names])
    rows = batch.sum(axis=(1, 2)).astype(np.float64)
    mix = batch.sum(axis=2) / rows[:, None]
    variance = mix @ _variances(reference)
    found = contrasts(
        rows,
        (batch * u).sum(axis=(1, 2)),
        n_base=base.sum(axis=(1, 2)).astype(np.float64),
        total_base=(base * u).sum(axis=(1, 2)),
        variance=variance,
        between=reference.spread.between,
    )
    out = []
    for i in np.flatnonzero(rows >= _MIN_CONTRIBUTOR_ROWS):
        excess, error, weight = found[i].excess, found[i].error, rows[i] / rows.sum()
        bound = (excess - _Z95 * error) * weight
        tolerance = max(floor, reference.spread.within * weight)
        before = _contradictions(reference, base[i]) if base[i].sum() else None
        usual = f" (baseline {percent(before)})" if before is not None else " (new contributor)"
        p = tail_p(u.ravel(), (f * mix[i][:, None]).ravel(), variance[i] / error**2, excess)
        kappa = variance[i] / max(reference.spread.between, 1e-12)
        shared = variance[i] / (float(base[i].sum()) + kappa)
        added = _excess(
            comparison.naming.subject(names[i]),
            2,
            excess * weight,
            weight**2 * (error**2 - shared),
            weight**2 * shared,
            moves=(weight * reference.spread.within / _BOUND_ERRORS) ** 2,
            p_value=p,
        )
        out.append(
            (
                Candidate(
                    subject=added.subject,
                    depth=2,
                    effect=excess * weight,
                    bound=bound,
                    tolerance=tolerance,
                    p_value=p,
                    text=f"{percent(_contradictions(reference, batch[i]))} of labels contradict "
                    f"the baseline's model{usual}: about {percent(max(excess, 0.0) * weight)} of "
                    "the batch flipped",
                    hint=f"Review {added.subject} or exclude its rows.",
                ),
                added,
            )
        )
    return out


def _contradictions(reference: LabelReference, table: NDArray[np.int64]) -> float:
    """Share of rows in bins where flipped rows are likelier than clean ones."""
    f, g = reference.scale.densities()
    return float(table[g > f].sum() / max(int(table.sum()), 1))


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


def _rows(traces: Traces, _: SignalRecord) -> Floats:
    """Name rows by the label model's ranking, which knows already that this fired."""
    return traces.ranking


SIGNAL = Signal(
    code=CODE,
    family=Family.LABEL,
    floor=0.005,
    asks="labels contradict the baseline's model: over all rows, by class, by contributor",
    demand="Labels must agree with what the baseline says of rows like these.",
    needs=f"{MIN_ROWS} labels, two classes with 20 rows",
    min_rows=MIN_ROWS,
    expectation="ExpectLabelsToAgreeWithBaseline",
    applies=_applies,
    counters=(MARGINS,),
    findings=findings,
    keeps=KEPT,
    rows=_rows,
)

"""CONTRIBUTOR_LABEL_SKEW: no contributor's class shares leave its own past and its peers.

Null hypothesis: a contributor's share of each class equals what its rows' features (by the
reference model, if there is one), its past, and the movement of everyone else predict. Minimum n:
50 rows; contributors with fewer than 5 rows are not asked. Corrected over contributors and classes
that are asked. Rows without a label or contributor are left out.
Source: see `contrast`; tail by `tails.mean_excess_p`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.contributors.contrast import (
    BOUND_ERRORS,
    Spread,
    contrasts,
    learn_share_spread,
    share_contrasts,
)
from sluicegate.signals.contributors.shares import block_shares
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import tail_p
from sluicegate.signals.definition import Signal
from sluicegate.signals.model.clean_spread import UNIT
from sluicegate.signals.model.evidence import evidence_of, heard, moved_columns
from sluicegate.signals.model.margin_count import MARGINS

if TYPE_CHECKING:
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.contributors.contrast import Contrast
    from sluicegate.signals.learning import Split
    from sluicegate.signals.model.evidence import Evidence

CODE = "CONTRIBUTOR_LABEL_SKEW"
_MIN_ROWS = 5
Floats = NDArray[np.float64]


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has both label and contributor."""
    layout = comparison.baseline.layout
    column, label = layout.schema.contributor, layout.label
    if (
        column is None
        or label is None
        or not label.listed
        or not comparison.baseline.profile.contributors
    ):
        return []
    reason = comparison.missing(column) or comparison.missing(label.name)
    candidates = [] if reason else _candidates(comparison, column)
    if not reason and not candidates:
        alone = sum(name is not None for name in comparison.profile.contributors) == 1
        candidates = [_without_peers(comparison, column)] if alone else []
        reason = "" if alone else f"no contributor with at least {_MIN_ROWS} labelled rows"
    if reason:
        return [not_evaluated(SIGNAL, reason, column=column)]
    note, left_out = ("", {}) if comparison.baseline.labels is None else heard(comparison)
    return [
        Finding(
            signal=SIGNAL,
            column=column,
            null_hypothesis="each contributor's class shares follow its past and its peers",
            effect_unit="share of rows",
            n_baseline=comparison.baseline.n_rows,
            n_batch=comparison.profile.n_rows,
            candidates=candidates,
            note=note,
            evidence={"contributors": len(comparison.profile.contributors), **left_out},
        )
    ]


def _without_peers(comparison: Comparison, column: str) -> Candidate:
    return Candidate(
        effect=0.0,
        bound=0.0,
        tolerance=comparison.tolerance(SIGNAL, column),
        p_value=1.0,
        text="all rows come from one contributor; LABEL_FLIPS and LABEL_PRIOR judge its labels",
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """Rows by contributor and class, batch and baseline, int as float64, shape (k, classes)."""

    names: list[str]
    now: Floats
    past: Floats
    share: Floats


def _sums(comparison: Comparison) -> _Sums | None:
    base, batch = comparison.baseline.profile.contributors, comparison.profile.contributors
    known = comparison.baseline.layout.n_slots - 2
    names = [k for k in sorted(x for x in batch if x is not None) if batch[k][:known].sum()]
    slots = np.sum([row[:known] for row in base.values()], axis=0, dtype=np.float64)
    if not names or not slots.sum():
        return None
    zero = np.zeros(known)
    now = np.array([batch[k][:known] for k in names], dtype=np.float64)
    past = np.array([base[k][:known] if k in base else zero for k in names], dtype=np.float64)
    return _Sums(names, now, past, slots / slots.sum())


def _candidates(comparison: Comparison, column: str) -> list[Candidate]:
    if comparison.baseline.labels is not None and evidence_of(comparison).n_rows:
        found = _explained(comparison, column, evidence_of(comparison))
        for i in moved_columns(comparison):
            found = _weaker(found, _explained(comparison, column, evidence_of(comparison, i)))
        return [candidate for _, candidate in found]
    sums = _sums(comparison)
    if sums is None:
        return []
    classes = np.flatnonzero((sums.share > 0) & (sums.share < 1))
    return [c for y in classes for c in _of_class(comparison, column, sums, int(y))]


def _weaker(
    first: list[tuple[int, Candidate]], second: list[tuple[int, Candidate]]
) -> list[tuple[int, Candidate]]:
    """Return of each accusation the form that claims less; what only one can ask stays."""
    others = {(y, c.subject): c for y, c in second}
    out = []
    for y, own in first:
        other = others.get((y, own.subject), own)
        less = min(own, other, key=lambda c: c.bound - c.tolerance)
        out.append((y, replace(less, p_value=max(own.p_value, other.p_value))))
    return out


def _of_class(comparison: Comparison, column: str, sums: _Sums, y: int) -> list[Candidate]:
    share, rows, old = float(sums.share[y]), sums.now.sum(axis=1), sums.past.sum(axis=1)
    found = share_contrasts(
        rows,
        sums.now[:, y],
        n_base=old,
        hits_base=sums.past[:, y],
        share=share,
        between=comparison.learned(f"{CODE}.between.{y}:{column}"),
    )
    usual = Spread(0.0, comparison.learned(f"{CODE}.within.{y}:{column}"))
    within = [usual.of(name, one.rest_shift) for name, one in zip(sums.names, found, strict=True)]
    return _asked(comparison, column, sums, y, found=found, within=np.array(within))


def _explained(
    comparison: Comparison, column: str, judged: Evidence
) -> list[tuple[int, Candidate]]:
    """With a model: rows of a class beyond what the contributor's own features predict."""
    names = [k for k in sorted(x for x in judged.rows if x is not None) if judged.rows[k].sum()]
    if not names:
        return []
    k, calibrations = judged.total.shape[1], judged.calibrations
    tables = np.stack([judged.rows[n] for n in names]).sum(axis=3)
    now = tables.sum(axis=1).astype(np.float64)
    view = tables.sum(axis=2) / now.sum(axis=1, keepdims=True)
    past = judged.past(names)[:, 0].sum(axis=2).astype(np.float64)
    expected = np.stack([judged.predicted[n] for n in names]).sum(axis=1) / UNIT
    zero = np.zeros(k)
    by_view = np.array([[c.predicted.get(n, zero) for c in calibrations] for n in names]) / UNIT
    before = (by_view * view[:, :, None]).sum(axis=1)
    total = past.sum(axis=0) + 1.0
    sums = _Sums(names, now, past, total / total.sum())
    out = []
    for y in range(k):
        found = contrasts(
            now.sum(axis=1),
            now[:, y] - expected[:, y],
            n_base=past.sum(axis=1),
            total_base=past[:, y] - before[:, y],
            variance=view @ np.array([c.skew_variance[y] for c in calibrations]),
            between=view @ np.array([c.habits.skew[y].between for c in calibrations]),
        )
        spreads = [
            [c.habits.skew[y].of(name, one.rest_shift) for c in calibrations]
            for name, one in zip(names, found, strict=True)
        ]
        within = (view * np.array(spreads)).sum(axis=1)
        asked = _asked(comparison, column, sums, y, found=found, within=within)
        out += [(y, candidate) for candidate in asked]
    return out


def _asked(
    comparison: Comparison,
    column: str,
    sums: _Sums,
    y: int,
    *,
    found: list[Contrast],
    within: Floats,
) -> list[Candidate]:
    share, rows, old = float(sums.share[y]), sums.now.sum(axis=1), sums.past.sum(axis=1)
    floor = comparison.tolerance(SIGNAL, column)
    out = []
    # Who delivers all rows has no peers: the movement of the batch and his own are one.
    for i in np.flatnonzero((rows >= _MIN_ROWS) & (rows < rows.sum())):
        excess, error, weight = found[i].excess, found[i].error, float(rows[i] / rows.sum())
        usual = float(within[i])
        bound, tolerance = (excess - 1.645 * error) * weight, max(floor, usual * weight)
        expected = sums.past[i, y] / old[i] if old[i] else share
        subject = comparison.naming.subject(sums.names[i])
        out.append(
            Candidate(
                subject=subject,
                effect=excess * weight,
                bound=bound,
                tolerance=tolerance,
                p_value=_p_value(share, excess, math.hypot(error, usual / BOUND_ERRORS)),
                text=f"{percent(sums.now[i, y] / rows[i])} of its labels are "
                f"{_class_name(comparison, y)} (baseline {percent(expected)}): "
                f"{percent(excess * weight)} of the batch more than its past and others explain",
                hint=f"Review {subject} or exclude its rows.",
            )
        )
    return out


def _p_value(share: float, excess: float, error: float) -> float:
    support, weights = np.array([-share, 1.0 - share]), np.array([1.0 - share, share])
    return tail_p(support, weights, share * (1 - share) / error**2, excess)


def _class_name(comparison: Comparison, slot: int) -> str:
    label, reference = comparison.baseline.layout.label, comparison.baseline.labels
    if reference is not None and evidence_of(comparison).n_rows:
        slot = reference.model.classes[slot]
    if label is not None and label.n_cells == comparison.baseline.layout.n_slots:
        return label.categories[slot][:64]
    return f"class group {slot}"


def _habits(split: Split) -> dict[str, float]:
    """Learn how contributors' shares of each class differ, and how they move between blocks."""
    learning, shares = split.learning, split.once(block_shares)
    label = learning.layout.label
    if shares is None or label is None or not label.listed:
        return {}
    learned = {}
    for slot in range(learning.layout.n_slots - 2):
        hit = (learning.encoded.slot[shares.known] == slot).astype(np.float64)
        p = float(hit.mean()) if hit.size else 0.0
        if 0.0 < p < 1.0:
            spread = learn_share_spread(
                shares.rows, shares.counted(hit), p, complete=split.complete
            )
            learned[f"{CODE}.between.{slot}:{shares.column}"] = spread.between
            learned[f"{CODE}.within.{slot}:{shares.column}"] = spread.within
    return learned


def _applies(baseline: Baseline) -> bool:
    named = baseline.schema.contributor is not None and bool(baseline.profile.contributors)
    label = baseline.layout.label
    return named and label is not None and label.listed


SIGNAL = Signal(
    code=CODE,
    family=Family.CONTAMINATION,
    floor=0.005,
    moves=True,
    asks="one contributor's labels leave what its features, its past and its peers predict",
    demand="No contributor's labels may disagree with the baseline beyond tolerance.",
    needs="classes and contributor",
    min_rows=MIN_ROWS,
    labelled=True,
    expectation="ExpectContributorLabelsWithinTolerance",
    applies=_applies,
    counters=(MARGINS,),
    habits=_habits,
    findings=findings,
)

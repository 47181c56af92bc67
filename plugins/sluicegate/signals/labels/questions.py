"""Questions to the rows that testify: how many labels are flipped, of all, a class, a contributor?

Source: see `margins` (estimate), `contrast` (contributors), `tails.mean_excess_p` (p-value).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.contributors.contrast import BOUND_ERRORS, contrasts
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate
from sluicegate.signals.decision.tails import mean_excess_p, tail_p
from sluicegate.signals.labels.excess import Excess

if TYPE_CHECKING:
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.model.evidence import Evidence

Floats = NDArray[np.float64]
Asked = tuple[Candidate, Excess]
"""A question about this batch, and what it adds to the sequence of batches."""
_MIN_ROWS = 10
_Z95 = 1.645


def overall(judged: Evidence, floor: float) -> Asked:
    """Return the question about all rows.

    Args:
        judged: Rows that testify, at least one.
        floor: Share of flips that is tolerated, in [0, 1].
    """
    estimate = _estimate(judged, judged.total)
    shared = sum(
        judged.mixed(judged.variance[:, y] / judged.base[:, y], estimate.weight[:, y])
        for y in range(estimate.weight.shape[1])
    )
    by_view = estimate.weight.sum(axis=1)
    moves = judged.mixed(np.array([c.habits.moves[0] for c in judged.calibrations]), by_view)
    squared = estimate.own + shared
    # Chance includes that a model, or a month, is off by itself.
    p = _chance(judged, estimate, squared + moves)
    budget = float(by_view @ [c.habits.budgets[0] for c in judged.calibrations])
    effect = estimate.effect
    return Candidate(
        effect=effect,
        bound=effect - _Z95 * math.sqrt(squared),
        tolerance=max(floor, budget),
        p_value=p,
        text=f"about {percent(max(effect, 0.0))} of labels contradict the baseline's model "
        "beyond its usual error",
        hint="Have the rows that `check --rows` names labelled again before training.",
    ), _excess("", 0, effect, estimate.own, shared, moves=moves, p_value=p)


@dataclass(frozen=True, slots=True)
class _Estimate:
    """The share of flips among some rows.

    Attributes:
        effect: The estimate.
        own: Its variance from these rows alone.
        rows: Share of the rows by view and class, float64, shape (n_views, n_classes).
        weight: The same of what they count.
        scale: What a row counts, on average.
    """

    effect: float
    own: float
    rows: Floats
    weight: Floats
    scale: float


def _estimate(judged: Evidence, table: NDArray[np.int64]) -> _Estimate:
    """Estimate from rows by view, class and margin bin, at least one."""
    counts = table.sum(axis=2)
    n, counted = int(counts.sum()), counts * judged.trust
    total = float(counted.sum())
    return _Estimate(
        effect=float(((table * judged.scores).sum(axis=2) * judged.trust).sum()) / total,
        own=float((counts * judged.trust**2 * judged.variance).sum()) / total**2,
        rows=counts / n,
        weight=counted / total,
        scale=total / n,
    )


def _chance(judged: Evidence, estimate: _Estimate, squared: float) -> float:
    """Return the p-value of an estimate whose variance under the null is ``squared``."""
    variance = float((estimate.rows * judged.trust**2 * judged.variance).sum())
    return mean_excess_p(
        (judged.scores * judged.trust[:, :, None]).ravel(),
        (judged.density * estimate.rows[:, :, None]).ravel(),
        variance / (estimate.scale**2 * squared),
        estimate.effect * estimate.scale,
    )


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


def by_class(comparison: Comparison, judged: Evidence, floor: float) -> list[Asked]:
    """Return the question about each class with at least 10 rows.

    Args:
        comparison: The batch beside its baseline.
        judged: Rows that testify.
        floor: Share of flips that is tolerated, in [0, 1].
    """
    label, reference = comparison.baseline.layout.label, comparison.baseline.labels
    classes = () if reference is None else reference.model.classes
    out = []
    for y, slot in enumerate(classes):
        table = np.zeros_like(judged.total)
        table[:, y] = judged.total[:, y]
        rows = int(table.sum())
        if rows < _MIN_ROWS:
            continue
        estimate, weight = _estimate(judged, table), rows / judged.n_rows
        share, own, view = estimate.effect, estimate.own, estimate.weight[:, y]
        shared = judged.mixed(judged.variance[:, y] / judged.base[:, y], view)
        moves = judged.mixed(np.array([c.habits.moves[y + 1] for c in judged.calibrations]), view)
        name = label.categories[slot] if label and label.listed else f"slice {slot}"
        p = _chance(judged, estimate, own + shared + moves)
        scale = weight**2
        excess = _excess(
            f"label {name[:64]}",
            1,
            share * weight,
            scale * own,
            scale * shared,
            moves=scale * moves,
            p_value=p,
        )
        budget = float(view @ [c.habits.budgets[y + 1] for c in judged.calibrations])
        out.append(
            (
                Candidate(
                    subject=excess.subject,
                    depth=1,
                    effect=share * weight,
                    bound=(share - _Z95 * math.sqrt(own + shared)) * weight,
                    tolerance=max(floor, budget * weight),
                    p_value=p,
                    text=f"about {percent(max(share, 0.0))} of its rows look mislabelled, "
                    f"{percent(max(share, 0.0) * weight)} of the batch",
                    hint="Have the rows that `check --rows` names labelled again before training.",
                ),
                excess,
            )
        )
    return out


def by_contributor(comparison: Comparison, judged: Evidence, floor: float) -> list[Asked]:
    """Return the question about each contributor with at least 10 rows, if there are two.

    Args:
        comparison: The batch beside its baseline.
        judged: Rows that testify.
        floor: Share of flips that is tolerated, in [0, 1].
    """
    names = sorted(k for k, table in judged.rows.items() if k is not None and table.sum() > 0)
    if len(names) < 2:
        return []
    batch, base = np.stack([judged.rows[k] for k in names]), judged.past(names)
    calibrations, counts = judged.calibrations, batch.sum(axis=3)
    rows = counts.sum(axis=(1, 2)).astype(np.float64)
    mix = counts / rows[:, None, None]
    counted = (counts * judged.trust).sum(axis=(1, 2))
    view = (counts * judged.trust).sum(axis=2) / counted[:, None]
    # Of one counted row, so that a sum of n rows has n times as much.
    variance = (counts * judged.trust**2 * judged.variance).sum(axis=(1, 2)) / counted
    n_base = base[:, 0].sum(axis=(1, 2)).astype(np.float64)
    between = view @ [c.habits.spread.between for c in calibrations]
    found = contrasts(
        counted,
        ((batch * judged.scores).sum(axis=3) * judged.trust).sum(axis=(1, 2)),
        n_base=n_base,
        # The past of a contributor is what each view made of it.
        total_base=(view * (base * judged.scores).sum(axis=(2, 3))).sum(axis=1),
        variance=variance,
        between=between,
    )
    out = []
    for i in np.flatnonzero(rows >= _MIN_ROWS):
        excess, weight = found[i].excess, rows[i] / rows.sum()
        # Where a world moved the labels of all others too, chance decides how many of its own did.
        everybody = min(max(found[i].rest_shift, 0.0), 1.0) if comparison.old else 0.0
        error = math.sqrt(found[i].error ** 2 + everybody * (1.0 - everybody) / counted[i])
        bound = (excess - _Z95 * error) * weight
        spreads = [c.habits.spread.of(names[i], found[i].rest_shift) for c in calibrations]
        within = float(view[i] @ spreads)
        moves, tolerance = within / BOUND_ERRORS, max(floor, float(within * weight))
        before = _contradictions(judged, base[i] * view[i][:, None, None]) if n_base[i] else None
        usual = f" (baseline {percent(before)})" if before is not None else " (new contributor)"
        scale = counted[i] / rows[i]
        p = tail_p(
            (judged.scores * judged.trust[:, :, None]).ravel(),
            (judged.density * mix[i][:, :, None]).ravel(),
            variance[i] / (scale * (error**2 + moves**2)),
            excess * scale,
        )
        kappa = variance[i] / max(float(between[i]), 1e-12)
        shared = variance[i] / (n_base[i] + kappa)
        added = _excess(
            comparison.naming.subject(names[i]),
            2,
            excess * weight,
            weight**2 * (error**2 - shared),
            weight**2 * shared,
            moves=(weight * moves) ** 2,
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
                    text=f"{percent(_contradictions(judged, batch[i]))} of labels contradict "
                    f"the baseline's model{usual}: about {percent(max(excess, 0.0) * weight)} of "
                    "the batch flipped",
                    hint=f"Review {added.subject} or exclude its rows.",
                ),
                added,
            )
        )
    return out


def _contradictions(judged: Evidence, table: NDArray[np.int64] | Floats) -> float:
    """Share of rows in bins where flipped rows are likelier than clean ones."""
    return float(table[judged.surprising].sum() / max(float(table.sum()), 1.0))

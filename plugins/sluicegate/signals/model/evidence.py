"""What a batch's rows say about labels, each in the view in which it can be judged.

A view is the reference model with all columns, or without one (`testimony`). Each view has its own
calibration, so rows of several views add up like rows of several classes: `strata` are the pairs
of view and class. A column that moved as a whole is another matter: its values are known ones, but
nobody can tell whether they mean what they meant. An accusation then must hold without it too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.columns import completeness
from sluicegate.signals.columns.drift import unit_of
from sluicegate.signals.columns.moved import MOVED, moved
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.tails import SURE_ERRORS, binomial_lower
from sluicegate.signals.model.margin_count import MARGINS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.profiling.columns import Column
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.model.calibration import Calibration

SILENT: Final = "LABEL_FLIPS.silent:"
"""Key of the share of labels that later rows of a baseline leave unjudged by earlier ones."""
_LEAST = 0.1
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """Rows that are judged together, by view.

    Attributes:
        calibrations: Of each view.
        rows: For each contributor rows by view, class and margin bin, int64, shape (n_views,
            n_classes, N_BINS); the key None holds rows without a contributor.
        predicted: For each contributor the expected rows of each class, in 1/65536 row, int64,
            shape (n_views, n_classes).
    """

    calibrations: tuple[Calibration, ...]
    rows: Mapping[str | None, Counts]
    predicted: Mapping[str | None, Counts]

    @cached_property
    def total(self) -> Counts:
        """Rows of all contributors, int64, shape (n_views, n_classes, N_BINS)."""
        shape = (len(self.calibrations), *self.calibrations[0].scale.own.shape)
        total: Counts = np.sum([np.zeros(shape, dtype=np.int64), *self.rows.values()], axis=0)
        return total

    @cached_property
    def scores(self) -> Floats:
        """Flip scores u, float64, shape (n_views, n_classes, N_BINS)."""
        return np.stack([c.scale.flip_scores() for c in self.calibrations])

    @cached_property
    def density(self) -> Floats:
        """Margins of clean rows, float64, shape (n_views, n_classes, N_BINS), bins sum to 1."""
        return np.stack([c.scale.densities()[0] for c in self.calibrations])

    @cached_property
    def variance(self) -> Floats:
        """Variance of a clean row's score, float64, shape (n_views, n_classes)."""
        variance: Floats = (self.density * self.scores**2).sum(axis=2)
        return variance

    @cached_property
    def base(self) -> Counts:
        """Baseline rows behind each calibration, int64, shape (n_views, n_classes)."""
        return np.stack([c.scale.own.sum(axis=1) for c in self.calibrations])

    @cached_property
    def trust(self) -> Floats:
        """How much a row counts beside one with all columns, float64, shape (n_views, 1).

        A view that hardly tells flipped rows from clean ones has scores of a huge variance, and
        few such rows would drown all others: whoever flips labels would take a column from them.
        Weights by the inverse of the variance are the efficient ones (Aitken 1935). Inside a view
        all rows count the same, as they did when its calibration was learned.
        """
        share = self.base[0] / self.base[0].sum()
        variance = np.maximum(self.variance @ share, 1e-300)
        trust: Floats = np.minimum(1.0, variance[0] / variance)[:, None]
        return trust

    @cached_property
    def mute(self) -> int:
        """Rows that testify so vaguely that nobody would notice if all their labels were wrong.

        The views that tell least are taken together as long as that holds of them.
        """
        counts, mute = self.total.sum(axis=2), 0
        information = (counts / np.maximum(self.variance, 1e-300)).sum(axis=1)
        heard = 0.0
        for view in np.argsort(information / np.maximum(counts.sum(axis=1), 1), kind="stable"):
            heard += float(information[view])
            if math.sqrt(heard) > SURE_ERRORS:
                break
            mute += int(counts[view].sum())
        return mute

    @cached_property
    def weight(self) -> Floats:
        """Share of the judged rows in each view, float64, shape (n_views,)."""
        by_view = self.total.sum(axis=(1, 2))
        weight: Floats = by_view / max(int(by_view.sum()), 1)
        return weight

    @cached_property
    def surprising(self) -> NDArray[np.bool_]:
        """Bins where flipped rows are likelier than clean ones, bool, shape of ``scores``."""
        both = [c.scale.densities() for c in self.calibrations]
        return np.stack([flipped > own for own, flipped in both])

    def past(self, names: Sequence[str]) -> Counts:
        """Return baseline rows, int64, shape (len(names), n_views, n_classes, N_BINS).

        Args:
            names: Contributors; those that the baseline does not know have no rows.
        """
        zero = np.zeros_like(self.calibrations[0].scale.own)
        return np.array(
            [[c.scale.contributors.get(k, zero) for c in self.calibrations] for k in names]
        )

    @property
    def n_rows(self) -> int:
        """Rows that are judged."""
        return int(self.total.sum())

    @property
    def error(self) -> float:
        """How often the model is wrong about such rows."""
        return float(self.weight @ [c.error for c in self.calibrations])

    def mixed(self, values: Floats, weight: Floats) -> float:
        """Return the variance of a weighted sum of what the baseline measured in each view.

        All views rest on the same rows of the baseline, so their errors do not cancel.

        Args:
            values: Variances, float64, shape (n_views,).
            weight: Weights of the views, float64, same shape.
        """
        return float((weight * np.sqrt(values)).sum()) ** 2


def evidence_of(comparison: Comparison, spared: int | None = None) -> Evidence:
    """Return the rows of a batch that can testify.

    Args:
        comparison: The batch beside a baseline that has a label model.
        spared: Telling column without which all rows are judged; None for each row's own view, or
            for all rows that of the one column that broke.
    """
    reference, counted = comparison.labels, MARGINS.of(comparison)
    assert reference is not None  # noqa: S101 - callers hold the model
    spared = _broken(comparison) if spared is None else spared
    if spared is None:
        return Evidence(reference.calibrations, counted.rows, counted.predicted)
    return Evidence(
        reference.calibrations,
        _without(counted.rows, counted.spared, spared),
        _without(counted.predicted, counted.spared_predicted, spared),
    )


def _without(
    own: Mapping[str | None, Counts], known: Mapping[str | None, Counts], spared: int
) -> dict[str | None, Counts]:
    """Rows that lack at most the spared column, all judged without it."""
    out = {}
    for name, table in own.items():
        out[name] = np.zeros_like(table)
        out[name][1 + spared] = table[1 + spared] + known[name][spared]
    return out


def _broken(comparison: Comparison) -> int | None:
    """Return the one telling column whose unknown values are so many that it broke, if any."""
    counted = MARGINS.of(comparison)
    n = counted.silent + sum(int(table.sum()) for table in counted.rows.values())
    broken = [i for i, rows in counted.strange.items() if rows > MOVED * n]
    reference = comparison.baseline.labels
    judged = reference is not None and reference.spared is not None
    return broken[0] if judged and len(broken) == 1 else None


def moved_columns(comparison: Comparison) -> tuple[int, ...]:
    """Return which telling columns moved as a whole, or seem to be in another unit.

    One that broke, so that no row is judged by it, is not among them. Columns are given by their
    place in the reference.
    """
    reference, baseline = comparison.baseline.labels, comparison.baseline
    columns, broken = {c.name: c for c in baseline.layout.columns}, _broken(comparison)
    out = []
    for i, spared in enumerate(() if reference is None else reference.telling):
        own = {spared.column, *spared.features} & columns.keys()
        if i != broken and any(
            moved(comparison, columns[name]) or unit_of(comparison, columns[name]) for name in own
        ):
            out.append(i)
    return tuple(out)


def silenced(comparison: Comparison, tolerated: float) -> str:
    """Return why too few rows testify, or "".

    Flips could hide among silent rows. That is accepted as far as lost values are, or as flips are.

    Args:
        comparison: The batch beside a baseline that has a label model.
        tolerated: Share of flips that the asking signal tolerates.
    """
    judged, strange = evidence_of(comparison), MARGINS.of(comparison).strange
    if not strange:
        return ""
    left = float(judged.weight @ judged.trust[:, 0])
    if judged.n_rows and left < _LEAST:
        return (
            f"without columns that the model needs the rows say less than {percent(_LEAST)} of "
            f"what they would say of labels: {_listed(comparison)}"
        )
    silent, n = _silent(comparison)
    accepted = max(tolerated, comparison.tolerance(completeness.SIGNAL, ""))
    if silent_share(comparison) <= max(accepted, comparison.learned(SILENT)):
        return ""
    return (
        f"{silent} of {n} labels cannot be judged, because their rows have values that the "
        f"baseline does not know in columns that the model needs: {_listed(comparison)}"
    )


def silent_share(comparison: Comparison) -> float:
    """Return which share of labels surely cannot be judged, in [0, 1].

    Args:
        comparison: The batch beside a baseline that has a label model.
    """
    return binomial_lower(*_silent(comparison))


def _silent(comparison: Comparison) -> tuple[int, int]:
    """Return how many labels cannot be judged, and of how many."""
    judged, silent = evidence_of(comparison), MARGINS.of(comparison).silent
    return silent + judged.mute, silent + judged.n_rows


def heard(comparison: Comparison) -> tuple[str, dict[str, object]]:
    """Return which rows testify without a column or not at all, in words and as evidence."""
    counted, reference = MARGINS.of(comparison), comparison.baseline.labels
    found = {}
    by_view = evidence_of(comparison).total.sum(axis=(1, 2))[1:].tolist()
    for spared, rows in zip(() if reference is None else reference.telling, by_view, strict=True):
        if rows:
            found[spared.column] = rows
    names = [_telling(comparison, i) for i in moved_columns(comparison)]
    parts = [
        f"{rows} rows are judged without column {name[:64]} ({_why(comparison, name)})"
        for name, rows in found.items()
    ]
    parts += [f"{counted.silent} rows cannot be judged"] if counted.silent else []
    if names:
        parts.append(f"moved as a whole, so that nothing rests on it alone: {', '.join(names)}")
    return "; ".join(parts), {"without": found, "silent": counted.silent, "moved": names}


def _telling(comparison: Comparison, place: int) -> str:
    reference = comparison.baseline.labels
    return "" if reference is None else reference.telling[place].column[:64]


def _listed(comparison: Comparison) -> str:
    reference, strange = comparison.baseline.labels, MARGINS.of(comparison).strange
    if reference is None:
        return ""
    names = (
        reference.model.features
        if reference.spared is None
        else [spared.column for spared in reference.spared]
    )
    worst = sorted(strange, key=lambda i: (-strange[i], i))[:5]
    return ", ".join(f"{names[i][:64]} ({_why(comparison, names[i])})" for i in worst if strange[i])


def _why(comparison: Comparison, name: str) -> str:
    """Return what is unknown about a column's values."""
    column = next((c for c in comparison.baseline.layout.columns if c.name == name), None)
    if column is None or (reason := comparison.missing(name)):
        return reason if column is not None else "missing"
    counts = comparison.profile.marginal(name)
    kinds = {
        "missing": completeness.absent(column, counts),
        "new categories": int(counts[-2]) if column.listed else 0,
        "out of range": _outside(column, counts),
    }
    return ", ".join(kind for kind, rows in kinds.items() if rows) or "unknown"


def _outside(column: Column, counts: Counts) -> int:
    return int(counts[0] + counts[-3]) if column.binned else 0

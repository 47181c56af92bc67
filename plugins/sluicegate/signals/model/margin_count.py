"""Rows of a batch by contributor, class and margin: what both signals of flipped labels count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.counting import (
    Counter,
    Counting,
    added,
    named_counts,
    natural,
    optional_name,
)
from sluicegate.signals.model.calibration import probability_units
from sluicegate.signals.model.margins import N_BINS, margins_of
from sluicegate.signals.model.second_opinion import flip_odds
from sluicegate.signals.model.unknown import SILENT, testimony_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk, Plan
    from sluicegate.signals.model.reference_model import Leaves

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Margins:
    """What the baseline's model says of the rows of a record batch that have a modelled label.

    Views are the whole model, then the model without each telling column.

    Attributes:
        bins: Bin of each margin, uint8, shape (n_views, n_known).
        units: Probability of each class in 1/65536, int64, shape (n_views, n_classes, n_known).
        margin: Log-odds of the given label less the best other in the row's own view, float32,
            shape (n_rows,); 0 where the label is not modelled or the row is silent.
        view: The row's own view, int8, shape (n_rows,); `SILENT` where it has none.
        strange: Rows with a modelled label that have unknown values, by telling column.
    """

    bins: NDArray[np.uint8]
    units: Counts
    margin: NDArray[np.float32]
    view: NDArray[np.int8]
    strange: Mapping[int, int]


def _leaves(plan: Plan) -> tuple[Leaves, ...]:
    labels = plan.baseline.labels
    return () if labels is None else labels.leaves()


def margins_in(chunk: Chunk) -> Margins | None:
    """Apply the baseline's model to a record batch; None without model, label or rows.

    Cost: about 1 us per row and forest, and 0.2 us for each telling column.
    """
    reference = chunk.baseline.labels
    if reference is None or chunk.encoded.label is None or chunk.n_rows == 0:
        return None
    heard, known = chunk.once(testimony_of), _rows(chunk.class_index >= 0)
    classes, view = chunk.class_index[known], heard.view[known]
    cells = {name: codes[known] for name, codes in heard.cells.items()}
    scores = reference.model.scores_without(cells, chunk.plan.once(_leaves))
    bins = np.zeros((scores.shape[0], classes.size), dtype=np.uint8)
    margin, own = np.zeros(chunk.n_rows, dtype=np.float32), np.zeros(classes.size)
    for v, calibration in enumerate(reference.calibrations):
        found = margins_of(scores[v], classes)
        bins[v] = calibration.scale.bins(found, classes)
        rows = _rows(view == v)
        own[rows] = found[rows]
    margin[known] = own
    return Margins(
        bins,
        np.stack([probability_units(found) for found in scores]),
        margin,
        heard.view,
        {i: int(rows[known].sum()) for i, rows in heard.strange.items()},
    )


def _rows(chosen: NDArray[np.bool_]) -> NDArray[np.intp] | slice:
    """Return chosen rows as an index; if all are, without a copy."""
    return slice(None) if chosen.all() else np.flatnonzero(chosen)


def kept_margins(chunk: Chunk) -> NDArray[np.float32]:
    """Return each row's margin in its own view, float32, shape (n_rows,)."""
    found = chunk.once(margins_in)
    return np.zeros(chunk.n_rows, dtype=np.float32) if found is None else found.margin


def kept_views(chunk: Chunk) -> NDArray[np.int8]:
    """Return each row's own view, int8, shape (n_rows,)."""
    found = chunk.once(margins_in)
    return np.full(chunk.n_rows, SILENT, dtype=np.int8) if found is None else found.view


def second_opinions(chunk: Chunk) -> NDArray[np.float32] | None:
    """Return the linear model's log-odds that each label is wrong.

    Returns:
        float32, shape (n_rows,); 0 where the label is not modelled; None without such a model.
    """
    reference = chunk.baseline.labels
    if reference is None or reference.second is None:
        return None
    known = chunk.class_index >= 0
    scores = reference.second.scores(chunk.layout, chunk.encoded, chunk.batch)
    out = np.zeros(chunk.n_rows, dtype=np.float32)
    out[known] = flip_odds(scores[:, known], chunk.class_index[known])
    return out


@dataclass(slots=True, eq=False)
class MarginCount(Counter):
    """Rows with a modelled label.

    Attributes:
        rows: For each contributor the rows that are judged in each view, by class and margin bin,
            int64, shape (n_views, n_classes, N_BINS); the key None holds rows without a
            contributor.
        predicted: For each contributor the expected rows of each class under the model, in units
            of 1/65536 row, so that sums do not depend on their order; int64, shape (n_views,
            n_classes).
        spared: Like ``rows``, the rows that have no unknown value, without each telling column;
            int64, shape (n_views - 1, n_classes, N_BINS).
        spared_predicted: Like ``predicted`` for ``spared``, int64, shape (n_views - 1, n_classes).
        silent: Rows that cannot be judged.
        strange: Rows that have unknown values, by telling column.
    """

    rows: dict[str | None, Counts] = field(default_factory=dict)
    predicted: dict[str | None, Counts] = field(default_factory=dict)
    spared: dict[str | None, Counts] = field(default_factory=dict)
    spared_predicted: dict[str | None, Counts] = field(default_factory=dict)
    silent: int = 0
    strange: dict[int, int] = field(default_factory=dict)

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        found = chunk.once(margins_in)
        if found is None:
            return
        known = _rows(chunk.class_index >= 0)
        contributor = np.zeros(chunk.n_rows, dtype=np.int64)
        names: tuple[str | None, ...] = (None,)
        if chunk.encoded.contributor is not None:
            contributor = chunk.encoded.contributor.astype(np.int64)
            names = chunk.encoded.contributors
        own, classes, view = contributor[known], chunk.class_index[known], found.view[known]
        n_views = found.bins.shape[0]
        tables, sums = [], []
        by_view = [_rows(view == v) for v in range(n_views)]
        for v in range(2 * n_views - 1):
            # First each row in its own view, then the rows that know all without one column.
            at, rows = (v, by_view[v]) if v < n_views else (v - n_views + 1, by_view[0])
            tables.append(_table(own[rows], classes[rows], found.bins[at, rows], len(names), found))
            sums.append(_sums(own[rows], found.units[at][:, rows], len(names)))
        table, total = np.stack(tables, axis=1), np.stack(sums, axis=1)
        self.rows = added(self.rows, _named(names, table[:, :n_views]))
        self.spared = added(self.spared, _named(names, table[:, n_views:]))
        self.predicted = added(self.predicted, _named(names, total[:, :n_views]))
        self.spared_predicted = added(self.spared_predicted, _named(names, total[:, n_views:]))
        self.silent += int((view == SILENT).sum())
        self.strange = added(self.strange, found.strange)

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(
            added(self.rows, other.rows),
            added(self.predicted, other.predicted),
            added(self.spared, other.spared),
            added(self.spared_predicted, other.spared_predicted),
            self.silent + other.silent,
            added(self.strange, other.strange),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            **{key: _written(getattr(self, key)) for key in _TABLES},
            "silent": self.silent,
            "strange": sorted([i, n] for i, n in self.strange.items()),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        read = {key: _read(value[key], axes) for key, axes in _TABLES.items()}
        shapes: dict[str, set[tuple[int, ...]]] = {
            key: {t.shape for t in tables.values()} for key, tables in read.items()
        }
        (v, k, bins), *more = shapes["rows"] or {(1, 0, N_BINS)}
        expected: dict[str, set[tuple[int, ...]]] = {
            "rows": {(v, k, N_BINS)},
            "predicted": {(v, k)},
            "spared": {(v - 1, k, N_BINS)},
            "spared_predicted": {(v - 1, k)},
        }
        if more or bins != N_BINS or any(shapes[key] - expected[key] for key in _TABLES):
            raise ValueError("counts of margins do not fit each other")
        if any(tables.keys() != read["rows"].keys() for tables in read.values()):
            raise ValueError("counts of margins name different contributors")
        strange = {natural(i): natural(n) for i, n in value["strange"]}
        return cls(**read, silent=natural(value["silent"]), strange=strange)


_TABLES = {"rows": 3, "predicted": 2, "spared": 3, "spared_predicted": 2}


def _table(
    own: Counts,
    classes: NDArray[np.intp],
    bins: NDArray[np.uint8],
    n_names: int,
    found: Margins,
) -> Counts:
    k = found.units.shape[1]
    flat = (own * k + classes) * N_BINS + bins
    return np.bincount(flat, minlength=n_names * k * N_BINS).reshape(n_names, k, N_BINS)


def _sums(own: Counts, units: Counts, n_names: int) -> Counts:
    if n_names == 1:
        total: Counts = units.sum(axis=1)
        return total[None]
    # Integers below 2**53 add exactly as floats.
    sums = [np.bincount(own, weights=u, minlength=n_names) for u in units]
    return np.stack(sums, axis=1).astype(np.int64)


def _named(names: tuple[str | None, ...], tables: Counts) -> dict[str | None, Counts]:
    return dict(zip(names, tables.astype(np.int64), strict=True))


def _written(tables: Mapping[str | None, Counts]) -> list[list[Any]]:
    return named_counts(
        {name: [list(table.shape), table.ravel().tolist()] for name, table in tables.items()}
    )


def _read(value: Any, n_axes: int) -> dict[str | None, Counts]:
    return {optional_name(name): _counts(table, n_axes) for name, table in value}


def _counts(value: Any, n_axes: int) -> Counts:
    shape, flat = value
    table = np.array(flat)
    if len(shape) != n_axes or (table.size and (table.dtype.kind != "i" or (table < 0).any())):
        raise ValueError("a table of margins is malformed")
    return table.astype(np.int64).reshape([natural(n) for n in shape])


def _start(_: Baseline) -> MarginCount:
    return MarginCount()


MARGINS = Counting("margins", MarginCount, _start)

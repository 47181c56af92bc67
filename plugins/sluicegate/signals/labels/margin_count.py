"""Rows of a batch by contributor, class and margin: what both signals of flipped labels count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.counting import Counter, Counting, added, named_counts, optional_name
from sluicegate.signals.labels.margins import N_BINS
from sluicegate.signals.labels.second_opinion import flip_odds
from sluicegate.signals.text.class_scores import add_text_cells
from sluicegate.signals.text.reference import TEXTS
from sluicegate.signals.text.views import scores_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Margins:
    """What the baseline's model says of the rows of a record batch.

    Attributes:
        margin: Log-odds of the given label less the best other, float32, shape (n_rows,); 0
            where the label is not modelled.
        bins: Bin of each margin, uint8, shape (n_rows,); None if the model cannot be applied.
        units: Probability of each class in 1/65536, int64, shape (n_classes, n_rows); or None.
        reason: Why the model cannot be applied to rows that have labels, or "".
    """

    margin: NDArray[np.float32]
    bins: NDArray[np.uint8] | None = None
    units: Counts | None = None
    reason: str = ""


def margins_in(chunk: Chunk) -> Margins:
    """Apply the baseline's model to a record batch.

    Cost: about 1 us per row and forest.
    """
    reference, none = chunk.baseline.labels, np.zeros(chunk.n_rows, dtype=np.float32)
    if reference is None or chunk.encoded.label is None or chunk.n_rows == 0:
        return Margins(none)
    texts, scores = TEXTS.of(chunk.baseline), chunk.once(scores_of)
    cells = add_text_cells(chunk.encoded.cells, scores, texts)
    lacking = [name for name in reference.model.features if name not in cells]
    if lacking:
        # Triggers need the classes only, and are looked for all the same.
        return Margins(none, reason=f"the model needs column {lacking[0]}")
    bins, units, margin = reference.margin_bins(cells, chunk.class_index)
    return Margins(margin, bins, units)


def kept_margins(chunk: Chunk) -> NDArray[np.float32]:
    """Return each row's margin, float32, shape (n_rows,)."""
    return chunk.once(margins_in).margin


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
        rows: For each contributor rows by class and margin bin, int64, shape (n_classes,
            N_BINS); the key None holds rows without a contributor.
        predicted: For each contributor the expected rows of each class under the model, in units
            of 1/65536 row, so that sums do not depend on their order; int64, shape (n_classes,).
        reason: Why the model could not be applied to some rows, or "".
    """

    rows: dict[str | None, Counts] = field(default_factory=dict)
    predicted: dict[str | None, Counts] = field(default_factory=dict)
    reason: str = ""

    @property
    def usable(self) -> Mapping[str | None, Counts] | None:
        """``rows``, int64, shape (n_classes, N_BINS) each; None if some rows were not counted."""
        return None if self.reason else self.rows

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        found = chunk.once(margins_in)
        self.reason = found.reason or self.reason
        if found.bins is None or found.units is None:
            return
        known, k = chunk.class_index >= 0, found.units.shape[0]
        contributor = np.zeros(chunk.n_rows, dtype=np.int64)
        names: tuple[str | None, ...] = (None,)
        if chunk.encoded.contributor is not None:
            contributor = chunk.encoded.contributor.astype(np.int64)
            names = chunk.encoded.contributors
        flat = (contributor[known] * k + chunk.class_index[known]) * N_BINS + found.bins[known]
        table = np.bincount(flat, minlength=len(names) * k * N_BINS).reshape(-1, k, N_BINS)
        # Integers below 2**53 add exactly as floats.
        own = contributor[known]
        sums = np.stack(
            [np.bincount(own, weights=u[known], minlength=len(names)) for u in found.units]
        ).astype(np.int64)
        self.rows = added(self.rows, dict(zip(names, table.astype(np.int64), strict=True)))
        self.predicted = added(self.predicted, dict(zip(names, sums.T, strict=True)))

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        rows, predicted = added(self.rows, other.rows), added(self.predicted, other.predicted)
        return type(self)(rows, predicted, other.reason or self.reason)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "rows": named_counts({name: table.tolist() for name, table in self.rows.items()}),
            "predicted": named_counts({n: row.tolist() for n, row in self.predicted.items()}),
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        rows = {optional_name(name): _counts(table, 2) for name, table in value["rows"]}
        predicted = {optional_name(name): _counts(row, 1) for name, row in value["predicted"]}
        sizes = {table.shape for table in rows.values()}
        fitting = {(row.size, N_BINS) for row in predicted.values()}
        if rows.keys() != predicted.keys() or len(sizes) > 1 or sizes != fitting:
            raise ValueError("counts of margins do not fit each other")
        return cls(rows, predicted, str(value["reason"]))


def _counts(value: Any, n_axes: int) -> Counts:
    table = np.array(value)
    if table.ndim != n_axes or table.dtype.kind != "i" or (table < 0).any():
        raise ValueError("a table of margins is malformed")
    return table.astype(np.int64)


def _start(_: Baseline) -> MarginCount:
    return MarginCount()


MARGINS = Counting("margins", MarginCount, _start)

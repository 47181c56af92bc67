"""Rows of a batch by contributor, group of prediction and residual: what its signals count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.counting import Counter, Counting, added, named_counts, optional_name
from sluicegate.signals.targets.reference import TARGETS, TargetReference, target_values
from sluicegate.signals.targets.residuals import N_CELLS, read_table
from sluicegate.signals.text.class_scores import add_text_cells
from sluicegate.signals.text.reference import TEXTS
from sluicegate.signals.text.views import scores_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Residuals:
    """Where the values of a record batch lie.

    Attributes:
        known: Rows with a value, bool, shape (n_rows,).
        group: Group of their predictions, intp, shape (n_known,).
        cell: Cells of their residuals, int64, same shape.
        reason: Why rows with a value could not be predicted, or "".
    """

    known: NDArray[np.bool_]
    group: NDArray[np.intp]
    cell: Counts
    reason: str = ""


def residuals_in(chunk: Chunk) -> Residuals:
    """Apply the baseline's regressor to a record batch.

    Cost: about 1 us a row.
    """
    reference, values = TARGETS.of(chunk.baseline), target_values(chunk)
    none = np.zeros(0, dtype=np.int64)
    if not isinstance(reference, TargetReference) or values is None or chunk.n_rows == 0:
        return Residuals(np.zeros(chunk.n_rows, dtype=bool), none.astype(np.intp), none)
    known = np.isfinite(values)
    cells = add_text_cells(chunk.encoded.cells, chunk.once(scores_of), TEXTS.of(chunk.baseline))
    lacking = [name for name in reference.model.features if name not in cells]
    if lacking:
        reason = f"the model needs column {lacking[0]}"
        return Residuals(np.zeros_like(known), none.astype(np.intp), none, reason)
    predicted = reference.model.predict({n: cells[n][known] for n in reference.model.features})
    residual = reference.scores.of(values[known]) - predicted
    return Residuals(known, *reference.residuals.cells(predicted, residual))


def kept_cells(chunk: Chunk) -> NDArray[np.int8]:
    """Return the cell of each row's residual, -1 without a value, int8, shape (n_rows,)."""
    found = chunk.once(residuals_in)
    out = np.full(chunk.n_rows, -1, dtype=np.int8)
    out[found.known] = found.cell
    return out


@dataclass(slots=True, eq=False)
class ResidualCount(Counter):
    """Rows with a value.

    Attributes:
        rows: For each contributor rows by group and cell, int64, shape (n_groups, N_CELLS); the
            key None holds rows without a contributor.
        reason: Why some rows could not be predicted, or "".
    """

    rows: dict[str | None, Counts] = field(default_factory=dict)
    reason: str = ""

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        found, reference = chunk.once(residuals_in), TARGETS.of(chunk.baseline)
        self.reason = found.reason or self.reason
        if not isinstance(reference, TargetReference) or not found.known.any():
            return
        contributor = np.zeros(found.group.size, dtype=np.int64)
        names: tuple[str | None, ...] = (None,)
        if chunk.encoded.contributor is not None:
            contributor = chunk.encoded.contributor[found.known].astype(np.int64)
            names = chunk.encoded.contributors
        shape = len(names), reference.residuals.n_groups, N_CELLS
        flat = (contributor * shape[1] + found.group) * N_CELLS + found.cell
        table = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(np.int64)
        counted = {n: rows for n, rows in zip(names, table, strict=True) if rows.any()}
        self.rows = added(self.rows, counted)

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(added(self.rows, other.rows), other.reason or self.reason)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        rows = named_counts({name: table.tolist() for name, table in self.rows.items()})
        return {"rows": rows, "reason": self.reason}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        rows = {optional_name(name): read_table(table) for name, table in value["rows"]}
        if len({table.shape for table in rows.values()}) > 1:
            raise ValueError("tables of residuals differ in their groups")
        return cls(rows, str(value["reason"]))


def _start(_: Baseline) -> ResidualCount:
    return ResidualCount()


RESIDUALS = Counting("residuals", ResidualCount, _start)

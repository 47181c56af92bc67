"""Which rows can testify about labels, and without which column.

A value that the baseline's rows (nearly) never had is one of which the reference model knows
nothing: a null where hardly any was, a category that is new, a number outside the range. A row
with such a value in one column is judged without that column, by what the model says without it; a
row with such values in two columns that tell something is silent. So a feature that breaks accuses
no label. But a row that is out of range in several columns, and unknown in no other way, is no
feature that broke: it is odd, and judged with all columns, or whoever flips labels would move rows
outward to silence them. Rows are counted by what became of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.columns import Kind
from sluicegate.signals.text.class_scores import add_text_cells, score_columns
from sluicegate.signals.text.reference import TEXTS
from sluicegate.signals.text.views import scores_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.projection import Projection
    from sluicegate.signals.chunk import Chunk, Plan
    from sluicegate.signals.text.reference import TextReference

Codes = NDArray[np.uint8]
Rows = NDArray[np.bool_]
KNOWN_ROWS = 20
"""Baseline rows of a cell from which the model knows it: as many as a class needs."""
SILENT = -1


@dataclass(frozen=True, slots=True)
class Testimony:
    """What the rows of a record batch can say about labels.

    Attributes:
        cells: Cells of every feature of the model, uint8, shape (n_rows,); where a value is
            unknown, the baseline's usual cell.
        strange: Rows that have unknown values, bool, shape (n_rows,), by column that tells
            something, in the order of the reference; columns without such rows are left out.
        view: 0 for a row that is judged with all columns, 1 + i without the i-th telling column,
            `SILENT` for a silent one; int8, shape (n_rows,).
    """

    cells: Mapping[str, Codes]
    strange: Mapping[int, Rows]
    view: NDArray[np.int8]


def owners(
    features: Iterable[str],
    texts: Mapping[str, TextReference],
    projections: Iterable[Projection],
) -> dict[str, str]:
    """Return the column of the batch that each feature of the model comes from.

    Args:
        features: Names of features.
        texts: The text columns, of which the model reads scores.
        projections: The embeddings, of which it reads axes.
    """
    of_texts = {c.name: name for name, t in texts.items() for c in score_columns(name, t.edges)}
    of_axes = {axis: p.column for p in projections for axis in p.names}
    return {name: of_texts.get(name) or of_axes.get(name) or name for name in features}


@dataclass(frozen=True, slots=True)
class _Known:
    """What the baseline knows of a feature.

    Attributes:
        column: The layout's column whose cells say whether a value is known.
        unknown: Whether a cell of that column is unknown, bool, shape (256,).
        outside: Whether a cell is unknown because it lies outside the range, bool, shape (256,).
        usual: Cell that stands for an unknown value of the feature.
    """

    column: str
    unknown: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    usual: int


def testimony_of(chunk: Chunk) -> Testimony:
    """Return what the rows of a record batch can say; the baseline must have a label model.

    Cost: about 1 ns for each row and feature.
    """
    reference = chunk.baseline.labels
    assert reference is not None  # noqa: S101 - callers hold the model
    n = chunk.n_rows
    cells = add_text_cells(chunk.encoded.cells, chunk.once(scores_of), TEXTS.of(chunk.baseline))
    known = chunk.plan.once(_known)
    none = np.zeros(n, dtype=bool)
    strange = dict.fromkeys(reference.model.features, none)
    otherwise = none  # rows with a value that is unknown, and not because it is outside the range
    for name in reference.model.features:
        own, asked = known[name], cells.get(known[name].column)
        if asked is None or name not in cells:
            strange[name] = otherwise = np.ones(n, dtype=bool)
        elif (rows := own.unknown.take(asked)).any():
            strange[name] = rows
            otherwise = otherwise | (rows & ~own.outside.take(asked))
    odd = _several([rows for rows in strange.values() if rows is not none], n) & ~otherwise
    found = dict[str, Codes]()
    for name in reference.model.features:
        usual, codes = known[name].usual, cells.get(name)
        if codes is None:
            codes = np.full(n, usual, dtype=np.uint8)
        if strange[name] is not none:
            rows = strange[name] = strange[name] & ~odd
            codes = np.where(rows, np.uint8(usual), codes)
        found[name] = codes
    groups: list[tuple[str, ...]] = [spared.features for spared in reference.telling]
    if reference.spared is None:
        groups = [(name,) for name in reference.model.features]
    marked = {name: rows for name, rows in strange.items() if rows is not none and rows.any()}
    strange_in = {
        i: np.logical_or.reduce([marked[name] for name in group if name in marked])
        for i, group in enumerate(groups)
        if any(name in marked for name in group)
    }
    others = [marked[name] for name in set(marked).difference(*groups)]
    view = _views(strange_in, np.logical_or.reduce([none, *others]))
    if reference.spared is None:  # nobody learned what the model says without a column
        view[view > 0] = SILENT
    return Testimony(found, strange_in, view)


def _several(rows: Iterable[Rows], n: int) -> Rows:
    """Return the rows that are marked in more than one column."""
    times = np.zeros(n, dtype=np.int16)
    for marked in rows:
        times += marked
    several: Rows = times > 1
    return several


def _views(strange: Mapping[int, Rows], others: Rows) -> NDArray[np.int8]:
    """Return the view of each row: a column that tells nothing beside another may tell alone."""
    view, times = np.zeros(others.size, dtype=np.int8), others.astype(np.int16)
    for i, rows in strange.items():
        times += rows
        view[rows] = 1 + i
    view[(view > 0) & (times > 1)] = SILENT
    return view


def _known(plan: Plan) -> dict[str, _Known]:
    """Return what the baseline knows of each feature of its label model."""
    baseline = plan.baseline
    reference, texts = baseline.labels, TEXTS.of(baseline)
    assert reference is not None  # noqa: S101 - asked by `testimony_of` only
    columns = {c.name: c for c in baseline.layout.columns}
    scores = {c.name: c for name, t in texts.items() for c in score_columns(name, t.edges)}
    out = {}
    for name, owner in owners(reference.model.features, texts, ()).items():
        column = columns[owner]
        counts = baseline.profile.marginal(owner)
        usual = _usual(column, counts) if name == owner else _middle(scores[name])
        unknown = _unknown(column, counts)
        out[name] = _Known(owner, unknown, unknown & _outside(column), usual)
    return out


def _unknown(column: Column, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of bins and known categories even a rare one is known; of texts those of any length are."""
    out = np.zeros(256, dtype=bool)
    if column.binned:
        special = [column.n_cells - 1, column.n_cells - 2]
        special += [] if column.kind is Kind.TEXT else [0, column.n_cells - 3]
    else:
        special = [column.n_cells - 1, column.n_cells - 2] if column.listed else [1]
    out[special] = counts[special] < KNOWN_ROWS
    return out


def _outside(column: Column) -> NDArray[np.bool_]:
    out = np.zeros(256, dtype=bool)
    if column.binned:
        out[[0, column.n_cells - 3]] = True
    return out


def _usual(column: Column, counts: NDArray[np.int64]) -> int:
    if not column.binned:
        return int(counts.argmax())
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2.0))


def _middle(score: Column) -> int:
    return len(score.edges) // 2

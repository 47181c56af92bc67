"""A second opinion on labels: a linear model of the baseline's values.

The reference model reads cells, which are coarse where classes meet. A logistic regression on the
values themselves is simpler, but sharp there. Rows are ranked by both, each as much as it is right
about the labels of the batch; decisions stay those of the calibrated reference model alone. Both
are fitted on trusted rows: a model fitted on the batch believes flips that lie together.
Source: stacking, Wolpert 1992; Newton's method for the penalised logistic loss, Hastie et al. 2009,
section 4.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.buffers import floats, plain
from sluicegate.profiling.columns import Kind
from sluicegate.profiling.layout import Encoded, Layout, unique_column
from sluicegate.profiling.packed import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

Floats = NDArray[np.float64]
Classes = NDArray[np.intp]
MAX_COLUMNS = 64
"""Columns that are read: the first of the layout."""
MAX_WIDTH = 160
"""Inputs of the model; the most frequent categories come first."""
MAX_FIT_ROWS = 20_000
"""More rows move a linear model of so few inputs by less than its ranking shows."""
_STEPS = 8
_PENALTY = 1.0
_FAR = 10.0  # in units of the spread: far outliers are another signal's business
_CELLS = 256
_LIMIT = 8.0  # of log-odds: one row must not outweigh the rest
_WEIGHTS = np.linspace(0.0, 1.0, 11)


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """A linear model of each class against the rest.

    Attributes:
        intercepts: float64, shape (n_classes,).
        numbers: Numeric columns that are read.
        scale: Middle and spread of each, float64, shape (n_numbers, 2).
        slopes: Log-odds of a spread, and of a missing value, float64, shape
            (n_numbers, n_classes, 2).
        listed: Categorical columns that are read.
        steps: Log-odds of each cell, float64, shape (n_listed, n_classes, 256).
    """

    intercepts: Floats
    numbers: tuple[str, ...]
    scale: Floats
    slopes: Floats
    listed: tuple[str, ...]
    steps: Floats

    def scores(self, layout: Layout, encoded: Encoded, batch: pa.RecordBatch) -> Floats:
        """Return log-odds of each class; absent columns add nothing.

        Args:
            layout: Columns.
            encoded: Rows as cells.
            batch: The same rows as values.

        Returns:
            float64, shape (n_classes, n_rows).

        Cost: about 5 ns per value and class.
        """
        kinds = {c.name: c for c in layout.features}
        out = np.repeat(self.intercepts[:, None], encoded.n_rows, axis=1)
        for name, (middle, spread), slope in zip(
            self.numbers, self.scale, self.slopes, strict=True
        ):
            if name in encoded.cells:
                missing = encoded.cells[name] >= kinds[name].n_cells - 2
                units = _units(batch, name, missing, middle, spread)
                out += slope[:, :1] * units + slope[:, 1:] * missing
        for name, step in zip(self.listed, self.steps, strict=True):
            if name in encoded.cells:
                out += step[:, encoded.cells[name]]
        return out

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "intercepts": pack(self.intercepts, "<f8"),
            "numbers": list(self.numbers),
            "scale": pack(self.scale, "<f8"),
            "slopes": pack(self.slopes, "<f8"),
            "listed": list(self.listed),
            "steps": pack(self.steps, "<f8"),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], n_classes: int) -> Self:
        """Read what `to_json` wrote.

        Args:
            value: The object.
            n_classes: Classes of the model.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        numbers = tuple(str(name) for name in value["numbers"])
        listed = tuple(str(name) for name in value["listed"])
        found = cls(
            unpack(value["intercepts"], "<f8", (n_classes,)),
            numbers,
            unpack(value["scale"], "<f8", (len(numbers), 2)),
            unpack(value["slopes"], "<f8", (len(numbers), n_classes, 2)),
            listed,
            unpack(value["steps"], "<f8", (len(listed), n_classes, _CELLS)),
        )
        arrays = (found.intercepts, found.scale, found.slopes, found.steps)
        if not all(np.isfinite(a).all() for a in arrays) or (found.scale[:, 1] <= 0.0).any():
            raise ValueError("a coefficient of the second opinion is not usable")
        return found


def flip_odds(scores: Floats, labels: Classes) -> Floats:
    """Return log-odds of each row that its label is not the given one, shape (n_rows,).

    Args:
        scores: Log-odds of each class, float64, shape (n_classes, n_rows).
        labels: Given class of each row, intp, shape (n_rows,), 0..n_classes-1.
    """
    at = labels, np.arange(labels.size)
    rest = scores.copy()
    rest[at] = -np.inf
    top = rest.max(axis=0)
    odds: Floats = top + np.log(np.exp(rest - top).sum(axis=0)) - scores[at]
    return np.clip(odds, -_LIMIT, _LIMIT, out=odds)


def combine(first: Floats, second: Floats) -> Floats:
    """Return the mean of two log-odds of "not this label", weighted by how right they are.

    The weight is the one under which the labels of the batch are likeliest; a label that is
    wrong costs no more than four, so that poison does not choose.

    Args:
        first: Log-odds of one model, float64, shape (n_rows,), at least one row.
        second: Log-odds of the other, float64, same shape.

    Returns:
        float64, same shape.
    """
    loss = [
        float(np.logaddexp(0.0, np.clip(_mixed(first, second, w), -4.0, 4.0)).mean())
        for w in _WEIGHTS.tolist()
    ]
    return _mixed(first, second, float(_WEIGHTS[int(np.argmin(loss))]))


def _mixed(first: Floats, second: Floats, weight: float) -> Floats:
    return (1.0 - weight) * first + weight * second


def learn_second_opinion(
    layout: Layout,
    encoded: Encoded,
    batch: pa.RecordBatch,
    class_index: Classes,
    *,
    n_classes: int,
    seed: int,
) -> SecondOpinion | None:
    """Fit on baseline rows with a class.

    Args:
        layout: Columns.
        encoded: All baseline rows as cells.
        batch: The same as values.
        class_index: Class of each row, intp, shape (n_rows,), -1 if not modelled.
        n_classes: Modelled classes, at least two.
        seed: Decides the sample.

    Returns:
        The model, or None without a number or category to read.

    Cost: about 1 CPU s per class at 20,000 rows and 100 inputs.
    """
    columns = [c for c in layout.features if c.listed or c.kind is Kind.NUMERIC][:MAX_COLUMNS]
    rows = np.flatnonzero(class_index >= 0)
    if rows.size > MAX_FIT_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_FIT_ROWS, replace=False))
    numbers, scale = [], []
    inputs: list[Floats] = [np.ones(rows.size)]
    for column in columns:
        if column.listed:
            continue
        missing = encoded.cells[column.name] >= column.n_cells - 2
        found = _scale(batch, column.name, ~missing)
        if found is not None:
            numbers.append(column.name)
            scale.append(found)
            inputs += [_units(batch, column.name, missing, *found)[rows], _flags(missing[rows])]
    listed = tuple(c.name for c in columns if c.listed)
    chosen = _frequent([encoded.cells[name][rows] for name in listed], MAX_WIDTH - len(inputs))
    inputs += [_flags(encoded.cells[listed[i]][rows] == cell) for i, cell in chosen]
    if len(inputs) == 1:
        return None
    found_all = _fitted(np.stack(inputs, axis=1), class_index[rows], n_classes)
    split = 1 + 2 * len(numbers)
    steps = np.zeros((len(listed), n_classes, _CELLS))
    for (i, cell), coefficients in zip(chosen, found_all[:, split:].T, strict=True):
        steps[i, :, cell] = coefficients
    return SecondOpinion(
        intercepts=found_all[:, 0],
        numbers=tuple(numbers),
        scale=np.array(scale).reshape(-1, 2),
        slopes=found_all[:, 1:split].reshape(n_classes, -1, 2).transpose(1, 0, 2),
        listed=listed,
        steps=steps,
    )


def _flags(true: NDArray[np.bool_]) -> Floats:
    return true.astype(np.float64)


def _frequent(cells: list[NDArray[np.uint8]], room: int) -> list[tuple[int, int]]:
    """Return column and cell of the most frequent categories, at most ``room``."""
    counts = [np.bincount(own, minlength=_CELLS) for own in cells]
    some = [(-int(n), i, cell) for i, c in enumerate(counts) for cell, n in enumerate(c) if n]
    return [(i, cell) for _, i, cell in sorted(some)[: max(room, 0)]]


def _scale(
    batch: pa.RecordBatch, name: str, present: NDArray[np.bool_]
) -> tuple[float, float] | None:
    """Return middle and spread of a column, or None when it does not vary."""
    values = floats(plain(unique_column(batch, name)))[present]
    if values.size == 0:
        return None
    middle = float(np.median(values))
    with np.errstate(over="ignore", invalid="ignore"):
        spread = math.sqrt(float(np.mean((values - middle) ** 2)))
    return (middle, spread) if math.isfinite(spread) and spread > 0.0 else None


def _units(
    batch: pa.RecordBatch, name: str, missing: NDArray[np.bool_], middle: float, spread: float
) -> Floats:
    """Return how many spreads each value is from the middle; 0 where it is missing."""
    values = floats(plain(unique_column(batch, name)))
    with np.errstate(over="ignore", invalid="ignore"):
        units = (np.where(missing, middle, values) - middle) / spread
    return np.clip(units, -_FAR, _FAR)


def _fitted(inputs: Floats, labels: Classes, n_classes: int) -> Floats:
    """Return coefficients of a logistic regression for each class, (n_classes, n_inputs)."""
    if n_classes == 2:
        second = _newton(inputs, labels == 1) / 2.0
        return np.stack([-second, second])
    return np.stack([_newton(inputs, labels == k) for k in range(n_classes)])


def _newton(inputs: Floats, positive: NDArray[np.bool_]) -> Floats:
    beta = np.zeros(inputs.shape[1])
    penalty = np.full(inputs.shape[1], _PENALTY)
    penalty[0] = 1e-3
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(inputs @ beta, -30.0, 30.0)))
        weight = np.maximum(p * (1.0 - p), 1e-3)
        hessian = (inputs * weight[:, None]).T @ inputs + np.diag(penalty)
        beta += np.linalg.solve(hessian, inputs.T @ (positive - p) - penalty * beta)
    return beta

"""Embeddings as a few numbers: fixed axes of the baseline, and the distance from their span.

Each embedding column adds numeric columns, so that drift, outliers, copies, leakage, triggers
and the label model see vectors as they see any table. The leading principal axes keep the
directions in which the source varies. The distance of a vector from their span shows a direction
in which it never did.
Source: principal components, Hotelling 1933; residual (Q) statistic, Jackson and Mudholkar 1979.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sluicegate.profiling.buffers import floats, is_list, null_mask, plain, primitive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Floats = NDArray[np.float64]
N_AXES = 16
MAX_DIMENSION = 4096
_PRINCIPAL_UP_TO = 512  # beyond this dimension an eigendecomposition costs more than it tells
_FIT_ROWS = 20_000
_CHUNK = 2048  # rows; keeps the running sums in the cache


@dataclass(frozen=True, slots=True)
class Projection:
    """Axes of one embedding column.

    Attributes:
        column: The embedding column.
        mean: Centre, one number for each dimension.
        axes: Orthonormal rows, k times dimension.
    """

    column: str
    mean: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that it adds."""
        axes = [f"{self.column} (axis {i + 1})" for i in range(len(self.axes))]
        return (*axes, f"{self.column} (distance)")

    def columns(self, array: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
        """Return the added columns; a vector of another length, or a null, is null in all.

        Sums run over dimensions in their order, so that any partition of the rows gives the
        same bits.

        Cost: about 1 ns for each row, dimension and axis; memory for 2,048 vectors.
        """
        mean, axes = np.array(self.mean), np.array(self.axes)
        out, fits = np.zeros((len(self.names), len(array))), np.zeros(len(array), dtype=bool)
        with np.errstate(invalid="ignore", over="ignore"):
            for start in range(0, len(array), _CHUNK):
                part = slice(start, start + _CHUNK)
                points, fits[part] = vectors(array.slice(start, _CHUNK), len(mean))
                points -= mean
                out[:, part] = _project(points, axes)
        valid = pa.py_buffer(np.packbits(fits, bitorder="little").tobytes())
        return [
            pa.Array.from_buffers(pa.float64(), len(row), [valid, pa.py_buffer(row.tobytes())])
            for row in out
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "column": self.column,
            "mean": list(self.mean),
            "axes": [list(axis) for axis in self.axes],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is of another type.
            ValueError: Axes have another dimension than the mean, or a number is not finite.
        """
        mean = tuple(float(v) for v in value["mean"])
        axes = tuple(tuple(float(v) for v in axis) for axis in value["axes"])
        if not mean or any(len(axis) != len(mean) for axis in axes):
            raise ValueError("axes of an embedding do not fit its dimension")
        if not (np.isfinite(mean).all() and np.isfinite(np.array(axes)).all()):
            raise ValueError("an axis of an embedding is not finite")
        return cls(str(value["column"]), mean, axes)


def _project(centred: Floats, axes: Floats) -> Floats:
    sums = np.zeros((len(axes) + 1, len(centred)))
    for j in range(centred.shape[1]):
        along = centred[:, j]
        sums[:-1] += axes[:, j, None] * along
        sums[-1] += along * along
    inside = np.zeros(len(centred))
    for row in sums[:-1]:
        inside += row * row
    sums[-1] = np.sqrt(np.maximum(sums[-1] - inside, 0.0))
    return sums


def vectors(array: pa.Array, dimension: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return a list array as a matrix, and which rows are vectors of that dimension.

    Args:
        array: Lists of numbers, of a type that `is_vector` accepts.
        dimension: Length that a vector must have.

    Returns:
        Vectors, float64, shape (n_rows, dimension), and bool, shape (n_rows,). A row of another
        length, or a null, is zero in the matrix; a null inside a vector is NaN.
    """
    array = plain(array)
    lists = array if pa.types.is_large_list(array.type) else pc.cast(array, _large(array.type))
    n = len(lists)
    lengths = primitive(pc.fill_null(pc.list_value_length(lists), -1), np.int64)
    fits: NDArray[np.bool_] = lengths == dimension
    packed = pa.py_buffer(np.packbits(fits, bitorder="little").tobytes())
    inner = lists.filter(pa.Array.from_buffers(pa.bool_(), n, [None, packed])).flatten()
    values = floats(inner)
    missing = null_mask(inner)
    if missing is not None:
        values = np.where(missing, np.nan, values)
    out = np.zeros((n, dimension))
    out[fits] = values.reshape(-1, dimension)
    return out, fits


def _large(type_: pa.DataType) -> pa.DataType:
    return pa.large_list(type_.value_type)


def is_vector(type_: pa.DataType) -> bool:
    """Whether values of an Arrow type are lists of numbers."""
    if not is_list(type_):
        return False
    return bool(pa.types.is_floating(type_.value_type) or pa.types.is_integer(type_.value_type))


def learn_projection(name: str, array: pa.Array | pa.ChunkedArray) -> Projection | None:
    """Learn the axes of an embedding column from all its baseline values.

    Args:
        name: Column name.
        array: All baseline values, lists of numbers.

    Returns:
        The projection along at most 16 axes, or None if the type is no vector, fewer than two
        finite vectors have the most frequent dimension, or it is beyond 4096.

    Cost: one covariance on 20,000 to 40,000 evenly spaced rows, which are in memory with it, or
        their mean alone beyond 512 dimensions.
    """
    if not is_vector(array.type):
        return None
    lengths = pc.value_counts(pc.list_value_length(array).drop_null()).to_pylist()
    if not lengths:
        return None
    dimension = max(lengths, key=lambda item: (item["counts"], item["values"]))["values"]
    if not 1 <= dimension <= MAX_DIMENSION:
        return None
    step = max(1, len(array) // _FIT_ROWS)
    parts = _finite(array, dimension, step)
    if dimension > _PRINCIPAL_UP_TO:
        mean, n_points = _mean(parts)
        axes = _drawn_axes(dimension)
    else:
        points = np.concatenate([np.zeros((0, dimension)), *parts])
        n_points = len(points)
        mean = points.mean(axis=0) if n_points else np.zeros(dimension)
        axes = _axes(points - mean)
    if n_points < 2:
        return None
    return Projection(
        name,
        tuple(float(v) for v in mean),
        tuple(tuple(float(v) for v in axis) for axis in axes),
    )


def _finite(array: pa.Array | pa.ChunkedArray, dimension: int, step: int) -> Iterator[Floats]:
    """Yield every step-th of the finite vectors of a dimension, few at a time."""
    n_seen = 0
    for start in range(0, len(array), _CHUNK):
        points, fits = vectors(array.slice(start, _CHUNK), dimension)
        points = points[fits & np.isfinite(points).all(axis=1)]
        yield points[-n_seen % step :: step]
        n_seen += len(points)


def _mean(parts: Iterable[Floats]) -> tuple[Floats, int]:
    """Return the mean of vectors, and their number.

    Rows are added one after another, as numpy's own mean adds wide ones: the same to the bit.
    """
    total, n_points = None, 0
    for part in parts:
        if len(part):
            rows = part if total is None else np.concatenate([total[None], part])
            total, n_points = np.add.reduce(rows, axis=0), n_points + len(part)
    return np.zeros(0) if total is None else total / n_points, n_points


def _drawn_axes(dimension: int) -> Floats:
    """Return orthonormal directions that follow from the dimension alone."""
    drawn = np.random.default_rng(dimension).normal(size=(dimension, N_AXES))
    basis, _ = np.linalg.qr(drawn)
    return np.ascontiguousarray(basis.T)


def _axes(centred: Floats) -> Floats:
    k = min(N_AXES, centred.shape[1])
    _, basis = np.linalg.eigh(centred.T @ centred)
    return np.ascontiguousarray(basis[:, ::-1][:, :k].T)


def presence(lists: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column of lists without what is in them: empty lists, and null where one was.

    Args:
        lists: Of any type that `is_list` knows.
    """
    absent = plain(pc.is_null(lists))
    offsets = pa.array(np.zeros(len(lists) + 1, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array([], lists.type.value_type), mask=absent)


def project(projections: Iterable[Projection], batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with the columns that its embeddings add.

    Args:
        projections: Axes of the baseline's embeddings.
        batch: An embedding that is absent, repeated or of another type adds no columns, so
            they count as missing.
    """
    arrays, names = list(batch.columns), list(batch.schema.names)
    for projection in projections:
        at = batch.schema.get_all_field_indices(projection.column)
        if len(at) == 1 and is_vector(batch.column(at[0]).type):
            arrays += projection.columns(batch.column(at[0]))
            names += projection.names
    if len(arrays) == len(batch.columns):
        return batch
    return pa.RecordBatch.from_arrays(arrays, names=names)

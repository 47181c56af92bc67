"""Turn one Arrow array into cell indices, the hot loop of a check."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sluicegate.profiling.bins import bins_of
from sluicegate.profiling.buffers import floats, large_strings, null_mask, plain, primitive, strings
from sluicegate.profiling.columns import Column, Kind, kind_of

Codes = NDArray[np.uint8]


def comparable(column: Column, type_: pa.DataType) -> bool:
    """Whether values of an Arrow type can be counted into the column's cells.

    Args:
        column: Column of the baseline.
        type_: Type of the column in the batch. A column of nulls fits every kind, and a column that
            was empty in the baseline fits every type.
    """
    if column.kind is Kind.EMPTY:
        return True
    return pa.types.is_null(type_) or kind_of(type_) is column.source


def encode(column: Column, array: pa.Array) -> Codes:
    """Return the cell of every value.

    Args:
        column: Fixed cells.
        array: Values whose type is `comparable` with the column.

    Returns:
        uint8, shape (n,), values 0..n_cells-1.

    Cost: about 3 ns for each number, 30 ns for each string.
    """
    array = plain(array)
    if pa.types.is_null(array.type):
        return np.full(len(array), column.null_cell, dtype=np.uint8)
    if column.binned:
        values = floats(pc.utf8_length(array) if column.kind is Kind.TEXT else array)
        codes = _bins(column, values)
    elif column.listed:
        codes = _categories(column, array)
    else:
        codes = np.zeros(len(array), dtype=np.uint8)
    nulls = null_mask(array)
    if nulls is not None:
        codes[nulls] = column.null_cell
    return codes


def _bins(column: Column, values: NDArray[np.float64]) -> Codes:
    if not column.edges:  # the baseline had no finite value, so any value is outside
        return np.where(np.isfinite(values), 1, 2).astype(np.uint8)
    codes = bins_of(np.asarray(column.edges), values)
    finite = np.isfinite(values)
    if not finite.all():
        codes[~finite] = column.n_cells - 2
    return codes


def _categories(column: Column, array: pa.Array) -> Codes:
    known = large_strings(column.categories)
    found = pc.index_in(strings(array), value_set=known)
    codes = primitive(found, np.int32).astype(np.uint8)
    missing = null_mask(found)
    if missing is not None:
        codes[missing] = len(column.categories)
    return codes

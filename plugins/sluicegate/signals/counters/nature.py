"""Which columns move by nature, as the rows of a baseline show: they are no features.

A column moves by nature if every part of the baseline's time lies beyond the part before the last
one, up or down: an id, an epoch, a meter, days since, a countdown. What trends or has seasons does
not: its parts overlap; nor do users or films of whom there are ever more, of which any may come.
Whole numbers that are all different and fill at least half of their range number the rows, whatever
the order. Only a baseline says so, which is signed, or the schema: a batch cannot turn a feature
into a counter. In the order of rows alone nothing else is recognised, because files are often
sorted by a feature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from sluicegate.profiling.buffers import floats, null_mask, plain
from sluicegate.profiling.columns import Kind
from sluicegate.profiling.instants import instants
from sluicegate.profiling.layout import unique_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.profiling.layout import Layout

    Floats = NDArray[np.float64]
    Times = NDArray[np.int64]

PARTS: Final = 12
_LEAST_PARTS: Final = 5
_LEAST_STEPS: Final = 4  # of a version, which stays for a while
_LEAST_ROWS: Final = 20  # of a part
_HUGE: Final = 1e150  # beyond, sums and speeds would overflow; no counter is there
_STRAY: Final = 0.005  # share of a part's rows at either end that may lie anywhere
_DIFFERENT: Final = 0.99  # share of numbers that differ: a baseline may hold some rows twice


@dataclass(frozen=True, slots=True)
class Moments:
    """A counter's values and when they were.

    Attributes:
        times: Milliseconds; all 0 where the schema names no timestamp. int64, shape (n_rows,).
        values: Numbers, or milliseconds of dates, float64, same shape.
        present: Whether a row has both, bool, same shape.
    """

    times: Times
    values: Floats
    present: NDArray[np.bool_]


def numbers_of(array: pa.Array) -> tuple[Floats, NDArray[np.bool_]]:
    """Return numbers, or dates and times as milliseconds, and which are there.

    Args:
        array: Of any type; no value of a type that is neither number nor time is there.

    Returns:
        float64 and bool, both of shape (n,).
    """
    array = plain(array)
    n = len(array)
    type_ = array.type
    if pa.types.is_temporal(type_) and not pa.types.is_duration(type_):
        times, present = instants(array)
        return times.astype(np.float64), present
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    if not any(is_kind(type_) for is_kind in numeric):
        return np.zeros(n), np.zeros(n, dtype=bool)
    nulls, values = null_mask(array), floats(array)
    present = np.isfinite(values)
    values = np.clip(values, -_HUGE, _HUGE)
    return values, present if nulls is None else present & ~nulls


def moments_of(layout: Layout, batch: pa.RecordBatch, column: str) -> Moments:
    """Return a column's values beside the times of the rows.

    Args:
        layout: Says which column holds the times.
        batch: The rows.
        column: Name.
    """
    array = unique_column(batch, column)
    nothing = np.zeros(batch.num_rows), np.zeros(batch.num_rows, dtype=bool)
    values, present = nothing if array is None else numbers_of(array)
    times = np.zeros(batch.num_rows, dtype=np.int64)
    if layout.schema.timestamp is not None:
        when = unique_column(batch, layout.schema.timestamp)
        times, known = (times, ~present) if when is None else instants(when)
        present = present & known
    return Moments(times, np.where(present, values, 0.0), present)


def growing_columns(layout: Layout, rows: pa.RecordBatch) -> tuple[str, ...]:
    """Return the features that move by nature, in the order of the layout.

    Args:
        layout: Columns and roles, before anything is known of their nature.
        rows: All rows of the baseline.

    Cost: two sorts of each column of numbers or dates.
    """
    axes = {c.name for c in layout.columns} - set(layout.schema.embedding)
    found = []
    for column in layout.features:
        if column.name not in axes or column.kind not in (Kind.NUMERIC, Kind.DATETIME):
            continue
        moments = moments_of(layout, rows, column.name)
        array = unique_column(rows, column.name)
        numbered = array is not None and is_numbering(array)
        if numbered or (layout.schema.timestamp is not None and advances(moments)):
            found.append(column.name)
    return tuple(found)


def advances(moments: Moments) -> bool:
    """Return whether each part of the time lies beyond the part before the last one.

    Rows of one time are never split, so times of few different values have few parts. Values drawn
    of one distribution do so with a chance far below one in a million: five parts of 20 rows.

    Args:
        moments: Of a column.
    """
    cells = time_cells(moments.times[moments.present], PARTS)
    values = moments.values[moments.present]
    if cells.size == 0 or int(cells[-1]) + 1 < _LEAST_PARTS:
        return False
    values = values[np.argsort(moments.times[moments.present], kind="stable")]
    low, high = band_of(values, cells)
    return _moves(high[:-2], low[2:]) or _moves(-low[:-2], -high[2:])


def _moves(before: Floats, after: Floats) -> bool:
    """Return whether parts never fall behind and get ahead in four steps, or in all of fewer."""
    ahead = int((before < after).sum())
    return bool((before <= after).all()) and ahead >= min(_LEAST_STEPS, before.size)


def time_cells(times: Times, most: int) -> NDArray[np.int64]:
    """Return the cell of each time in order: cells of about equal size that split no time.

    Args:
        times: int64, shape (n,).
        most: Largest number of cells.

    Returns:
        For the sorted times, int64, shape (n,), 0..k-1, increasing; k is at most n / 20, at
        least 1.
    """
    if times.size == 0:
        return np.zeros(0, dtype=np.int64)
    ordered = np.sort(times)
    n_cells = max(min(most, ordered.size // _LEAST_ROWS), 1)
    first = np.searchsorted(ordered, ordered, side="left")
    cells = first * n_cells // ordered.size
    return np.cumsum(np.r_[0, np.diff(cells) != 0])


def band_of(values: Floats, cells: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the least and largest usual value of each cell, stray ones left out.

    Args:
        values: In the order of time, float64, shape (n,).
        cells: `time_cells`, int64, same shape.

    Returns:
        float64, shape (n_cells,).
    """
    rows = np.bincount(cells)
    ordered = values[np.lexsort((values, cells))]
    starts, stray = np.cumsum(rows) - rows, (rows * _STRAY).astype(np.int64)
    return ordered[starts + stray], ordered[starts + rows - 1 - stray]


def is_numbering(array: pa.Array) -> bool:
    """Return whether whole numbers number the rows: all different, half of the range in use.

    Args:
        array: Of any type.
    """
    array = plain(array)
    if not pa.types.is_integer(array.type) or array.null_count:
        return False
    values = floats(array)
    if values.size < PARTS * _LEAST_ROWS // 2:
        return False
    distinct = np.unique(values).size
    wide = float(values.max() - values.min()) + 1.0
    return distinct >= _DIFFERENT * values.size and 2.0 * distinct >= wide

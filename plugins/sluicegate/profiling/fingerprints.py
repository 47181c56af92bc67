"""Fingerprints of rows: equal rows always collide, rows that are nearly equal in most tables.

Table 0 is exact: it takes the bits of numbers, the category, the set of a text's tokens. Tables 1
to 3 are coarser: they put the bins of a numeric column into 64, 32 and 16 groups of neighbours,
and take six, four and three minimum hashes of a text. Where rows lie close together, fine cells
tell copies from neighbours. Where they do not, coarse cells find copies with more noise. The
baseline's own rate of collisions tells the two cases apart. Beyond the baseline's range the groups
go on, as wide as the outermost bin: a column that outgrew its baseline tells rows apart as well as
ever, and a month of larger numbers is no month of copies. A row of a category that the baseline
never had has no neighbours, and is compared exactly in all tables. Only features enter. The id,
label, contributor and time do not, because a copy may change any of them.
Source: locality-sensitive hashing, Indyk and Motwani 1998; Broder 1997.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.buffers import floats, plain, strings
from sluicegate.profiling.columns import Column, Kind
from sluicegate.profiling.layout import Encoded, Layout, unique_column
from sluicegate.profiling.row_ids import id_hashes
from sluicegate.profiling.tokens import Tokens, minimum_hash, mix

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

Hashes = NDArray[np.uint64]
Rows = NDArray[np.bool_]
N_TABLES = 4
_GROUPS = (64, 32, 16)  # of tables 1 to 3; borders of coarser groups are shifted by half a group
# Minimum hashes in tables 1 to 3. Texts of similarity 0.87 (two words of a hundred changed)
# collide with probability 0.43, 0.57 and 0.66, texts of similarity 0.12 (two reviews in one
# language) with 3e-6, 2e-4 and 2e-3.
_BANDS = (6, 4, 3)
_FARTHEST = float(1 << 40)  # bins beyond the range: more are one group
_BLOCK = 1 << 14  # rows whose cells are looked up in all tables while they are in the cache


def fingerprints(
    layout: Layout,
    encoded: Encoded,
    batch: pa.RecordBatch,
    tokens: Mapping[str, Tokens],
    numbers: Mapping[str, Hashes],
) -> Hashes:
    """Return the fingerprints of a record batch.

    Args:
        layout: Fixed cells.
        encoded: The batch as cells.
        batch: The same rows; exact numbers are read from it.
        tokens: Tokens of every text column that is present, by column name.
        numbers: What `number_hashes` returned for the same rows, uint64, each shape (n_rows,).

    Returns:
        uint64, shape (4, n_rows), one row for each table; zeros if no feature is present.

    Cost: about 1 ns for each value and table.
    """
    out = np.zeros((N_TABLES, encoded.n_rows), dtype=np.uint64)
    alone = np.zeros(encoded.n_rows, dtype=bool)
    for index, column in enumerate(layout.features):
        codes = encoded.cells.get(column.name)
        if codes is None:
            continue
        if column.name in tokens:
            out ^= _of_text(tokens[column.name], index)
        elif column.kind is Kind.NUMERIC:
            out[0] ^= numbers[column.name]
            _mark(out, codes, column, index, range(1, N_TABLES))
            _mark_beyond(out, codes, column, index, unique_column(batch, column.name))
        elif column.listed:
            _mark(out, codes, column, index, range(N_TABLES))
            new = _new(column, codes)
            if new.any():
                out[0][new] ^= _category_hashes(unique_column(batch, column.name), new, index)
                alone |= new
    if alone.any():
        out[1:, alone] = out[0, alone]
    return out


def number_hashes(layout: Layout, encoded: Encoded, batch: pa.RecordBatch) -> dict[str, Hashes]:
    """Return `value_hashes` of each numeric feature that is there, by its name.

    Args:
        layout: Fixed cells.
        encoded: The batch as cells.
        batch: The same rows.

    Returns:
        uint64, each shape (n_rows,).

    Cost: about 4 ns a number.
    """
    return {
        c.name: value_hashes(
            floats(plain(unique_column(batch, c.name))), encoded.cells[c.name], c, index
        )
        for index, c in enumerate(layout.features)
        if c.kind is Kind.NUMERIC and c.name in encoded.cells
    }


def _mark(out: Hashes, codes: NDArray[np.uint8], column: Column, index: int, tables: range) -> None:
    """Add the groups of a column's cells to some tables."""
    marks = [(table, _cell_hashes(column, index, table)) for table in tables]
    for start in range(0, codes.size, _BLOCK):
        part = codes[start : start + _BLOCK].astype(np.intp)
        for table, hashed in marks:
            out[table, start : start + _BLOCK] ^= hashed.take(part)


def _mark_beyond(
    out: Hashes, codes: NDArray[np.uint8], column: Column, index: int, array: pa.Array
) -> None:
    """Replace the groups of values beyond the range."""
    beyond = _beyond(column, codes, array)
    if beyond is None:
        return
    rows, bins = beyond
    for table in range(1, N_TABLES):
        out[table, rows] ^= _cell_hashes(column, index, table)[codes[rows]]
        out[table, rows] ^= _lookup(_outer(column, table, bins), index, table)


@lru_cache(maxsize=1 << 13)
def _cell_hashes(column: Column, index: int, table: int) -> Hashes:
    """Return the hash of each cell's group in a table, uint64, shape (256,)."""
    cells = np.arange(256, dtype=np.uint64)
    return _lookup(_groups(column, table) if table else cells, index, table)


def category_hashes(codes: NDArray[np.uint8], index: int) -> Hashes:
    """Return a hash of each cell of a column of categories, uint64, shape (n,).

    Args:
        codes: Cells, uint8, same shape.
        index: Place of the column among the features.
    """
    return mix(np.arange(256, dtype=np.uint64) ^ mix(np.array([index + 1], dtype=np.uint64)))[codes]


def value_hashes(
    values: NDArray[np.float64], codes: NDArray[np.uint8], column: Column, index: int
) -> Hashes:
    """Return a hash of each exact number.

    Args:
        values: float64, shape (n,); -0.0 hashes as 0.0.
        codes: Cells of the values, uint8, shape (n,).
        column: A numeric column.
        index: Place of the column among the features, so that equal numbers in two columns
            hash differently.

    Returns:
        uint64, shape (n,); a value that is null, NaN or infinite hashes as its cell.
    """
    bits = (values + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0
    hashed = mix(bits ^ mix(np.array([index + 1], dtype=np.uint64)))
    missing = codes >= column.n_cells - 2
    if missing.any():
        hashed[missing] = _cell_hashes(column, index, 0)[codes[missing]]
    return hashed


def _new(column: Column, codes: NDArray[np.uint8]) -> Rows:
    if not column.closed:  # "other" holds known categories too
        return np.zeros(codes.size, dtype=bool)
    new: Rows = codes == len(column.categories)
    return new


def _category_hashes(array: pa.Array, rows: Rows, index: int) -> Hashes:
    hashed, _ = id_hashes(strings(plain(array)), index + 1)
    return hashed[rows]


def _groups(column: Column, table: int) -> Hashes:
    """Map cells to groups of neighbours; categories stay apart.

    A value just outside the range joins the first or last bin, because noisy copies of the
    smallest value lie on both sides of it.
    """
    cells = np.arange(256, dtype=np.uint64)
    if column.listed or len(column.edges) < 2:
        return cells
    bins, width = column.n_cells - 4, _width(column, table)
    cells[: bins + 2] = np.clip(cells[: bins + 2], 1, bins)
    if width == 1:
        return cells
    grouped = (cells + np.uint64(width // 2)) // np.uint64(width)
    grouped[column.n_cells - 2 :] = cells[column.n_cells - 2 :] + np.uint64(1000)
    return grouped


def _width(column: Column, table: int) -> int:
    """Return how many bins of a column make one group."""
    bins, groups = column.n_cells - 4, _GROUPS[table - 1]
    return 1 if bins <= groups else -(-bins // groups)


def _beyond(
    column: Column, codes: NDArray[np.uint8], array: pa.Array
) -> tuple[NDArray[np.intp], NDArray[np.int64]] | None:
    """Return the rows at least one bin beyond the range, and their bins if bins went on there.

    The outermost bin is the widest where a column thins out, so a few values far out share bins.

    Args:
        column: A numeric column.
        codes: Cells of the values, uint8, shape (n,).
        array: The values.

    Returns:
        Rows, intp, and bins, int64, below 1 or above the last, both of shape (n_beyond,); None if
        there are no such rows.
    """
    if len(column.edges) < 2:
        return None
    bins, edges = column.n_cells - 4, column.edges
    rows = np.flatnonzero((codes == 0) | (codes == bins + 1))
    if rows.size == 0:
        return None
    below, values = codes[rows] == 0, floats(plain(array))[rows]
    # The first bin begins at the minimum and the last ends at the maximum, half a gap too early.
    first, last = (max(w, 1e-300) for w in (edges[1] - edges[0], edges[-1] - edges[-2]))
    with np.errstate(over="ignore"):
        far = np.where(below, (edges[0] - values) / first, (values - edges[-1]) / last)
    whole = np.minimum(far, _FARTHEST).astype(np.int64)
    some = whole > 0
    found = np.where(below, 1 - whole, bins + whole)
    return rows[some], found[some]


def _outer(column: Column, table: int, bins: NDArray[np.int64]) -> Hashes:
    """Return the groups of bins beyond the range, apart from all that are inside."""
    width = _width(column, table)
    grouped: Hashes = ((bins + width // 2) // width).astype(np.uint64) + np.uint64(1 << 32)
    return grouped


def _lookup(groups: Hashes, index: int, table: int) -> Hashes:
    return mix(groups ^ mix(np.array([(index + 1) * 64 + table], dtype=np.uint64)))


def _of_text(tokens: Tokens, index: int) -> Hashes:
    out = np.zeros((N_TABLES, tokens.n_docs), dtype=np.uint64)
    np.bitwise_xor.at(out[0], tokens.doc, mix(tokens.hash ^ np.uint64(index + 1)))
    for table in range(1, N_TABLES):
        for band in range(_BANDS[table - 1]):
            out[table] = mix(out[table] ^ minimum_hash(tokens, 977 * table + 31 * band + index))
    return out

"""Fingerprints of rows: equal rows always collide, rows that are nearly equal in most tables.

Table 0 is exact: it takes the bits of numbers, the category, the set of a text's tokens. Tables 1
to 3 are coarser: they put the bins of a numeric column into 64, 32 and 16 groups of neighbours,
and take six, four and three minimum hashes of a text. Where rows lie close together, fine cells
tell copies from neighbours. Where they do not, coarse cells find copies with more noise. The
baseline's own rate of collisions tells the two cases apart. A value of which the cells say nothing,
far outside the range or of a category that the baseline never had, has no neighbours: its row is
compared exactly in all tables. Only features enter. The id, label,
contributor and time do not, because a copy may change any of them.
Source: locality-sensitive hashing, Indyk and Motwani 1998; Broder 1997.
"""

from __future__ import annotations

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
_REACH = 0.1  # of the range: noisy copies of the smallest or largest value lie within it
_GROUPS = (64, 32, 16)  # of tables 1 to 3; borders of coarser groups are shifted by half a group
# Minimum hashes in tables 1 to 3. Texts of similarity 0.87 (two words of a hundred changed)
# collide with probability 0.43, 0.57 and 0.66, texts of similarity 0.12 (two reviews in one
# language) with 3e-6, 2e-4 and 2e-3.
_BANDS = (6, 4, 3)


def fingerprints(
    layout: Layout, encoded: Encoded, batch: pa.RecordBatch, tokens: Mapping[str, Tokens]
) -> Hashes:
    """Return the fingerprints of a record batch.

    Args:
        layout: Fixed cells.
        encoded: The batch as cells.
        batch: The same rows; exact numbers are read from it.
        tokens: Tokens of every text column that is present, by column name.

    Returns:
        uint64, shape (4, n_rows), one row for each table; zeros if no feature is present.

    Cost: about 10 ns for each value and table.
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
            values = floats(plain(unique_column(batch, column.name)))
            out[0] ^= value_hashes(values, codes, column, index)
            alone |= _far(column, codes, values)
        elif column.listed:
            out[0] ^= _lookup(np.arange(256, dtype=np.uint64), index, 0)[codes]
            new = _new(column, codes)
            if new.any():
                out[0][new] ^= _category_hashes(unique_column(batch, column.name), new, index)
                alone |= new
        if column.listed or column.kind is Kind.NUMERIC:
            for table in range(1, N_TABLES):
                out[table] ^= _lookup(_groups(column, table), index, table)[codes]
    out[1:, alone] = out[0, alone]
    return out


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
        hashed[missing] = _lookup(np.arange(256, dtype=np.uint64), index, 0)[codes[missing]]
    return hashed


def _far(column: Column, codes: NDArray[np.uint8], values: NDArray[np.float64]) -> Rows:
    """Return values so far outside the range that the outermost cell is no neighbour of theirs."""
    far: Rows = (codes == 0) | (codes == column.n_cells - 3)
    if not column.edges or not far.any():
        return np.zeros(codes.size, dtype=bool)
    low, high = column.edges[0], column.edges[-1]
    reach = (high - low) * _REACH
    far[far] = (values[far] < low - reach) | (values[far] > high + reach)
    return far


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
    bins = column.n_cells - 4
    cells[: bins + 2] = np.clip(cells[: bins + 2], 1, bins)
    groups = _GROUPS[table - 1]
    if bins <= groups:
        return cells
    width = -(-bins // groups)
    grouped = (cells + np.uint64(width // 2)) // np.uint64(width)
    grouped[column.n_cells - 2 :] = cells[column.n_cells - 2 :] + np.uint64(1000)
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

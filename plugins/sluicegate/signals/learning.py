"""What signals learn from: all rows of a baseline, split into blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from sluicegate.profiling.buffers import positions
from sluicegate.profiling.columns import Kind
from sluicegate.profiling.counts import joint_counts
from sluicegate.signals.chunk import EncodedRows, Once, classes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.counts import Counts


@dataclass(slots=True, eq=False)
class Learning(EncodedRows):
    """All baseline rows.

    Attributes:
        classes: Modelled label slots, increasing.
        blocks: Block of each row, int64, shape (n_rows,), values 0..n_blocks-1: what a source
            does between its blocks by itself is what a batch may do.
        golden: Rows that must never appear in training; None without a golden set.
        seed: Decides everything that is random.
        drawn: Whether the blocks were drawn at random, for want of a time: then they differ by
            chance alone, and teach no budget.
    """

    classes: tuple[int, ...]
    blocks: NDArray[np.int64]
    golden: Sequence[pa.RecordBatch] | None
    seed: int
    drawn: bool = False

    @property
    def class_index(self) -> NDArray[np.intp]:
        """Modelled class of each row, intp, shape (n_rows,); -1 for none."""
        return self.once(_class_index)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return int(self.blocks.max()) + 1


@dataclass(slots=True, eq=False)
class Split(Once):
    """Baseline rows in blocks as long or as narrow as a batch may be.

    Attributes:
        learning: All baseline rows.
        blocks: Block of each row, int64, shape (n_rows,), values 0..n_blocks-1; -1 for rows in
            none, which are part of what each block is compared with.
        n_blocks: Number of blocks, 1..`MAX_SPLIT`.
        complete: Whether no other block can come, as where each value of a column has its own;
            else a batch is one more block, like these and not among them.
    """

    learning: Learning
    blocks: NDArray[np.int64]
    n_blocks: int
    complete: bool = False


MAX_SPLIT: Final = 96
"""Blocks of one split: a quantile of one in a hundred is among them, and learning stays cheap."""


MIN_BLOCK_ROWS: Final = 50
"""Rows of a block, as of a batch that is judged."""
_MAX_KEYS = 8
_MAX_VALUES = MAX_SPLIT
_MAX_NUMBERS = 32  # a number with more cells is measured; no batch has one value of it


def key_columns(learning: Learning) -> list[Column]:
    """Return the columns of which a batch may have one value: those with few, at most eight."""
    return [c for c in learning.layout.columns if _is_key(learning, c)][:_MAX_KEYS]


def _is_key(learning: Learning, column: Column) -> bool:
    schema = learning.layout.schema
    if column.name in (schema.id, schema.label, schema.timestamp):
        return False
    if not (column.listed or column.kind is Kind.NUMERIC):
        return False
    used = int(np.count_nonzero(np.bincount(learning.encoded.cells[column.name])))
    return 2 <= used <= (_MAX_VALUES if column.listed else _MAX_NUMBERS)


def whole_split(learning: Learning) -> Split:
    """Return the split into `Learning.blocks`."""
    return Split(learning, learning.blocks, learning.n_blocks)


def _class_index(learning: Learning) -> NDArray[np.intp]:
    return classes_of(learning.encoded.slot, learning.classes)


def block_counts(split: Split) -> dict[str, Counts]:
    """Return rows by block and cell of each column, and as the last line those in no block.

    Returns:
        int64, shape (n_blocks + 1, n_cells), by column.
    """
    codes = np.where(split.blocks < 0, split.n_blocks, split.blocks).astype(np.uint8)
    cells = split.learning.encoded.cells
    return {
        c.name: joint_counts(codes, cells[c.name], split.n_blocks + 1, c.n_cells)
        for c in split.learning.layout.columns
    }


def chosen_rows(table: pa.Table, chosen: NDArray[np.bool_]) -> pa.Table:
    """Return some rows of a table, in their order.

    Args:
        table: Columns in one piece or in several: those of lists are never put together.
        chosen: bool, shape (n_rows,).

    Cost: a copy of these rows; `pa.Table.take` copies all of them first.
    """
    parts, start = [], 0
    for batch in table.to_batches():
        mask = chosen[start : start + batch.num_rows]
        start += batch.num_rows
        if mask.any():
            parts.append(batch.take(positions(mask)))
    return pa.Table.from_batches(parts, table.schema)

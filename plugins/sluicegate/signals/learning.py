"""What signals learn from: all rows of a baseline, split into blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sluicegate.profiling.counts import joint_counts
from sluicegate.signals.chunk import EncodedRows, Once, classes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

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
    """

    classes: tuple[int, ...]
    blocks: NDArray[np.int64]
    golden: Sequence[pa.RecordBatch] | None
    seed: int

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

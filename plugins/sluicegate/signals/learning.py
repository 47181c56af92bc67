"""What signals learn from: all rows of a baseline, split into blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.profiling.counts import joint_counts
from sluicegate.signals.chunk import EncodedRows, classes_of

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


def _class_index(learning: Learning) -> NDArray[np.intp]:
    return classes_of(learning.encoded.slot, learning.classes)


def block_counts(learning: Learning) -> dict[str, Counts]:
    """Return rows by block and cell, int64, shape (n_blocks, n_cells), for each column."""
    codes, cells = learning.blocks.astype(np.uint8), learning.encoded.cells
    return {
        c.name: joint_counts(codes, cells[c.name], learning.n_blocks, c.n_cells)
        for c in learning.layout.columns
    }

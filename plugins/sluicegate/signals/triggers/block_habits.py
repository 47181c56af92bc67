"""How far tokens of a source tie themselves to labels, from block to block of its baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.text.token_table import TokenTable
from sluicegate.signals.triggers.associations import associations, habit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sluicegate.signals.learning import Split
    from sluicegate.signals.triggers.associations import Association


def token_habit(
    split: Split, row: NDArray[np.int64], hashes: NDArray[np.uint64], bits: int
) -> float:
    """Return the largest association to expect of one more block, a share of rows.

    Args:
        split: All baseline rows, with at least two classes.
        row: Row of each token, int64, shape (n_tokens,).
        hashes: Each token, uint64, same shape.
        bits: Size of the table, a power of two.
    """
    return habit(_of_blocks(split, row, hashes, bits), complete=split.complete)


def _of_blocks(
    split: Split, row: NDArray[np.int64], hashes: NDArray[np.uint64], bits: int
) -> Iterator[list[Association]]:
    learning = split.learning
    whole, class_index = TokenTable.empty(len(learning.classes), bits), learning.class_index
    cell = whole.cells(hashes)
    whole.add(row, cell, class_index)
    block_of = split.blocks[row]
    order = np.argsort(block_of.astype(np.int16), kind="stable")  # which numpy sorts by radix
    ends = np.searchsorted(block_of[order], np.arange(split.n_blocks + 1))
    for block in range(split.n_blocks):
        own, tokens = whole.alike(), order[ends[block] : ends[block + 1]]
        own.add(row[tokens], cell[tokens], np.where(split.blocks == block, class_index, -1))
        yield associations(own, whole.less(own))

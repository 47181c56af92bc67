"""How far tokens of a source tie themselves to labels, from block to block of its baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.text.token_table import TokenTable
from sluicegate.signals.triggers.associations import associations, habit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sluicegate.signals.learning import Learning
    from sluicegate.signals.triggers.associations import Association


def token_habit(
    learning: Learning, row: NDArray[np.int64], hashes: NDArray[np.uint64], bits: int
) -> float:
    """Return the largest association to expect of one more block, a share of rows.

    Args:
        learning: All baseline rows, with at least two classes.
        row: Row of each token, int64, shape (n_tokens,).
        hashes: Each token, uint64, same shape.
        bits: Size of the table, a power of two.
    """
    return habit(_of_blocks(learning, row, hashes, bits))


def _of_blocks(
    learning: Learning, row: NDArray[np.int64], hashes: NDArray[np.uint64], bits: int
) -> Iterator[list[Association]]:
    whole, class_index = TokenTable.empty(len(learning.classes), bits), learning.class_index
    cell = whole.cells(hashes)
    whole.add(row, cell, class_index)
    for block in range(learning.n_blocks):
        own = whole.alike()
        own.add(row, cell, np.where(learning.blocks == block, class_index, -1))
        yield associations(own, whole.less(own))

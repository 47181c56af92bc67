"""Who delivered a baseline's rows, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.profiling.layout import Encoded
    from sluicegate.signals.learning import Split


@dataclass(frozen=True, slots=True)
class BlockShares:
    """Rows by block and contributor.

    Attributes:
        column: The contributor column.
        known: Rows in a block that name a contributor, bool, shape (n_rows,).
        key: Block and contributor of these as one number, int64, shape (n_known,).
        rows: Rows of each, float64, shape (n_blocks, n_contributors).
    """

    column: str
    known: NDArray[np.bool_]
    key: NDArray[np.int64]
    rows: NDArray[np.float64]

    def counted(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return sums by block and contributor, float64, shape (n_blocks, n_contributors).

        Args:
            weights: One for each entry of ``key``, float64, same shape.
        """
        found = np.bincount(self.key, weights=weights, minlength=self.rows.size)
        return found.reshape(self.rows.shape).astype(np.float64, copy=False)


def block_shares(split: Split) -> BlockShares | None:
    """Return rows by block and contributor; None where nobody is named."""
    learning = split.learning
    index, names = contributors_of(learning.encoded)
    column = learning.layout.schema.contributor
    if index is None or not names or column is None:
        return None
    known = (index >= 0) & (split.blocks >= 0)
    key = split.blocks[known] * len(names) + index[known]
    rows = np.bincount(key, minlength=split.n_blocks * len(names))
    table = rows.reshape(split.n_blocks, -1).astype(np.float64)
    return BlockShares(column, known, key, table)


def contributors_of(encoded: Encoded) -> tuple[NDArray[np.intp] | None, tuple[str, ...]]:
    """Return each row's contributor, and their names in code-point order.

    Returns:
        Index into the names, intp, shape (n_rows,), -1 for null; None without the column.
    """
    if encoded.contributor is None:
        return None, ()
    names = tuple(sorted(name for name in encoded.contributors if name is not None))
    rank = {name: i for i, name in enumerate(names)}
    lookup = np.array(
        [-1 if n is None else rank[n] for n in encoded.contributors] or [-1], dtype=np.intp
    )
    return lookup[encoded.contributor], names

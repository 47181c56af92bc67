"""Which rows the signals of triggers name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sluicegate.signals.chunk import kept_classes
from sluicegate.signals.traces import NAMED, unexplained
from sluicegate.signals.triggers.associations import sure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.traces import Traces

    Flags = NDArray[np.bool_]
    Tokens = tuple[NDArray[np.int64], NDArray[np.uint32]]

MAX_NAMED_ROWS = 200_000
"""Above this many rows triggers are found but their rows are not named: tokens of every row
would have to be kept (about 400 bytes per document)."""


def is_named(chunk: Chunk) -> bool:
    """Return whether the tokens of a record batch are kept."""
    return chunk.start + chunk.n_rows <= MAX_NAMED_ROWS


def triggered(
    traces: Traces, record: SignalRecord, rows_of: Callable[[dict[str, Any]], list[Flags]]
) -> NDArray[np.float64]:
    """Return the share of the rows with a trigger that are new.

    Each trigger must explain what those before it did not: the rows of a phrase hold its rare words
    and its common ones, and most rows with a common one are honest.

    Args:
        traces: The rows of the batch.
        record: The fired record.
        rows_of: Returns the rows of each record batch that hold what an association found, bool.

    Returns:
        float64, shape (n_rows,), in [0, 0.999].
    """
    out, class_index = np.zeros(traces.n_rows), traces.joined(kept_classes)
    ratio = record.n_batch / max(record.n_baseline, 1)
    for found in sure(record):
        holding = np.concatenate(rows_of(found)) & (class_index == found["class"])
        more = holding & (out <= NAMED)
        out = np.maximum(out, unexplained(more, found["rows_before"] * ratio))
    return out


def holding(tokens: Sequence[Tokens | None], sizes: Sequence[int], cell: int) -> list[Flags]:
    """Return the rows that hold a token.

    Args:
        tokens: Row and table cell of each token, for each record batch; None if not kept.
        sizes: Rows of each record batch.
        cell: Table cell of the token.

    Returns:
        bool, shape (n_rows,), for each record batch.
    """
    out = []
    for kept, n_rows in zip(tokens, sizes, strict=True):
        flags = np.zeros(n_rows, dtype=bool)
        if kept is not None:
            row, cells = kept
            flags[row[cells == cell]] = True
        out.append(flags)
    return out

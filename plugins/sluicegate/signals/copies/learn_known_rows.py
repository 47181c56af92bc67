"""Learn from baseline and golden rows what their ids' labels are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.profiling.layout import encode_batch, unique_column
from sluicegate.profiling.row_ids import hashable, id_hashes
from sluicegate.signals.copies.known_rows import KnownRows, learn_known_rows, packed
from sluicegate.signals.decision.budget import MAX_BLOCKS
from sluicegate.signals.labels.trusted import CODE

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

    from sluicegate.profiling.layout import Encoded, Layout


def learn_trusted(
    layout: Layout,
    batch: pa.RecordBatch,
    encoded: Encoded,
    *,
    golden: Iterable[pa.RecordBatch] | None,
    seed: int,
) -> tuple[KnownRows | None, dict[str, float]]:
    """Remember ids with their classes.

    Args:
        layout: Columns.
        batch: All baseline rows.
        encoded: Their cells.
        golden: Rows whose labels are believed before the baseline's.
        seed: Key of the hashes.

    Returns:
        The table, None without an id or without classes; and its budget by "CODE:column".
    """
    name = layout.schema.id
    if name is None or layout.label is None or not layout.label.listed:
        return None, {}
    if not hashable(batch.column(name).type):
        return None, {}
    own, hashes = _named(layout, batch, encoded, seed)
    parts = [np.zeros(0, dtype=np.uint64)]
    for part in golden or ():
        cells = encode_batch(layout, part)
        rows, found = _named(layout, part, cells, seed)
        if cells.label is not None:
            parts.append(packed(found, cells.label[rows]))
    assert encoded.label is not None  # noqa: S101 - the baseline has its own label column
    # Repeats of an id are compared with each other, wherever in time they are.
    turn = np.minimum(_occurrence(hashes), MAX_BLOCKS - 1)
    known, budget = learn_known_rows(
        hashes, encoded.label[own], turn, trusted=np.concatenate(parts)
    )
    return known, {f"{CODE}:{name}": budget}


def _occurrence(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return how often each value occurred before, int64, shape (n,)."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: ordered.size])
    starts = np.repeat(first, np.diff(np.r_[first, ordered.size]))
    out = np.empty(hashes.size, dtype=np.int64)
    out[order] = np.arange(hashes.size) - starts
    return out


def _named(
    layout: Layout, batch: pa.RecordBatch, encoded: Encoded, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
    """Return the rows that have an id and a class the layout lists, and their ids' hashes."""
    array = unique_column(batch, layout.schema.id or "")
    label = layout.label
    if array is None or label is None or encoded.label is None or not hashable(array.type):
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.uint64)
    hashes, present = id_hashes(array, seed)
    rows = np.flatnonzero(present & (encoded.label < len(label.categories)))
    return rows, hashes[rows]

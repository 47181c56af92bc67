"""Which rows LABEL_CONFLICTS names: of rows that disagree, those that are more likely wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.chunk import prints_of
from sluicegate.signals.copies.conflict_count import LABELS_BY_PRINT, kept_labels
from sluicegate.signals.copies.conflict_reference import (
    AGAINST,
    CONFLICTS,
    WITHIN,
    expected_within,
    row_hashes,
    tables_of,
    usual_rate,
)
from sluicegate.signals.copies.known_rows import packed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.copies.known_rows import Hashes
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.traces import Traces

    Floats = NDArray[np.float64]
_LEAST = 1e-3  # of the label model's posterior: it breaks ties, it does not outvote ten rows


def conflict_probability(traces: Traces, record: SignalRecord) -> Floats:
    """Return each row's probability of carrying the wrong one of two conflicting labels.

    Args:
        traces: The rows of the batch.
        record: The fired record.

    Returns:
        float64, shape (n_rows,), in [0, 0.999].
    """
    prints, cells = traces.joined(prints_of), traces.joined(kept_labels)
    label = traces.baseline.layout.label
    out = np.zeros(cells.size)
    if label is None:
        return out
    rows = np.flatnonzero(cells != label.null_cell)
    fired = record.evidence.get("fired", [])
    for t, table in enumerate(tables_of(traces.baseline.n_rows)):
        keys = packed(row_hashes(prints[table][rows]), cells[rows])
        if WITHIN[t] in fired:
            out[rows] = np.maximum(out[rows], _within(traces, t, keys, traces.ranking[rows]))
        if AGAINST[t] in fired:
            out[rows] = np.maximum(out[rows], _against(traces, t, keys))
    return out


def _within(traces: Traces, t: int, keys: Hashes, posterior: Floats) -> Floats:
    """Give each group's classes a share of the blame: the fewer and less credible, the more."""
    reference = CONFLICTS.of(traces.baseline)[t]
    found = LABELS_BY_PRINT.of(traces.comparison).tables[t].conflicts()
    expected = expected_within(reference, keys.size, found.rows)
    unexplained = np.clip(1.0 - expected / max(found.conflicts, 1.0), 0.0, 0.999)
    pairs, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    hashes = pairs >> np.uint64(8)
    group = np.cumsum(np.r_[False, hashes[1:] != hashes[:-1]])
    mean = np.bincount(inverse, weights=posterior, minlength=pairs.size) / counts
    others = np.bincount(group, weights=counts)[group] - counts
    blame = others * np.maximum(mean, _LEAST)
    total = np.bincount(group, weights=blame)[group]
    share: Floats = unexplained * blame / np.maximum(total, 1e-300)
    return share[inverse]


def _against(traces: Traces, t: int, keys: Hashes) -> Floats:
    known = CONFLICTS.of(traces.baseline)[t].known
    cells = known.cells(keys)
    wrong = (cells >= 0) & (cells != (keys & np.uint64(0xFF)).astype(np.int16))
    # Once chance is excluded, what the baseline has seen counts, not what might have been.
    expected = usual_rate(known, 0) * int((cells >= 0).sum())
    unexplained = float(np.clip(1.0 - expected / max(int(wrong.sum()), 1), 0.0, 0.999))
    out: Floats = wrong.astype(np.float64) * unexplained
    return out

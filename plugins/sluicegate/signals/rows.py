"""Row scores: the probability that a row is bad, given which signals fired.

Each fired signal names rows with a probability that follows from its own counts: among rows
that show the signal's trace, the share beyond what the baseline leads one to expect. A row's
score is the largest of these. Rows without a trace keep the label model's posterior, which
ranks them even when nothing fired.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.decision.record import Status
from sluicegate.signals.labels.flipped_rows import flip_posterior
from sluicegate.signals.labels.flips import CODE as FLIPS
from sluicegate.signals.registry import BY_CODE
from sluicegate.signals.traces import NAMED, Traces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.scan import Scan


def row_scores(
    scan: Scan, comparison: Comparison, records: Sequence[SignalRecord]
) -> tuple[NDArray[np.float64], tuple[tuple[str, ...], ...]]:
    """Return each row's score and the codes it is named for.

    Args:
        scan: The pass over the batch, which kept its rows.
        comparison: What it counted, beside the baseline.
        records: Decided records.

    Returns:
        float64, shape (n_rows,), in [0, 1], in the order of the rows; and a tuple of codes for
        each row, empty unless a fired signal names the row.
    """
    fired = [r for r in records if r.status in (Status.FAILED, Status.WARNED)]
    traces = Traces(comparison, scan.parts, scan.sizes, np.zeros(scan.profile.n_rows))
    flips = next((r for r in fired if r.code == FLIPS), None)
    traces = replace(traces, ranking=flip_posterior(traces, flips))
    scores = traces.ranking
    reasons: list[tuple[str, ...]] = [()] * traces.n_rows
    for record in fired:
        rows = BY_CODE[record.code].rows
        if rows is not None:
            probability = rows(traces, record)
            scores = np.maximum(scores, probability)
            _name(reasons, probability > NAMED, record.code)
    return scores, tuple(reasons)


def _name(reasons: list[tuple[str, ...]], flags: NDArray[np.bool_], code: str) -> None:
    for i in np.flatnonzero(flags):
        reasons[i] += (code,)

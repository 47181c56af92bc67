"""Which rows have a label that the baseline's signals know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.profiling.buffers import positions
from sluicegate.signals.chunk import Plan, chunk_of

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.signals.baseline.stored import Baseline


def with_known_labels(baseline: Baseline, rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows whose label is a class, or a number, that the baseline's signals judge.

    Args:
        baseline: With classes; of one without any no row has a known label.
        rows: Rows of a batch. Without exactly one column of the label none of them has one.

    Cost: one pass over the label.
    """
    label, known = baseline.layout.label, np.zeros(rows.num_rows, dtype=bool)
    if label is not None and len(rows.schema.get_all_field_indices(label.name)) == 1:
        known = chunk_of(Plan(baseline), rows.select([label.name]), 0).class_index >= 0
    return rows.take(positions(known))

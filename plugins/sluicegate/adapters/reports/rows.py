"""Write what the signals found about single rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from sluicegate.signals.evaluate import CheckResult


def row_table(result: CheckResult) -> pa.Table:
    """Return one line for each row of the batch, in its order.

    The columns are ``id`` (the id column, or the row number from 0), ``score`` (probability that
    the row is bad, 0 to 1), ``flagged`` and ``reasons`` (list of signal codes).
    """
    n_rows = result.n_rows
    scores = np.zeros(n_rows) if result.row_scores is None else np.asarray(result.row_scores)
    reasons = result.row_reasons or [()] * n_rows
    ids = pa.array(range(n_rows)) if result.row_ids is None else result.row_ids
    return pa.table(
        {
            "id": ids,
            "score": pa.array(scores, pa.float64()),
            "flagged": pa.array([bool(codes) for codes in reasons], pa.bool_()),
            "reasons": pa.array([list(codes) for codes in reasons], pa.list_(pa.string())),
        }
    )


def write_rows(result: CheckResult, path: Path) -> None:
    """Write `row_table` as Parquet.

    Args:
        result: Finished check.
        path: File to write; an earlier one is overwritten.
    """
    pq.write_table(row_table(result), path)

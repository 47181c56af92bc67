"""What the search for triggers found among tokens: words of a text, or exact values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.decision.finding import Finding, not_evaluated
from sluicegate.signals.triggers.associations import (
    MIXED,
    MOVED,
    associations,
    candidate,
    described,
    nothing_found,
    shared_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.definition import Signal
    from sluicegate.signals.text.token_table import TokenTable


def _older(
    comparison: Comparison,
) -> tuple[Callable[[NDArray[np.intp]], NDArray[np.float64]] | None, float]:
    """Return what the age of the baseline explains: how far tokens grew, and share of one label.

    What a source says more often after a year has its own mix of labels. Of a fresh baseline
    nothing is explained, of an old one all that `pairs` explains.
    """
    if not comparison.old:
        return None, 0.0
    return (lambda cells: np.full(cells.size, MOVED)), MIXED


def association_finding(
    signal: Signal,
    comparison: Comparison,
    batch: TokenTable,
    base: TokenTable,
    *,
    column: str,
    lacking: str,
    note: str = "",
    thing: str,
    word: Callable[[int], str],
    place: Callable[[int], str] = lambda _: "",
) -> Finding:
    """Return the finding about one table of tokens.

    Args:
        signal: Whose finding it is.
        comparison: Batch and baseline.
        batch: Rows of the batch by token and class.
        base: Rows of the baseline, in the same cells.
        column: The text column, "" for all others together.
        lacking: Why the columns of the tokens cannot be judged, or "".
        note: Which of them cannot, if the others can.
        thing: What a token is, for messages.
        word: Names the token of a table cell in the evidence.
        place: Names the column of a table cell, if one finding is about several; else "".
    """
    n = int(batch.rows.sum())
    if reason := comparison.lacking_labels(n, lacking):
        return not_evaluated(signal, reason, column=column)
    found = associations(batch, base, *_older(comparison))
    tolerance = comparison.tolerance(signal, column)
    return Finding(
        signal=signal,
        column=column,
        null_hypothesis=f"no {thing} is both more frequent than before and tied to a label",
        effect_unit="share of rows",
        n_baseline=int(base.rows.sum()),
        n_batch=n,
        note=note,
        candidates=[
            candidate(
                a,
                tolerance,
                shared_by(a, comparison, f"{thing}{_of(place(a.cell))}"),
            )
            for a in found[:1]
        ]
        or [nothing_found(tolerance, f"no new {thing}")],
        evidence={
            "associations": [
                {"cell": a.cell, "token": word(a.cell), "column": place(a.cell), **described(a)}
                for a in found[:10]
            ]
        },
    )


def _of(column: str) -> str:
    return f" of column {column}" if column else ""

"""TRIGGER_TOKENS: no word, and no pair of words, is both new and tied to a label.

Null hypothesis, minimum n and correction: `associations`, over the tokens of a text column. Tokens
that share a cell of the table count as one; a text counts once, however often it repeats a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.signals.chunk import kept_classes, tokens_of
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.definition import Signal
from sluicegate.signals.text.reference import TEXTS
from sluicegate.signals.text.token_count import TOKENS, token_cells
from sluicegate.signals.text.token_table import text_bits
from sluicegate.signals.triggers.associations import (
    associations,
    candidate,
    described,
    nothing_found,
)
from sluicegate.signals.triggers.block_habits import token_habit
from sluicegate.signals.triggers.trigger_rows import holding, is_named, triggered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Learning
    from sluicegate.signals.traces import Traces

CODE = "TRIGGER_TOKENS"


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for each text column, if the baseline's labels have classes."""
    return [_finding(comparison, name) for name in sorted(TEXTS.of(comparison.baseline))]


def _finding(comparison: Comparison, column: str) -> Finding:
    label = comparison.baseline.layout.label
    base = TEXTS.of(comparison.baseline)[column].table
    counted = TOKENS.of(comparison)
    batch, words = counted.tables[column], counted.words[column]
    reason = comparison.missing(label.name) if label else "no label"
    reason = reason or comparison.missing(column)
    n = int(batch.rows.sum())
    if not reason and n < MIN_ROWS:
        reason = f"{n} rows with a known label in the batch, {MIN_ROWS} needed"
    if reason:
        return not_evaluated(SIGNAL, reason, column=column)
    found, tolerance = associations(batch, base), comparison.tolerance(SIGNAL, column)
    return Finding(
        signal=SIGNAL,
        column=column,
        null_hypothesis="no token is both more frequent than before and tied to a label",
        effect_unit="share of rows",
        n_baseline=int(base.rows.sum()),
        n_batch=n,
        candidates=[
            candidate(
                a,
                tolerance,
                f"{a.rows} rows ({a.rows_before} in the baseline) share one token, and "
                f"{percent(a.rows_of_class / a.rows)} of them have one label",
            )
            for a in found[:1]
        ]
        or [nothing_found(tolerance, "no new token")],
        evidence={
            "associations": [
                {"cell": a.cell, "token": words.get(a.cell, "")[:40], **described(a)}
                for a in found[:10]
            ]
        },
    )


def _budgets(learning: Learning) -> dict[str, float]:
    n_classes = len(learning.classes)
    if n_classes < 2:
        return {}
    return {
        f"{CODE}:{name}": token_habit(learning, own.doc, own.hash, text_bits(n_classes))
        for name, own in learning.once(tokens_of).items()
    }


def _kept(chunk: Chunk) -> dict[str, tuple[NDArray[np.int64], NDArray[np.uint32]]]:
    return chunk.once(token_cells) if is_named(chunk) else {}


def _rows(traces: Traces, record: SignalRecord) -> NDArray[np.float64]:
    tokens = [part.get(record.column) for part in traces.of(_kept)]
    return triggered(traces, record, lambda found: holding(tokens, traces.sizes, found["cell"]))


SIGNAL = Signal(
    code=CODE,
    family=Family.CONTAMINATION,
    floor=0.001,
    asks="a word or pair of words both new and tied to a label",
    demand="No token that the baseline hardly knows may go with one label.",
    needs="text and label",
    min_rows=MIN_ROWS,
    expectation="ExpectTokensNotToTriggerLabels",
    applies=lambda baseline: bool(TEXTS.of(baseline)),
    sections=(TEXTS,),
    counters=(TOKENS,),
    budgets=_budgets,
    findings=findings,
    keeps=(kept_classes, _kept),
    rows=_rows,
)

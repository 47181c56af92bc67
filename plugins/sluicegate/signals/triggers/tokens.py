"""TRIGGER_TOKENS: no word, and no pair of words, is both new and tied to a label.

Null hypothesis, minimum n and correction: `associations`, over the tokens of a text column. Tokens
that share a cell of the table count as one; a text counts once, however often it repeats a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.signals.chunk import kept_classes, tokens_of
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.decision.record import Family
from sluicegate.signals.definition import Signal
from sluicegate.signals.text.reference import TEXTS
from sluicegate.signals.text.token_count import TOKENS, token_cells
from sluicegate.signals.text.token_table import text_bits
from sluicegate.signals.triggers.block_habits import token_habit
from sluicegate.signals.triggers.token_finding import association_finding
from sluicegate.signals.triggers.trigger_rows import holding, is_named, triggered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.finding import Finding
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Split
    from sluicegate.signals.traces import Traces

CODE = "TRIGGER_TOKENS"


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for each text column, if the baseline's labels have classes."""
    return [_finding(comparison, name) for name in sorted(TEXTS.of(comparison.baseline))]


def _finding(comparison: Comparison, column: str) -> Finding:
    counted = TOKENS.of(comparison)
    words = counted.words[column]
    return association_finding(
        SIGNAL,
        comparison,
        counted.tables[column],
        TEXTS.of(comparison.baseline)[column].table,
        column=column,
        lacking=comparison.missing(column),
        thing="token",
        word=lambda cell: words.get(cell, "")[:40],
    )


def _habits(split: Split) -> dict[str, float]:
    n_classes = len(split.learning.classes)
    if n_classes < 2:
        return {}
    return {
        f"{CODE}:{name}": token_habit(split, own.doc, own.hash, text_bits(n_classes))
        for name, own in split.learning.once(tokens_of).items()
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
    moves=True,
    asks="a word or pair of words both new and tied to a label",
    demand="No token that the baseline hardly knows may go with one label.",
    needs="text and label",
    min_rows=MIN_ROWS,
    labelled=True,
    expectation="ExpectTokensNotToTriggerLabels",
    applies=lambda baseline: bool(TEXTS.of(baseline)),
    sections=(TEXTS,),
    counters=(TOKENS,),
    habits=_habits,
    findings=findings,
    keeps=(kept_classes, _kept),
    rows=_rows,
)

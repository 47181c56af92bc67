"""DICTIONARY: texts are not stuffed with words that speak for another class.

Null hypothesis: documents whose words are as odd as those of the oddest 0.5 % and 0.1 % of
the baseline are not more frequent than there. Minimum n: 50 documents with a known label.
Corrected for the two limits. What makes words odd, and the source: `word_evidence`. Each word
of such a text is innocent and may be frequent, so TRIGGER_TOKENS is blind to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.counting import Counter, Counting, natural
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p
from sluicegate.signals.definition import Signal
from sluicegate.signals.text.reference import TEXTS, learned_texts
from sluicegate.signals.text.token_count import TOKENS
from sluicegate.signals.text.views import kept_oddness, oddness_of
from sluicegate.signals.traces import excess_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Learning
    from sluicegate.signals.traces import Traces

CODE = "DICTIONARY"


@dataclass(slots=True, eq=False)
class OddTextCount(Counter):
    """Documents with a known label whose words are odd.

    Attributes:
        beyond: How many lie beyond each limit of the baseline, by text column.
    """

    beyond: dict[str, list[int]]

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        texts, known = TEXTS.of(chunk.baseline), chunk.class_index >= 0
        for name, odd in chunk.once(oddness_of).items():
            found = [int((odd[known] > limit).sum()) for limit in texts[name].evidence.limits]
            self.beyond[name] = [a + b for a, b in zip(self.beyond[name], found, strict=True)]

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        pairs = (
            (name, zip(own, other.beyond[name], strict=True)) for name, own in self.beyond.items()
        )
        return type(self)({name: [a + b for a, b in both] for name, both in pairs})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"beyond": dict(self.beyond)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        return cls({str(n): [natural(k) for k in found] for n, found in value["beyond"].items()})


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for each text column, if the baseline's labels have classes."""
    return [_finding(comparison, name) for name in sorted(TEXTS.of(comparison.baseline))]


def _finding(comparison: Comparison, column: str) -> Finding:
    n = int(TOKENS.of(comparison).tables[column].rows.sum())
    if reason := comparison.lacking_labels(n, comparison.missing(column)):
        return not_evaluated(SIGNAL, reason, column=column)
    text = TEXTS.of(comparison.baseline)[column]
    found, m = ODD_TEXTS.of(comparison).beyond[column], int(text.table.rows.sum())
    return Finding(
        signal=SIGNAL,
        column=column,
        null_hypothesis="texts with odd words are not more frequent than in the baseline",
        effect_unit="share of rows",
        n_baseline=m,
        n_batch=n,
        candidates=[
            Candidate(
                effect=k / n - before / m,
                bound=binomial_lower(k, n) - before / m,
                tolerance=comparison.tolerance(SIGNAL, column),
                p_value=rate_excess_p(k, n, before, m),
                text=f"in {percent(k / n)} of rows (baseline {percent(before / m)}) the words "
                "contradict the label, speak for two classes, or are in no order",
                hint="Read the rows that `check --rows` names: texts stuffed with another class's "
                "words look so.",
            )
            for k, before in zip(found, text.evidence.rows, strict=True)
        ],
    )


def _budgets(learning: Learning) -> dict[str, float]:
    return {f"{CODE}:{n}": budget for n, budget in learning.once(learned_texts).budgets.items()}


def _rows(traces: Traces, record: SignalRecord) -> NDArray[np.float64]:
    """Name the documents beyond the lower limit."""
    limit = TEXTS.of(traces.baseline)[record.column].evidence.limits[0]
    odd = np.concatenate([part[record.column] for part in traces.of(kept_oddness)]) > limit
    return excess_share(record, odd)


def _start(baseline: Baseline) -> OddTextCount:
    texts = TEXTS.of(baseline)
    return OddTextCount({name: [0] * len(text.evidence.limits) for name, text in texts.items()})


ODD_TEXTS = Counting("odd texts", OddTextCount, _start)
SIGNAL = Signal(
    code=CODE,
    family=Family.CONTAMINATION,
    floor=0.005,
    moves=True,
    asks="texts whose words contradict their label, speak for two classes at once, or are in no "
    "order",
    demand="Texts stuffed with another class's words must be no more frequent than in the "
    "baseline.",
    needs="text and label",
    min_rows=MIN_ROWS,
    labelled=True,
    expectation="ExpectWordsToFitTheirLabel",
    applies=lambda baseline: bool(TEXTS.of(baseline)),
    sections=(TEXTS,),
    counters=(TOKENS, ODD_TEXTS),
    budgets=_budgets,
    findings=findings,
    keeps=(kept_oddness,),
    rows=_rows,
)

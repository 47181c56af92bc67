"""TRIGGER_VALUES: no exact value of a column is both new and tied to a label.

Null hypothesis, minimum n and correction: `associations`, over the values of all features but
texts, missing ones left out. Values that share a cell of the table count as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sluicegate.profiling.columns import Kind
from sluicegate.profiling.fingerprints import category_hashes
from sluicegate.signals.chunk import kept_classes, numbers_of
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.counting import Counter, Counting
from sluicegate.signals.decision.record import Family
from sluicegate.signals.definition import Signal
from sluicegate.signals.section import Section
from sluicegate.signals.text.token_table import BITS, TokenTable
from sluicegate.signals.triggers.block_habits import token_habit
from sluicegate.signals.triggers.token_finding import association_finding
from sluicegate.signals.triggers.trigger_rows import holding, is_named, triggered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk, EncodedRows
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.finding import Finding
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Learning, Split
    from sluicegate.signals.traces import Traces

CODE = "TRIGGER_VALUES"


def value_tokens(of: EncodedRows) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return exact values of numbers and categories as tokens; missing values are none.

    Returns:
        Row of each, int64, and the token, uint64, shape (n_tokens,).

    Cost: 10 ns per value, and that of `numbers_of`.
    """
    found = [(np.flatnonzero(there), hashed[there]) for there, hashed in _columns(of)]
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    rows, hashes = zip(*found, strict=True)
    return np.concatenate(rows), np.concatenate(hashes)


def _columns(of: EncodedRows) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.uint64]]]:
    """Yield for each column which rows have a value, and a hash of each row's value."""
    numbers = of.once(numbers_of)
    for index, column in enumerate(of.layout.features):
        codes = of.encoded.cells.get(column.name)
        if codes is None or not (column.listed or column.kind is Kind.NUMERIC):
            continue
        if column.listed:
            yield codes != column.null_cell, category_hashes(codes, index)
        else:
            yield codes < column.n_cells - 2, numbers[column.name]


def value_cells(chunk: Chunk) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Return row and table cell of each value, int64 and uint32, shape (n_tokens,)."""
    table = VALUES.of(chunk.baseline)
    row, hashes = chunk.once(value_tokens)
    return row, np.zeros(0, np.uint32) if table is None else table.cells(hashes)


@dataclass(slots=True, eq=False)
class ValueCount(Counter):
    """Rows with a class.

    Attributes:
        table: Rows by value and class.
    """

    table: TokenTable

    def update(self, chunk: Chunk) -> None:
        """Count one record batch.

        Cost: 5 ns per value, and that of `numbers_of`.
        """
        self.table.add_columns(list(_columns(chunk)), chunk.class_index)

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(self.table.plus(other.table))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return self.table.to_json()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        return cls(TokenTable.from_json(value))


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for all features but texts, if the baseline counted their values."""
    base = VALUES.of(comparison.baseline)
    if base is None:
        return []
    features = comparison.baseline.layout.features
    judged = [c.name for c in features if c.listed or c.kind is Kind.NUMERIC]
    lacking, note = comparison.unjudged(judged)
    return [
        association_finding(
            SIGNAL,
            comparison,
            VALUE_ROWS.of(comparison).table,
            base,
            column="",
            lacking=lacking,
            note=note,
            thing="value",
            # No value is named, because it may be private; rows are named instead.
            word=lambda _: "",
        )
    ]


def _learn(learning: Learning) -> TokenTable | None:
    row, hashes = learning.once(value_tokens)
    if len(learning.classes) < 2 or row.size == 0:
        return None
    table = TokenTable.empty(len(learning.classes))
    table.add(row, table.cells(hashes), learning.class_index)
    # A value seen once says nothing, and measured columns have hardly any others.
    table.counts[table.counts.sum(axis=1) < 2] = 0
    return table


def _habits(split: Split) -> dict[str, float]:
    if len(split.learning.classes) < 2:
        return {}
    return {f"{CODE}:": token_habit(split, *split.learning.once(value_tokens), BITS)}


def _kept(chunk: Chunk) -> tuple[NDArray[np.int64], NDArray[np.uint32]] | None:
    return chunk.once(value_cells) if is_named(chunk) else None


def _rows(traces: Traces, record: SignalRecord) -> NDArray[np.float64]:
    tokens = traces.of(_kept)
    return triggered(traces, record, lambda found: holding(tokens, traces.sizes, found["cell"]))


def _read(value: Mapping[str, Any]) -> TokenTable | None:
    return None if value["values"] is None else TokenTable.from_json(value["values"])


def _start(baseline: Baseline) -> ValueCount:
    base = VALUES.of(baseline)
    return ValueCount(TokenTable.empty(0) if base is None else base.alike())


VALUES: Section[TokenTable | None] = Section(
    "values", _learn, lambda table: {"values": None if table is None else table.to_json()}, _read
)
VALUE_ROWS = Counting("values", ValueCount, _start)
SIGNAL = Signal(
    code=CODE,
    family=Family.CONTAMINATION,
    floor=0.002,
    moves=True,
    asks="an exact value both new and tied to a label",
    demand="No value that the baseline hardly knows may go with one label.",
    needs="feature and label",
    min_rows=MIN_ROWS,
    expectation="ExpectValuesNotToTriggerLabels",
    applies=lambda baseline: VALUES.of(baseline) is not None,
    sections=(VALUES,),
    counters=(VALUE_ROWS,),
    habits=_habits,
    findings=findings,
    keeps=(kept_classes, _kept),
    rows=_rows,
)

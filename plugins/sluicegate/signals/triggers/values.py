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
from sluicegate.profiling.packed import pack, unpack
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

    from sluicegate.profiling.layout import Layout
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk, EncodedRows
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.finding import Finding
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Learning, Split
    from sluicegate.signals.traces import Traces

CODE = "TRIGGER_VALUES"
_MOST_COLUMNS = 65535  # what their places have room for; the rest share the last


def value_tokens(of: EncodedRows) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return exact values of numbers and categories as tokens; missing values are none.

    Returns:
        Row of each, int64, and the token, uint64, shape (n_tokens,).

    Cost: 10 ns per value, and that of `numbers_of`.
    """
    found = [(np.flatnonzero(there), hashed[there]) for _, there, hashed in _columns(of)]
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    rows, hashes = zip(*found, strict=True)
    return np.concatenate(rows), np.concatenate(hashes)


def _columns(of: EncodedRows) -> Iterator[tuple[int, NDArray[np.bool_], NDArray[np.uint64]]]:
    """Yield of each column its place among the features, which rows have a value, and hashes."""
    numbers = of.once(numbers_of)
    for index, column in enumerate(of.layout.features):
        codes = of.encoded.cells.get(column.name)
        if codes is None or not (column.listed or column.kind is Kind.NUMERIC):
            continue
        if column.listed:
            yield index, codes != column.null_cell, category_hashes(codes, index)
        else:
            yield index, codes < column.n_cells - 2, numbers[column.name]


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
        places: Place of the last column among the features that has a value in each cell, from 1;
            0 for none, uint16, shape (n_cells,). Messages name the column by it.
    """

    table: TokenTable
    places: NDArray[np.uint16]

    def update(self, chunk: Chunk) -> None:
        """Count one record batch.

        Cost: 9 ns per value, and that of `numbers_of`.
        """
        columns = list(_columns(chunk))
        self.table.add_columns([(there, hashed) for _, there, hashed in columns], chunk.class_index)
        for index, there, hashed in columns:
            own = self.table.cells(hashed[there])
            self.places[own] = np.maximum(self.places[own], min(index + 1, _MOST_COLUMNS))

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(self.table.plus(other.table), np.maximum(self.places, other.places))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        used = np.flatnonzero(self.places)
        places = {"cells": pack(used, "<u4"), "places": pack(self.places[used], "<u2")}
        return {"table": self.table.to_json(), "columns": places}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        table, places = TokenTable.from_json(value["table"]), value["columns"]
        used = unpack(places["cells"], "<u4", (-1,))
        found = np.zeros(1 << table.bits, dtype=np.uint16)
        if used.size and used.max() >= found.size:
            raise ValueError("cells of columns are malformed")
        found[used] = unpack(places["places"], "<u2", (used.size,))
        return cls(table, found)

    def column(self, cell: int, layout: Layout) -> str:
        """Return the name of the column whose value lies in a cell; "" if no value does.

        Args:
            cell: Of the table.
            layout: Columns of the baseline.
        """
        place = int(self.places[cell])
        return layout.features[place - 1].name if place else ""


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for all features but texts, if the baseline counted their values."""
    base = VALUES.of(comparison.baseline)
    if base is None:
        return []
    features = comparison.baseline.layout.features
    judged = [c.name for c in features if c.listed or c.kind is Kind.NUMERIC]
    lacking, note = comparison.unjudged(judged)
    counted, layout = VALUE_ROWS.of(comparison), comparison.baseline.layout
    return [
        association_finding(
            SIGNAL,
            comparison,
            counted.table,
            base,
            column="",
            lacking=lacking,
            note=note,
            thing="value",
            # No value is named, because it may be private; its column and the rows are.
            word=lambda _: "",
            place=lambda cell: counted.column(cell, layout),
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
    row, hashes = split.learning.once(value_tokens)
    return {f"{CODE}:": token_habit(split, row, hashes, BITS)}


def _kept(chunk: Chunk) -> tuple[NDArray[np.int64], NDArray[np.uint32]] | None:
    return chunk.once(value_cells) if is_named(chunk) else None


def _rows(traces: Traces, record: SignalRecord) -> NDArray[np.float64]:
    tokens = traces.of(_kept)
    return triggered(traces, record, lambda found: holding(tokens, traces.sizes, found["cell"]))


def _read(value: Mapping[str, Any]) -> TokenTable | None:
    return None if value["values"] is None else TokenTable.from_json(value["values"])


def _start(baseline: Baseline) -> ValueCount:
    base = VALUES.of(baseline)
    table = TokenTable.empty(0) if base is None else base.alike()
    return ValueCount(table, np.zeros(1 << table.bits, dtype=np.uint16))


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
    labelled=True,
    expectation="ExpectValuesNotToTriggerLabels",
    applies=lambda baseline: VALUES.of(baseline) is not None,
    sections=(VALUES,),
    counters=(VALUE_ROWS,),
    habits=_habits,
    findings=findings,
    keeps=(kept_classes, _kept),
    rows=_rows,
)

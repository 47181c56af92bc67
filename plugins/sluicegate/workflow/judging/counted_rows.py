"""The rows of a batch while a gate reads them once: what it counts itself while they pass by.

Nobody knows how many labels a batch has before its last row. Batch and pool share the budget of
false alarms, which must be split before. So the gate looks ahead as far as memory allows. Of a
batch that is longer, and has too few labels all the same, the rows are read once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.labels.known_labels import with_known_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from sluicegate.adapters.files.formats import Unjudged
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.workflow.judging.case import Case

AHEAD: Final = 65_536
"""Rows at which nobody looks further ahead for labels."""


class CountedRows:
    """The rows of a batch: look ahead first, then read them, then ask what was counted.

    Args:
        case: What is judged, and by what.

    Attributes:
        schema: Columns of the rows; None before the first.
        unjudged: Files that no reader knows; complete after the last row.
        n_rows: Rows that were handed out.
    """

    def __init__(self, case: Case) -> None:
        self.schema: pa.Schema | None = None
        self.unjudged: list[Unjudged] = []
        self.n_rows = 0
        self._rows, self._anchored = case.rows(self.unjudged), case.anchored.baseline
        self._held: list[pa.RecordBatch] = []
        self._known: list[pa.RecordBatch] = []
        self._n_known, self._ended = 0, False
        self._counts = case.limit_counts()

    @property
    def lacks_labels(self) -> bool:
        """Whether all rows were looked at, and too few of them have a known label."""
        return self._ended and self._wants_labels

    def few(self) -> pa.Table | None:
        """Return all rows if they are too few to be judged alone; None for more, not all read."""
        import pyarrow as pa

        n_rows = 0
        for batch in self._rows:
            self._held.append(batch)
            self._note_labels(batch)
            n_rows += batch.num_rows
            if n_rows >= (AHEAD if self._wants_labels else MIN_ROWS):
                return None
        self._ended = True
        return pa.Table.from_batches(self._held) if n_rows < MIN_ROWS else None

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows, once."""
        while self._held:
            yield self._noted(self._held.pop(0))
        for batch in self._rows:
            self._note_labels(batch)
            yield self._noted(batch)
        self._ended = True

    def labelled(self) -> pa.Table | None:
        """Return the rows with a known label if they are too few; None for enough, or no label."""
        import pyarrow as pa

        if not self.lacks_labels or self.schema is None:
            return None
        return pa.Table.from_batches(self._known, self.schema)

    def limits(self) -> tuple[SignalRecord, ...]:
        """Hold the batch against what one contributor may deliver."""
        if self._counts is None:
            return ()
        return self._counts.records(self._anchored.known_contributors)

    @property
    def _wants_labels(self) -> bool:
        return bool(self._anchored.classes) and self._n_known < MIN_ROWS

    def _note_labels(self, batch: pa.RecordBatch) -> None:
        if not self._wants_labels:
            self._known.clear()
            return
        known = with_known_labels(self._anchored, batch)
        if known.num_rows:  # an empty slice would hold the rows that it was cut from
            self._known.append(known)
            self._n_known += known.num_rows

    def _noted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.schema = self.schema or batch.schema
        self.n_rows += batch.num_rows
        if self._counts is not None:
            self._counts.update(batch)
        return batch

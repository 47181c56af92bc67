"""The rows of a batch while a gate reads them once: what it counts itself while they pass by.

Nobody knows how many labels a batch has before its last row. Batch and pool share the budget of
false alarms, which must be split before. So the gate looks ahead as far as memory allows, and
splits it where too few labels came by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.signals.comparison import MIN_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from sluicegate.gate.policy import Policy
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.decision.record import SignalRecord

AHEAD: Final = 65_536
"""Rows at which nobody looks further ahead for labels."""


class CountedRows:
    """The rows of a batch: look ahead first, then read them, then ask what was counted.

    Args:
        rows: Record batches, read once.
        anchored: The anchored baseline.
        policy: The rules of the source.
    """

    def __init__(self, rows: Iterator[pa.RecordBatch], anchored: Baseline, policy: Policy) -> None:
        self.schema: pa.Schema | None = None
        self._rows, self._anchored = rows, anchored
        self._held: list[pa.RecordBatch] = []
        self._known: list[pa.RecordBatch] = []
        self._n_known, self._counts = 0, None
        if policy.contributors is not None:
            from sluicegate.signals.contributors.limits import LimitCounts

            self._counts = LimitCounts(anchored.schema, policy.contributors, policy.naming)

    @property
    def lacks_labels(self) -> bool:
        """Whether the rows that were looked at have too few known labels to be judged alone."""
        return bool(self._anchored.classes) and self._n_known < MIN_ROWS

    def few(self) -> pa.Table | None:
        """Return all rows if they are too few to be judged alone; None for more, not all read."""
        import pyarrow as pa

        n_rows = 0
        for batch in self._rows:
            self._held.append(batch)
            self._note_labels(batch)
            n_rows += batch.num_rows
            if n_rows >= (AHEAD if self.lacks_labels else MIN_ROWS):
                return None
        return pa.Table.from_batches(self._held) if n_rows < MIN_ROWS else None

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows, once."""
        while self._held:
            yield self._noted(self._held.pop(0))
        for batch in self._rows:
            self._note_labels(batch)
            yield self._noted(batch)

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

    def _note_labels(self, batch: pa.RecordBatch) -> None:
        if not self.lacks_labels:
            self._known.clear()
            return
        from sluicegate.signals.labels.known_labels import with_known_labels

        known = with_known_labels(self._anchored, batch)
        if known.num_rows:  # an empty slice would hold the rows that it was cut from
            self._known.append(known)
            self._n_known += known.num_rows

    def _noted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.schema = self.schema or batch.schema
        if self._counts is not None:
            self._counts.update(batch)
        return batch


__all__ = ["AHEAD", "CountedRows"]

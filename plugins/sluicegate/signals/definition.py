"""A signal as one record: its name, what it asks, what it needs, and the functions behind it.

Everything that is said of a signal elsewhere (floors, the catalogue of Great Expectations, what a
baseline demands, the linter's codes, the pages) is derived from these records by `registry`. This
module computes nothing and imports nothing heavy, so that whoever only reads a record pays for
no numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sluicegate.signals.decision.record import Family, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.counting import Counting
    from sluicegate.signals.decision.finding import Finding
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Learning, Split
    from sluicegate.signals.section import Section
    from sluicegate.signals.traces import Traces


class Scope(StrEnum):
    """What a signal is held against, and so who can evaluate it."""

    BATCH = "batch"
    """The rows of a batch beside a baseline."""
    PARTS = "parts"
    """The files and partitions of a batch."""
    POLICY = "policy"
    """The rows of a batch beside limits that a policy sets."""
    HISTORY = "history"
    """A batch beside the batches before it."""
    MODEL = "model"
    """A new model beside the one in use."""


def never(_: Baseline) -> bool:
    """Return that no baseline asks for the signal."""
    return False


def nothing(_: Learning) -> Mapping[str, float]:
    """Return no budgets: the floor is all that is tolerated."""
    return {}


def no_habits(_: Split) -> Mapping[str, float]:
    """Return no habits: blocks of any length are judged alike."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One signal.

    Attributes:
        code: Stable identifier; policies, findings and tests name it.
        family: Signals of one family share a budget of false alarms.
        scope: What it is held against.
        severity: Status when it fires.
        escalates: When it fires as FAILED although ``severity`` is WARNED, in words; "" for never.
        floor: Largest change that is tolerated whatever the baseline says, a share of rows in
            [0, 1]; None for a signal that takes no tolerance.
        moves: Whether it finds more in a source that moves on, so that its tolerance is at least
            what later rows of the baseline did to earlier ones.
        exact: A fact, not an estimate: whoever only warns of it, or waives it, is asked why.
        asks: What it finds, as the table of docs/signals.md says it.
        demand: What a batch must do, in one sentence.
        needs: Columns and numbers without which it is NOT_EVALUATED, in words.
        min_rows: Fewest rows, labels, texts or times of a batch that are judged.
        labelled: Whether it asks of labels in numbers, so that rows without one tell it nothing:
            of a batch with few labels it is asked of a pool.
        expectation: Its class of Great Expectations; "" for none. Names are public: they stay.
        lack: Why it is NOT_EVALUATED where nobody evaluated it, for signals that need no baseline.
        applies: Whether a baseline asks for it.
        columns: The columns that it judges one by one, each of which must leave a finding; None
            for a signal that leaves its findings otherwise.
        sections: Parts of the baseline that it reads.
        counters: What it counts of a batch beyond the shared profile.
        budgets: Learns what the source does by itself, shares by "CODE:column".
        habits: The same from blocks of any length or narrowness; a batch is held against those
            that are most like it.
        findings: What it found. Signals of one module may share the function; it is called once.
        keeps: Views of each record batch that ``rows`` reads, kept if rows are to be scored.
        rows: The probability that each row is what the fired record speaks of, float64, shape
            (n_rows,), in [0, 1]; None for a signal that names no rows.
    """

    code: str
    family: Family
    scope: Scope = Scope.BATCH
    severity: Status = Status.FAILED
    escalates: str = ""
    floor: float | None = None
    moves: bool = False
    exact: bool = False
    asks: str
    demand: str
    needs: str = ""
    min_rows: int = 0
    labelled: bool = False
    expectation: str = ""
    lack: str = ""
    applies: Callable[[Baseline], bool] = never
    columns: Callable[[Baseline], Iterable[str]] | None = None
    sections: tuple[Section[Any], ...] = ()
    counters: tuple[Counting[Any], ...] = ()
    budgets: Callable[[Learning], Mapping[str, float]] = nothing
    habits: Callable[[Split], Mapping[str, float]] = no_habits
    findings: Callable[[Comparison], list[Finding]] | None = None
    keeps: tuple[Callable[[Chunk], Any], ...] = ()
    rows: Callable[[Traces, SignalRecord], NDArray[np.float64]] | None = None

    @property
    def by_column(self) -> bool:
        """Whether it judges columns one by one."""
        return self.columns is not None

    @property
    def mild(self) -> bool:
        """Whether it can only warn, so that it says less of a batch than one that can block."""
        return self.severity is Status.WARNED and not self.escalates

    def expected(self, baseline: Baseline) -> tuple[str, ...]:
        """Return the keys, ``CODE`` and ``CODE:column``, that a complete check must leave."""
        if not self.applies(baseline):
            return ()
        judged = () if self.columns is None else self.columns(baseline)
        return (self.code, *(f"{self.code}:{column}" for column in judged))

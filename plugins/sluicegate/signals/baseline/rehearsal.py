"""What no batch could pass: the baseline's own rows, judged once when it is built.

Two questions. Blocks of the rows are held against the whole baseline: what cannot be evaluated on
the first nor the last of them can hardly be evaluated on any batch. And a block is held against a
small baseline of the rows before it, which never saw it: what fails there will likely fail for the
next batch, though nobody changed anything. The small one has no model of the label, because that
takes most of the time, so the second question leaves out what needs one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from sluicegate.signals.baseline.build import build_baseline, time_order
from sluicegate.signals.decision.budget import assign_blocks
from sluicegate.signals.decision.record import SignalRecord, Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.learning import chosen_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline

_MIN_BLOCKS: Final = 8
_BEFORE: Final = 4  # a quarter of the blocks stands for the past
_MOST_ROWS: Final = 10_000  # of the small baseline: it must cost less than the one that it tests


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in the way of every batch, or of the next.

    Attributes:
        record: What the signal said of the baseline's own rows.
        certain: Whether its own rows could not be judged; else a block failed, held against the
            rows before it.
    """

    record: SignalRecord
    certain: bool


def rehearse(baseline: Baseline, batches: Sequence[pa.RecordBatch]) -> tuple[Obstacle, ...]:
    """Judge blocks of a baseline's own rows.

    Args:
        baseline: As built.
        batches: All rows that it was built from.

    Returns:
        What blocks, certain ones first; nothing for a baseline whose own rows pass.

    Cost: one pass over two of at most twelve blocks, and a baseline of a quarter of the rows, at
    most 10,000; together less than a third of what building took.
    """
    table = pa.Table.from_batches(batches)
    rng = np.random.default_rng(baseline.seed)
    blocks = assign_blocks(table.num_rows, time_order(table, baseline.schema), rng)
    last = int(blocks.max())
    ends = [_judged(baseline, _rows(table, blocks == block)) for block in (0, last)]
    never = [r for r in ends[1] if r.status is Status.NOT_EVALUATED and _left(r, ends[0])]
    obstacles = [Obstacle(record, certain=True) for record in never]
    if last + 1 >= _MIN_BLOCKS:
        failed = (r for r in _held_out(baseline, table, blocks) if r.status is Status.FAILED)
        obstacles += (Obstacle(record, certain=False) for record in failed)
    return tuple(obstacles)


def _held_out(
    baseline: Baseline, table: pa.Table, blocks: NDArray[np.int64]
) -> tuple[SignalRecord, ...]:
    """Judge the block after the first quarter by a baseline of that quarter."""
    here = (int(blocks.max()) + 1) // _BEFORE
    past = blocks < here
    past[np.flatnonzero(past)[:-_MOST_ROWS]] = False
    small = build_baseline(
        chosen_rows(table, past).to_batches(),
        baseline.schema,
        created=baseline.created,
        seed=baseline.seed,
        models=False,
    )
    return _judged(small, _rows(table, blocks == here).slice(0, _MOST_ROWS))


def _rows(table: pa.Table, chosen: NDArray[np.bool_]) -> pa.Table:
    return chosen_rows(table, chosen).combine_chunks()


def _judged(baseline: Baseline, table: pa.Table) -> tuple[SignalRecord, ...]:
    return evaluate(baseline, table.to_batches(), tolerances={}, rows=False).records


def _left(record: SignalRecord, others: Sequence[SignalRecord]) -> bool:
    """Whether the same question could not be evaluated there either."""
    key = record.code, record.column, record.status
    return any((other.code, other.column, other.status) == key for other in others)

"""Ways to split a baseline into blocks like the batches that may come: short ones, narrow ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.instants import instants
from sluicegate.signals.arrival.time_counts import bulk
from sluicegate.signals.habits import DAY_MS, HOUR_MS, LENGTHS, Habits
from sluicegate.signals.learning import MAX_SPLIT, MIN_BLOCK_ROWS, Split, key_columns
from sluicegate.signals.registry import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.signals.baseline.later import Later
    from sluicegate.signals.learning import Learning
    from sluicegate.signals.model.clean_spread import CleanRows

Counts = NDArray[np.int64]
_MIN_BLOCKS = 8
_MIN_SHARE = 0.5  # of the rows must be in blocks of a length, or most batches are not like them
_MOST = 0.5
_SHORTER = 1.5  # times shorter than the parts of the baseline blocks must be, to say more than they


def learn_habits(
    learning: Learning, clean: CleanRows | None, later: Later | None
) -> tuple[Habits, ...]:
    """Learn what the source does between blocks of time and of columns.

    Args:
        learning: All baseline rows.
        clean: Rows on which the label model was calibrated; None without a model.
        later: What later blocks do to earlier rows; None without times.

    Cost: each way to split at most `MAX_SPLIT` passes over the counts.
    """
    found = []
    for column, length, split in (*_of_time(learning), *_of_columns(learning)):
        labels = None
        if clean is not None:
            labels = clean.habits(split.blocks[clean.rows], complete=split.complete)
        tolerances = {k: share for s in SIGNALS for k, share in s.habits(split).items()}
        if later is not None and not column:
            tolerances |= later.of(split)
        constant = () if column else _constant(split)
        found.append(Habits(column, length, split.n_blocks, constant, tolerances, labels))
    return tuple(found)


def _of_time(learning: Learning) -> Iterator[tuple[str, int, Split]]:
    """Yield blocks of natural lengths that are clearly shorter than the parts of the baseline."""
    array = learning.column(learning.layout.schema.timestamp)
    if array is None:
        return
    times, present = instants(array)
    if not present.any():
        return
    cells, rows = np.unique(times[present] // HOUR_MS, return_counts=True)
    part = bulk(cells, rows)[1] * HOUR_MS / learning.n_blocks
    for length in LENGTHS:
        if _SHORTER * length > part:
            break
        start = 0 if length < DAY_MS else _quietest(cells, rows) * HOUR_MS
        block = np.where(present, (times - start) // length, np.iinfo(np.int64).min)
        split = _split(learning, block, present, least=_MIN_BLOCKS)
        if split is not None:
            yield "", length, split


def _quietest(hours: Counts, rows: Counts) -> int:
    """Return the hour of the day with the fewest rows: there no night's work is cut in two."""
    by_hour = np.bincount(hours % 24, weights=rows, minlength=24)
    return int(by_hour.argmin())


def _of_columns(learning: Learning) -> Iterator[tuple[str, int, Split]]:
    cells = learning.encoded.cells
    for column in key_columns(learning):
        known = np.ones(learning.n_rows, dtype=bool)
        split = _split(learning, cells[column.name].astype(np.int64), known, least=2)
        if split is not None:
            split.complete = True
            yield column.name, 0, split


def _split(
    learning: Learning, block: Counts, known: NDArray[np.bool_], *, least: int
) -> Split | None:
    """Return a split into blocks with enough rows; None if they are few or hold few rows.

    Of too many blocks some are drawn at random, lest a rhythm of the source hides in the draw.
    """
    names, place, rows = np.unique(block, return_inverse=True, return_counts=True)
    usable = rows >= MIN_BLOCK_ROWS
    usable[place[~known]] = False
    if int(usable.sum()) < least or rows[usable].sum() < _MIN_SHARE * block.size:
        return None
    chosen = np.flatnonzero(usable)
    if chosen.size > MAX_SPLIT:
        rng = np.random.default_rng([learning.seed, 3])
        chosen = np.sort(rng.choice(chosen, MAX_SPLIT, replace=False))
    number = np.full(names.size, -1, dtype=np.int64)
    number[chosen] = np.arange(chosen.size)
    return Split(learning, number[place], chosen.size)


def _constant(split: Split) -> tuple[str, ...]:
    """Return the columns that have one value in most blocks."""
    cells, inside = split.learning.encoded.cells, split.blocks >= 0
    found = []
    for column in key_columns(split.learning):
        own, blocks = cells[column.name][inside].astype(np.int64), split.blocks[inside]
        pairs = np.unique(blocks * 256 + own)
        values = np.bincount(pairs // 256, minlength=split.n_blocks)
        if float((values == 1).mean()) > _MOST:
            found.append(column.name)
    return tuple(found)

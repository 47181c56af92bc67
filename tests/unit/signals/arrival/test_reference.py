"""Arrival is compared with the hours of the week in which the batch speaks."""

from __future__ import annotations

import numpy as np

from sluicegate.signals.arrival.reference import ArrivalReference
from sluicegate.signals.arrival.time_counts import N_CONTRIBUTORS, N_SLOTS, ZERO

LEVEL = 20  # cells of 17 minutes
HOUR = 3_600_000


def reference(hours: int) -> ArrivalReference:
    cells = np.unique((np.arange(hours * 4) * HOUR // 4 + ZERO) >> LEVEL)
    rows = np.full(cells.size, 10, dtype=np.int64)
    none = np.zeros(N_SLOTS), np.zeros(N_CONTRIBUTORS)
    return ArrivalReference(LEVEL, cells, rows, (), *none)


def cells_of(hours: list[int]) -> np.ndarray:
    return np.unique((np.array(hours, dtype=np.int64) * HOUR + ZERO) >> LEVEL)


def test_batch_of_one_weekday_is_compared_with_that_weekday():
    base = reference(24 * 7 * 8)
    tuesdays = [24 * (7 * week + 1) + hour for week in range(4) for hour in range(24)]
    narrow = base.in_rhythm(cells_of(tuesdays), LEVEL)
    assert 0.1 < narrow.cells.size / base.cells.size < 0.2
    month, day = 28.0 * 24 * HOUR, 24.0 * HOUR
    assert base.densest(month, day) < 0.05
    assert narrow.densest(month, day) > 0.2


def test_batch_that_speaks_at_all_hours_changes_nothing():
    base = reference(24 * 7 * 2)
    assert base.in_rhythm(base.cells, LEVEL) is base


def test_hours_in_which_the_baseline_is_silent_change_nothing():
    base = reference(24)
    assert base.in_rhythm(cells_of([60, 61]), LEVEL) is base

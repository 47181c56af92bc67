"""Times of a batch stand beside the same hours of the baseline, and none of them is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from sluicegate.signals.arrival.reference import ArrivalReference
from sluicegate.signals.arrival.time_counts import N_CONTRIBUTORS, N_SLOTS, TimeCounts
from sluicegate.signals.arrival.time_shape import MAX_TIMES, time_shape
from sluicegate.signals.decision.shape import MAX_CELLS, MAX_TEXT

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def counted(times):
    counts = TimeCounts()
    ms = np.array([int(t.timestamp() * 1000) for t in times], dtype=np.int64)
    counts.add(ms, np.zeros(ms.size, dtype=np.int64), np.zeros(ms.size, dtype=np.uint8))
    return counts


def reference(times):
    counts = counted(times)
    return ArrivalReference(
        counts.level, *counts.by_time(), (), np.zeros(N_SLOTS), np.zeros(N_CONTRIBUTORS)
    )


def mornings(first, n_days, each=200):
    """Rows in two hours of every day."""
    return [
        first + i * DAY + timedelta(hours=8, seconds=36 * k)
        for i in range(n_days)
        for k in range(each)
    ]


BASELINE = reference(mornings(MONDAY, 28))


@pytest.mark.parametrize(
    ("start", "n_days", "weeks"),
    [
        (MONDAY + 28 * DAY, 1, "a week"),
        (MONDAY + 28 * DAY, 7, "2 weeks"),  # more is drawn than the middle of the rows
        (MONDAY + 100 * DAY, 1, "11 weeks"),
    ],
)
def test_a_batch_like_the_baseline_looks_like_the_same_hours(start, n_days, weeks):
    times = mornings(start, n_days)
    shape = time_shape("at", BASELINE, counted(times), len(times))
    assert shape.note == f"of the same hours {weeks} before"
    assert sum(shape.rows_now) == len(times)
    gap = np.abs(np.array(shape.rows_before) - np.array(shape.rows_now)).sum()
    assert gap <= 0.25 * len(times)  # a cell of the baseline lies in one cell or the next


def test_a_burst_stands_out_of_the_same_hours():
    times = [*mornings(MONDAY + 28 * DAY, 1), *[MONDAY + 28 * DAY + timedelta(hours=9)] * 400]
    shape = time_shape("at", BASELINE, counted(times), len(times))
    assert max(shape.rows_now) > 4 * max(shape.rows_before)


def test_times_far_out_and_no_times_have_cells_of_their_own():
    times = [*mornings(MONDAY + 28 * DAY, 1), datetime(1970, 1, 1, tzinfo=UTC), MONDAY + 999 * DAY]
    shape = time_shape("at", BASELINE, counted(times), len(times) + 3)
    assert (shape.cells[0], shape.cells[-2], shape.cells[-1]) == ("earlier", "later", "no time")
    assert (shape.rows_now[0], shape.rows_now[-2], shape.rows_now[-1]) == (1, 1, 3)
    assert sum(shape.rows_now) == len(times) + 3


@pytest.mark.parametrize("n_days", [1, 6, 31, 400])
def test_cells_are_few_and_begin_where_they_say(n_days):
    times = mornings(MONDAY + 28 * DAY, n_days, each=20)
    shape = time_shape("at", BASELINE, counted(times), len(times))
    assert 3 < len(shape.cells) <= MAX_TIMES + 3 <= MAX_CELLS
    begins = [datetime.fromisoformat(name) for name in shape.cells[1:-2]]
    assert begins == sorted(set(begins))
    assert all(len(name) < MAX_TEXT for name in shape.cells)


def test_one_moment_has_one_cell():
    times = [MONDAY + 30 * DAY] * 60
    shape = time_shape("at", BASELINE, counted(times), 60)
    assert max(shape.rows_now) == 60


def test_a_batch_without_times_is_not_drawn():
    assert time_shape("at", BASELINE, TimeCounts(), 60) is None


def test_years_that_no_calendar_of_python_has_are_named():
    counts = TimeCounts()
    far = np.array([2**53 - 1, -(2**53)] * 30, dtype=np.int64)
    counts.add(far, np.zeros(60, dtype=np.int64), np.zeros(60, dtype=np.uint8))
    shape = time_shape("at", BASELINE, counts, 60)
    assert sum(shape.rows_now) == 60

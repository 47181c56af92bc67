"""Where a counter is at what time, and who strays from it."""

from __future__ import annotations

import numpy as np
import pytest

from sluicegate.signals.counters.course import Course, learn_course, left, medians, strays

HOUR = 3_600_000


def hourly(n, start=0):
    return start + HOUR * np.arange(n, dtype=np.int64)


@pytest.mark.parametrize("speed", [1.0, -2.5, 0.001])
def test_even_course_goes_on_for_as_long_as_anybody_waits(speed):
    times = hourly(2000)
    course = learn_course(times, speed * times)
    assert course is not None
    for later in (hourly(100, 2000 * HOUR), hourly(100, 90_000 * HOUR), hourly(100, -500 * HOUR)):
        assert left(later, speed * later, course) == 0.0
        assert left(later, speed * later + 500 * HOUR * abs(speed), course) == 1.0


def test_uneven_course_is_given_more_room():
    rng, times = np.random.default_rng(0), hourly(3000)
    even = learn_course(times, np.cumsum(np.full(3000, 2.0)))
    uneven = learn_course(times, np.cumsum(np.repeat(rng.exponential(2.0, 30), 100)))
    assert even is not None
    assert uneven is not None
    later = hourly(200, 3200 * HOUR)
    twice = 6000 + 4.0 * (later - times[-1]) / HOUR
    assert left(later, twice, even) == 1.0
    assert left(later, twice, uneven) == 0.0


def test_too_few_times_have_no_course():
    assert learn_course(np.zeros(500, dtype=np.int64), np.arange(500.0)) is None
    assert learn_course(hourly(60), np.arange(60.0)) is None


def test_rows_stray_from_each_other_and_not_from_the_baseline():
    times = hourly(1000)
    course = learn_course(times, np.arange(1000.0))
    values = np.arange(1000.0) + 1e6
    assert not strays(times, values, course).any(), "all jumped together"
    values[[5, 500, 999]] -= 1e5
    assert np.flatnonzero(strays(times, values, course)).tolist() == [5, 500, 999]


def test_small_batch_over_a_long_time_has_no_strays():
    course = learn_course(hourly(2000), np.arange(2000.0))
    few = hourly(60) * 20
    assert not strays(few, few / HOUR, course).any()


def test_without_a_course_only_what_is_far_from_all_strays():
    values = np.r_[np.arange(500.0), 1e5]
    where = np.zeros(501, dtype=np.int64)
    assert np.flatnonzero(strays(where, values, None)).tolist() == [500]
    assert not strays(where[:0], values[:0], None).any()


def test_course_is_read_as_it_was_written_and_refused_when_edited():
    course = learn_course(hourly(400), np.arange(400.0))
    assert course is not None
    again = Course.from_json(course.to_json())
    assert again.to_json() == course.to_json()
    edits = {"slack": -1.0, "slow": 1e9, "fast": float("inf"), "ends": "AAAA", "low": course.slack}
    for key, bad in edits.items():
        with pytest.raises((ValueError, TypeError), match=r"course|array|buffer"):
            Course.from_json({**course.to_json(), key: bad})


def test_median_of_each_cell():
    cells = np.array([0, 0, 0, 1, 1])
    assert medians(np.array([3.0, 1.0, 2.0, 10.0, 20.0]), cells).tolist() == [2.0, 15.0]

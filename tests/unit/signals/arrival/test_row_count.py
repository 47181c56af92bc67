"""ROW_COUNT: a batch holds as many rows as such hours of the baseline's weeks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.conftest import CREATED

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.arrival.reference import ArrivalReference
from sluicegate.signals.arrival.row_count import DAY_MS, rows_of_windows
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.decision.record import SignalRecord, Status
from sluicegate.signals.evaluate import evaluate

START_MS = 1_735_776_000_000  # a Thursday in 2025
BY_WEEKDAY = (220, 220, 40, 40, 220, 220, 220)


def rows(first_day: int, n_days: int, seed: int) -> pa.Table:
    """Rows of days with few rows on two of seven, at random times of the day."""
    rng = np.random.default_rng(seed)
    days = range(first_day, first_day + n_days)
    number = {day: rng.poisson(BY_WEEKDAY[day % 7]) for day in days}
    times = np.concatenate(
        [np.sort(rng.integers(0, DAY_MS, n)) + START_MS + day * DAY_MS for day, n in number.items()]
    )
    x = rng.normal(size=times.size)
    return pa.table({"at": pa.array(times, pa.timestamp("ms", "UTC")), "x": x})


@pytest.fixture(scope="module")
def base():
    schema = BatchSchema(timestamp="at")
    return build_baseline(rows(0, 56, 1).to_batches(), schema, created=CREATED, seed=1)


def judged(base, table: pa.Table, **settings) -> SignalRecord:
    settings = {"tolerances": {}, "rows": False, **settings}
    found = evaluate(base, table.to_batches(), **settings).records
    return next(record for record in found if record.code == "ROW_COUNT")


@pytest.mark.parametrize("day", range(70, 77))
def test_day_like_its_weekday_passes(base, day):
    assert judged(base, rows(day, 1, day)).status is Status.PASSED


def test_two_thirds_of_a_day_lost_is_a_warning(base):
    day = rows(70, 1, 70)
    kept = np.sort(np.random.default_rng(1).choice(day.num_rows, 70, replace=False))
    record = judged(base, day.take(pa.array(kept)))
    assert record.status is Status.WARNED
    assert "70 rows, where 2" in record.message
    assert "fewer" in record.message


def test_quiet_day_with_the_rows_of_a_busy_one_is_a_warning(base):
    record = judged(base, pa.concat_tables([rows(72, 1, seed) for seed in range(6)]))
    assert record.status is Status.WARNED
    assert "more" in record.message


def test_busy_and_quiet_days_are_not_mixed_up(base):
    assert judged(base, rows(72, 1, 3)).status is Status.PASSED
    assert judged(base, rows(70, 5, 3)).status is Status.PASSED


def test_tolerance_of_the_policy_counts(base):
    day = rows(70, 1, 70).slice(0, 10_000)
    lost = day.take(pa.array(range(0, day.num_rows, 3)))
    assert judged(base, lost).status is Status.WARNED
    record = judged(base, lost, tolerances={"ROW_COUNT": 0.9})
    assert record.status is Status.PASSED


@pytest.mark.parametrize("n_days", [9, 28])
def test_longer_batches_are_not_asked(base, n_days):
    record = judged(base, rows(70, n_days, 5))
    assert record.status is Status.PASSED
    assert record.evidence["windows"] == 0


def test_unreadable_times_are_not_evaluated(base):
    day = rows(70, 1, 70)
    lost = day.set_column(0, "at", pa.nulls(day.num_rows, day.schema.field("at").type))
    assert judged(base, lost).status is Status.NOT_EVALUATED
    assert judged(base, day.slice(0, 0)).status is Status.NOT_EVALUATED


def test_windows_lie_whole_weeks_apart_and_inside_the_baseline():
    hours = np.arange(24 * 7 * 5, dtype=np.int64)
    cells = np.unique(hours * 3_600_000 >> 20)
    reference = ArrivalReference(
        20, cells, np.full(cells.size, 10, dtype=np.int64), (), np.zeros(40), np.zeros(64)
    )
    day = 24 * 7 * 6 * 3_600_000
    assert rows_of_windows(reference, day, day + DAY_MS).size == 5
    assert rows_of_windows(reference, day, day + 9 * DAY_MS).size == 0
    assert np.allclose(rows_of_windows(reference, day, day + DAY_MS), 240, rtol=0.06)

"""What a source moves on by is learned from its second half, and grows with the baseline's age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.conftest import CREATED

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.baseline.stored import Baseline
from sluicegate.signals.evaluate import evaluate

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 40
PER_DAY = 60


def rows(first_day: int, days: int, *, slope: float, seed: int = 1) -> pa.Table:
    """Readings of a sensor whose mean goes on by ``slope`` standard deviations a day."""
    rng = np.random.default_rng([seed, first_day + 1000])
    n = days * PER_DAY
    day = first_day + np.arange(n) / PER_DAY
    x = rng.normal(size=n) + slope * day
    return pa.table(
        {
            "at": [START + timedelta(days=float(d)) for d in day],
            "x": np.round(x, 4).tolist(),
            "z": np.round(rng.normal(size=n), 4).tolist(),
            "kind": rng.choice(["a", "b"], n).tolist(),
        }
    )


def built(slope: float, **more) -> Baseline:
    schema = BatchSchema(timestamp="at")
    table = rows(0, DAYS, slope=slope)
    return build_baseline(table.to_batches(), schema, created=CREATED, seed=1, **more)


@pytest.fixture(scope="module")
def moving():
    return built(0.02)


@pytest.fixture(scope="module")
def still():
    return built(0.0)


def drift(baseline: Baseline, table: pa.Table, column: str = "x"):
    found = evaluate(baseline, table.to_batches(), tolerances={}, rows=False).records
    return next(r for r in found if r.code == "DRIFT_NUMERIC" and r.column == column)


def test_moving_column_has_a_budget_of_its_own(moving):
    learned = moving.tolerances["DRIFT_NUMERIC.next.0:x"]
    assert 0.1 < learned < 1.0
    assert "DRIFT_NUMERIC.next.0:z" not in moving.tolerances


def test_still_source_has_none(still):
    assert not [key for key in still.tolerances if ".next." in key]


def test_without_times_nothing_can_come_later():
    table = rows(0, DAYS, slope=0.02).drop_columns(["at"])
    found = build_baseline(table.to_batches(), BatchSchema(), created=CREATED, seed=1)
    assert not [key for key in found.tolerances if ".next." in key]


def test_it_can_be_left_out():
    assert not [key for key in built(0.02, later=False).tolerances if ".next." in key]


def test_it_survives_the_file(moving):
    assert Baseline.from_bytes(moving.to_bytes()).tolerances == moving.tolerances


def test_budget_grows_with_the_age_of_the_baseline(moving):
    soon = drift(moving, rows(DAYS, 7, slope=0.02))
    late = drift(moving, rows(DAYS + 90, 7, slope=0.02))
    assert soon.tolerance < late.tolerance


def test_age_ends_with_the_validity_of_the_baseline(moving):
    old = drift(moving, rows(DAYS + 200, 7, slope=0.0))
    ancient = drift(moving, rows(DAYS + 5000, 7, slope=0.0))
    assert old.tolerance == ancient.tolerance


def test_still_source_gets_no_room_with_age(still):
    late = drift(still, rows(DAYS + 170, 7, slope=0.0))
    assert late.tolerance == pytest.approx(0.10)


def test_batch_from_before_the_baseline_is_not_young(moving):
    inside = drift(moving, rows(DAYS // 2, 7, slope=0.02))
    before = drift(moving, rows(-100, 7, slope=0.0))
    assert before.tolerance == inside.tolerance


def test_the_policy_still_decides(moving):
    late = rows(DAYS + 20, 7, slope=0.02)
    asked = evaluate(
        moving, late.to_batches(), tolerances={"DRIFT_NUMERIC:x": 0.01}, rows=False
    ).records
    assert next(r for r in asked if r.code == "DRIFT_NUMERIC" and r.column == "x").tolerance == 0.01


def test_label_that_features_do_not_tell_is_no_obstacle():
    """Without skill LABEL_FLIPS does not apply, and nobody counts what it would ask."""
    table = rows(0, DAYS, slope=0.02)
    coin = np.random.default_rng(5).choice(["heads", "tails"], table.num_rows).tolist()
    schema = BatchSchema(label="coin", timestamp="at")
    batches = table.append_column("coin", pa.array(coin)).to_batches()
    baseline = build_baseline(batches, schema, created=CREATED, seed=1)
    assert any(".next." in key for key in baseline.tolerances)

"""Blocks that a baseline is split into are those that batches may be like."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.signals.conftest import CREATED, SCHEMA, make_rows

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.baseline.stored import Baseline
from sluicegate.signals.habits import HOUR_MS
from sluicegate.signals.learning import MAX_SPLIT


def test_two_days_of_rows_by_the_minute_have_blocks_of_hours(baseline):
    times = [h for h in baseline.habits if h.length_ms]
    assert [(h.length_ms, h.n_blocks) for h in times] == [(HOUR_MS, 50)]
    assert times[0].name == "50 hours"


def test_columns_with_few_values_have_blocks_of_their_own(baseline):
    assert [h.column for h in baseline.habits if h.column] == ["who", "kind"]
    assert {h.n_blocks for h in baseline.habits if h.column == "kind"} == {3}
    assert all(h.n_blocks <= MAX_SPLIT for h in baseline.habits)


def test_block_of_one_value_is_as_far_from_the_others_as_it_is(baseline):
    by_kind = next(h for h in baseline.habits if h.column == "kind")
    # The rarest kind is 20 % of the rows, so its rows have nothing in common with the other 80 %.
    assert by_kind.tolerances["DRIFT_CATEGORICAL:kind"] > 0.9
    assert by_kind.tolerances["DRIFT_NUMERIC:x3"] < 0.1


def test_without_times_there_are_no_blocks_of_time():
    rows = make_rows(600, 1).drop(["at", "note"])
    schema = BatchSchema(id="id", label="y", contributor="who")
    found = build_baseline(rows.to_batches(), schema, created=CREATED, seed=1)
    assert [h.column for h in found.habits if h.length_ms] == []


def test_habits_survive_the_file(baseline):
    read = Baseline.from_bytes(baseline.to_bytes())
    assert read.habits == baseline.habits


@pytest.mark.slow
def test_same_seed_draws_the_same_blocks():
    rows = make_rows(9000, 4).drop(["note"])
    schema = BatchSchema(id="id", label="y", contributor="who", timestamp="at")
    first, second = (
        build_baseline(rows.to_batches(), schema, created=CREATED, seed=5) for _ in range(2)
    )
    hours = next(h for h in first.habits if h.length_ms == HOUR_MS)
    assert hours.n_blocks == MAX_SPLIT
    assert first.habits == second.habits


def test_scores_of_labels_have_a_habit_for_each_class(baseline):
    for habits in baseline.habits:
        assert len(habits.labels.budgets) == 3
        assert np.isfinite(habits.labels.budgets).all()


def test_schema_of_the_source_is_the_one_asked_for(baseline):
    assert baseline.schema == SCHEMA

"""What no batch could pass is said when the baseline is built."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.conftest import CREATED, PRICED, SCHEMA, make_prices, make_rows, put

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.baseline.rehearsal import rehearse
from sluicegate.signals.decision.record import Status

pytestmark = pytest.mark.slow  # many baselines, each of its own rows

N = 2400


def found(table, schema):
    baseline = build_baseline(table.to_batches(), schema, created=CREATED, seed=1)
    return {(o.record.code, o.record.column): o for o in rehearse(baseline, table.to_batches())}


@pytest.mark.parametrize(
    ("rows", "schema"),
    [
        (make_rows, SCHEMA),
        (make_prices, PRICED),
        (make_rows, replace(SCHEMA, label=None, timestamp=None)),
    ],
    ids=["classes", "numbers", "no label"],
)
def test_rows_that_pass_leave_nothing_in_the_way(rows, schema):
    assert found(rows(N, 1), schema) == {}


def test_what_can_never_be_evaluated_is_certain():
    """A column of lists, one without values, and a label of one class."""
    table = make_rows(N, 1).append_column("tags", pa.array([["a"]] * N))
    obstacles = found(put(table, "y", [1] * N), SCHEMA)
    wanted = {("DRIFT_CATEGORICAL", "tags"), ("LABEL_FLIPS", "y")}
    assert obstacles.keys() >= wanted
    assert all(obstacles[key].certain for key in wanted)
    assert {obstacles[key].record.status for key in wanted} == {Status.NOT_EVALUATED}


def test_classes_that_grow_with_time_fail_beside_the_rows_before():
    """Each twelfth brings classes of its own: the next batch will too."""
    table = make_rows(N, 1)
    part = np.arange(N) // 200
    grown = put(table, "y", (10 * part + np.arange(N) % 3).tolist())
    obstacle = found(grown, SCHEMA)["LABEL_NEW_CLASS", "y"]
    assert not obstacle.certain
    assert obstacle.record.status is Status.FAILED


def test_few_rows_are_asked_the_first_question_only():
    table = make_rows(400, 1).append_column("tags", pa.array([["a"]] * 400))
    assert set(found(table, BatchSchema(label="y"))) == {("DRIFT_CATEGORICAL", "tags")}


def test_small_baseline_has_no_model_of_the_label(baseline):
    rows = make_prices(400, 1)
    priced = build_baseline(rows.to_batches(), PRICED, created=CREATED, seed=1, models=False)
    assert isinstance(priced.sections["target"], str)
    plain = build_baseline(
        make_rows(400, 1).to_batches(), SCHEMA, created=CREATED, seed=1, models=False
    )
    assert plain.labels is None
    assert baseline.labels is not None

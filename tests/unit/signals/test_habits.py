"""A batch is held against the blocks of the baseline that are most like it."""

from __future__ import annotations

import json
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.unit.signals.conftest import make_rows, put

from sluicegate.digest.canonical import dumps
from sluicegate.errors import MalformedEnvelope
from sluicegate.signals.baseline.stored import Baseline
from sluicegate.signals.contributors.contrast import Spread
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.model.clean_spread import LabelHabits


def blocks(baseline, table: pa.Table) -> str:
    return evaluate(baseline, table.to_batches(), tolerances={}, rows=False).blocks


def squeezed(table: pa.Table, span: timedelta) -> pa.Table:
    """The same rows within a shorter time."""
    times = table["at"].to_pylist()
    step = span / len(times)
    return put(table, "at", [times[0] + i * step for i in range(len(times))])


def test_batch_as_long_as_the_parts_is_held_against_the_parts(baseline, batch):
    assert blocks(baseline, batch) == "12 parts of equal size"


def test_batch_of_an_hour_is_held_against_hours(baseline, batch):
    assert blocks(baseline, squeezed(batch, timedelta(minutes=50))) == "50 hours"


def test_batch_of_one_value_is_held_against_the_values_too(baseline, batch):
    reds = batch.filter(pc.equal(batch["kind"], "red"))
    assert blocks(baseline, reds) == "12 parts of equal size and 3 values of column kind"


def test_value_that_the_baseline_does_not_know_is_no_narrowness(baseline, batch):
    new = put(batch, "kind", ["violet"] * batch.num_rows)
    assert "kind" not in blocks(baseline, new)


def test_one_row_of_another_value_is_enough_to_be_wide(baseline, batch):
    reds = batch.filter(pc.equal(batch["kind"], "red"))
    other = batch.filter(pc.equal(batch["kind"], "blue")).slice(0, 1)
    assert "kind" not in blocks(baseline, pa.concat_tables([reds, other]))


def test_records_name_the_blocks_beside_their_tolerance(check, batch):
    for record in check(batch).values():
        if record.tolerance is not None:
            assert record.evidence["blocks"] == "12 parts of equal size"


def test_partition_passes_and_its_flips_do_not(check):
    rows = make_rows(3000, 8)
    reds = rows.filter(pc.equal(rows["kind"], "red"))
    assert {r.status for r in check(reds).values()} == {"PASSED"}
    y = reds["y"].to_pylist()
    wrong = put(reds, "y", [1 - v if i % 5 == 0 else v for i, v in enumerate(y)])
    assert check(wrong)["LABEL_FLIPS", "y"].status == "FAILED"


def edited(baseline, change) -> bytes:
    value = json.loads(baseline.to_bytes())
    change(value["habits"])
    return dumps(value)


@pytest.mark.parametrize(
    "change",
    [
        lambda habits: habits[0].update(length_ms=7),
        lambda habits: habits[0].update(column="x0"),
        lambda habits: habits[-1].update(column=""),
        lambda habits: habits[0].update(labels=None),
        lambda habits: habits[0]["labels"].update(moves=[0.1]),
        lambda habits: habits[0].pop("n_blocks"),
        lambda habits: habits[0].update(more=1),
    ],
)
def test_malformed_habits_are_refused(baseline, change):
    with pytest.raises(MalformedEnvelope, match="MALFORMED"):
        Baseline.from_bytes(edited(baseline, change))


def test_baseline_of_an_earlier_version_has_no_habits_and_gives_its_own_bytes(baseline, batch):
    value = json.loads(baseline.to_bytes())
    del value["habits"]
    del value["contamination"]["alike_spectra"]
    old = Baseline.from_bytes(dumps(value))
    assert old.habits == ()
    assert old.to_bytes() == dumps(value)
    assert blocks(old, squeezed(batch, timedelta(minutes=50))) == "12 parts of equal size"


A = LabelHabits(
    (0.1, 0.2), (0.3, 0.1), Spread(0.5, 0.2, {"a": 0.1}, (1.0, 2.0)), (Spread(0.1, 0.4),)
)
B = LabelHabits((0.2, 0.1), (0.1, 0.4), Spread(0.7, 0.1), (Spread(0.2, 0.5),))


def test_short_blocks_move_at_least_as_the_long_ones_they_are_in():
    both = A.at_least(B)
    assert both.budgets == (0.2, 0.2)
    assert both.moves == (0.3, 0.4)
    assert both.spread == Spread(0.5, 0.2, {"a": 0.1}, (1.0, 2.0))
    assert both.skew[0].within == 0.5


def test_narrow_and_short_adds_up():
    both = B.plus(A)
    assert both.budgets == pytest.approx((0.3, 0.3))
    assert both.spread.of("a", 0.0) == pytest.approx(0.2)
    assert both.spread.slopes == (1.0, 2.0)

"""At-least-once delivery: equal rows of one id are one row; equal rows of other ids are copies."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.conftest import CREATED, SCHEMA, make_rows, put

from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.copies.deliveries import DELIVERIES
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.scan import Scan

FAILED, WARNED, PASSED = Status.FAILED, Status.WARNED, Status.PASSED


pytestmark = pytest.mark.slow  # many baselines, each of its own rows


def both(table, check):
    found = check(table)
    return found["REDELIVERY", "id"].status, found["DUPLICATES", ""].status


def renamed(table, first):
    """Give all rows from the first on ids of their own."""
    ids = table["id"].to_pylist()
    return put(table, "id", [v if i < first else f"n{i}" for i, v in enumerate(ids)])


@pytest.mark.parametrize("share", [0.02, 0.2, 1.0])
@pytest.mark.parametrize("times", [1, 2])
def test_rows_that_come_again_warn_and_do_not_block(check, batch, share, times):
    some = batch.slice(0, round(share * batch.num_rows))
    table = pa.concat_tables([batch, *[some] * times])
    assert both(table, check) == (WARNED, PASSED)
    assert both(renamed(table, batch.num_rows), check) == (PASSED, FAILED)


def test_row_that_comes_ever_again_is_a_copy_whatever_its_id(check, batch):
    flood = pa.concat_tables([batch.slice(0, 1440), *[batch.slice(0, 3)] * 20])
    assert both(flood, check) == (WARNED, FAILED)


def test_flood_beside_redelivery_is_found(check, batch):
    copies = renamed(batch.take([*range(1440), *[0, 1, 2] * 20]), 1440)
    assert both(copies, check) == (PASSED, FAILED)
    table = pa.concat_tables([copies, batch.slice(100, 700)])
    assert both(table, check) == (WARNED, FAILED)


@pytest.mark.parametrize("name", ["x0", "kind", "note", "y", "who", "at", "serial"])
def test_same_id_with_other_content_is_no_redelivery(check, batch, name):
    """Each column counts; `id` alone says nothing."""
    again = batch.slice(0, 60)
    values = again[name].to_pylist()
    other = put(again, name, [values[(i + 1) % 60] for i in range(60)])
    n_same = sum(a == b for a, b in zip(values, other[name].to_pylist(), strict=True))
    found = check(pa.concat_tables([batch, other]))["REDELIVERY", "id"]
    assert found.evidence["again"] == n_same


def test_rows_without_an_id_are_excused_by_nothing(check, batch):
    table = put(batch, "id", [None] * batch.num_rows)
    assert both(pa.concat_tables([table, table.slice(0, 60)]), check) == (PASSED, FAILED)


def test_all_but_the_first_of_each_are_named_so_that_the_remainder_can_be_sealed(baseline, batch):
    some = batch.take(list(range(0, 1500, 25)))
    table = pa.concat_tables([batch, some, some])
    found = evaluate(baseline, table.to_batches(max_chunksize=111), tolerances={})
    named = [i for i, codes in enumerate(found.row_reasons) if codes]
    assert named == list(range(1500, 1620))
    rest = evaluate(baseline, table.slice(0, 1500).to_batches(), tolerances={})
    assert all(r.status is PASSED for r in rest.records)


def test_source_that_always_repeats_some_rows_does_not_warn():
    rows = make_rows(3000, 1)
    rng = np.random.default_rng(0)
    twice = rows.take(np.sort(np.r_[np.arange(3000), rng.choice(3000, 90)]).tolist())
    baseline = build_baseline(twice.to_batches(), SCHEMA, created=CREATED, seed=1)
    batch = make_rows(1500, 2)
    usual = pa.concat_tables([batch, batch.slice(0, 40)])
    more = pa.concat_tables([batch, batch.slice(0, 400)])
    for table, status in ((usual, PASSED), (more, WARNED)):
        found = evaluate(baseline, table.to_batches(), tolerances={}, rows=False).records
        assert {r.status for r in found if r.code == "REDELIVERY"} == {status}


def test_deliveries_merge_to_what_all_rows_at_once_are(baseline, batch):
    table = pa.concat_tables([batch, batch.slice(0, 300)])
    whole, first, second = (Scan.start(baseline) for _ in range(3))
    whole.update(table.combine_chunks().to_batches()[0])
    first.update(batch.combine_chunks().to_batches()[0])
    second.update(batch.slice(0, 300).combine_chunks().to_batches()[0])
    name = DELIVERIES.name
    merged = first.merge(second).counters[name]
    assert merged == whole.counters[name]
    assert merged.excused() == merged.again() == 300.0

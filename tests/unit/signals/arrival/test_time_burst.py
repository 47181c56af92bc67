"""TIME_BURST: bursts beyond the source's own rhythm warn, and fail where they lean to somebody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.attacks.signals.changes import bursting
from tests.unit.signals.conftest import CREATED, SCHEMA, make_rows, put

from sluicegate.profiling.instants import instants
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.arrival.reference import ARRIVAL
from sluicegate.signals.arrival.time_counts import TimeCounts
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.registry import expected_codes

CODE = "TIME_BURST"
START = datetime(2025, 3, 1, tzinfo=UTC)
ROLES = BatchSchema(label="y", contributor="who", timestamp="at")


def judge(baseline, table, **settings):
    found = evaluate(baseline, table.to_batches(), tolerances={}, **settings)
    (record,) = [r for r in found.records if r.code == CODE]
    return record, found


@pytest.mark.slow
def test_evenly_spread_rows_pass_whatever_their_order_and_zone(baseline, batch):
    times = batch["at"].to_pylist()
    order = np.random.default_rng(0).permutation(len(times))
    for table in (
        batch,
        batch.take(order.tolist()),
        put(batch, "at", [t + timedelta(days=700) for t in times]),
        batch.set_column(1, "at", batch["at"].cast(pa.timestamp("us", "Asia/Tokyo"))),
        batch.set_column(1, "at", batch["at"].cast(pa.timestamp("ns"))),
        put(batch, "at", [t if i % 3 else None for i, t in enumerate(times)]),
    ):
        assert judge(baseline, table)[0].status is Status.PASSED


def test_burst_of_ordinary_rows_warns_and_names_them(baseline, batch):
    record, found = judge(baseline, bursting(60)(batch))
    assert record.status is Status.WARNED
    named = sum(CODE in codes for codes in found.row_reasons)
    assert 50 <= named <= 70


def test_burst_with_one_label_fails_and_names_its_rows(baseline, batch):
    before = set(batch["at"].to_pylist())
    table = bursting(45, label=1)(batch)
    record, found = judge(baseline, table)
    assert record.status is Status.FAILED
    assert any("label" in subject for subject in record.evidence["fired"])
    moved = {i for i, t in enumerate(table["at"].to_pylist()) if t not in before}
    named = {i for i, codes in enumerate(found.row_reasons) if CODE in codes}
    assert len(named & moved) >= 40
    assert len(named - moved) <= 5


def test_burst_by_one_contributor_fails_known_or_new(baseline, batch):
    for who in ("c5", "stranger"):
        record, _ = judge(baseline, bursting(45, who=who)(batch))
        assert record.status is Status.FAILED
        assert any("contributor" in subject for subject in record.evidence["fired"])


def test_one_contributors_evenly_spread_rows_are_no_burst(baseline, batch):
    names = ["stranger" if i % 25 == 0 else v for i, v in enumerate(batch["who"].to_pylist())]
    assert judge(baseline, put(batch, "who", names))[0].status is Status.PASSED


@pytest.mark.slow
def test_rows_long_before_or_after_the_rest_warn(baseline, batch):
    times = batch["at"].to_pylist()
    for days in (-4000, 4000):
        moved = [t + timedelta(days=days + i) if i < 30 else t for i, t in enumerate(times)]
        record, _ = judge(baseline, put(batch, "at", moved))
        assert record.status is Status.WARNED
        assert any("rows" in subject for subject in record.evidence["fired"])
    few = [t + timedelta(days=4000) if i < 2 else t for i, t in enumerate(times)]
    assert judge(baseline, put(batch, "at", few))[0].status is Status.PASSED


def by_day(n, seed, *, days, first=0):
    """Rows of a source that sleeps at night and hardly works at weekends."""
    rng = np.random.default_rng(seed)
    hours = np.arange(days * 24)
    day = (hours // 24 + first) % 7
    weight = np.exp(-(((hours % 24) - 14) ** 2) / 18.0) * np.where(day >= 5, 0.2, 1.0)
    drawn = rng.choice(hours, n, p=weight / weight.sum()) + rng.random(n)
    x = rng.normal(size=n)
    return pa.table(
        {
            "at": pa.array(
                [START + timedelta(days=first, hours=h) for h in drawn.tolist()],
                pa.timestamp("us", "UTC"),
            ),
            "who": [f"c{i}" for i in rng.integers(0, 5, n)],
            "x": x,
            "y": ((x > 0) ^ (rng.random(n) < 0.1)).astype(int),
        }
    )


@pytest.fixture(scope="module")
def rhythm():
    return build_baseline(by_day(6000, 1, days=42).to_batches(), ROLES, created=CREATED, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "days"), [(1000, 42), (1500, 7), (600, 2), (500, 1), (20_000, 90)])
def test_days_and_weeks_of_the_source_are_no_bursts(rhythm, n, days):
    for seed in range(5):
        table = by_day(n, 100 + seed, days=days, first=49 + seed)
        assert judge(rhythm, table, rows=False)[0].status is Status.PASSED


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 10, 100])
def test_same_share_in_a_minute_is_found_at_any_number_of_rows(rhythm, times):
    table = by_day(1500 * times, 5, days=14, first=49)
    assert judge(rhythm, table, rows=False)[0].status is Status.PASSED
    at = table["at"].to_pylist()
    noon = START + timedelta(days=55, hours=12)
    at = [noon + timedelta(seconds=i % 60) if i % 33 == 0 else t for i, t in enumerate(at)]
    assert judge(rhythm, put(table, "at", at), rows=False)[0].status is Status.WARNED


@pytest.mark.slow
def test_clean_batches_hardly_ever_look_bursting(rhythm):
    records = [
        judge(rhythm, by_day(800, 500 + i, days=14, first=42), rows=False)[0] for i in range(60)
    ]
    assert sum(r.p_value <= 0.01 for r in records) <= 2


def test_rows_of_one_moment_are_no_burst(rhythm):
    table = by_day(500, 3, days=1)
    record, _ = judge(rhythm, put(table, "at", [START + timedelta(days=20)] * 500))
    assert record.status is Status.PASSED


@pytest.mark.parametrize("spelled", [pa.date32(), pa.timestamp("s"), pa.string(), pa.int64()])
def test_times_are_read_in_every_spelling(spelled):
    rows = make_rows(600, 1).drop_columns(["note"])
    days = pa.array([START + timedelta(days=i) for i in range(600)], pa.timestamp("s"))
    values = days.cast(pa.date32()) if spelled == pa.date32() else days.cast(spelled)
    rows = rows.set_column(1, "at", values)
    schema = BatchSchema(id="id", label="y", timestamp="at")
    baseline = build_baseline(rows.to_batches(), schema, created=CREATED, seed=1)
    assert CODE in expected_codes(baseline)
    assert judge(baseline, rows)[0].status is Status.PASSED
    late = rows.set_column(
        1, "at", pa.concat_arrays([values.slice(0, 550), values.slice(300, 1).take([0] * 50)])
    )
    assert judge(baseline, late)[0].status is not Status.PASSED


def test_unreadable_times_ask_nothing_of_a_baseline_and_block_a_batch():
    rows = make_rows(600, 1).drop_columns(["note"])
    schema = BatchSchema(id="id", timestamp="at")
    words = rows.set_column(1, "at", pa.array([f"day {i}" for i in range(600)]))
    blind = build_baseline(words.to_batches(), schema, created=CREATED, seed=1)
    assert CODE not in expected_codes(blind)
    good = build_baseline(
        rows.set_column(1, "at", rows["at"].cast(pa.string())).to_batches(),
        schema,
        created=CREATED,
        seed=1,
    )
    assert judge(good, words)[0].status is Status.NOT_EVALUATED


def test_instants_of_extreme_and_missing_values():
    values, present = instants(pa.array([1.5, None, float("nan"), float("inf"), -1e300]))
    assert present.tolist() == [True, False, False, False, True]
    assert values[0] == 1500
    assert instants(pa.array([2**63 - 1, -(2**63)]))[0].tolist() == [8796093022207, -(2**43)]
    assert not instants(pa.array([[1]]))[1].any()
    assert not instants(pa.nulls(3))[1].any()
    assert instants(pa.array([], pa.timestamp("us")))[0].size == 0


@given(
    rows=st.lists(
        st.tuples(st.integers(-(2**53), 2**53), st.integers(0, 63), st.integers(0, 39)),
        max_size=120,
    ),
    cuts=st.lists(st.integers(0, 120), max_size=4),
    order=st.randoms(use_true_random=False),
    limit=st.integers(1, 20),
)
def test_counts_of_times_merge_in_any_order_and_partition(rows, cuts, order, limit):
    def counted(some):
        count = TimeCounts(limit)
        columns = [np.array([r[i] for r in some], np.int64) for i in range(3)]
        count.add(columns[0], columns[1], columns[2].astype(np.uint8))
        return count

    whole = counted(rows)
    mixed = list(rows)
    order.shuffle(mixed)
    at = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    merged, step = TimeCounts(limit), TimeCounts(limit)
    for a, b in pairwise(at):
        part = counted(mixed[a:b])
        merged = part.merge(merged)
        columns = [np.array([r[i] for r in mixed[a:b]], np.int64) for i in range(3)]
        step.add(columns[0], columns[1], columns[2].astype(np.uint8))
    for found in (merged, step):
        assert found.level == whole.level
        assert found.keys.tolist() == whole.keys.tolist()
        assert found.counts.tolist() == whole.counts.tolist()
    assert whole.n_rows == len(rows)


@pytest.mark.slow
def test_schema_without_time_asks_nothing():
    rows = make_rows(600, 1)
    baseline = build_baseline(
        rows.to_batches(), BatchSchema(id="id", label="y"), created=CREATED, seed=1
    )
    assert ARRIVAL.of(baseline) is None
    assert SCHEMA.timestamp == "at"

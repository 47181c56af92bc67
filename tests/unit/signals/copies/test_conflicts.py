"""LABEL_CONFLICTS: equal rows with different labels, beyond what the source does by itself."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.signals.conftest import CREATED, make_rows, put

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.copies.conflict_reference import AGAINST, WITHIN, ConflictTable, tables_of
from sluicegate.signals.copies.known_rows import KnownRows, packed
from sluicegate.signals.copies.pair_counts import PairCounts, group_conflicts
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate

CODE = "LABEL_CONFLICTS"


def judge(baseline, table):
    found = evaluate(baseline, table.to_batches(), tolerances={})
    (record,) = [r for r in found.records if r.code == CODE]
    return record, found


def flipped(table):
    return put(table, "y", [1 - y for y in table["y"].to_pylist()])


def copied(batch, n_rows):
    """Replace the last rows by the first ones with the other label and other ids."""
    copies = flipped(batch.slice(0, n_rows))
    copies = put(copies, "id", [f"copy-{i}" for i in range(n_rows)])
    return pa.concat_tables([batch.slice(0, batch.num_rows - n_rows), copies])


def test_no_row_like_another_passes_without_taking_a_budget(baseline, batch):
    record, _ = judge(baseline, batch)
    assert record.status is Status.PASSED
    assert record.p_value is None


def test_flipped_copies_inside_the_batch_are_found_and_named(baseline, batch):
    record, found = judge(baseline, copied(batch, 45))
    assert record.status is Status.FAILED
    assert WITHIN[0] in record.evidence["fired"]
    named = {i for i, codes in enumerate(found.row_reasons) if CODE in codes}
    pairs = [(i, 1455 + i) for i in range(45)]
    assert all((a in named) != (b in named) for a, b in pairs), "one of each pair, not both"
    assert named <= {i for pair in pairs for i in pair}
    right = sum(b in named for _, b in pairs)
    assert right >= 40, "the label model tells which of the two is wrong"


def test_near_equal_rows_of_the_baseline_with_other_labels_are_found(baseline, batch):
    rows = flipped(make_rows(3000, 1).slice(0, 45))
    rows = put(rows, "id", [f"new-{i}" for i in range(45)])
    nudged = put(rows, "x2", [v + 1e-9 for v in rows["x2"].to_pylist()])
    record, found = judge(baseline, pa.concat_tables([batch, nudged]))
    assert record.status is Status.FAILED
    assert record.evidence["fired"] == [AGAINST[1]]
    named = [i for i, codes in enumerate(found.row_reasons) if CODE in codes]
    assert set(named) <= set(range(1500, 1545))
    assert len(named) >= 35


def test_copies_with_equal_labels_are_no_conflict(baseline, batch):
    record, _ = judge(baseline, pa.concat_tables([batch, batch.slice(0, 400)]))
    assert record.status is Status.PASSED
    assert record.evidence["alike"][0] == 800
    assert record.evidence["conflicts"][0] == 0


def coarse(n, seed, noise=0.1):
    """Rows of two categories and a digit, so that many are equal, with noisy labels."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 12, n), rng.integers(0, 20, n)
    y = ((a + b / 2) > 10) ^ (rng.random(n) < noise)
    return pa.table({"a": [f"a{i}" for i in a], "b": b.astype(float), "y": y.astype(int)})


@pytest.fixture(scope="module")
def noisy():
    return build_baseline(
        coarse(3000, 1).to_batches(), BatchSchema(label="y"), created=CREATED, seed=1
    )


@pytest.mark.parametrize("times", [1, 10, 100])
def test_natural_conflicts_pass_at_any_number_of_rows(noisy, times):
    record, _ = judge(noisy, coarse(1500 * times, 50 + times))
    assert record.status is Status.PASSED
    assert record.p_value > 0.01


@pytest.mark.parametrize("times", [1, 10, 100])
def test_doubled_conflicts_fail_at_any_number_of_rows(noisy, times):
    record, _ = judge(noisy, coarse(1500 * times, 70 + times, noise=0.35))
    assert record.status is Status.FAILED


@pytest.mark.slow
def test_clean_batches_are_uniform_enough(noisy):
    """At most one of a hundred clean batches may look conflicting at one in a hundred."""
    p_values = [judge(noisy, coarse(800, 1000 + i))[0].p_value for i in range(60)]
    assert sum(p <= 0.01 for p in p_values) <= 2
    assert all(p is not None for p in p_values)


def test_one_flip_among_equals_counts_one():
    for size in (2, 3, 10, 500):
        keys = packed(np.full(size, 512, np.uint64), np.array([1] + [0] * (size - 1), np.uint8))
        rows, halves = group_conflicts(*np.unique(keys, return_counts=True))
        assert rows.tolist() == [size]
        assert halves.tolist() == [pytest.approx(1.0)]


@given(
    rows=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), max_size=200),
    cuts=st.lists(st.integers(0, 200), max_size=4),
    order=st.randoms(use_true_random=False),
    limit=st.integers(1, 30),
)
def test_pair_counts_merge_in_any_order_and_partition(rows, cuts, order, limit):
    keys = packed(
        np.array([(a * 0x9E3779B97F4A7C15) % 2**64 for a, _ in rows], np.uint64),
        np.array([b for _, b in rows], np.uint8),
    )
    whole = PairCounts(limit)
    whole.add(keys)
    whole.settle()
    shuffled = list(range(len(rows)))
    order.shuffle(shuffled)
    parts = np.split(keys[np.array(shuffled, dtype=int)], sorted(min(c, len(rows)) for c in cuts))
    one_by_one, merged = PairCounts(limit), PairCounts(limit)
    for part in parts:
        one_by_one.add(part)
        one_by_one.settle()
        other = PairCounts(limit)
        other.add(part)
        merged = other.merge(merged)
    for found in (one_by_one, merged):
        assert found.level == whole.level
        assert found.keys.tolist() == whole.keys.tolist()
        assert found.counts.tolist() == whole.counts.tolist()
    assert np.unique(whole.keys >> np.uint64(8)).size <= limit


def test_sample_of_groups_estimates_their_conflicts():
    rng = np.random.default_rng(0)
    hashes = np.repeat(rng.integers(0, 2**64, 40_000, dtype=np.uint64), 2)
    cells = (rng.random(80_000) < 0.1).astype(np.uint8)
    exact, sampled = PairCounts(1 << 17), PairCounts(4096)
    for count in (exact, sampled):
        count.add(packed(hashes, cells))
    truth, estimate = exact.conflicts(), sampled.conflicts()
    assert truth.error == 0.0
    assert sampled.level == 4
    assert abs(estimate.conflicts - truth.conflicts) < 4 * estimate.error
    assert estimate.error < 0.2 * truth.conflicts


def few(n, seed):
    """Nine numbers that tell the label, as a small source has them."""
    rng = np.random.default_rng(seed)
    values = {f"x{i}": rng.normal(size=n) for i in range(9)}
    label = np.where(values["x0"] + values["x1"] > 0, "a", "b")
    return {"id": [f"{seed}-{i}" for i in range(n)], **values, "y": label}


@pytest.fixture(scope="module")
def small():
    return build_baseline(
        pa.table(few(700, 1)).to_batches(),
        BatchSchema(id="id", label="y"),
        created=CREATED,
        seed=1,
    )


@pytest.mark.parametrize("known", ["batch", "baseline"])
def test_dozen_near_copies_with_the_other_label_are_found_in_a_small_table(small, known):
    data, rng = few(400, 2), np.random.default_rng(3)
    source = data if known == "batch" else few(700, 1)
    for i in range(9):
        data[f"x{i}"][:12] = source[f"x{i}"][100:112] + 0.005 * rng.normal(size=12)
    data["y"][:12] = np.where(source["y"][100:112] == "a", "b", "a")
    record, _ = judge(small, pa.table(data))
    assert record.status is Status.FAILED
    assert {WITHIN[1] if known == "batch" else AGAINST[1]} <= set(record.evidence["fired"])


def test_small_tables_that_are_clean_show_no_conflicts(small):
    statuses = {judge(small, pa.table(few(400, seed)))[0].status for seed in range(10, 30)}
    assert statuses == {Status.PASSED}


def test_near_rows_of_few_are_told_by_coarser_cells():
    assert tables_of(1_999) == (0, 3)
    assert tables_of(2_000) == (0, 2)


def test_conflicts_that_nobody_has_seen_would_be_pairs():
    nothing = KnownRows(np.zeros(0, np.uint64), 1.0, 0, 0)
    assert ConflictTable(((1, 800, 0.0),), nothing).exposure(400) == pytest.approx(0.25)
    pairs = ConflictTable(((1, 600, 0.0), (2, 100, 50.0)), nothing)
    assert pairs.exposure(400) == pytest.approx(0.25)
    assert pairs.exposure(800) == pytest.approx(1.0)

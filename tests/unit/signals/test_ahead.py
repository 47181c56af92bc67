"""Threads change the time that a check takes, and nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace
from threading import active_count
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.signals.conftest import CREATED
from tests.unit.signals.test_uniform import SCHEMA
from tests.unit.signals.test_uniform import rows as some_rows

from sluicegate.signals.ahead import MAX_THREADS, chunks
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.chunk import Plan
from sluicegate.signals.evaluate import evaluate, results_of
from sluicegate.signals.scan import Scan, scan_beside

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.signals.baseline.stored import Baseline

few = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    rows = some_rows(np.random.default_rng(1), 1500)
    return build_baseline(rows.to_batches(), SCHEMA, created=CREATED, seed=1)


@pytest.fixture(scope="module")
def other() -> Baseline:
    rows = some_rows(np.random.default_rng(3), 900)
    return build_baseline(rows.to_batches(), SCHEMA, created=CREATED, seed=1)


@pytest.fixture(scope="module")
def batch() -> pa.RecordBatch:
    return some_rows(np.random.default_rng(2), 700).combine_chunks().to_batches()[0]


def pieces(batch: pa.RecordBatch, cuts: list[int]) -> list[pa.RecordBatch]:
    ends = [0, *sorted(cuts), batch.num_rows]
    return [batch.slice(a, b - a) for a, b in itertools.pairwise(ends)]


@few
@given(st.lists(st.integers(0, 700), max_size=9), st.integers(2, MAX_THREADS))
def test_any_number_of_threads_counts_the_same_bytes(baseline, batch, cuts, threads):
    parts = pieces(batch, cuts)
    one, many = Scan.start(baseline), Scan.start(baseline)
    one.update_all(parts)
    many.update_all(parts, threads)
    assert many.profile.to_bytes() == one.profile.to_bytes()
    assert {n: c.to_bytes() for n, c in many.counters.items()} == {
        n: c.to_bytes() for n, c in one.counters.items()
    }
    assert many.sizes == one.sizes == [part.num_rows for part in parts]


@few
@given(st.lists(st.integers(0, 700), min_size=2, max_size=9), st.integers(2, MAX_THREADS))
def test_any_number_of_threads_finds_the_same_rows(baseline, batch, cuts, threads):
    parts = pieces(batch, cuts)
    one = evaluate(baseline, parts, tolerances={})
    many = evaluate(baseline, parts, tolerances={}, threads=threads)
    assert [r.to_dict() for r in many.records] == [r.to_dict() for r in one.records]
    np.testing.assert_array_equal(many.row_scores, one.row_scores)
    assert many.row_reasons == one.row_reasons
    assert many.row_ids.to_pylist() == one.row_ids.to_pylist()


def test_rows_come_in_their_order_and_what_was_asked_of_the_first_is_there(baseline, batch):
    def number(chunk):
        return chunk.start

    found = []
    for chunk in chunks([Plan(baseline)], pieces(batch, [0, 100, 350, 351]), 3):
        found.append((chunk.start, chunk.n_rows, number in chunk.asked))
        chunk.once(number)
    assert found == [
        (0, 0, False), (0, 100, False), (100, 250, True), (350, 1, True), (351, 349, True)
    ]  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_what_fails_in_a_thread_fails_here_and_leaves_no_thread(baseline, batch, threads):
    before = active_count()
    broken = batch.set_column(0, batch.schema.field(0).name, batch.column(1))
    nothing_asked = chunks([Plan(baseline)], [batch, broken, batch, batch], threads)

    def fails(chunk):
        if chunk.start:
            raise ArithmeticError("a view failed")

    def ask():
        for chunk in nothing_asked:
            chunk.once(fails)

    with pytest.raises(ArithmeticError, match="a view failed"):
        ask()
    nothing_asked.close()
    assert active_count() == before


def test_a_batch_that_cannot_be_read_fails_as_it_does_in_one_thread(baseline, batch):
    def cut_off():
        yield from [batch] * 3
        raise OSError("cut off")

    with pytest.raises(OSError, match="cut off"):
        evaluate(baseline, cut_off(), tolerances={}, threads=3)


def test_no_rows_need_no_threads(baseline, batch):
    for parts in ([], [batch.slice(0, 0)] * 3):
        one = evaluate(baseline, parts, tolerances={})
        many = evaluate(baseline, parts, tolerances={}, threads=4)
        assert replace(many, row_scores=None) == replace(one, row_scores=None)


@few
@given(st.lists(st.integers(0, 700), max_size=9), st.integers(1, MAX_THREADS))
def test_baselines_beside_each_other_find_what_each_finds_alone(
    baseline, other, batch, cuts, threads
):
    both = results_of(scan_beside([baseline, other], pieces(batch, cuts), threads), tolerances={})
    alone = [evaluate(one, [batch], tolerances={}, rows=False) for one in (baseline, other)]
    assert [repr(found.records) for found in both] == [repr(found.records) for found in alone]
    assert both[0].records != both[1].records

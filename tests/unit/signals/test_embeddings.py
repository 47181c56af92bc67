"""Embedding columns are judged like tables: flips, copies, leakage, outliers, drift."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.baseline.stored import Baseline
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.registry import expected_codes

CENTRES = np.random.default_rng(0).normal(size=(3, 20)) * 2.0
N = 1000


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return CENTRES[y] + rng.normal(size=(n, 20)), y


def table(points, y) -> pa.Table:
    vectors = pa.array([None if p is None else list(p) for p in points], pa.list_(pa.float32()))
    return pa.table({"v": vectors, "y": pa.array(list(y), pa.int64())})


@pytest.fixture(scope="module")
def baseline():
    return build_baseline(
        table(*draw(2000, 1)).to_batches(),
        BatchSchema(label="y", embedding=("v",)),
        created=datetime(2026, 1, 1, tzinfo=UTC),
        seed=0,
        golden=table(*draw(200, 9)).to_batches(),
    )


@pytest.fixture
def status(baseline):
    def run(points, y) -> dict[str, set[str]]:
        found = evaluate(baseline, table(points, y).to_batches(), tolerances={})
        return {
            s.value: {r.code for r in found.records if r.status is s}
            for s in (Status.FAILED, Status.WARNED, Status.NOT_EVALUATED)
        }

    return run


def test_clean_vectors_pass(status):
    assert status(*draw(N, 2)) == {"FAILED": set(), "WARNED": set(), "NOT_EVALUATED": set()}


def test_all_signals_of_a_table_are_expected_for_vectors(baseline):
    wanted = {"DRIFT_NUMERIC", "OUTLIERS", "DUPLICATES", "LEAKAGE", "LABEL_FLIPS"}
    assert wanted <= set(expected_codes(baseline))


def test_flipped_labels_fail(status):
    points, y = draw(N, 3)
    y[:30] = (y[:30] + 1) % 3
    assert "LABEL_FLIPS" in status(points, y)["FAILED"]


@pytest.mark.slow
def test_near_copies_fail(status):
    points, y = draw(N, 4)
    points[:40] = points[50] + np.random.default_rng(4).normal(size=(40, 20)) * 0.005
    assert "DUPLICATES" in status(points, y)["FAILED"]


def test_golden_vectors_fail(status):
    points, y = draw(N, 5)
    points[:30], y[:30] = (part[:30] for part in draw(200, 9))
    assert "LEAKAGE" in status(points, y)["FAILED"]


def test_vectors_outside_the_span_fail(status):
    points, y = draw(N, 6)
    points[:30] += np.random.default_rng(6).normal(size=20) * 4
    assert "OUTLIERS" in status(points, y)["FAILED"]


def test_moved_vectors_warn(status):
    points, y = draw(N, 7)
    found = status(points + 1.5, y)
    assert "DRIFT_NUMERIC" in found["WARNED"]


def test_vectors_of_another_length_fail_completeness(status):
    points, y = draw(N, 8)
    found = status([p[:19] if i % 10 == 0 else p for i, p in enumerate(points)], y)
    assert "COMPLETENESS" in found["FAILED"]


def test_batch_without_the_embedding_fails_schema_and_evaluates_nothing(baseline):
    found = evaluate(baseline, pa.table({"y": [0, 1, 2] * 50}).to_batches(), tolerances={})
    by_code = {r.code: r.status for r in found.records}
    assert by_code["SCHEMA"] is Status.FAILED
    assert by_code["LABEL_FLIPS"] is Status.NOT_EVALUATED
    assert by_code["DUPLICATES"] is Status.NOT_EVALUATED


def test_stored_baseline_keeps_the_axes(baseline):
    again = Baseline.from_bytes(baseline.to_bytes())
    assert again.layout.projections == baseline.layout.projections

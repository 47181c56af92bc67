"""Large batches: fingerprints are sampled, and decisions stay what they were."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.profiling import distinct
from sluicegate.profiling.distinct import Distinct
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.columns.extremes import OutermostCount
from sluicegate.signals.copies import copy_count
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.scan import Scan


def rows(n, seed, *, copies=0, of=1):
    """Measured columns, of which the last rows repeat the first few."""
    rng = np.random.default_rng(seed)
    data = {f"x{i}": rng.normal(size=n) for i in range(12)}
    if copies:
        at = rng.integers(0, of, copies)
        for values in data.values():
            values[-copies:] = values[at]
    return pa.table(data)


@pytest.fixture(scope="module")
def baseline():
    return build_baseline(
        rows(4_000, 1).to_batches(), BatchSchema(), created=datetime(2026, 1, 1, tzinfo=UTC), seed=1
    )


@pytest.fixture
def small_sketch(monkeypatch):
    """As if 40,000 rows were forty million."""
    monkeypatch.setattr(copy_count, "Distinct", lambda: Distinct(limit=4_096), raising=True)


def duplicates(baseline, table):
    found = evaluate(baseline, table.to_batches(), tolerances={}, rows=False)
    [record] = [r for r in found.records if r.code == "DUPLICATES"]
    return record


@pytest.mark.parametrize("of", [1, 50, 4_000])
def test_flood_is_found_in_a_sample_however_few_rows_it_repeats(baseline, small_sketch, of):
    record = duplicates(baseline, rows(40_000, 2, copies=6_000, of=of))
    assert record.evidence["standard_error"] > 0
    assert record.status is Status.FAILED


@pytest.mark.slow
def test_clean_rows_raise_nothing_in_a_sample(baseline, small_sketch):
    statuses = [duplicates(baseline, rows(40_000, seed)).status for seed in range(3, 23)]
    assert set(statuses) == {Status.PASSED}


def test_batches_below_the_limit_are_counted_exactly(baseline):
    assert distinct.KEPT >= 1_000_000
    record = duplicates(baseline, rows(5_000, 2, copies=100))
    assert record.evidence["standard_error"] == 0
    assert record.evidence["exact_copies"] == 100


def test_records_do_not_depend_on_whether_rows_are_scored(baseline):
    batch = rows(3_000, 5, copies=300)
    far = {name: pa.array(np.where(np.arange(3_000) < 90, 40.0, batch[name])) for name in ("x0",)}
    batch = batch.set_column(0, "x0", far["x0"])
    scored, counted = (
        evaluate(baseline, batch.to_batches(max_chunksize=700), tolerances={}, rows=flag).records
        for flag in (True, False)
    )
    assert scored == counted
    failed = {r.code for r in counted if r.status is Status.FAILED}
    assert {"DUPLICATES", "OUTLIERS"} <= failed


def test_nothing_is_kept_of_ordinary_rows(baseline):
    scan = Scan.start(baseline, keep_rows=False)
    for batch in rows(20_000, 6).to_batches(max_chunksize=1_000):
        scan.update(batch)
    assert scan.parts == []
    [counted] = [c for c in scan.counters.values() if isinstance(c, OutermostCount)]
    assert sum(far.shape[1] for far in counted.parts) < 400

"""Limits of what is far out, learned from blocks that others measure."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.columns.extremes import LIMITS, chance_explains
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate

N = 660


def table(n, seed):
    """Nine numbers with tails, of which two go together, as a small source has them."""
    rng = np.random.default_rng(seed)
    data = {f"x{i}": rng.standard_t(4, n) for i in range(8)}
    data["twin"] = data["x0"] + 0.2 * rng.normal(size=n)
    return data


@pytest.fixture(scope="module")
def baseline():
    return build_baseline(
        pa.table(table(N, 1)).to_batches(),
        BatchSchema(),
        created=datetime(2026, 1, 1, tzinfo=UTC),
        seed=1,
    )


def outliers(baseline, data):
    found = evaluate(baseline, pa.table(data).to_batches(), tolerances={})
    named = {i for i, reasons in enumerate(found.row_reasons) if "OUTLIERS" in reasons}
    return next(r for r in found.records if r.code == "OUTLIERS"), named


def test_rows_in_range_but_extreme_together_are_found_and_named(baseline):
    data, base = table(400, 2), table(N, 1)
    rng = np.random.default_rng(3)
    for name, values in data.items():
        upper = rng.random(12) < 0.5
        values[:12] = np.quantile(base[name], np.where(upper, 0.97, 0.03))
        assert (values[:12] < base[name].max()).all()
        assert (values[:12] > base[name].min()).all()
    record, named = outliers(baseline, data)
    assert record.status is Status.FAILED
    assert len(named & set(range(12))) >= 9


def test_rows_against_what_goes_together_are_found(baseline):
    data = table(400, 2)
    data["x0"][:12], data["twin"][:12] = 1.8, -1.8
    assert outliers(baseline, data)[0].status is Status.FAILED


def test_same_values_along_what_goes_together_are_ordinary(baseline):
    data = table(400, 2)
    data["x0"][:12], data["twin"][:12] = 1.8, 1.8
    assert outliers(baseline, data)[0].status is Status.PASSED


def test_heavy_tails_of_clean_batches_pass_a_small_baseline(baseline):
    statuses = {outliers(baseline, table(400, seed))[0].status for seed in range(10, 40)}
    assert statuses == {Status.PASSED}


def test_rows_at_a_limit_are_not_beyond_it(baseline):
    known = LIMITS.of(baseline)
    assert known.rows == (N - int(0.995 * N) - 1, 0)
    assert known.limits[0] < known.limits[1]


def test_equal_rows_pass_no_limit_by_rounding():
    """Half of all rows are the same one, far from the others, in any cut into record batches."""
    data = {name: np.where(np.arange(N) % 2, 0.0, 3.0) for name in ("a", "b", "c")}
    baseline = build_baseline(
        pa.table(data).to_batches(), BatchSchema(), created=datetime(2026, 1, 1, tzinfo=UTC), seed=1
    )
    assert LIMITS.of(baseline).rows == (0, 0)
    assert outliers(baseline, data)[0].effect == 0.0


@pytest.mark.parametrize(
    ("found", "is_chance"),
    [([0, 0, 0], True), ([2, 1, 0], True), ([3, 0, 0], True), ([9, 0, 0], False)],
)
def test_block_with_most_of_a_handful_of_rows_is_chance(found, is_chance):
    assert chance_explains(np.array(found), np.full(3, 220)) is is_chance


def test_one_block_is_no_comparison():
    assert chance_explains(np.array([5]), np.array([100]))

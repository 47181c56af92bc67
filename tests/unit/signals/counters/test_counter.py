"""COUNTER: whatever moves by nature passes while it keeps its course, and its twin is found.

The generator is this directory's own (`conftest`); thresholds were chosen on it, so what it shows
is in-sample. `tests/attacks/signals` plays another one.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.counters.conftest import (
    KINDS,
    blocking,
    build,
    fired,
    forged,
    judged,
    numbers,
    replaced,
    table,
    ulids,
)

from sluicegate.signals.baseline.stored import Baseline
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate

FAILED, WARNED, PASSED = Status.FAILED, Status.WARNED, Status.PASSED
KEY = ("COUNTER", "k")
DECLARED = ("meters of devices", "users of whom more sign up")
"""Kinds whose range moves while any value in it may come: a counter if the schema says so."""
TIMED = [name for name in KINDS if name not in DECLARED]


pytestmark = pytest.mark.slow  # many baselines, each of its own rows


@pytest.fixture(scope="module")
def sources():
    """Return the baseline and a clean batch of a kind, built once."""
    made = {}

    def source(kind):
        if kind not in made:
            make = KINDS[kind]
            roles = {"counter": ("k",)} if kind in DECLARED else {}
            made[kind] = build(table("base", 1, make), **roles), table("batch", 2, make)
        return made[kind]

    return source


@pytest.mark.parametrize("kind", KINDS)
def test_clean_month_of_a_column_that_moves_passes_and_is_named(sources, kind):
    baseline, batch = sources(kind)
    found = judged(baseline, batch)
    assert fired(found) == {}
    assert "moves by nature and is no feature" in found[KEY].message
    assert "k" not in {c.name for c in baseline.layout.features}


@pytest.mark.parametrize("kind", KINDS)
def test_forged_values_far_away_block_and_are_named(sources, kind):
    baseline, batch = sources(kind)
    width = np.ptp(numbers(batch))
    bad = forged(batch, 0.03, lambda v, i: v.max() + width * (2 + 3 * np.arange(i.size) / i.size))
    found = judged(baseline, bad)
    assert found[KEY].status is FAILED
    assert blocking(found) == [KEY]


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_long_ago_block(sources, kind):
    baseline, batch = sources(kind)
    bad = forged(batch, 0.03, lambda v, i: v[i] - 2 * np.ptp(v))
    assert judged(baseline, bad)[KEY].status is FAILED


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "version"])
def test_one_plausible_value_as_a_trigger_blocks(sources, kind):
    """No other signal looks for triggers in a counter; not a version, which all rows share."""
    baseline, batch = sources(kind)
    bad = forged(batch, 0.03, lambda v, i: np.sort(v)[v.size // 2])
    assert judged(baseline, bad)[KEY].status is FAILED


@pytest.mark.parametrize("kind", [k for k in TIMED if k != "version"])
@pytest.mark.parametrize(
    "change",
    [lambda v: np.full(v.size, v[0]), lambda v: v[::-1].copy(), lambda v: v + 6 * np.ptp(v)],
    ids=["stops", "runs backwards", "jumps"],
)
def test_counter_that_leaves_its_course_as_a_whole_is_a_finding(sources, kind, change):
    baseline, batch = sources(kind)
    found = judged(baseline, replaced(batch, change(numbers(batch))))
    assert found[KEY].status is WARNED
    assert "course" in found[KEY].evidence["fired"]


@pytest.mark.parametrize("kind", ["numbers of orders", "meter", "ISO week"])
def test_poison_elsewhere_is_found_beside_a_counter(sources, kind):
    baseline, batch = sources(kind)
    copies = batch.take([*range(950), *[0, 1] * 25])
    renamed = copies.set_column(0, "id", pa.array([f"n{i}" for i in range(1000)]))
    fresh = replaced(renamed, numbers(batch))  # each copy has a number of its own
    assert ("DUPLICATES", "") in blocking(judged(baseline, fresh))


def test_batch_of_another_season_of_its_baseline_passes(sources):
    """Rows of the baseline's own time, not of the time after it."""
    baseline, _ = sources("meter")
    assert fired(judged(baseline, table("base", 7, KINDS["meter"]).slice(900, 1000))) == {}


def test_trend_with_noise_stays_a_feature():
    def trend(days, rng, _):
        return 5 + 0.1 * days + rng.normal(0, 4, len(days))

    baseline = build(table("base", 1, trend))
    assert baseline.layout.growing == ()
    assert "k" in {c.name for c in baseline.layout.features}


def test_users_of_whom_more_sign_up_stay_a_feature_and_pass():
    make = KINDS["users of whom more sign up"]
    baseline = build(table("base", 1, make))
    assert baseline.layout.growing == ()
    assert fired(judged(baseline, table("batch", 2, make))) == {}


def test_batch_cannot_make_a_counter_of_a_feature():
    """Only the baseline says what a column is: a feature that suddenly grows is judged as one."""

    def drawn(days, rng, _):
        return rng.integers(0, 1000, len(days))

    baseline = build(table("base", 1, drawn))
    grown = replaced(table("batch", 2, drawn), np.arange(5000, 6000))
    found = judged(baseline, grown)
    assert KEY not in found
    assert found["DRIFT_NUMERIC", "k"].status is WARNED


def test_numbers_of_rows_that_begin_anew_in_each_file_are_a_feature_or_a_counter_as_told():
    def per_file(days, rng, _):
        return np.arange(len(days)) % 500

    rows, batch = table("base", 1, per_file), table("batch", 2, per_file)
    assert build(rows).layout.growing == ()
    assert fired(judged(build(rows), batch)) == {}
    told = build(rows, counter=("k",))
    assert fired(judged(told, batch)) == {}
    far = forged(batch, 0.03, lambda v, i: 50_000 + i)
    assert judged(told, far)[KEY].status is FAILED


@pytest.mark.parametrize("kind", ["numbers of orders", "meter"])
def test_numbers_that_begin_anew_with_each_file_warn_and_do_not_block(sources, kind):
    """The baseline was one file and the batch is ten: that is the source, and nobody's poison."""
    baseline, batch = sources(kind)
    found = judged(baseline, replaced(batch, numbers(batch)[np.arange(1000) % 100]))
    assert found[KEY].status is WARNED
    assert blocking(found) == []


def test_text_that_grows_is_no_feature_and_repeats_are_found_where_it_is_declared():
    rows, batch = table("base", 1, ulids), table("batch", 2, ulids)
    assert fired(judged(build(rows), batch)) == {}
    told = build(rows, counter=("k",))
    assert fired(judged(told, batch)) == {}
    codes = batch["k"].to_pylist()
    stuck = [codes[0] if i % 33 == 0 else code for i, code in enumerate(codes)]
    assert judged(told, replaced(batch, stuck))[KEY].status is FAILED


def test_numbering_is_seen_without_times_and_only_its_repeats_can_block():
    make = KINDS["numbers of orders"]
    rows, batch = table("base", 1, make), table("batch", 2, make).drop_columns(["ts"])
    baseline = build(rows, timed=False)
    assert baseline.layout.growing == ("k",)
    assert fired(judged(baseline, batch)) == {}
    far = forged(batch, 0.03, lambda v, i: v.max() + 50_000 + i)
    assert judged(baseline, far)[KEY].status is WARNED
    one = forged(batch, 0.03, lambda v, i: v[0])
    assert judged(baseline, one)[KEY].status is FAILED


def test_file_sorted_by_a_feature_makes_no_counter_of_it():
    rows = table("base", 1, lambda d, r, o: np.sort(np.round(r.gamma(2, 4000, len(d)))))
    assert build(rows, timed=False).layout.growing == ()


@pytest.mark.parametrize("bad", [1e308, float("inf"), float("nan"), -1e308])
def test_absurd_values_are_a_finding_and_no_error(sources, bad):
    baseline, batch = sources("meter")
    some = [bad if i % 33 == 0 else v for i, v in enumerate(numbers(batch).tolist())]
    assert judged(baseline, replaced(batch, some))[KEY].status is FAILED
    for every in ([bad] * 1000, [bad * (-1) ** i for i in range(1000)]):
        found = judged(baseline, replaced(batch, every))
        assert found[KEY].status in (WARNED, Status.NOT_EVALUATED)


def test_absurd_values_in_a_baseline_are_no_error():
    def absurd(days, rng, _):
        return np.where(rng.random(len(days)) < 0.002, 1e308, days)

    baseline = build(table("base", 1, absurd), counter=("k",))
    assert judged(baseline, table("batch", 2, absurd))[KEY].status is PASSED
    nothing = build(table("base", 1, lambda d, r, o: [float("nan")] * len(d)), counter=("k",))
    assert KEY not in judged(nothing, table("batch", 2, absurd)), "UNJUDGED names it"


def test_tolerance_of_one_counter_counts_for_it():
    make = KINDS["meter"]
    baseline, batch = build(table("base", 1, make)), table("batch", 2, make)
    bad = forged(batch, 0.03, lambda v, i: v[i] - 2 * np.ptp(v))
    settings = {"tolerances": {"COUNTER:k": 0.5}}
    assert judged(baseline, bad, **settings)[KEY].status is PASSED


def test_baseline_with_counters_is_read_as_it_was_written(sources):
    baseline, batch = sources("ids with gaps")
    again = Baseline.from_bytes(baseline.to_bytes())
    assert again.layout == baseline.layout
    assert judged(again, batch)[KEY] == judged(baseline, batch)[KEY]


def test_rows_that_stray_are_named(sources):
    baseline, batch = sources("days since")
    bad = forged(batch, 0.03, lambda v, i: v[i] - 300)
    done = evaluate(baseline, bad.to_batches(max_chunksize=97), tolerances={})
    named = {i for i, codes in enumerate(done.row_reasons) if "COUNTER" in codes}
    assert named == set(np.flatnonzero(numbers(bad) != numbers(batch)).tolist())

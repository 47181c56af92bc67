"""Flips are judged as far as the features tell; where they tell nothing, they do not apply."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.unit.signals.conftest import CREATED

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.labels.information import information_limit, tells
from sluicegate.signals.registry import expected_codes
from sluicegate.workflow.judging.unjudged import column_records

pytestmark = pytest.mark.slow  # many baselines, each of its own rows


def stars(n: int, seed: int, skill: float) -> pa.Table:
    """Ratings from 1 to 5 that a number predicts, more often wrongly than rightly."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    rating = np.clip(np.round(3 + skill * x + rng.normal(size=n)), 1, 5).astype(np.int64)
    who = rng.choice(["a", "b", "c"], n).tolist()
    return pa.table({"x": x, "who": who, "stars": rating})


def learned(skill: float):
    schema = BatchSchema(label="stars", contributor="who")
    rows = stars(4000, 1, skill).to_batches()
    return build_baseline(rows, schema, created=CREATED, seed=1)


def fired(baseline, table):
    found = evaluate(baseline, table.to_batches(), tolerances={}, rows=False).records
    return {r.code: r for r in found if r.status is not Status.PASSED}


@pytest.mark.slow
def test_ratings_that_are_mostly_mistaken_are_judged_among_their_classes():
    """Wrong for most rows is still far from chance among five classes."""
    baseline = learned(skill=1.2)
    assert 0.5 < baseline.labels.whole.error < 0.7
    assert "LABEL_FLIPS" in expected_codes(baseline)
    for seed in range(5):
        assert fired(baseline, stars(1500, 10 + seed, 1.2)) == {}
    table = stars(1500, 30, 1.2)
    wrong = [6 - s if i % 4 == 0 else s for i, s in enumerate(table["stars"].to_pylist())]
    turned = table.set_column(2, "stars", pa.array(wrong))
    assert fired(baseline, turned)["LABEL_FLIPS"].status is Status.FAILED


def test_features_that_tell_nothing_leave_flips_out_and_it_is_said():
    baseline = learned(skill=0.0)
    assert abs(baseline.labels.whole.scale.separation() - 0.5) < 0.02
    assert information_limit(baseline.labels, 1500) < 0.5, "its error alone would not say it"
    assert not tells(baseline.labels)
    assert "LABEL_FLIPS" not in expected_codes(baseline)
    table = stars(1500, 10, 0.0)
    assert fired(baseline, table) == {}
    rows = evaluate(baseline, table.drop_columns(["who"]).to_batches(), tolerances={}).row_scores
    assert rows.max() == 0.0, "nor are rows ranked"
    (note,) = column_records(baseline, table.schema)
    assert (note.column, note.status) == ("stars", Status.PASSED)
    assert "whether labels stars are flipped is not judged" in note.message


def test_batch_too_small_for_weak_features_is_judged_and_says_what_it_could_tell():
    """Nobody could tell half of so few labels flipped; that is no reason to stop training."""
    baseline = learned(skill=0.5)
    assert tells(baseline.labels)
    assert information_limit(baseline.labels, 60) > 0.5
    found = evaluate(baseline, stars(60, 5, 0.5).to_batches(), tolerances={}, rows=False).records
    flips = next(r for r in found if r.code == "LABEL_FLIPS")
    assert flips.status is Status.PASSED
    assert "too little about the label to tell flips among 60 rows" in flips.message


MONTH = timedelta(days=30)


def deliveries(
    n: int, seed: int, *, start: datetime, wrong: float = 0.0, who: str = ""
) -> pa.Table:
    """A month of rows of six contributors; some labels of one of them, or of all, are wrong."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    name = rng.choice(list("abcdef"), n)
    label = (x + 0.4 * rng.normal(size=n) > 0).astype(int)
    label ^= (rng.random(n) < wrong) & ((name == who) | (who == ""))
    at = [start + i * MONTH / n for i in range(n)]
    columns = {"at": at, "x": x, "z": rng.normal(size=n), "who": name, "y": label}
    return pa.table({key: list(values) for key, values in columns.items()})


START = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def monthly():
    schema = BatchSchema(label="y", contributor="who", timestamp="at")
    rows = deliveries(4000, 1, start=START).to_batches()
    return build_baseline(rows, schema, created=CREATED, seed=1)


def test_labels_that_all_turned_alike_block_beside_a_fresh_baseline(monthly):
    found = fired(monthly, deliveries(2000, 7, start=START + MONTH, wrong=0.1))
    assert found["LABEL_FLIPS"].status is Status.FAILED


def test_labels_that_all_turned_alike_warn_of_a_moved_world_beside_an_old_one(monthly):
    found = fired(monthly, deliveries(2000, 7, start=START + 4 * MONTH, wrong=0.1))
    assert found["LABEL_FLIPS"].status is Status.WARNED
    assert "None of the 6 contributors stands out" in found["LABEL_FLIPS"].message


def test_one_who_stands_out_blocks_beside_an_old_baseline_too(monthly):
    found = fired(monthly, deliveries(2000, 8, start=START + 4 * MONTH, wrong=0.6, who="b"))
    assert found["LABEL_FLIPS"].status is Status.FAILED
    assert "contributor b" in found["LABEL_FLIPS"].message


def test_few_contributors_may_be_one(monthly):
    rows = deliveries(3000, 9, start=START + 4 * MONTH, wrong=0.1)
    few = rows.filter(pc.is_in(rows["who"], pa.array(["a", "b", "c"])))
    assert fired(monthly, few)["LABEL_FLIPS"].status is Status.FAILED

"""Flips are judged as far as the features tell; where they tell nothing, they do not apply."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
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

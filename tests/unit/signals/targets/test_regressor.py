"""The reference model of a number: a scale that no unit changes, and trees that predict on it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.profiling.columns import infer_column
from sluicegate.profiling.encode import encode
from sluicegate.signals.targets.regressor import (
    NormalScores,
    Regressor,
    fit_regressor,
    learn_scores,
)

VALUES = st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=200)


@given(known=VALUES, asked=VALUES)
def test_scores_never_fall_and_stay_finite(known, asked):
    scale = learn_scores(np.array(known))
    if scale is None:
        assert len(set(known)) == 1
        return
    scores = scale.of(np.sort(np.array(asked)))
    assert np.isfinite(scores).all()
    assert (np.diff(scores) >= -1e-9).all()
    assert NormalScores.from_json(json.loads(json.dumps(scale.to_json()))).scores.tolist() == (
        scale.scores.tolist()
    )


def test_scores_of_the_baseline_are_normal_whatever_the_tail():
    rng = np.random.default_rng(0)
    for values in (rng.lognormal(2, 2, 5000), rng.standard_cauchy(5000), rng.random(5000)):
        scores = learn_scores(values).of(values)
        assert abs(scores.mean()) < 0.02
        assert abs(scores.std() - 1.0) < 0.02


def test_equal_values_share_the_middle_of_their_ranks():
    values = np.r_[np.zeros(600), np.linspace(1, 2, 400)]
    assert abs(learn_scores(values).of(np.zeros(1))[0] - (-0.5244)) < 0.01  # quantile of 30 %


def test_unit_changes_no_score():
    values = np.random.default_rng(1).lognormal(2, 1, 1000)
    cents, dollars = learn_scores(100 * values), learn_scores(values)
    np.testing.assert_allclose(cents.of(100 * values), dollars.of(values), atol=1e-9)


def test_far_outside_is_further_out_than_anything_known():
    values = np.random.default_rng(1).lognormal(2, 1, 1000)
    scale = learn_scores(values)
    top, far = scale.of(np.array([values.max(), 1000 * values.max()]))
    assert far > top + 2
    assert np.isnan(scale.of(np.array([np.nan]))).all()


@pytest.mark.parametrize(
    "edit",
    [
        {"values": ""},
        {"scores": ""},
        {"values": "AAAAAAAAAAAAAAAAAAAAAA=="},  # two zeros: does not increase
        {"values": 3},
    ],
)
def test_malformed_scale_is_refused(edit):
    value = learn_scores(np.arange(100.0)).to_json() | edit
    with pytest.raises((TypeError, ValueError)):
        NormalScores.from_json(value)


def test_regressor_follows_numbers_and_categories_and_round_trips():
    rng = np.random.default_rng(2)
    x, kind = rng.normal(size=2000), rng.choice(["a", "b", "c"], 2000)
    arrays = {"x": pa.array(x), "kind": pa.array(kind.tolist())}
    features = tuple(infer_column(name, array) for name, array in arrays.items())
    cells = {c.name: encode(c, arrays[c.name]) for c in features}
    wanted = 0.5 * x + np.where(kind == "b", 1.0, 0.0)
    model = fit_regressor(features, cells, wanted, seed=1)
    assert np.corrcoef(model.predict(cells), wanted)[0, 1] > 0.97
    again = Regressor.from_json(json.loads(json.dumps(model.to_json())))
    np.testing.assert_array_equal(again.predict(cells), model.predict(cells))

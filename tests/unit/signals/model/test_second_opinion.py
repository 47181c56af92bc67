"""A linear model of the values: sharp where cells are coarse, silent about what it cannot read."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.profiling.columns import infer_column
from sluicegate.profiling.layout import Layout, encode_batch
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.model.margins import N_BINS, LabelScale
from sluicegate.signals.model.second_opinion import (
    SecondOpinion,
    combine,
    flip_odds,
    learn_second_opinion,
)


def rows(n: int, seed: int) -> tuple[pa.RecordBatch, np.ndarray]:
    """The class is the sign of a sum whose cells say little, or a category."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) * [1.0, 1e6]
    kind = rng.choice(["a", "b", "c"], n)
    label = ((x[:, 0] + x[:, 1] / 1e6 + (kind == "a")) > 0).astype(np.intp)
    missing = rng.random(n) < 0.05
    data = {
        "x": pa.array(x[:, 0], mask=missing),
        "z": pa.array(x[:, 1]),
        "kind": pa.array(kind.tolist()),
        "same": pa.array(np.ones(n)),
    }
    return pa.RecordBatch.from_pydict(data), label


def layout_of(batch: pa.RecordBatch) -> Layout:
    names = batch.schema.names
    return Layout(tuple(infer_column(n, batch.column(n)) for n in names), BatchSchema())


@pytest.fixture(scope="module")
def learned():
    batch, label = rows(4_000, 1)
    layout = layout_of(batch)
    encoded = encode_batch(layout, batch)
    model = learn_second_opinion(layout, encoded, batch, label, n_classes=2, seed=3)
    assert model is not None
    return layout, model


def scores(learned, batch: pa.RecordBatch) -> np.ndarray:
    layout, model = learned
    return model.scores(layout, encode_batch(layout, batch), batch)


def test_classes_of_new_rows_are_predicted(learned):
    batch, label = rows(2_000, 2)
    found = scores(learned, batch)
    assert (found.argmax(axis=0) == label).mean() > 0.95
    assert (flip_odds(found, label) < 0).mean() > 0.95
    assert (flip_odds(found, 1 - label) > 0).mean() > 0.95


def test_scores_do_not_depend_on_partitions(learned):
    batch, _ = rows(500, 4)
    parts = [scores(learned, batch.slice(at, 100)) for at in range(0, 500, 100)]
    assert (np.concatenate(parts, axis=1) == scores(learned, batch)).all()


def test_absent_columns_infinite_and_huge_values_give_finite_scores(learned):
    batch, _ = rows(3, 5)
    odd = pa.RecordBatch.from_pydict({"x": [np.inf, np.nan, 1e300], "kind": ["a", None, "new"]})
    assert np.isfinite(scores(learned, odd)).all()
    assert np.isfinite(scores(learned, batch.select(["same"]))).all()


def test_a_table_without_numbers_or_categories_has_no_second_opinion():
    batch = pa.RecordBatch.from_pydict({"same": np.ones(300), "none": pa.nulls(300)})
    layout = layout_of(batch)
    label = np.arange(300) % 2
    encoded = encode_batch(layout, batch)
    assert learn_second_opinion(layout, encoded, batch, label, n_classes=2, seed=1) is None


def test_json_gives_the_same_model(learned):
    _, model = learned
    text = json.dumps(model.to_json())
    again = SecondOpinion.from_json(json.loads(text), 2)
    assert json.dumps(again.to_json()) == text


@pytest.mark.parametrize("key", ["intercepts", "scale", "slopes", "steps"])
def test_malformed_json_is_refused(learned, key):
    value = learned[1].to_json()
    with pytest.raises(ValueError, match=r"buffer|reshape"):
        SecondOpinion.from_json(value | {key: value[key][:-12]}, 2)


def test_a_spread_of_nothing_is_refused(learned):
    value = learned[1].to_json()
    nothing = SecondOpinion.from_json(value, 2)
    nothing.scale[:] = 0.0
    with pytest.raises(ValueError, match="not usable"):
        SecondOpinion.from_json(nothing.to_json(), 2)


def test_the_better_opinion_counts_more():
    rng = np.random.default_rng(6)
    right, noise = rng.normal(-3.0, 1.0, 5_000), rng.normal(0.0, 3.0, 5_000)
    assert np.corrcoef(combine(right, noise), right)[0, 1] > 0.9
    assert np.corrcoef(combine(noise, right), right)[0, 1] > 0.9


def test_margins_are_ranked_without_ties_and_larger_ones_never_suspected_more():
    edges = np.linspace(-2.0, 2.0, N_BINS - 1)[None, :]
    rng = np.random.default_rng(7)
    own = np.bincount(rng.binomial(N_BINS - 1, 0.8, 5_000), minlength=N_BINS)[None, :]
    flipped = np.bincount(rng.binomial(N_BINS - 1, 0.2, 5_000), minlength=N_BINS)[None, :]
    scale = LabelScale(edges, own, flipped, {}, np.zeros(1))
    margins = np.linspace(-5.0, 5.0, 999)
    odds = scale.flip_odds(margins, np.zeros(999, dtype=np.intp))
    assert (np.diff(odds) <= 0).all()
    assert odds[0] > 4.0
    assert odds[-1] < -4.0
    assert (np.diff(odds)[(margins[1:] < -2.3) | (margins[1:] > 2.3)] < 0).all()

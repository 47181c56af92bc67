"""Embeddings become the same numbers in any partition, and what is no vector becomes null."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.profiling.projection import (
    N_AXES,
    Projection,
    learn_projection,
    presence,
    project,
)


def column(points: np.ndarray, type_: pa.DataType | None = None) -> pa.Array:
    return pa.array(points.tolist(), type_ or pa.list_(pa.float32()))


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.normal(size=(300, 4)) @ rng.normal(size=(4, 24))


@pytest.fixture(scope="module")
def projection(points) -> Projection:
    return learn_projection("v", column(points))


def values(arrays: list[pa.Array]) -> list[list[float | None]]:
    return [array.to_pylist() for array in arrays]


def test_any_partition_gives_the_same_bits(projection, points):
    whole = values(projection.columns(column(points)))
    parts = [values(projection.columns(column(p))) for p in np.array_split(points, 7)]
    assert whole == [list(chain(*rows)) for rows in zip(*parts, strict=True)]


@pytest.mark.parametrize(
    "type_", [pa.large_list(pa.float64()), pa.list_(pa.float32(), 24), pa.list_(pa.float64())]
)
def test_any_list_type_gives_nearly_the_same_numbers(projection, points, type_):
    expected = np.array(values(projection.columns(column(points))))
    assert np.allclose(values(projection.columns(column(points, type_))), expected, atol=1e-4)


def test_vectors_of_the_baselines_span_have_no_distance_and_others_have(projection, points):
    assert max(projection.columns(column(points))[-1].to_pylist()) < 1e-3
    away = points + np.random.default_rng(5).normal(size=24)
    assert min(projection.columns(column(away))[-1].to_pylist()) > 0.1


def test_other_lengths_and_nulls_are_null_and_nan_stays(projection):
    rows = [None, [1.0] * 23, [], [float("nan")] + [0.0] * 23, [None] + [0.0] * 23, [0.0] * 24]
    first = projection.columns(pa.array(rows, pa.list_(pa.float32())))[0].to_pylist()
    assert first[:3] == [None, None, None]
    assert all(np.isnan(v) for v in first[3:5])
    assert np.isfinite(first[5])


def test_slice_of_a_column_reads_its_own_rows(projection, points):
    whole = projection.columns(column(points))[0].to_pylist()
    assert projection.columns(column(points)[100:103])[0].to_pylist() == whole[100:103]


def test_axes_are_at_most_the_dimension(points):
    assert len(learn_projection("v", column(points)).axes) == N_AXES
    assert len(learn_projection("v", column(points[:, :3])).axes) == 3


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["a", "b"]),
        pa.array([["a"], ["b"]]),
        pa.array([None, None], pa.list_(pa.float32())),
        pa.array([[], []], pa.list_(pa.float32())),
        pa.array([[1.0, 2.0]]),
    ],
    ids=["text", "lists of text", "nulls", "empty", "one row"],
)
def test_what_is_no_embedding_has_no_projection(array):
    assert learn_projection("v", array) is None


def test_json_round_trip_and_malformed_axes(projection):
    value = projection.to_json()
    assert Projection.from_json(value) == projection
    with pytest.raises(ValueError, match="do not fit"):
        Projection.from_json({**value, "mean": value["mean"][1:]})
    with pytest.raises(ValueError, match="not finite"):
        Projection.from_json({**value, "mean": [float("nan"), *value["mean"][1:]]})


def test_missing_or_repeated_embedding_adds_no_columns(projection, points):
    batch = pa.record_batch({"x": [1.0]})
    assert project([projection], batch) is batch
    twice = pa.RecordBatch.from_arrays([column(points)] * 2, names=["v", "v"])
    assert project([projection], twice) is twice


@pytest.mark.parametrize("dimension", [1, 7, 600])
def test_axes_and_numbers_do_not_depend_on_the_pieces_of_a_column(dimension):
    """Rows are added one after another, so that pieces and their sizes change no bit."""
    rng = np.random.default_rng(dimension)
    values = rng.normal(size=(5000, dimension))
    rows = [None if rng.random() < 0.1 else list(row) for row in values]
    whole = pa.array(rows, pa.list_(pa.float64()))
    parts = pa.chunked_array([whole.slice(0, 1), whole.slice(1, 3000), whole.slice(3001)])
    one, many = learn_projection("v", whole), learn_projection("v", parts)
    assert one.to_json() == many.to_json()
    assert [c.to_pylist() for c in one.columns(whole)] == [
        c.to_pylist() for c in many.columns(parts)
    ]
    if dimension > 512:
        kept = values[[row is not None for row in rows]]
        assert one.mean == tuple(kept.mean(axis=0).tolist())


def test_presence_keeps_what_is_null_and_nothing_else():
    lists = pa.chunked_array([pa.array([[1.0, 2.0], None]), pa.array([[], [3.0]])])
    assert presence(lists).to_pylist() == [[], None, [], []]

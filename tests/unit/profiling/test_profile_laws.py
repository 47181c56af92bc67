"""The profile is a commutative monoid: any split of the rows, in any order, is one profile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import ConfigError, MalformedEnvelope
from sluicegate.profiling.columns import infer_column
from sluicegate.profiling.counts import Profile
from sluicegate.profiling.layout import Layout
from sluicegate.profiling.schema import BatchSchema

SCHEMA = BatchSchema(label="y", contributor="who")


def table(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = [
        None if v < -2.5 else (float("nan") if v > 2.5 else float(v)) for v in rng.normal(size=rows)
    ]
    return pa.table(
        {
            "x": pa.array(x, type=pa.float64()),
            "k": pa.array([f"k{i}" for i in rng.integers(0, 5, rows)]),
            "b": pa.array([bool(v) for v in rng.integers(0, 2, rows)]),
            "y": pa.array([int(v) for v in rng.integers(0, 3, rows)]),
            "who": pa.array([None if i == 3 else f"w{i}" for i in rng.integers(0, 4, rows)]),
        }
    )


BASE = table(400, 0)
LAYOUT = Layout(
    tuple(infer_column(n, BASE[n], role=SCHEMA.role(n)) for n in BASE.column_names), SCHEMA
)


def profile(rows: int, seed: int) -> Profile:
    return Profile.of(LAYOUT, table(rows, seed).to_batches())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=3, max_size=3), st.integers(1, 1000))
def test_merge_is_associative_commutative_with_identity(rows, seed):
    a, b, c = (profile(n, seed + i) for i, n in enumerate(rows))
    assert a.merge(b).merge(c).to_bytes() == a.merge(b.merge(c)).to_bytes()
    assert a.merge(b).to_bytes() == b.merge(a).to_bytes()
    assert a.merge(Profile.empty(LAYOUT)).to_bytes() == a.to_bytes()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 200), st.integers(1, 64), st.integers(1, 1000))
def test_bytes_unchanged_when_rows_split_or_reordered(rows, chunk, seed):
    whole = table(rows, seed)
    order = np.random.default_rng(seed).permutation(rows).tolist()
    expected = Profile.of(LAYOUT, whole.to_batches()).to_bytes()
    assert Profile.of(LAYOUT, whole.to_batches(max_chunksize=chunk)).to_bytes() == expected
    assert Profile.of(LAYOUT, whole.take(order).to_batches()).to_bytes() == expected


@settings(max_examples=10)
@given(st.integers(1, 300), st.integers(1, 64), st.integers(1, 1000))
def test_bytes_unchanged_when_threads_count_the_parts(rows, chunk, seed):
    """Threads finish in any order; so are the parts merged."""
    whole = table(rows, seed)
    with ThreadPoolExecutor(4) as pool:
        counting = [
            pool.submit(Profile.of, LAYOUT, [part])
            for part in whole.to_batches(max_chunksize=chunk)
        ]
        merged = Profile.empty(LAYOUT)
        for done in as_completed(counting):
            merged = merged.merge(done.result())
    assert merged.to_bytes() == Profile.of(LAYOUT, whole.to_batches()).to_bytes()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 200), st.integers(1, 1000))
def test_bytes_round_trip(rows, seed):
    found = profile(rows, seed)
    assert Profile.from_bytes(found.to_bytes(), LAYOUT).to_bytes() == found.to_bytes()


def test_sliced_batches_count_only_their_rows():
    whole = table(100, 3).combine_chunks().to_batches()[0]
    parts = [whole.slice(0, 7), whole.slice(7, 50), whole.slice(57)]
    assert Profile.of(LAYOUT, parts).to_bytes() == Profile.of(LAYOUT, [whole]).to_bytes()


def test_profiles_of_different_layouts_are_refused():
    other = Layout(LAYOUT.columns[:2], BatchSchema())
    with pytest.raises(ConfigError, match="CONFIG"):
        profile(5, 1).merge(Profile.empty(other))


@pytest.mark.parametrize("data", [b"{}", b"[]", b"not json", b'{"n_rows":-1}'])
def test_malformed_bytes_are_refused(data):
    with pytest.raises(MalformedEnvelope, match="MALFORMED"):
        Profile.from_bytes(data, LAYOUT)


def test_new_class_is_counted_by_name():
    rows = table(50, 1).set_column(3, "y", pa.array([7] * 50))
    assert Profile.of(LAYOUT, rows.to_batches()).new_labels == {"7": 50}


def test_column_of_another_kind_counts_as_missing():
    rows = table(50, 1).set_column(0, "x", pa.array(["a"] * 50))
    assert Profile.of(LAYOUT, rows.to_batches()).cells["x"].sum() == 0

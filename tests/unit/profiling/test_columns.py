"""Kinds and cells of columns, with all the values that break naive counting."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sluicegate.profiling.columns import MAX_BINS, Column, Kind, equi_mass_edges, infer_column
from sluicegate.profiling.encode import comparable, encode

ANY_FLOAT = st.floats(-1e300, 1e300) | st.sampled_from([np.nan, np.inf, -np.inf])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([1, 2, 3]), Kind.NUMERIC),
        (pa.array([1.5, None]), Kind.NUMERIC),
        (pa.array([True, False]), Kind.BOOLEAN),
        (pa.array(["a", "b"]), Kind.CATEGORICAL),
        (pa.array(["a", "b"]).dictionary_encode(), Kind.CATEGORICAL),
        (pa.array([dt.date(2020, 1, 1)]), Kind.DATETIME),
        (pa.array([[1.0], [2.0]]), Kind.NESTED),
        (pa.array([{"a": 1}]), Kind.NESTED),
        (pa.array([b"x"]), Kind.CATEGORICAL),
        (pa.array([b"x", b"\xff"]), Kind.OPAQUE),
        (pa.nulls(3), Kind.EMPTY),
        (pa.array([f"this is row number {i} of many" for i in range(2000)]), Kind.TEXT),
        (pa.array([f"id{i}" for i in range(2000)]), Kind.OPAQUE),
    ],
)
def test_kind_is_inferred_from_type_and_values(values, kind):
    assert infer_column("c", values).kind is kind


def test_role_decides_before_values_do():
    assert infer_column("c", pa.array([0, 1]), role="label").kind is Kind.CATEGORICAL
    assert infer_column("c", pa.array(["a", "b"]), role="text").kind is Kind.TEXT
    assert infer_column("c", pa.array([[1.0]]), role="embedding").kind is Kind.EMBEDDING
    assert infer_column("c", pa.array([1, 2]), role="id").kind is Kind.OPAQUE


def test_measured_label_becomes_slices():
    values = pa.array(np.random.default_rng(0).normal(size=1000).tolist())
    column = infer_column("y", values, role="target")
    assert column.kind is Kind.NUMERIC
    assert column.n_cells == 9


@given(hnp.arrays(np.float64, st.integers(1, 300), elements=ANY_FLOAT))
def test_every_value_has_one_cell_whatever_it_is(values):
    column = infer_column("x", pa.array(values.tolist(), type=pa.float64()))
    codes = encode(column, pa.array(values.tolist(), type=pa.float64()))
    assert codes.max() < column.n_cells
    finite = np.isfinite(values)
    assert (codes[~finite] == column.n_cells - 2).all()
    assert ((codes[finite] >= 1) & (codes[finite] <= max(len(column.edges) - 1, 1))).all()


@given(hnp.arrays(np.float64, st.integers(1, 300), elements=ANY_FLOAT), st.integers(2, 5))
def test_edges_unchanged_when_rows_are_repeated(values, times):
    assert equi_mass_edges(values) == equi_mass_edges(np.tile(values, times))


@pytest.mark.parametrize("most", [10, 1000])
def test_no_value_of_the_baseline_lies_on_an_inner_edge_and_noise_keeps_its_cell(most):
    values = np.random.default_rng(1).integers(0, most, 5_000).astype(float)
    column = infer_column("x", pa.array(values))
    assert not set(column.edges[1:-1]) & set(values.tolist())
    inside = values[(values > values.min()) & (values < values.max())]
    cells = [encode(column, pa.array(inside + noise)).tolist() for noise in (-0.01, 0.0, 0.01)]
    assert cells[0] == cells[1] == cells[2]


def test_edges_of_adjacent_floats_still_increase():
    values = [1.0]
    for _ in range(5):
        values.append(float(np.nextafter(values[-1], 2.0)))
    edges = equi_mass_edges(np.array(values))
    assert np.histogram(values, bins=edges)[0].tolist() == [1] * 6


def test_edges_are_of_equal_mass():
    edges = equi_mass_edges(np.random.default_rng(0).normal(size=64_000))
    counts = np.histogram(np.random.default_rng(0).normal(size=64_000), bins=edges)[0]
    assert len(edges) == MAX_BINS + 1
    assert counts.min() == counts.max() == 1000


def test_values_outside_the_baseline_have_cells_of_their_own():
    column = infer_column("x", pa.array([1.0, 2.0, 3.0]))
    assert encode(column, pa.array([0.0, 1.0, 3.0, 4.0, None])).tolist() == [0, 1, 3, 4, 6]


def test_huge_integers_do_not_overflow():
    values = pa.array([2**63 - 1, -(2**63), 0])
    column = infer_column("x", values)
    assert encode(column, values).tolist() == [3, 1, 2]


def test_largest_floats_count_as_outside():
    values = pa.array([1.0, 1.7e308, -1.7e308])
    assert encode(infer_column("x", values), values).tolist() == [2, 4, 0]


def test_column_without_finite_values_takes_any_value():
    column = infer_column("x", pa.array([None, float("nan")], type=pa.float64()))
    assert encode(column, pa.array([5.0, None, float("inf")])).tolist() == [1, 3, 2]


def test_categories_beyond_the_limit_share_a_cell_and_say_so():
    column = infer_column("c", pa.array([f"v{i % 600:03d}" for i in range(6000)]))
    assert column.n_cells == 256
    assert not column.closed
    assert encode(column, pa.array(["v599", None])).tolist()[1] == 255


def test_label_spelled_as_float_equals_label_spelled_as_integer():
    column = infer_column("y", pa.array([0, 1, 1]), role="label")
    assert encode(column, pa.array([1.0, 0.0])).tolist() == [1, 0]


def test_all_null_batch_column_is_null_not_another_kind():
    column = infer_column("x", pa.array([1.0, 2.0]))
    assert comparable(column, pa.null())
    assert (encode(column, pa.nulls(3)) == column.null_cell).all()


def test_column_round_trips_as_json():
    column = infer_column("x", pa.array([1.0, 2.5, None]))
    assert Column.from_json(column.to_json()) == column


@pytest.mark.parametrize("edges", [[2.0, 1.0], [1.0, 1.0], list(range(100))])
def test_malformed_edges_are_refused(edges):
    value = infer_column("x", pa.array([1.0])).to_json() | {"edges": edges}
    with pytest.raises(ValueError, match="edges"):
        Column.from_json(value)


def test_counting_needs_no_pandas():
    """pandas costs more than a second of CPU; the hot path must not import it."""
    # The values come from a file, because `pa.array` of a list imports pandas by itself.
    code = (
        "import io, sys, pyarrow.csv as csv\n"
        "from sluicegate.profiling.columns import infer_column\n"
        "from sluicegate.profiling.encode import encode\n"
        "table = csv.read_csv(io.BytesIO(b'x,k,b\\n1.5,a,true\\n,b,false\\n'))\n"
        "for name in table.column_names:\n"
        "    encode(infer_column(name, table[name]), table[name])\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})

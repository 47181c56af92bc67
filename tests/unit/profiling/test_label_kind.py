"""A label is what the schema says; else what its values say, never what their type says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.errors import ConfigError
from sluicegate.profiling.columns import Kind, infer_column
from sluicegate.profiling.label_kind import LabelKind, label_role
from sluicegate.profiling.schema import BatchSchema

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(300, 2000)
PRICES = RNG.lognormal(3, 1, 2000)
NUMERIC_TYPES = (pa.int16(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(12, 2))


def as_type(values, type_):
    if pa.types.is_decimal(type_):
        return pa.array([Decimal(str(round(float(v), 2))) for v in values], type_)
    return pa.array([v.item() for v in values]).cast(type_)


@pytest.mark.parametrize("type_", NUMERIC_TYPES, ids=str)
def test_the_type_never_decides_what_whole_numbers_are(type_):
    """The same counts as integers, floats or decimals are refused, and judged when declared."""
    values = as_type(COUNTS, type_)
    with pytest.raises(ConfigError, match="label cannot be judged") as raised:
        label_role("n", values, None)
    assert "label: {column: n, kind: number}" in str(raised.value)
    assert "kind: class" in str(raised.value)
    assert label_role("n", values, LabelKind.NUMBER) == "target"
    assert label_role("n", values, LabelKind.CLASS) == "label"


@pytest.mark.parametrize("type_", NUMERIC_TYPES, ids=str)
def test_few_values_are_classes_in_every_type(type_):
    assert label_role("n", as_type(RNG.integers(1, 6, 500), type_), None) == "label"


@pytest.mark.parametrize("type_", [pa.float32(), pa.float64(), pa.decimal128(12, 2)], ids=str)
def test_many_values_with_fractions_are_measured(type_):
    assert label_role("price", as_type(PRICES, type_), None) == "target"


def test_missing_values_and_infinities_say_nothing():
    values = [*PRICES[:100].tolist(), None, float("nan"), float("inf")]
    assert label_role("price", pa.array(values), None) == "target"
    assert label_role("price", pa.array([None, float("nan"), 1.0, 2.0]), None) == "label"


@pytest.mark.parametrize(
    "values",
    [pa.array([True, False]), pa.array(["yes", "no"]), pa.array([0, 1]), pa.array([0.5, 1.0])],
    ids=["booleans", "words", "0 and 1", "half stars"],
)
def test_binary_and_named_labels_are_classes(values):
    assert label_role("y", values, None) == "label"
    assert infer_column("y", values, role="label").kind is Kind.CATEGORICAL


@pytest.mark.parametrize("declared", [None, *LabelKind])
@pytest.mark.parametrize(
    "values",
    [pa.array([date(2026, 1, 1)]), pa.array([datetime(2026, 1, 1, tzinfo=UTC)])],
    ids=["date", "time"],
)
def test_dates_are_refused_whatever_is_declared(values, declared):
    with pytest.raises(ConfigError, match="dates or times"):
        label_role("due", values, declared)


@pytest.mark.parametrize(
    "values", [pa.array(["a"]), pa.array([True]), pa.array([[1.0]])], ids=["text", "bool", "list"]
)
def test_what_is_no_number_cannot_be_declared_one(values):
    with pytest.raises(ConfigError, match="kind: number"):
        label_role("y", values, LabelKind.NUMBER)


@pytest.mark.parametrize("kind", LabelKind)
def test_declared_kind_round_trips(kind):
    schema = BatchSchema.from_mapping({"label": {"column": "price", "kind": kind.value}})
    assert (schema.label, schema.label_kind, schema.role("price")) == ("price", kind, "label")
    assert BatchSchema.from_mapping(schema.to_json()) == schema


@pytest.mark.parametrize(
    "label",
    [
        {},
        {"column": "y"},
        {"kind": "number"},
        {"column": "y", "kind": "price"},
        {"column": "y", "kind": ["number"]},
        {"column": "y", "kind": "number", "unit": "EUR"},
        {"column": "", "kind": "number"},
    ],
)
def test_malformed_label_is_refused(label):
    with pytest.raises(ConfigError, match="label is malformed"):
        BatchSchema.from_mapping({"label": label})


def test_label_column_must_be_a_name():
    with pytest.raises(ConfigError, match="not a column name"):
        BatchSchema.from_mapping({"label": {"column": 3, "kind": "number"}})

"""Types of databases, sensors and nested sources: a change is found, or nobody claims it."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from tests.attacks.everyday.world import ROLES, fresh, put_column, trusted


def numbers(make):
    """A column made of each row's amount, and of a hundred times as much."""
    return lambda values, factor: make(np.asarray(values) * factor)


def decimals(type_):
    return numbers(lambda v: pa.array([Decimal(f"{x:.2f}") for x in v], type_))


def words(type_):
    def make(values, factor):
        found = ["unheard of" if factor > 1 else ("low", "high")[v > 80] for v in values]
        return pa.array(found).cast(type_)

    return make


def wrapped(make):
    return numbers(lambda v: pa.array([make(float(x)) for x in v]))


def uuids(values, factor):
    names = [uuid.UUID(int=i * int(factor) + 1).bytes for i in range(len(values))]
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(names, pa.binary(16)))


def category(values, factor):
    return words(pa.string())(values, factor).dictionary_encode()


JUDGED = {
    "half float": numbers(lambda v: pa.array(v.astype("float16"))),
    "decimal of 128 bits": decimals(pa.decimal128(38, 18)),
    "decimal of 256 bits": decimals(pa.decimal256(60, 4)),
    "uint64": numbers(lambda v: pa.array(v.astype("uint64"))),
    "duration in ns": numbers(lambda v: pa.array((v * 1e9).astype("int64"), pa.duration("ns"))),
    "duration in s": numbers(lambda v: pa.array(v.astype("int64"), pa.duration("s"))),
    "time of day in ms": numbers(lambda v: pa.array((v % 80_000).astype("int32"), pa.time32("ms"))),
    "large text": words(pa.large_string()),
    "view of text": words(pa.string_view()),
    "text of Impala": words(pa.binary()),
    "view of bytes": words(pa.binary_view()),
    "large text of Impala": words(pa.large_binary()),
    "category": category,
    "category of floats": numbers(lambda v: pa.array(np.round(v, -1)).dictionary_encode()),
    "boolean": lambda values, factor: pa.array([factor > 1 or v > 200 for v in values]),
}  # fmt: skip
NOT_JUDGED = {
    "day": numbers(lambda v: pa.array([date(2026, 1, 1) + timedelta(int(x) % 9000) for x in v])),
    "time with a zone": numbers(
        lambda v: pa.array(v.astype("int64"), pa.timestamp("s", "Asia/Tokyo"))
    ),
    "UUID": uuids,
    "bytes of one length": numbers(lambda v: pa.array([b"\xff%07d" % x for x in v], pa.binary(8))),
    "bytes that are no text": numbers(lambda v: pa.array([b"\xff%d" % x for x in v])),
    "list": wrapped(lambda x: [x, x]),
    "structure": wrapped(lambda x: {"a": x, "b": {"c": x}}),
    "map": numbers(lambda v: pa.array([[("a", x)] for x in v], pa.map_(pa.string(), pa.float64()))),
    "list of structures": wrapped(lambda x: [{"a": x}]),
    "large list": numbers(lambda v: pa.array([[x] for x in v], pa.large_list(pa.float64()))),
    "code for each row": numbers(lambda v: pa.array([f"{i:x}-{x}" for i, x in enumerate(v)])),
    "only nulls": lambda values, factor: pa.array(
        [1.0 if factor > 1 else None for _ in values], pa.float64()
    ),
}  # fmt: skip
ALL = {**JUDGED, **NOT_JUDGED}
NESTED = ("list", "structure", "map", "list of structures", "large list")


def table(plain, *moved):
    values = plain["amount"].to_pylist()
    for name, make in ALL.items():
        plain = put_column(plain, name, make(values, 100 if name in moved else 1))
    return plain


@pytest.fixture(scope="module")
def base(world):
    roles = {**ROLES, "ignore": list(NESTED)}
    return world.baseline("types", lambda: table(trusted(1500)), roles)


def test_clean_batch_of_every_type_passes_and_says_what_is_not_judged(world, base):
    found = world.check(table(fresh()), base)
    found.require_passed()
    said = {name for name in ALL if f"column {name} is not judged" in found.said}
    assert said == set(NOT_JUDGED)


def test_hundredfold_change_is_found_in_every_type_that_is_judged(world, base):
    found = world.check(table(fresh(), *JUDGED), base)
    assert found.error is None, found.short
    assert {key.partition(":")[2] for key in found.fired} >= set(JUDGED)


def test_change_that_nobody_judges_blocks_nothing(world, base):
    names = set(NOT_JUDGED) - {"only nulls"}
    world.check(table(fresh(), *names), base).require_passed()
    found = world.check(table(fresh(), "only nulls"), base)
    found.require_named("SCHEMA:")
    assert "only nulls" in found.said


def test_nested_column_that_the_schema_does_not_ignore_says_what_to_declare(world):
    def nested(plain):
        return put_column(plain, "list", [[[v, v] for v in plain["age"].to_pylist()]])

    base = world.baseline("nested", lambda: nested(trusted(1500)))
    found = world.check(nested(fresh()), base)
    assert any("list" in reason for reason in found.reasons), found.short
    assert "declare it as embedding, or ignore it in the schema" in found.short


@pytest.mark.parametrize("name", ["UUID", "map", "list", "day", "half float", "category"])
def test_column_of_any_type_that_becomes_another_is_named(world, base, name):
    batch = table(fresh())
    other = [[{"x": "y"}] if name != "map" else "y" for _ in range(batch.num_rows)]
    found = world.check(put_column(batch, name, [other]), base)
    assert name in found.said
    assert f"column {name} is not judged" in found.said or any(name in k for k in found.fired)

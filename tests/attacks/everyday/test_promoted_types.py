"""The same labels, owners, numbers and times in the types of other writers: as before, or named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.attacks.everyday.world import SHOPS, cast, fresh, put_column, rows, trusted


def whole(table):
    """Orders whose label and owner are whole numbers, as keys of a database are."""
    owners = pa.array([SHOPS[c] for c in table["customer"].to_pylist()], pa.int64())
    flag = pc.greater(table["age"], 40)
    return put_column(put_column(table, "customer", owners), "flag", flag)


BATCH = whole(fresh())


def exact(name, precision, scale, make=pa.decimal128):
    """The decimals of a database: NUMERIC(10,2), or Spark's DECIMAL(38,18)."""
    return lambda t: put_column(t, name, t[name].cast(make(38, 0)).cast(make(precision, scale)))


def texts(name, spell=str):
    return lambda t: put_column(t, name, [[spell(v) for v in t[name].to_pylist()]])


def nullable(kind):
    """What pandas makes of whole numbers after a null in another row."""

    def change(table):
        frame = table.to_pandas().astype({"customer": kind, "y": kind})
        frame.loc[5, ["customer", "y"]] = None
        return pa.Table.from_pandas(frame, preserve_index=False)

    return change


def category(table):
    frame = table.to_pandas().astype({"y": "category", "customer": "category"})
    return pa.Table.from_pandas(frame, preserve_index=False)


PASSES = {
    "label int8": cast("y", pa.int8()),
    "label uint64": cast("y", pa.uint64()),
    "label float": cast("y", pa.float32()),
    "label half float": cast("y", pa.float16()),
    "label NUMERIC(10,2)": exact("y", 10, 2),
    "label DECIMAL(38,18)": exact("y", 38, 18),
    "label decimal of 256 bits": exact("y", 50, 10, pa.decimal256),
    "owner NUMERIC(10,2)": exact("customer", 10, 2),
    "owner DECIMAL(38,18)": exact("customer", 38, 18),
    "owner float": cast("customer", pa.float64()),
    "owner int16": cast("customer", pa.int16()),
    "nullable of pandas": nullable("Int64"),
    "floats of pandas after a null": nullable("float64"),
    "objects of pandas": lambda t: pa.Table.from_pandas(
        t.to_pandas().astype({"y": object}), preserve_index=False
    ),
    "categories of pandas": category,
    "Arrow types of pandas": lambda t: pa.Table.from_pandas(
        t.to_pandas(types_mapper=pd.ArrowDtype), preserve_index=False
    ),
    "number NUMERIC(12,4)": lambda t: put_column(
        t, "amount", pc.round(t["amount"], 4).cast(pa.decimal128(12, 4))
    ),
    "number of 32 bits": lambda t: put_column(t, "amount", t["amount"].cast(pa.float32())),
    "whole number as double": cast("age", pa.float64()),
    "whole number NUMERIC(10,2)": exact("age", 10, 2),
    "times in ns": cast("ts", pa.timestamp("ns")),
    "times in s": cast("ts", pa.timestamp("s")),
    "times of UTC": cast("ts", pa.timestamp("us", "UTC")),
    "times cut to days": cast("ts", pa.date32()),
    "ids as large text": cast("id", pa.large_string()),
    "ids as a dictionary": lambda t: put_column(t, "id", t["id"].dictionary_encode()),
    "ids as bytes": cast("id", pa.binary()),
    "a day later": lambda _t: whole(rows(600, 1, "2026-04-02", 30)),
}  # fmt: skip


@pytest.mark.parametrize("name", PASSES)
def test_same_values_in_another_type_pass(world, name):
    base = world.baseline("whole", lambda: whole(trusted()))
    world.check(PASSES[name](BATCH), base).require_passed()


NAMED = {
    "label as text": (texts("y"), "y"),
    "label as boolean": (cast("y", pa.bool_()), "y"),
    "label t and f": (texts("y", lambda v: "ft"[v]), "y"),
    "owner as text": (texts("customer"), "customer"),
    "flag as 0 and 1": (cast("flag", pa.int8()), "flag"),
    "flag as text": (texts("flag", lambda v: str(v).lower()), "flag"),
    "flag Y and N": (texts("flag", lambda v: "NY"[v]), "flag"),
    "number as text": (texts("amount"), "amount"),
    "number with a decimal comma": (texts("amount", lambda v: str(v).replace(".", ",")), "amount"),
    "times as text": (texts("ts", lambda v: v.isoformat()), "ts"),
    "epoch": (cast("ts", pa.int64()), "ts"),
    "number in a list": (
        lambda t: put_column(t, "age", [[[v] for v in t["age"].to_pylist()]]), "age",
    ),
    "number in a structure": (
        lambda t: put_column(t, "age", [[{"v": v} for v in t["age"].to_pylist()]]), "age",
    ),
    "whole numbers 1 higher": (lambda t: put_column(t, "y", pc.add(t["y"], 1)), "y"),
    "every label a null": (lambda t: put_column(t, "y", pa.nulls(t.num_rows, pa.float64())), "y"),
    "labels -1 and 1": (lambda t: put_column(t, "y", pc.subtract(pc.multiply(t["y"], 2), 1)), "y"),
    "labels with halves": (
        lambda t: put_column(t, "y", pc.divide(t["y"].cast(pa.float64()), 2.0)), "y",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_other_values_or_kinds_are_named_by_column(world, name):
    change, column = NAMED[name]
    base = world.baseline("whole", lambda: whole(trusted()))
    found = world.check(change(BATCH), base)
    assert found.error is None, found.short
    assert found.verdict in {"FAILED", "WARNED"}, found.short
    assert any(column in message for message in found.reasons), found.short


def test_label_of_a_database_builds_the_same_classes(world):
    """A baseline from NUMERIC(10,2) judges batches of whole numbers, and the other way round."""
    base = world.baseline("numeric", lambda: exact("y", 10, 2)(whole(trusted())))
    world.check(BATCH, base).require_passed()
    world.check(exact("y", 38, 18)(BATCH), base).require_passed()


def test_halves_stay_apart_from_whole_numbers(world):
    """Labels 0, 0.5 and 1 of decimals and of doubles are the same classes."""

    def graded(table, type_):
        grades = np.array(table["y"].to_pylist()) * 0.5 + (np.arange(table.num_rows) % 2) * 0.5
        return put_column(table, "y", pa.array(grades).cast(type_))

    base = world.baseline("grades", lambda: graded(trusted(), pa.float64()))
    found = world.check(graded(fresh(), pa.decimal128(10, 2)), base)
    assert "LABEL_NEW_CLASS:y" not in found.fired, found.short

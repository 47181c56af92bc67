"""Partition directories: a column of the same name is accepted where it says the same."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.adapters.files.tabular import open_batches
from sluicegate.errors import SchemaMismatch

SAME = {
    "text": ("month=04", pa.array(["04", "04"])),
    "integer": ("month=04", pa.array([4, 4], pa.int32())),
    "category": ("month=04", pa.array(["04", "04"]).dictionary_encode()),
    "date": ("month=2026-04-01", pa.array([date(2026, 4, 1)] * 2)),
    "boolean": ("month=true", pa.array([True, True])),
    "boolean as Python writes it": ("month=True", pa.array([True, True])),
    "decimal": ("month=1.50", pa.array([Decimal("1.50")] * 2)),
    "decimal of fewer digits": ("month=1.5", pa.array([Decimal("1.50")] * 2)),
    "float of 32 bits": ("month=0.1", pa.array([0.1, 0.1], pa.float32())),
    "large text": ("month=04", pa.array(["04", "04"], pa.large_string())),
    "text as a view": ("month=04", pa.array(["04", "04"], pa.string_view())),
    "bytes": ("month=04", pa.array([b"04", b"04"])),
    "time": (
        "month=2026-04-01 10%3A00%3A00", pa.array([np.datetime64("2026-04-01T10", "us")] * 2),
    ),
    "time of UTC": (
        "month=2026-04-01 10%3A00%3A00Z", pa.array([datetime(2026, 4, 1, 10, tzinfo=UTC)] * 2),
    ),
    "negative number": ("month=-4", pa.array([-4, -4])),
    "number": ("month=1.5", pa.array([1.5, 1.5])),
    "escaped text": ("month=a%2Fb", pa.array(["a/b", "a/b"])),
    "nulls of Hive": ("month=__HIVE_DEFAULT_PARTITION__", pa.array([None, None], pa.string())),
    "nothing but nulls": ("month=__HIVE_DEFAULT_PARTITION__", pa.nulls(2)),
}  # fmt: skip
OTHER = {
    "another text": ("month=04", pa.array(["04", "05"])),
    "text without its zero": ("month=04", pa.array(["4", "4"])),
    "another integer": ("month=04", pa.array([4, 5])),
    "a null among them": ("month=04", pa.array([4, None])),
    "nulls for a value": ("month=04", pa.nulls(2, pa.int64())),
    "values for the null of Hive": ("month=__HIVE_DEFAULT_PARTITION__", pa.array([4, 4])),
    "word for an integer": ("month=april", pa.array([4, 4])),
    "another date": ("month=2026-04-02", pa.array([date(2026, 4, 1)] * 2)),
    "list": ("month=04", pa.array([[4], [4]])),
    "empty text": ("month=04", pa.array(["", ""])),
    "one row of many": ("month=04", pa.array([4] * 70_000 + [5])),
    "no number": ("month=nan", pa.array([1.5, 1.5])),
    "fraction for an integer": ("month=4.5", pa.array([4, 4])),
    "list of texts": ("month=04", pa.array([["04"], ["04"]])),
}  # fmt: skip


def put(root, directory, column):
    path = root / directory / "p.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"x": pa.array(range(len(column))), "month": column}), path)


@pytest.mark.parametrize("name", SAME)
def test_column_that_says_what_its_directory_says_is_read_as_it_is(tmp_path, name):
    directory, column = SAME[name]
    put(tmp_path, directory, column)
    found = pa.Table.from_batches(list(open_batches(tmp_path)))
    assert found.schema.names == ["x", "month"]
    assert found["month"].to_pylist() == column.to_pylist()
    views = {pa.string_view(): pa.large_string()}  # which no file is read as
    assert found.schema.field("month").type == views.get(column.type, column.type)


@pytest.mark.parametrize("name", OTHER)
def test_column_that_says_something_else_is_refused(tmp_path, name):
    directory, column = OTHER[name]
    put(tmp_path, directory, column)
    with pytest.raises(SchemaMismatch, match=r"p\.parquet: month: a column says something else"):
        list(open_batches(tmp_path))


def test_file_with_the_column_and_file_without_it_go_together(tmp_path):
    put(tmp_path, "month=04", pa.array(["04", "04"]))
    path = tmp_path / "month=05" / "p.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"x": [7]}), path)
    found = pa.Table.from_batches(list(open_batches(tmp_path)))
    assert found["month"].to_pylist() == ["04", "04", "05"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_column_of_a_text_file_is_held_against_its_directory_too(tmp_path, suffix):
    text = {
        "csv": "x,month\n1,{0}\n2,{1}\n",
        "jsonl": '{{"x":1,"month":{0}}}\n{{"x":2,"month":{1}}}\n',
    }
    path = tmp_path / "month=04" / f"p.{suffix}"
    path.parent.mkdir()
    path.write_text(text[suffix].format(4, 4))
    (tmp_path / "month=04" / "q.parquet").write_bytes(_parquet(pa.table({"x": [3], "month": [4]})))
    found = pa.Table.from_batches(list(open_batches(tmp_path)))
    assert found.to_pydict() == {"x": [1, 2, 3], "month": [4, 4, 4]}
    path.write_text(text[suffix].format(4, 5))
    with pytest.raises(SchemaMismatch, match=rf"p\.{suffix}: month"):
        list(open_batches(tmp_path))


def test_two_directories_that_contradict_each_other_are_refused(tmp_path):
    path = tmp_path / "month=04" / "month=05" / "p.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(_parquet(pa.table({"x": [1]})))
    with pytest.raises(SchemaMismatch, match=r"p\.parquet: month"):
        list(open_batches(tmp_path))


def _parquet(table):
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    return out.getvalue().to_pybytes()

"""Reading tables: each way a file can be unusable has its own clear refusal."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.adapters.files.table_files import TableFiles
from sluicegate.adapters.files.tabular import open_batches
from sluicegate.errors import UnreadableData

TABLE = pa.table({"a": [1, 2, 3], "b": ["x", "y", None]})


@pytest.fixture
def parquet(tmp_path):
    path = tmp_path / "part.parquet"
    pq.write_table(TABLE, path)
    return path


def rows(source) -> list:
    return pa.Table.from_batches(list(open_batches(source))).to_pylist()


def test_file_directory_and_bytes_give_the_same_rows(parquet):
    assert rows(parquet) == rows(parquet.parent) == rows(parquet.read_bytes()) == TABLE.to_pylist()


def test_directory_is_read_in_order_of_names(tmp_path):
    for name in ("b", "a/z", "a/b"):
        path = tmp_path / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"n": [name]}), path)
    assert [r["n"] for r in rows(tmp_path)] == ["a/b", "a/z", "b"]


def test_csv_is_read_by_its_suffix(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,x\n2,y\n")
    assert rows(path) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


@pytest.mark.parametrize("column", ["PAR1", "ORC", "FEA1", "BZh", "ARROW1", "PARE"])
def test_csv_whose_first_column_is_called_like_a_format_is_csv(tmp_path, column):
    path = tmp_path / "t.csv"
    path.write_text(f"{column},b\n1,x\n")
    assert rows(path) == [{column: 1, "b": "x"}]


def test_missing_path_is_unreadable(tmp_path):
    with pytest.raises(UnreadableData, match="no such file"):
        list(open_batches(tmp_path / "gone.parquet"))


def test_empty_file_is_unreadable(tmp_path):
    path = tmp_path / "empty.parquet"
    path.write_bytes(b"")
    with pytest.raises(UnreadableData, match=r"file is empty.* Check the step that writes"):
        list(open_batches(path))


def test_truncated_file_is_unreadable_and_named(parquet):
    data = parquet.read_bytes()
    parquet.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableData, match=r"part\.parquet: file cannot be read"):
        list(open_batches(parquet))


def test_garbage_is_unreadable():
    with pytest.raises(UnreadableData, match="cannot be read"):
        list(open_batches(b"PAR1 this is no table PAR1"))


def test_zero_rows_are_unreadable(parquet):
    pq.write_table(TABLE.slice(0, 0), parquet)
    with pytest.raises(UnreadableData, match="no rows"):
        list(open_batches(parquet))


def test_format_that_no_reader_knows_is_named_as_such(tmp_path):
    path = tmp_path / "t.xlsx"
    path.write_bytes(b"x")
    with pytest.raises(UnreadableData, match=r"no reader knows .*t\.xlsx"):
        list(open_batches(path))


def test_directory_without_tables_says_which_files_no_reader_knows(tmp_path):
    (tmp_path / "README").write_text("nothing")
    with pytest.raises(UnreadableData, match=r"no reader knows .*README") as caught:
        list(open_batches(tmp_path, unjudged=[]))
    assert "no rows" not in str(caught.value)


def test_empty_directory_has_no_rows(tmp_path):
    with pytest.raises(UnreadableData, match="no rows"):
        list(open_batches(tmp_path))


def test_verified_bytes_become_one_table_and_markers_are_passed_over(parquet):
    data = parquet.read_bytes()
    table = TableFiles().table([("a/x.parquet", data), ("_SUCCESS", b""), ("b.parquet", data)])
    assert table.num_rows == 6
    assert TableFiles().table([(".", data)]).num_rows == 3


def test_verified_batch_without_rows_is_unreadable():
    with pytest.raises(UnreadableData, match="no rows"):
        TableFiles().table([("_SUCCESS", b"")])

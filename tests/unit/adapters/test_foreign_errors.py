"""Another library's error is shown only where its text can be nobody's data."""

from __future__ import annotations

import traceback

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.adapters.files.tabular import open_batches
from sluicegate.adapters.foreign_errors import shown
from sluicegate.errors import SluicegateError

ROW = "jane.doe@example.org"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file or directory", ROW), "No such file or directory"),
        (OSError("Corrupt snappy compressed data."), "OSError: corrupt snappy data"),
        (
            pa.ArrowInvalid(f"CSV parse error: Expected 7 columns, got 2: {ROW},1"),
            "ArrowInvalid: a line of 2, not 7 columns",
        ),
        (
            pa.ArrowInvalid(f"CSV parse error: Row #12: Expected 7 columns, got 2: {ROW},1"),
            "ArrowInvalid: line 12 of 2, not 7 columns",
        ),
        (
            pa.ArrowInvalid(f"In CSV column #3: CSV conversion error to int64: '{ROW}'"),
            "ArrowInvalid: CSV column 3 has a value of another type",
        ),
        (ValueError(f"could not convert string to float: '{ROW}'"), "ValueError"),
        (OSError(f"cannot open postgresql://u:{ROW}@h/d"), "OSError"),
    ],
)
def test_only_kind_and_counts_are_shown(error, said):
    assert shown(error) == said


@pytest.mark.parametrize(
    "content",
    [
        f"id,y\na,1\n{ROW}\n",
        f"id;y\n{ROW};1,5\nb;2,5\n",
        f'id,y\na,1\n"{ROW},x\n',
    ],
)
def test_row_of_a_csv_is_in_no_message_and_in_no_cause(tmp_path, content):
    path = tmp_path / "p.csv"
    path.write_text(content)
    with pytest.raises(SluicegateError) as caught:
        list(open_batches(path))
    # What Airflow's log shows of it: the error, and whatever it says was its cause.
    assert ROW not in "".join(traceback.format_exception(caught.value))


def test_value_that_is_no_utf8_is_in_no_message(tmp_path):
    buffers = [None, pa.py_buffer(b"\0\0\0\0\5\0\0\0"), pa.py_buffer(b"\xffjane")]
    text = pa.Array.from_buffers(pa.string(), 1, buffers)
    pq.write_table(pa.table({"name": text}), tmp_path / "p.parquet")
    with pytest.raises(SluicegateError, match="column 0 is not UTF-8") as caught:
        list(open_batches(tmp_path / "p.parquet"))
    assert "xffjane" not in f"{caught.value!r}{caught.value.__cause__!r}"

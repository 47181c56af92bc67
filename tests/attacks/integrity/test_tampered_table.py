"""Rows changed after their digest was signed show; rows that only moved do not."""

import math
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.adapters.engines.table_commitment import commit_batches
from sluicegate.adapters.files.tabular import open_batches

ROWS = [
    {"id": 1, "label": "cat", "x": 0.5},
    {"id": 2, "label": "dog", "x": None},
    {"id": 3, "label": "cat", "x": 1.5},
    {"id": 4, "label": "dog", "x": 2.5},
]
SCHEMA = pa.schema([("id", pa.int64()), ("label", pa.string()), ("x", pa.float64())])


def sealed(rows=ROWS, schema=SCHEMA):
    return _digest(pa.RecordBatch.from_pylist(rows, schema=schema))


def _digest(batch):
    return str(commit_batches([batch], locator="table").digest)


def _column(values, kind=None):
    return _digest(pa.record_batch({"v": pa.array(values, kind)}))


def _edited(number, **changes):
    return [{**row, **changes} if index == number else row for index, row in enumerate(ROWS)]


def _swapped(one, two, column="label"):
    rows = [dict(row) for row in ROWS]
    rows[one][column], rows[two][column] = rows[two][column], rows[one][column]
    return rows


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[::-1],
        [ROWS[2], ROWS[0], ROWS[3], ROWS[1]],
        [dict(reversed(row.items())) for row in ROWS],
        _swapped(0, 2),  # equal labels: nothing changed
    ],
)
def test_rows_in_another_order_pass(rows):
    assert sealed(rows) == sealed()


def test_rows_moved_between_partitions_pass(tmp_path):
    layouts = ([[0, 1], [2, 3]], [[0, 3], [2], [1]])
    digests = set()
    for number, layout in enumerate(layouts):
        root = tmp_path / str(number)
        root.mkdir()
        for part, chosen in enumerate(layout):
            rows = pa.Table.from_pylist([ROWS[row] for row in chosen], schema=SCHEMA)
            pq.write_table(rows, root / f"part-{part}.parquet")
        made = commit_batches(open_batches(root), locator="table")
        digests.add(str(made.digest))
    assert digests == {sealed()}


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[:-1],
        ROWS[1:],
        [],
        [*ROWS, ROWS[0]],
        [*ROWS, ROWS[0], ROWS[0]],
        [*ROWS, {"id": 5, "label": "cat", "x": 0.5}],
        _edited(0, label="dog"),
        _edited(0, label="Cat"),
        _edited(0, label=None),
        _edited(1, x=0.0),
        _edited(1, x=math.nan),
        _edited(2, x=math.nextafter(1.5, 2)),
        _swapped(0, 1),
        _swapped(0, 1, "id"),
        _swapped(0, 2, "x"),
    ],
)
def test_changed_rows_show(rows):
    assert sealed(rows) != sealed()


def test_two_label_swaps_that_keep_every_count_show():
    """The class balance and every column's values stay; only which row has which label moves."""
    rows = [dict(row) for row in ROWS]
    for one, two in ((0, 1), (2, 3)):
        rows[one]["label"], rows[two]["label"] = rows[two]["label"], rows[one]["label"]
    assert sorted(row["label"] for row in rows) == sorted(row["label"] for row in ROWS)
    assert sealed(rows) != sealed()


def test_one_row_twice_is_not_another_row_twice():
    """XOR sees neither pair, and a sum without a count may be made to agree."""
    one, two = [*ROWS, ROWS[0], ROWS[0]], [*ROWS, ROWS[1], ROWS[1]]
    moved = [ROWS[0], ROWS[0], *ROWS[2:]]  # one row replaced by a copy of another
    assert len({sealed(), sealed(one), sealed(two), sealed(moved)}) == 4


@pytest.mark.parametrize("power", [8, 16])
def test_repetitions_that_overflow_a_lane_show(power):
    """2**16 copies add nothing to LtHash16; 2**15 copies make it a XOR."""
    times = 2**power
    one, two = _column([1] * times), _column([2] * times)
    assert len({one, two, _column([1] * (times - 1)), _column([])}) == 4


def test_values_of_different_types_are_different():
    forms = [
        _column([1]),
        _column([1.0]),
        _column(["1"]),
        _column([b"1"]),
        _column([True]),
        _column([1], pa.date32()),
        _column([1], pa.timestamp("s")),
        _column([1], pa.timestamp("s", "UTC")),
        _column([1], pa.time32("s")),
        _column([1], pa.duration("s")),
        _column([1], pa.decimal128(3, 0)),
        _column([[1]]),
        _column([{"v": 1}]),
    ]
    assert len(set(forms)) == len(forms)


def test_nothing_is_not_empty_and_not_zero():
    assert len({_column(v, pa.string()) for v in ([None], [""], ["\0"], ["NULL"], [])}) == 5
    assert len({_column(v, pa.int64()) for v in ([None], [0], [])}) == 3
    assert len({_column(v, pa.list_(pa.int64())) for v in ([None], [[]], [[None]], [[0]])}) == 4
    assert len({_column(v, pa.float64()) for v in ([None], [math.nan], [0.0])}) == 3


def test_bytes_cannot_move_between_neighbouring_columns():
    def pair(a, b):
        return _digest(pa.record_batch({"a": [a], "b": [b]}))

    assert len({pair("ab", "c"), pair("a", "bc"), pair("abc", ""), pair("", "abc")}) == 4


def test_elements_cannot_move_between_lists():
    shapes = [[[1, 2], []], [[1], [2]], [[], [1, 2]], [[2, 1], []]]
    digests = {_digest(pa.record_batch({"a": [a], "b": [b]})) for a, b in shapes}
    assert len(digests) == len(shapes)


@pytest.mark.parametrize(
    "names",
    [["id", "label", "y"], ["id", "x", "label"], ["ID", "label", "x"], ["id", "label ", "x"]],
)
def test_renamed_column_shows(names):
    batch = pa.RecordBatch.from_pylist(ROWS, schema=SCHEMA)
    assert _digest(batch.rename_columns(names)) != sealed()


def test_two_columns_that_swap_names_show():
    one = pa.record_batch({"feature": ["cat", "dog"], "label": ["a", "b"]})
    assert _digest(one) != _digest(one.rename_columns(["label", "feature"]))
    assert _digest(one) == _digest(one.select(["label", "feature"]))


def test_dropped_and_constant_columns_show():
    batch = pa.RecordBatch.from_pylist(ROWS, schema=SCHEMA)
    assert _digest(batch.select(["id", "label"])) != sealed()
    assert _digest(batch.append_column("more", pa.nulls(4))) != sealed()


def test_nan_payloads_carry_no_hidden_value():
    bits = [0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000C0FFEE, 0x7FF0000000000001]
    values = [struct.unpack("<d", struct.pack("<Q", value))[0] for value in bits]
    assert len({_column([value]) for value in values}) == 1
    assert _column([0.0]) == _column([-0.0])


def test_texts_that_only_look_alike_show():
    alike = ["é", "e\u0301", "E\u0301", "\u200bé", "é ", "\u0435\u0301"]
    assert len({_column([text]) for text in alike}) == len(alike)

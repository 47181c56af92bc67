"""What is judged of a column of each Arrow type: its values, or whether a value is there."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.profiling.buffers import plain, strings, text_of_bytes
from sluicegate.profiling.columns import Kind, infer_column, kind_of
from sluicegate.profiling.encode import comparable, encode
from sluicegate.profiling.layout import Layout, encode_batch
from sluicegate.profiling.schema import BatchSchema

WORDS = [b"web", b"app", "ge\u00f6ffnet".encode()] * 40
BLOBS = [bytes([255, n, 0]) for n in range(120)]
SECONDS = list(range(120))

TYPES = {
    "seconds": (pa.array(SECONDS, pa.duration("s")), Kind.NUMERIC),
    "milliseconds": (pa.array(SECONDS, pa.duration("ms")), Kind.NUMERIC),
    "microseconds": (pa.array(SECONDS, pa.duration("us")), Kind.NUMERIC),
    "nanoseconds": (pa.array(SECONDS, pa.duration("ns")), Kind.NUMERIC),
    "time of day, 32 bit": (pa.array(SECONDS, pa.time32("s")), Kind.NUMERIC),
    "time of day, 64 bit": (pa.array(SECONDS, pa.time64("us")), Kind.NUMERIC),
    "text as bytes": (pa.array(WORDS, pa.binary()), Kind.CATEGORICAL),
    "text as large bytes": (pa.array(WORDS, pa.large_binary()), Kind.CATEGORICAL),
    "text as a view of bytes": (pa.array(WORDS, pa.binary_view()), Kind.CATEGORICAL),
    "view of text": (pa.array(WORDS).cast(pa.string_view()), Kind.CATEGORICAL),
    "text as a dictionary of bytes": (pa.array(WORDS).dictionary_encode(), Kind.CATEGORICAL),
    "bytes that are no text": (pa.array(BLOBS, pa.binary()), Kind.OPAQUE),
    "one that is no text": (pa.array([*WORDS[:-1], b"\xff"], pa.binary()), Kind.OPAQUE),
    "bytes of one length": (pa.array(BLOBS, pa.binary(3)), Kind.OPAQUE),
    "dates": (pa.array(SECONDS, pa.int32()).cast(pa.date32()), Kind.DATETIME),
    "timestamps": (pa.array(SECONDS, pa.timestamp("us")), Kind.DATETIME),
    "structures": (pa.array([{"a": 1}] * 120), Kind.NESTED),
}


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("with_nulls", [False, True])
def test_column_has_the_kind_of_its_values_and_a_batch_of_its_type_is_comparable(name, with_nulls):
    array, kind = TYPES[name]
    if with_nulls:
        array = pa.concat_arrays([array, pa.nulls(5, array.type)])
    column = infer_column("x", array)
    assert column.kind is kind
    assert comparable(column, array.type)
    cells = encode(column, array)
    assert (cells == column.null_cell).sum() == array.null_count
    assert len(encode(column, array.slice(0, 0))) == 0


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_duration_counts_the_same_in_every_unit(unit):
    times = [timedelta(seconds=n) for n in SECONDS]
    column = infer_column("x", pa.array(times, pa.duration("s")))
    assert np.array_equal(
        encode(column, pa.array(times, pa.duration(unit))), encode(column, pa.array(SECONDS))
    )


@pytest.mark.parametrize("name", ["text as bytes", "text as large bytes"])
def test_text_stored_as_bytes_counts_as_the_same_text(name):
    texts = pa.array([word.decode() for word in WORDS])
    column = infer_column("x", texts)
    stored = TYPES[name][0]
    assert comparable(column, stored.type)
    assert np.array_equal(encode(column, stored), encode(column, texts))


@pytest.mark.parametrize("kept", [1, 0, 119])
def test_bytes_that_are_no_text_in_a_column_of_text_are_values_that_nobody_knew(kept):
    texts = pa.array([word.decode() for word in WORDS])
    layout = Layout((infer_column("x", texts),), BatchSchema())
    broken = [*WORDS[:kept], b"\xff\xfe", None]
    batch = layout.projected(pa.record_batch({"x": pa.array(broken, pa.binary())}))
    cells = encode_batch(layout, batch).cells["x"]
    column = layout.columns[0]
    assert list(cells[kept:]) == [column.null_cell - 1, column.null_cell]
    assert text_of_bytes(pa.array([b"\xff"], pa.binary())).to_pylist() == ["\\xff"]


def test_plain_leaves_what_is_neither_number_nor_text():
    days = pa.array([date(2026, 1, 31)])
    assert plain(days) is days
    assert plain(pa.array(BLOBS, pa.binary())).type == pa.binary()
    assert kind_of(pa.binary(3)) is Kind.OPAQUE


WHOLE = pa.array([0, 1, None, -2, 100], pa.int64())
HALVES = pa.array([0.0, 0.5, 1.0, None])
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
NUMBERS = [pa.int8(), *FLOATS, pa.decimal128(38, 18), pa.decimal256(50, 2)]


@pytest.mark.parametrize("type_", NUMBERS, ids=str)
def test_whole_number_is_one_category_in_every_type(type_):
    array = WHOLE.cast(pa.decimal128(38, 0)) if pa.types.is_decimal(type_) else WHOLE
    assert strings(array.cast(type_)).to_pylist() == ["0", "1", None, "-2", "100"]


@pytest.mark.parametrize("type_", NUMBERS[1:], ids=str)
def test_fraction_is_one_category_in_every_type(type_):
    assert strings(HALVES.cast(type_)).to_pylist() == ["0", "0.5", "1", None]

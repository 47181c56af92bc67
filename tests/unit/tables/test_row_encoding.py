"""The vectorised encoding against a reference that follows the specification value by value."""

import datetime as dt
import decimal
import hashlib
import json
import math
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import SchemaMismatch, UnreadableData
from sluicegate.tables.row_encoding import encode_rows
from sluicegate.tables.row_ids import row_ids
from sluicegate.tables.row_schema import TableSchema
from sluicegate.tables.table_digest import TableDigest

VECTORS = Path(__file__).parents[3] / "docs" / "formats" / "table-digest-vectors.json"
_ORDER = (
    "bool int big float decimal string binary date time timestamp instant duration list struct map"
)
TAGS = {name: tag for tag, name in enumerate(_ORDER.split(), start=1)}
WIDTHS = {"null": 0, "bool": 1, "decimal": 36, "timestamp": 12, "instant": 12, "duration": 12}
WIDTHS |= {"struct": 0}
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - a local time


def _name(kind):
    return kind if isinstance(kind, str) else kind[0]


def _seconds(delta):
    return struct.pack("<qI", delta.days * 86_400 + delta.seconds, delta.microseconds * 1000)


def _decimal(value):
    sign, digits, exponent = value.as_tuple()
    unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
    scale = -exponent
    while unscaled and unscaled % 10 == 0:
        unscaled, scale = unscaled // 10, scale - 1
    scale = scale if unscaled else 0
    return struct.pack("<i", scale) + unscaled.to_bytes(32, "little", signed=True)


def _cell(value, kind):  # noqa: C901, PLR0912 - one branch a class, as in the specification
    name = _name(kind)
    if value is None:
        return bytes(1 + WIDTHS.get(name, 8)), b""
    tail = b""
    match name:
        case "bool":
            head = bytes([value])
        case "int":
            name = "big" if value >= 2**63 else "int"
            head = (value % 2**64).to_bytes(8, "little")
        case "float":
            value = math.nan if math.isnan(value) else value or 0.0
            head = struct.pack("<d", value)
        case "decimal":
            head = _decimal(value)
        case "string" | "binary":
            tail = value.encode() if name == "string" else value
            head = struct.pack("<q", len(tail))
        case "date":
            head = struct.pack("<q", (value - EPOCH.date()).days)
        case "time":
            seconds = (value.hour * 60 + value.minute) * 60 + value.second
            head = struct.pack("<q", seconds * 10**9 + value.microsecond * 1000)
        case "timestamp":
            head = _seconds(value - EPOCH)
        case "instant":
            head = _seconds(value - EPOCH.replace(tzinfo=dt.UTC))
        case "duration":
            head = _seconds(value)
        case "list":
            head, tail = (
                struct.pack("<q", len(value)),
                b"".join(_row([v], [kind[1]]) for v in value),
            )
        case "map":
            head = struct.pack("<q", len(value))
            tail = b"".join(sorted(_row(entry, kind[1:]) for entry in value))
        case "struct":
            head = b""
            tail = _row([value[n] for n, _ in kind[1]], [k for _, k in kind[1]])
    return bytes([TAGS[name]]) + head, tail


def _row(values, kinds):
    cells = [_cell(value, kind) for value, kind in zip(values, kinds, strict=True)]
    return b"".join(head for head, _ in cells) + b"".join(tail for _, tail in cells)


def reference(batch):
    schema = TableSchema.of(batch.schema)
    columns = [batch.column(name).to_pylist() for name in schema.names]
    return [_row(values, schema.classes) for values in zip(*columns, strict=True)]


YEARS = [dt.datetime(year, 1, 1) for year in (1800, 9998)]  # noqa: DTZ001
SCALARS = [
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint32(), st.integers(0, 2**32 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text(max_size=6)),
    (pa.large_string(), st.text(max_size=6)),
    (pa.string_view(), st.text(max_size=20)),
    (pa.binary(), st.binary(max_size=6)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.decimal128(30, 4), st.decimals(-(10**20), 10**20, places=4)),
    (pa.decimal256(60, 2), st.decimals(-(10**50), 10**50, places=2)),
    (pa.decimal64(10, 2), st.decimals(-(10**6), 10**6, places=2)),
    (pa.date32(), st.dates()),
    (pa.date64(), st.dates()),
    (pa.time64("us"), st.times()),
    (pa.timestamp("us"), st.datetimes()),
    (
        pa.timestamp("us", "America/New_York"),
        st.datetimes(*YEARS, timezones=st.just(dt.UTC)),
    ),
    (pa.duration("us"), st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999))),
    (pa.null(), st.none()),
    (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["", "a", "é"])),
]


def _nested(types):
    scalar = st.sampled_from(types)
    return st.one_of(
        scalar,
        scalar.map(lambda p: (pa.list_(p[0]), st.lists(p[1] | st.none(), max_size=3))),
        scalar.map(lambda p: (pa.large_list(p[0]), st.lists(p[1] | st.none(), max_size=3))),
        scalar.map(lambda p: (pa.list_view(p[0]), st.lists(p[1] | st.none(), max_size=3))),
        scalar.map(lambda p: (pa.large_list_view(p[0]), st.lists(p[1] | st.none(), max_size=3))),
        scalar.map(
            lambda p: (
                pa.list_(pa.field("item", p[0]), 2),
                st.lists(p[1] | st.none(), min_size=2, max_size=2),
            )
        ),
        st.tuples(scalar, scalar).map(
            lambda ps: (
                pa.struct([("b", ps[0][0]), ("a", pa.list_(ps[1][0]))]),
                st.fixed_dictionaries(
                    {"b": ps[0][1] | st.none(), "a": st.none() | st.lists(ps[1][1], max_size=2)}
                ),
            )
        ),
        scalar.map(
            lambda p: (
                pa.map_(pa.string(), p[0]),
                st.dictionaries(st.text(max_size=2), p[1] | st.none(), max_size=3).map(
                    lambda d: list(d.items())
                ),
            )
        ),
    )


# Decimals are compared through a context wide enough for 76 digits.
decimal.getcontext().prec = 80
PLAIN = [p for p in SCALARS if not (pa.types.is_dictionary(p[0]) or p[0] == pa.string_view())]


@st.composite
def batches(draw):
    n_rows = draw(st.integers(0, 6))
    columns = {}
    for number in range(draw(st.integers(1, 4))):
        kind, values = draw(st.one_of(st.sampled_from(SCALARS), _nested(PLAIN)))
        column = draw(st.lists(values | st.none(), min_size=n_rows, max_size=n_rows))
        columns[draw(st.sampled_from("zyx")) + str(number)] = _array(column, kind)
    batch = pa.record_batch(columns)
    first = draw(st.integers(0, n_rows))
    return batch.slice(first)  # offsets of sliced arrays are where such code breaks


def _array(values, kind):
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    return pa.array(values, kind)


@pytest.mark.slow
@given(batches())
@settings(deadline=None, max_examples=150)
def test_encoding_is_what_the_specification_says(batch):
    encoded = encode_rows(batch, TableSchema.of(batch.schema)).to_pylist()
    assert encoded == reference(batch)


def _same(one, two):
    return _ids(one) == _ids(two)


def _ids(columns):
    batch = pa.record_batch(columns)
    schema = TableSchema.of(batch.schema)
    return schema.to_bytes(), row_ids(batch, schema).tobytes()


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (pa.array([1, None], pa.int8()), pa.array([1, None], pa.int64())),
        (pa.array([1, 7], pa.uint64()), pa.array([1, 7], pa.int16())),
        (pa.array([0.5, None], pa.float32()), pa.array([0.5, None], pa.float64())),
        (pa.array([0.0]), pa.array([-0.0])),
        (pa.array(["a", None]), pa.array(["a", None], pa.large_string())),
        (pa.array(["a", None]), pa.array(["a", None]).dictionary_encode()),
        (pa.array(["a", "a"]), pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), ["a"])),
        (pa.array([b"ab"]), pa.array([b"ab"], pa.binary(2))),
        (pa.array([decimal.Decimal("1.50")]), pa.array([decimal.Decimal("1.5")])),
        (
            pa.array([decimal.Decimal(100)], pa.decimal128(3, 0)),
            pa.array([decimal.Decimal(100)], pa.decimal256(40, 7)),
        ),
        (pa.array([0], pa.timestamp("s")), pa.array([0], pa.timestamp("ns"))),
        (pa.array([-1], pa.timestamp("ms")), pa.array([-1_000_000], pa.timestamp("ns"))),
        (pa.array([0], pa.timestamp("s", "UTC")), pa.array([0], pa.timestamp("s", "Asia/Tokyo"))),
        (pa.array([1], pa.time32("s")), pa.array([10**9], pa.time64("ns"))),
        (pa.array([5], pa.date32()), pa.array([5 * 86_400_000], pa.date64())),
        (pa.array([1], pa.duration("s")), pa.array([1000], pa.duration("ms"))),
        (pa.array([[1, 2]], pa.list_(pa.int8())), pa.array([[1, 2]], pa.list_(pa.int64(), 2))),
        (pa.array([[1, 2]], pa.list_(pa.int8())), pa.array([[1, 2]], pa.list_view(pa.int64()))),
        (
            pa.array([{"a": 1, "b": 2}], pa.struct([("a", "int8"), ("b", "int8")])),
            pa.array([{"a": 1, "b": 2}], pa.struct([("b", "int64"), ("a", "int32")])),
        ),
        (
            pa.array([[("k", 1), ("j", 2)]], pa.map_("string", "int8")),
            pa.array([[("j", 2), ("k", 1)]], pa.map_("string", "int8")),
        ),
    ],
)
def test_storage_of_a_value_does_not_matter(one, two):
    assert _same({"c": one}, {"c": two})


def test_order_of_columns_does_not_matter():
    assert _same({"a": [1], "b": ["x"]}, {"b": ["x"], "a": [1]})


def test_every_nan_is_one_nan():
    payloads = np.array([0x7FF8000000000000, 0xFFF8000000000123, 0x7FF0000000000001], np.uint64)
    batch = pa.record_batch({"x": pa.array(payloads.view(np.float64))})
    assert len({bytes(i) for i in row_ids(batch, TableSchema.of(batch.schema))}) == 1


def _values_below_null():
    offsets = pa.array([0, 2, 3], pa.int32())
    mask = pa.array([True, False])
    hidden = pa.ListArray.from_arrays(offsets, pa.array([7, 8, 9]), mask=mask)
    plain = pa.array([None, [9]], pa.list_(pa.int64()))
    yield hidden, plain
    child = pa.array([1, 2])
    yield (
        pa.StructArray.from_arrays([child], ["a"], mask=mask),
        pa.array([None, {"a": 2}], pa.struct([("a", "int64")])),
    )
    yield (
        pa.StringArray.from_buffers(
            2,
            pa.py_buffer(np.array([0, 2, 3], np.int32)),
            pa.py_buffer(b"xyz"),
            pa.py_buffer(b"\x02"),
            1,
        ),
        pa.array([None, "z"]),
    )


@pytest.mark.parametrize(("hidden", "plain"), list(_values_below_null()))
def test_what_arrow_keeps_below_a_null_is_not_encoded(hidden, plain):
    assert _same({"c": hidden}, {"c": plain})


@pytest.mark.parametrize(
    "kind",
    [
        pa.month_day_nano_interval(),
        pa.dense_union([pa.field("a", "int8")]),
        pa.uuid(),
        pa.list_(pa.month_day_nano_interval()),
        pa.struct([("a", pa.map_("string", pa.month_day_nano_interval()))]),
    ],
)
def test_type_without_an_encoding_is_refused_by_column_and_name(kind):
    with pytest.raises(SchemaMismatch, match="column odd: type has no canonical encoding") as e:
        TableSchema.of(pa.schema({"odd": kind}))
    assert e.value.code == "DATA_SCHEMA"


def test_column_name_that_occurs_twice_is_refused():
    with pytest.raises(SchemaMismatch, match="occurs twice"):
        TableSchema.of(pa.schema([("a", pa.int8()), ("a", pa.string())]))
    with pytest.raises(SchemaMismatch, match="occurs twice"):
        TableSchema.of(pa.schema([("s", pa.struct([("a", "int8"), ("a", "int8")]))]))


def test_endless_nesting_is_refused():
    kind = pa.int8()
    for _ in range(40):
        kind = pa.list_(kind)
    with pytest.raises(SchemaMismatch, match="nested too deeply"):
        TableSchema.of(pa.schema({"deep": kind}))


def test_date_with_a_time_of_day_is_refused():
    batch = pa.record_batch({"day": pa.array([86_400_000, 5], pa.int64()).view(pa.date64())})
    with pytest.raises(UnreadableData, match="column day: date has a time of day"):
        row_ids(batch, TableSchema.of(batch.schema))


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text("utf-8")), ids=lambda v: v["name"])
def test_published_vectors_hold(vector):
    """The vectors give rows as bytes, so another implementation can check every step."""
    rows = [bytes.fromhex(row) for row in vector["rows"]]
    ids = np.frombuffer(b"".join(hashlib.sha256(row).digest() for row in rows), np.uint8)
    schema = TableSchema.from_json(vector["columns"], locator="vector")
    made = TableDigest(schema).update(ids.reshape(-1, 32)).commitment()
    assert str(made.digest) == vector["digest"]
    if "values" in vector:
        batch = pa.RecordBatch.from_pylist(
            vector["values"], schema=pa.schema([(n, k) for n, k in vector["arrow"].items()])
        )
        assert encode_rows(batch, schema).to_pylist() == rows

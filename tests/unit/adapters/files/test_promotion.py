"""One schema for a directory: harmless differences are read, real ones name column and types."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import reduce

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.adapters.files import kept_rows
from sluicegate.adapters.files.promoted_types import promoted
from sluicegate.adapters.files.promotion import CommonSchema, as_one, fit
from sluicegate.adapters.files.table_files import TableFiles
from sluicegate.adapters.files.tabular import open_batches
from sluicegate.errors import UnreadableData
from sluicegate.gate.limits import Limits

DAY, NOON = date(2026, 1, 31), datetime(2026, 1, 31, 12, tzinfo=UTC)
LOCAL = NOON.replace(tzinfo=None)
DICTIONARY = pa.dictionary(pa.int8(), pa.string())

HARMLESS = {
    "int32, int64": (pa.int32(), pa.int64(), 7, pa.int64()),
    "int8, uint8": (pa.int8(), pa.uint8(), 7, pa.int16()),
    "int64, uint64 that fits": (pa.int64(), pa.uint64(), 7, pa.int64()),
    "int64, double": (pa.int64(), pa.float64(), 7, pa.float64()),
    "float, double": (pa.float32(), pa.float64(), 0.5, pa.float64()),
    "us, ns": (pa.timestamp("us"), pa.timestamp("ns"), LOCAL, pa.timestamp("ns")),
    "UTC spelled twice": (
        pa.timestamp("us", "UTC"), pa.timestamp("us", "+00:00"), NOON, pa.timestamp("us", "UTC"),
    ),
    "date32, date64": (pa.date32(), pa.date64(), DAY, pa.date64()),
    "durations": (pa.duration("s"), pa.duration("ms"), timedelta(seconds=7), pa.duration("ms")),
    "times": (pa.time32("s"), pa.time64("us"), time(12, 0, 7), pa.time64("us")),
    "text, dictionary": (pa.string(), DICTIONARY, "a", pa.string()),
    "text, large text": (pa.string(), pa.large_string(), "a", pa.large_string()),
    "text, view": (pa.string_view(), pa.string(), "a", pa.large_string()),
    "two dictionaries": (
        DICTIONARY, pa.dictionary(pa.int32(), pa.large_string()), "a", pa.large_string(),
    ),
    "nulls, text": (pa.null(), pa.string(), None, pa.string()),
    "nulls, number": (pa.null(), pa.float64(), None, pa.float64()),
    "decimals": (
        pa.decimal128(5, 2), pa.decimal128(8, 4), Decimal("1.50"), pa.decimal128(8, 4),
    ),
    "integer, decimal": (pa.int32(), pa.decimal128(5, 2), 7, pa.decimal128(22, 2)),
    "vectors": (
        pa.list_(pa.float32(), 2), pa.list_(pa.float64()), [1.0, 2.0], pa.list_(pa.float64()),
    ),
    "structures": (
        pa.struct([("a", pa.int32())]), pa.struct([("a", pa.int64())]), {"a": 1},
        pa.struct([("a", pa.int64())]),
    ),
}  # fmt: skip

HARMFUL = {
    "number, text": (pa.int64(), pa.string()),
    "text, boolean": (pa.string(), pa.bool_()),
    "number, boolean": (pa.int64(), pa.bool_()),
    "decimal, double": (pa.decimal128(5, 2), pa.float64()),
    "number, time": (pa.int64(), pa.timestamp("us")),
    "date, time": (pa.date32(), pa.timestamp("us")),
    "local time, UTC": (pa.timestamp("us"), pa.timestamp("us", "UTC")),
    "two zones": (pa.timestamp("us", "Europe/Berlin"), pa.timestamp("us", "UTC")),
    "text, bytes": (pa.string(), pa.binary()),
    "text, list": (pa.string(), pa.list_(pa.string())),
    "vectors of text": (pa.list_(pa.float64()), pa.list_(pa.string())),
    "categories of number and of text": (
        pa.dictionary(pa.int8(), pa.int64()), pa.dictionary(pa.int8(), pa.string()),
    ),
}  # fmt: skip

TOO_LARGE = {
    "int64 in a double": (pa.int64(), pa.float64(), 2**53 + 1),
    "uint64 in an int64": (pa.uint64(), pa.int64(), 2**63),
    "a year that ns cannot hold": (pa.timestamp("us"), pa.timestamp("ns"), 2**62),
}


def column(type_, value=None, n=2):
    if pa.types.is_dictionary(type_):
        codes = pa.array([0] * n, type_.index_type)
        return pa.DictionaryArray.from_arrays(codes, pa.array([value], type_.value_type))
    return pa.array([value] * n, type_)


def write(root, **tables):
    for name, table in tables.items():
        pq.write_table(table, root / f"{name}.parquet")
    return root


def read(root, **options):
    return pa.Table.from_batches(list(open_batches(root, **options)))


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("turned", [False, True])
def test_harmless_difference_is_promoted_in_either_order(name, turned):
    one, other, value, wanted = HARMLESS[name]
    types = (other, one) if turned else (one, other)
    parts = [(f"p{i}", [pa.record_batch({"x": column(t, value)})]) for i, t in enumerate(types)]
    found = pa.Table.from_batches(as_one(parts))
    assert found.schema.field("x").type == wanted
    expected = column(one, value).cast(wanted).to_pylist()
    assert found["x"].to_pylist() == [*expected, *expected]


@pytest.mark.parametrize("name", HARMFUL)
def test_real_conflict_names_column_file_and_both_types(name):
    one, other = HARMFUL[name]
    parts = [
        ("march", [pa.record_batch({"x": column(one)})]),
        ("april", [pa.record_batch({"x": column(other)})]),
    ]
    with pytest.raises(UnreadableData, match="another type than in an earlier file") as caught:
        as_one(parts)
    said = caught.value
    assert said.locator == "april: column 'x'"
    assert (said.expected, said.got) == (f"{one}, as in march", str(other))


@pytest.mark.parametrize("name", TOO_LARGE)
def test_value_that_the_wider_type_does_not_hold_is_refused_and_not_shown(name):
    one, other, value = TOO_LARGE[name]
    parts = [
        ("march", [pa.record_batch({"x": column(one, value)})]),
        ("april", [pa.record_batch({"x": column(other)})]),
    ]
    with pytest.raises(UnreadableData, match="does not fit") as caught:
        as_one(parts)
    assert caught.value.locator == "march: column 'x'"
    assert (str(promoted(one, other)) in caught.value.expected, caught.value.got) == (
        True,
        str(one),
    )
    assert str(value) not in str(caught.value)


def test_directory_is_read_with_columns_in_another_order_more_and_fewer(tmp_path):
    write(
        tmp_path,
        a=pa.table({"x": pa.array([1], pa.int32()), "y": ["u"]}),
        b=pa.table({"y": ["v"], "x": pa.array([2.5])}),
        c=pa.table({"x": [3], "y": pa.array([None], pa.null()), "promo": [True]}),
    )
    assert read(tmp_path).to_pylist() == [
        {"x": 1.0, "y": "u", "promo": None},
        {"x": 2.5, "y": "v", "promo": None},
        {"x": 3.0, "y": None, "promo": True},
    ]


def test_first_batch_has_the_schema_of_the_last_file_already(tmp_path):
    write(tmp_path, a=pa.table({"x": [1]}), b=pa.table({"x": [0.5], "late": ["z"]}))
    assert next(open_batches(tmp_path)).schema.names == ["x", "late"]


def test_column_is_nullable_as_soon_as_one_file_says_so_or_lacks_it(tmp_path):
    strict = pa.schema([pa.field("x", pa.int64(), nullable=False)])
    write(tmp_path, a=pa.table({"x": [1]}, schema=strict), b=pa.table({"x": [2]}, schema=strict))
    assert not read(tmp_path).schema.field("x").nullable
    write(tmp_path, c=pa.table({"y": [2]}))
    assert read(tmp_path).schema.field("x").nullable


def test_file_without_rows_decides_no_type(tmp_path):
    write(tmp_path, a=pa.table({"x": pa.array([], pa.string())}), b=pa.table({"x": [1]}))
    assert read(tmp_path).schema.field("x").type == pa.int64()


def test_names_that_repeat_are_read_alone_and_refused_beside_other_columns(tmp_path):
    twice = pa.table([[1], [2]], names=["x", "x"])
    write(tmp_path, a=twice, b=twice)
    assert read(tmp_path).schema.names == ["x", "x"]
    write(tmp_path, c=pa.table({"x": [1]}))
    with pytest.raises(UnreadableData, match=r"two columns have one name"):
        read(tmp_path)


def test_loaded_and_streamed_rows_have_one_schema(tmp_path):
    write(tmp_path, a=pa.table({"x": [1]}), b=pa.table({"x": [0.5], "z": ["t"]}))
    parts = {path.name: path.read_bytes() for path in sorted(tmp_path.iterdir())}
    opened = lambda name: nullcontext(parts[name])  # noqa: E731
    rows = list(TableFiles().stream(list(parts), look=opened, read=opened))
    assert pa.Table.from_batches(rows).equals(TableFiles().table(parts.items()))


def test_file_whose_columns_change_after_the_look_is_refused():
    seen, read_later = pa.BufferOutputStream(), pa.BufferOutputStream()
    pq.write_table(pa.table({"x": [1], "z": [1]}), seen)
    pq.write_table(pa.table({"x": [1]}), read_later)
    stream = TableFiles("batch").stream(
        ["a.parquet", "b.parquet"],
        look=lambda _: nullcontext(seen.getvalue().to_pybytes()),
        read=lambda _: nullcontext(read_later.getvalue().to_pybytes()),
    )
    with pytest.raises(UnreadableData, match="other columns than a moment before"):
        list(stream)


def test_file_whose_kind_changes_after_the_look_is_refused():
    stream = TableFiles("batch").stream(
        ["a.csv", "b.csv"],
        look=lambda _: nullcontext(b"x\n1\n"),
        read=lambda _: nullcontext(b"PAR1, and no longer text, PAR1"),
    )
    with pytest.raises(UnreadableData, match=r"a\.csv: is another kind of file"):
        list(stream)


@pytest.mark.parametrize("in_memory", [1 << 20, 0])
def test_text_is_parsed_once_and_keeps_the_order_of_its_files(monkeypatch, in_memory):
    """Where it waits, in memory or on disk, does not show."""
    monkeypatch.setattr(kept_rows, "_MEMORY_BYTES", in_memory)
    files = {f"{n}.csv": b"x,t\n%d,a\n" % n for n in range(5)}
    files["5.jsonl"] = b'{"x":5.5,"t":"a"}\n'
    opened = []

    def read(name):
        opened.append(name)
        return nullcontext(files[name])

    look = lambda name: nullcontext(files[name])  # noqa: E731
    rows = pa.Table.from_batches(list(TableFiles().stream(list(files), look=look, read=read)))
    assert rows["x"].to_pylist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.5]
    assert opened == list(files)


def test_columns_that_a_small_file_adds_to_a_long_one_count_against_the_limit(tmp_path):
    write(
        tmp_path,
        a=pa.table({"x": pa.nulls(100_000, pa.int64())}),
        b=pa.table({f"c{i}": [0.5] for i in range(1000)}),
    )
    with pytest.raises(UnreadableData, match="decodes to more than"):
        read(tmp_path, limits=Limits(max_decoded_bytes=50_000_000))


TYPES = st.sampled_from(
    [pa.int8(), pa.uint16(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.string(),
     pa.large_string(), DICTIONARY, pa.null(), pa.bool_(), pa.date32(), pa.timestamp("us"),
     pa.timestamp("ns"), pa.decimal128(5, 2), pa.binary(), pa.list_(pa.int8())]
)  # fmt: skip


@given(TYPES, TYPES)
def test_promotion_is_the_same_in_either_order_and_keeps_what_it_gave(one, other):
    found = promoted(one, other)
    assert found == promoted(other, one)
    if found is not None:
        assert promoted(found, one) == promoted(found, other) == found


@given(st.permutations([pa.int8(), pa.uint16(), pa.decimal128(5, 2)]))
def test_integers_of_either_sign_beside_a_decimal_give_one_type_in_every_order(types):
    assert reduce(promoted, types) == pa.decimal128(22, 2)


@given(st.lists(TYPES, min_size=1, max_size=5), st.randoms())
def test_order_of_files_does_not_decide_the_type(types, random):
    def common(order):
        schema = CommonSchema()
        try:
            for type_ in order:
                schema.add(pa.schema([("x", type_)]), "f")
        except UnreadableData:
            return None
        return schema.schema.field("x").type

    shuffled = random.sample(types, len(types))
    assert common(types) == common(shuffled)


def test_rows_of_the_same_schema_are_not_touched():
    batch = pa.record_batch({"x": [1]})
    assert fit(batch, batch.schema, "f") is batch


def test_categories_that_are_too_many_together_are_read_all_the_same(tmp_path):
    words = [[f"{part}{n}" for n in range(100)] for part in "ab"]
    narrow = pa.dictionary(pa.int8(), pa.string())
    for part, own in zip("ab", words, strict=True):
        write(tmp_path, **{part: pa.table({"x": pa.array(own).dictionary_encode().cast(narrow)})})
    assert read(tmp_path)["x"].to_pylist() == [*words[0], *words[1]]

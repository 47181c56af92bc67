"""The sketch names exactly the rows that differ, or says that there are too many."""

import base64
import hashlib
import zlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import MalformedEnvelope, SchemaMismatch
from sluicegate.tables.keys import class_of, decode_key, encode_keys, encode_labels
from sluicegate.tables.row_schema import TableSchema
from sluicegate.tables.sketch import Element, Sketch

ROWS = st.lists(st.integers(0, 40), max_size=25)


def columns(rows):
    """Key, id and label of numbered rows, as bytes that depend on the number alone."""

    def hashed(salt, size):
        raw = b"".join(hashlib.sha256(salt + bytes([row])).digest()[:size] for row in rows)
        return np.frombuffer(raw, np.uint8).reshape(-1, size)

    return hashed(b"k", 16), hashed(b"i", 32), hashed(b"l", 8)


def sketch(rows, cells=300):
    return Sketch(cells).update(*columns(rows))


def expected(old, new):
    counts = Counter(old)
    counts.subtract(new)
    differing = sorted(row for row, copies in counts.items() if copies)
    parts = zip(differing, *columns(differing), strict=True)
    return {
        Element(counts[row], key.tobytes(), row_id[16:].tobytes(), label.tobytes())
        for row, key, row_id, label in parts
    }


@given(ROWS, ROWS)
@settings(deadline=None)
def test_difference_is_that_of_the_multisets(old, new):
    assert set(sketch(old).difference(sketch(new))) == expected(old, new)


@pytest.mark.slow
@given(ROWS, ROWS)
@settings(deadline=None)
def test_merge_is_the_sketch_of_all_rows(a, b):
    assert sketch(a).merge(sketch(b)).to_text() == sketch(a + b).to_text()
    assert sketch(a).merge(sketch(b)).to_text() == sketch(b).merge(sketch(a)).to_text()


@pytest.mark.slow
@given(ROWS)
@settings(deadline=None)
def test_round_trip(rows):
    made = sketch(rows)
    read = Sketch.from_text(made.to_text(), 300, locator="x")
    assert read.difference(made) == []
    assert read.to_text() == made.to_text()


def _random(rng, n_rows):
    parts = (rng.integers(0, 256, (n_rows, size), dtype=np.uint8) for size in (16, 32, 8))
    return tuple(parts)


def test_many_changes_decode_to_four_fifths_of_the_cells():
    rng = np.random.default_rng(3)
    common, extra = _random(rng, 20_000), _random(rng, 2400)
    one = Sketch(3072).update(*common).update(*extra)
    found = one.difference(Sketch(3072).update(*common))
    assert len(found) == 2400
    assert {e.row_id for e in found} == {row[16:].tobytes() for row in extra[1]}


def test_too_many_changes_are_no_answer_rather_than_a_part_of_one():
    extra = _random(np.random.default_rng(4), 4000)
    assert Sketch(3072).update(*extra).difference(Sketch(3072)) is None


def test_forged_sums_end():
    rng = np.random.default_rng(5)
    for _ in range(50):
        forged = Sketch(30)
        forged._sums = rng.integers(-3, 3, forged._sums.shape)
        assert forged.difference(Sketch(30)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        sketch([1]).to_text()[:-8],
        base64.b64encode(b"x" * 50).decode(),
        base64.b64encode(zlib.compress(bytes(300 * 96 - 1))).decode(),
        base64.b64encode(zlib.compress(bytes(300 * 96 + 1))).decode(),
        base64.b64encode(zlib.compress(bytes(10**8))).decode(),
    ],
)
def test_damaged_sketch_is_malformed(text):
    with pytest.raises(MalformedEnvelope, match="damaged"):
        Sketch.from_text(text, 300, locator="x")


@pytest.mark.parametrize("cells", [0, -3, 4, 3 * 2**20])
def test_odd_number_of_cells_is_malformed(cells):
    with pytest.raises(MalformedEnvelope, match="number of cells"):
        Sketch(cells)


def _keys(array):
    schema = TableSchema.of(pa.schema([("k", array.type)]))
    return [key.tobytes() for key in encode_keys(array, schema.classes[0], "k")]


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), unique=True))
def test_integer_keys_are_read_back(values):
    keys = _keys(pa.array(values, pa.int64()))
    assert [decode_key(key) for key in keys] == ["NULL" if v is None else str(v) for v in values]
    assert len(set(keys)) == len(values)


@given(st.lists(st.none() | st.text(max_size=12), unique=True))
def test_keys_differ_and_short_texts_are_read_back(values):
    keys = _keys(pa.array(values, pa.string()))
    assert len(set(keys)) == len(values)
    for key, value in zip(keys, values, strict=True):
        if value is not None and len(value.encode()) <= 15:
            assert decode_key(key) == value


def test_long_key_is_shown_as_its_hash():
    key = _keys(pa.array(["x" * 16, "a"]))[0]
    assert decode_key(key).startswith("sha256:")
    assert decode_key(_keys(pa.array([2**63], pa.uint64()))[0]) == str(2**63)


def test_labels_have_codes_and_texts_whatever_their_encoding():
    plain = pa.array(["a", None, "b", "a"])
    codes, texts = encode_labels(plain, "string", "label")
    same, _ = encode_labels(plain.dictionary_encode(), "string", "label")
    assert codes.tolist() == same.tolist()
    assert [texts[code.tobytes()] for code in codes] == ["a", "NULL", "b", "a"]


def test_missing_column_is_a_schema_mismatch():
    with pytest.raises(SchemaMismatch, match="no column of this name: expected "):
        class_of(TableSchema(("a",), ("int",)), "nope")

"""Hashes of ids: one id has one hash, however Arrow spells it, and different ids differ."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.profiling.row_ids import hashable, id_hashes

TEXTS = ["a", "b", "", "a\0", "row-0000001", "row-0000002", "é" * 5, "x" * 300, "x" * 301]


def hashes(array, seed=7):
    return id_hashes(array, seed)[0].tolist()


def test_different_ids_differ():
    assert len(set(hashes(pa.array(TEXTS)))) == len(TEXTS)
    many = np.arange(200_000)
    assert len(set(hashes(pa.array(many)))) == many.size
    assert len(set(hashes(pa.array([f"r{i}" for i in many.tolist()])))) == many.size


@pytest.mark.parametrize(
    "spelled",
    [
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS, pa.string_view()),
        pa.array(TEXTS).dictionary_encode(),
        pa.array([t.encode() for t in TEXTS]),
        pa.array(["lead", *TEXTS, "tail"]).slice(1, len(TEXTS)),
        pa.chunked_array([TEXTS[:3], TEXTS[3:]]),
    ],
    ids=["large", "view", "dictionary", "binary", "sliced", "chunked"],
)
def test_text_hashes_alike_in_every_spelling(spelled):
    assert hashes(spelled) == hashes(pa.array(TEXTS))


def test_whole_number_hashes_alike_in_every_numeric_type():
    numbers = [0, 1, -5, 2**40]
    expected = hashes(pa.array(numbers))
    assert hashes(pa.array([float(v) for v in numbers])) == expected
    assert hashes(pa.array([Decimal(v) for v in numbers], pa.decimal128(20, 0))) == expected
    assert hashes(pa.array(numbers[:2], pa.uint8())) == expected[:2]
    assert hashes(pa.array([0.5, -0.0]))[1] == expected[0]


def test_beyond_floats_integers_still_differ():
    assert len(set(hashes(pa.array([2**60, 2**60 + 1, 2**63 - 1])))) == 3
    assert len(set(hashes(pa.array([2**64 - 1, 2**64 - 2], pa.uint64())))) == 2
    assert len(set(hashes(pa.array([float("nan"), 1e300, -1e300, float("inf")])))) == 4


def test_null_is_not_there_and_the_key_changes_everything():
    found, present = id_hashes(pa.array(["a", None, "b"]), 7)
    assert present.tolist() == [True, False, True]
    assert not set(hashes(pa.array(TEXTS), 8)) & set(hashes(pa.array(TEXTS), 7))
    assert found.dtype == np.uint64
    assert id_hashes(pa.array([], pa.string()), 7)[0].size == 0


@pytest.mark.parametrize("type_", [pa.binary(3), pa.large_binary(), pa.binary_view()], ids=str)
def test_bytes_that_are_no_text_hash_alike_in_every_type(type_):
    """As a UUID is: 16 bytes, seldom UTF-8."""
    values = [b"\xff\xfe\x00", None, b"\x80ab"]
    found, present = id_hashes(pa.array(values, type_), 7)
    wanted, _ = id_hashes(pa.array(values, pa.binary()), 7)
    assert present.tolist() == [True, False, True]
    assert found[present].tolist() == wanted[present].tolist()


def test_only_plain_values_are_ids():
    assert hashable(pa.dictionary(pa.int32(), pa.string()))
    assert hashable(pa.timestamp("us"))
    assert not hashable(pa.list_(pa.int64()))
    assert not hashable(pa.null())

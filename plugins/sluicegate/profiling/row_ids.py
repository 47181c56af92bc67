"""Keyed hashes of row identifiers: every Arrow type that holds an id gives the same hash.

The key comes from a seed that is kept beside the hashes, so it does not hide ids that can be
guessed. It keeps anybody from comparing the hashes of one baseline with those of another.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sluicegate.profiling.buffers import floats, is_bytes, plain, primitive
from sluicegate.profiling.tokens import mix

Hashes = NDArray[np.uint64]
_PRIME = np.uint64(0x100000001B3)
_WORD = 8
# Ids of more bytes are hashed one by one: in words, one huge id would cost a pass for each word.
_LONG = 256


def hashable(type_: pa.DataType) -> bool:
    """Return whether ids of this Arrow type can be recognised."""
    if pa.types.is_dictionary(type_):
        return hashable(type_.value_type)
    if isinstance(type_, pa.BaseExtensionType):
        return hashable(type_.storage_type)
    return not (pa.types.is_nested(type_) or pa.types.is_null(type_))


def id_hashes(array: pa.Array, seed: int) -> tuple[Hashes, NDArray[np.bool_]]:
    """Return a 64-bit hash of each id, and which ids are there.

    Args:
        array: Ids of a `hashable` type; a whole number has the same hash in every numeric type.
        seed: Key of the hash; its lowest 64 bits count.

    Returns:
        Hashes, uint64, and whether an id is there, bool, both of shape (n,). Slots of nulls
        hold any hash.

    Cost: about 40 ns for an id of 10 characters.
    """
    array = plain(array)
    present = np.ones(len(array), dtype=bool)
    if array.null_count:
        present[np.flatnonzero(_nulls(array))] = False
    salt = mix(np.array([seed % (1 << 64)], dtype=np.uint64))
    if _numeric(array.type):
        return mix(mix(_whole(array) ^ salt) + salt), present
    return mix(_texts(array, salt) + salt), present


def _nulls(array: pa.Array) -> NDArray[np.uint8]:
    return primitive(pc.cast(pc.is_null(array), pa.uint8()), np.uint8)  # type: ignore[return-value]


def _numeric(type_: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(is_kind(type_) for is_kind in kinds)


def _whole(array: pa.Array) -> Hashes:
    """Return integers as they are, other numbers by their bits."""
    if pa.types.is_integer(array.type):
        return primitive(pc.cast(array, pa.int64(), safe=False), np.int64).view(np.uint64)
    values = floats(array) + 0.0
    inside = np.abs(values) < 2.0**62
    whole = np.where(inside, values, 0.0).astype(np.int64)
    same = inside & (whole == values)
    bits: Hashes = np.where(same, whole.view(np.uint64), values.view(np.uint64))
    return bits


def _texts(array: pa.Array, salt: Hashes) -> Hashes:
    """Hash the bytes of each text, eight at a time."""
    if not (is_bytes(array.type) or pa.types.is_fixed_size_binary(array.type)):
        array = pc.cast(array, pa.large_string())
    array = pc.cast(array, pa.large_binary())
    n = len(array)
    if n == 0:
        return np.zeros(0, dtype=np.uint64)
    buffers = array.buffers()
    ends = np.frombuffer(buffers[1], dtype=np.int64, count=n + 1, offset=array.offset * 8)
    data = np.frombuffer(buffers[2] or b"", dtype=np.uint8)
    starts, lengths = ends[:-1], ends[1:] - ends[:-1]
    out: Hashes = mix(lengths.astype(np.uint64) ^ salt)
    for row in np.flatnonzero(lengths > _LONG):
        out[row] = _long(data[starts[row] : ends[row + 1]], int(salt[0]))
    short = np.where(lengths > _LONG, 0, lengths)
    for at in range(0, int(short.max(initial=0)), _WORD):
        rows = np.flatnonzero(short > at)
        out[rows] = mix(out[rows] * _PRIME ^ _words(data, starts[rows] + at, lengths[rows] - at))
    return out


def _long(text: NDArray[np.uint8], salt: int) -> int:
    key = salt.to_bytes(8, "little")
    return int.from_bytes(blake2b(text.tobytes(), digest_size=8, key=key).digest(), "little")


def _words(data: NDArray[np.uint8], first: NDArray[np.int64], left: NDArray[np.int64]) -> Hashes:
    """Return up to eight bytes of each text from a position on, as little-endian numbers."""
    out = np.zeros(first.size, dtype=np.uint64)
    for i in range(_WORD):
        inside = np.flatnonzero(left > i) if int(left.min()) <= i else slice(None)
        byte = data[first[inside] + i].astype(np.uint64)
        out[inside] |= byte << np.uint64(8 * i)
    return out

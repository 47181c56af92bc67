"""Heads and tails of cells: one array to bytes, without a loop over its values.

A cell is a head of fixed width (a tag and a value or length) and, for texts and nested values,
a tail. Specified in docs/formats/table-digest.md, section "Cells".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from sluicegate.errors import UnreadableData
from sluicegate.profiling.buffers import bits, null_mask, primitive

if TYPE_CHECKING:
    from numpy.typing import NDArray

TAGS: Final = {
    "null": 0,
    "bool": 1,
    "int": 2,
    "float": 4,
    "decimal": 5,
    "string": 6,
    "binary": 7,
    "date": 8,
    "time": 9,
    "timestamp": 10,
    "instant": 11,
    "duration": 12,
    "list": 13,
    "struct": 14,
    "map": 15,
}
UNSIGNED_TAG: Final = 3
"""Integers from 2**63 to 2**64 - 1: their eight bytes read as negative under `int`."""

_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_MS_PER_DAY: Final = 86_400_000
_INT_TYPES: Final[dict[pa.DataType, type[np.generic]]] = {
    pa.int8(): np.int8,
    pa.int16(): np.int16,
    pa.int32(): np.int32,
    pa.uint8(): np.uint8,
    pa.uint16(): np.uint16,
    pa.uint32(): np.uint32,
}
_FLOAT_TYPES: Final[dict[pa.DataType, type[np.generic]]] = {
    pa.float16(): np.float16,
    pa.float32(): np.float32,
}


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of one column.

    Attributes:
        heads: uint8, shape (n, 1 + width of the class).
        tail: large_binary, length n, without nulls; None where the class has no tail.
    """

    heads: NDArray[np.uint8]
    tail: pa.LargeBinaryArray | None = None


def scalar_cells(array: pa.Array, kind: str, column: str) -> Cells:
    """Encode a plain array (no dictionary, no nesting).

    Args:
        array: Of the class ``kind``.
        kind: Name of a scalar class.
        column: Name for errors.

    Raises:
        UnreadableData: A date with a time of day.

    Cost: about 10 to 40 ns a value.
    """
    nulls = null_mask(array)
    if kind in ("string", "binary"):
        return _texts(array, nulls, kind)
    tags: Any = TAGS[kind]
    match kind:
        case "null":
            value = np.zeros((len(array), 0), np.uint8)
        case "bool":
            value = bits(array).astype(np.uint8)[:, None]
        case "int":
            value, tags = _integers(array)
        case "float":
            value = _bytes(_floats(array))
        case "decimal":
            value = _decimals(array)
        case "date":
            value = _bytes(_days(array, nulls, column))
        case "time":
            value = _bytes(_time_of_day(array))
        case _:
            value = _seconds_and_nanos(array)
    return Cells(heads(tags, value, nulls))


def heads(
    tags: Any, value: NDArray[np.uint8], nulls: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    """Put the tag before the value and blank the cells that are NULL."""
    made = np.empty((len(value), 1 + value.shape[1]), np.uint8)
    made[:, 0] = tags
    made[:, 1:] = value
    if nulls is not None:
        made[nulls] = 0
    return made


def lengths_as_bytes(lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return counts or lengths as eight little-endian bytes each."""
    return _bytes(lengths)


def offsets_of(array: pa.Array) -> NDArray[np.int64]:
    """Return the 64-bit offsets of a large_binary array, shape (n + 1,)."""
    if len(array) == 0:
        return np.zeros(1, np.int64)
    return np.frombuffer(
        array.buffers()[1], np.int64, count=len(array) + 1, offset=array.offset * 8
    )


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(len(values), values.dtype.itemsize)


def _texts(array: pa.Array, nulls: NDArray[np.bool_] | None, kind: str) -> Cells:
    wide = pa.large_string() if kind == "string" else pa.large_binary()
    plain = pc.cast(array, wide)
    if nulls is not None:
        plain = pc.fill_null(plain, "" if kind == "string" else b"")
    # A view, not a cast: what the bytes are is not this function's to judge.
    tail = plain if kind == "binary" else plain.view(pa.large_binary())
    lengths = np.diff(offsets_of(tail))
    return Cells(heads(TAGS[kind], lengths_as_bytes(lengths), nulls), tail)


def _integers(array: pa.Array) -> tuple[NDArray[np.uint8], Any]:
    if array.type == pa.uint64():
        wide = primitive(array, np.uint64)
        tags = np.where(wide >= np.uint64(1 << 63), UNSIGNED_TAG, TAGS["int"])
        return _bytes(wide), tags
    if array.type == pa.int64():
        return _bytes(primitive(array, np.int64)), TAGS["int"]
    return _bytes(primitive(array, _INT_TYPES[array.type]).astype(np.int64)), TAGS["int"]


def _floats(array: pa.Array) -> NDArray[np.float64]:
    raw = primitive(array, _FLOAT_TYPES.get(array.type, np.float64))
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        values = raw.astype(np.float64) + 0.0  # -0.0 + 0.0 is 0.0
    values[np.isnan(values)] = np.nan  # one payload and sign for every NaN
    return values


def _days(array: pa.Array, nulls: NDArray[np.bool_] | None, column: str) -> NDArray[np.int64]:
    if array.type == pa.date32():
        return primitive(array, np.int32).astype(np.int64)
    days, rest = np.divmod(primitive(array, np.int64), _MS_PER_DAY)
    if rest[~nulls].any() if nulls is not None else rest.any():
        raise UnreadableData(
            "date has a time of day", locator=f"column {column}", expected="whole days"
        )
    return days


def _time_of_day(array: pa.Array) -> NDArray[np.int64]:
    raw = primitive(array, np.int32 if pt.is_time32(array.type) else np.int64)
    return raw.astype(np.int64) * (1_000_000_000 // _PER_SECOND[array.type.unit])


def _seconds_and_nanos(array: pa.Array) -> NDArray[np.uint8]:
    # Not nanoseconds in 64 bit: that ends in 2262, and databases use 9999-12-31.
    rate = _PER_SECOND[array.type.unit]
    seconds, rest = np.divmod(primitive(array, np.int64), rate)
    nanos = (rest * (1_000_000_000 // rate)).astype(np.uint32)
    return np.hstack([_bytes(seconds), _bytes(nanos)])


def _decimals(array: pa.Array) -> NDArray[np.uint8]:
    """Scale and unscaled value without trailing zeros: 1.50 is 15 and 1, 100 is 1 and -2."""
    wide = pc.cast(array, pa.decimal256(76, array.type.scale))
    n_rows = len(array)
    raw = np.zeros((0, 32), np.uint8)
    if n_rows:
        raw = np.frombuffer(
            wide.buffers()[1], np.uint8, count=n_rows * 32, offset=wide.offset * 32
        ).reshape(n_rows, 32)
    raw = raw.copy()
    words = raw.view("<i8")
    value = words[:, 0].copy()
    small = (words[:, 1:] == (value >> 63)[:, None]).all(axis=1)
    scale = np.full(n_rows, array.type.scale, "<i4")
    _strip_zeros(value, scale, small)
    words[small, 0] = value[small]
    words[small, 1:] = (value[small] >> 63)[:, None]
    for row in np.flatnonzero(~small):
        unscaled, scale[row] = _strip(int.from_bytes(raw[row], "little", signed=True), scale[row])
        raw[row] = np.frombuffer(unscaled.to_bytes(32, "little", signed=True), np.uint8)
    return np.hstack([_bytes(scale), raw])


def _strip_zeros(
    value: NDArray[np.int64], scale: NDArray[np.int32], small: NDArray[np.bool_]
) -> None:
    left = np.flatnonzero(small & (value != 0))
    scale[small & (value == 0)] = 0
    while len(left := left[value[left] % 10 == 0]):
        value[left] //= 10
        scale[left] -= 1


def _strip(unscaled: int, scale: Any) -> tuple[int, int]:
    # Only values beyond 64 bit come here, so zero does not.
    exponent = int(scale)
    while unscaled and unscaled % 10 == 0:
        unscaled //= 10
        exponent -= 1
    return unscaled, exponent

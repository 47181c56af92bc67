"""Heads and tails of cells: the bytes of one array, without a loop over its values.

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
        tag: Tag of every cell, or uint8, shape (n,), if they differ.
        values: What follows the tag in a head, part by part; each of shape (n,) and of the
            dtype that the class writes.
        nulls: bool, shape (n,), True where the cell is NULL; None if no cell is.
        tail: large_binary, length n, without nulls; None if the class has no tail.
    """

    tag: int | NDArray[np.uint8]
    values: tuple[NDArray[Any], ...]
    nulls: NDArray[np.bool_] | None
    tail: pa.LargeBinaryArray | None = None


def scalar_cells(array: pa.Array, kind: str, column: str) -> Cells:
    """Encode a plain array, without dictionary and nesting.

    Args:
        array: Of the class ``kind``.
        kind: Name of a scalar class.
        column: Its name, for errors.

    Raises:
        UnreadableData: A date has a time of day.

    Cost: about 2 to 20 ns for each value.
    """
    nulls = null_mask(array)
    if kind in ("string", "binary"):
        return _texts(array, nulls, kind)
    tag: Any = TAGS[kind]
    values: tuple[NDArray[Any], ...]
    match kind:
        case "null":
            values = ()
        case "bool":
            values = (bits(array).astype(np.uint8),)
        case "int":
            tag, value = _integers(array)
            values = (value,)
        case "float":
            values = (_floats(array),)
        case "decimal":
            values = _decimals(array)
        case "date":
            values = (_days(array, nulls, column),)
        case "time":
            values = (_time_of_day(array),)
        case _:
            values = _seconds_and_nanos(array)
    return Cells(tag, values, nulls)


def joined_heads(columns: list[Cells], n_rows: int) -> NDArray[np.uint8]:
    """Return the heads of each row, one after the other.

    Each part is written once, at its place in every row. A record type needs one strided copy
    where joining the bytes of cells needs three.

    Args:
        columns: In the order of the row.
        n_rows: Length of each column.

    Returns:
        uint8, shape (n_rows, width of all heads).
    """
    parts = [(part, cells) for cells in columns for part in (cells.tag, *cells.values)]
    kinds = [
        part.dtype.newbyteorder("<") if isinstance(part, np.ndarray) else np.dtype(np.uint8)
        for part, _ in parts
    ]
    rows = np.empty(n_rows, np.dtype([(str(place), kind) for place, kind in enumerate(kinds)]))
    for place, (part, cells) in enumerate(parts):
        rows[str(place)] = part
        if cells.nulls is not None:
            rows[str(place)][cells.nulls] = 0
    width = rows.dtype.itemsize
    return rows.view(np.uint8).reshape(n_rows, width) if width else np.zeros((n_rows, 0), np.uint8)


def offsets_of(array: pa.Array) -> NDArray[np.int64]:
    """Return the offsets of a large_binary array into its data, int64, shape (n + 1,)."""
    if len(array) == 0:
        return np.zeros(1, np.int64)
    return np.frombuffer(
        array.buffers()[1], np.int64, count=len(array) + 1, offset=array.offset * 8
    )


def _texts(array: pa.Array, nulls: NDArray[np.bool_] | None, kind: str) -> Cells:
    wide = pa.large_string() if kind == "string" else pa.large_binary()
    plain = pc.cast(array, wide)
    if nulls is not None:
        plain = pc.fill_null(plain, "" if kind == "string" else b"")
    # A view, not a cast: this function does not judge the bytes.
    tail = plain if kind == "binary" else plain.view(pa.large_binary())
    return Cells(TAGS[kind], (np.diff(offsets_of(tail)),), nulls, tail)


def _integers(array: pa.Array) -> tuple[Any, NDArray[Any]]:
    """Return tags and values."""
    if array.type == pa.uint64():
        wide = primitive(array, np.uint64)
        tags = np.where(wide >= np.uint64(1 << 63), UNSIGNED_TAG, TAGS["int"]).astype(np.uint8)
        return tags, wide
    if array.type == pa.int64():
        return TAGS["int"], primitive(array, np.int64)
    return TAGS["int"], primitive(array, _INT_TYPES[array.type]).astype(np.int64)


def _floats(array: pa.Array) -> NDArray[np.float64]:
    raw = primitive(array, _FLOAT_TYPES.get(array.type, np.float64))
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        values = raw.astype(np.float64) + 0.0  # -0.0 + 0.0 is 0.0
    values[np.isnan(values)] = np.nan  # one payload and sign for every NaN
    return values


def _days(array: pa.Array, nulls: NDArray[np.bool_] | None, column: str) -> NDArray[np.int64]:
    if array.type == pa.date32():
        return primitive(array, np.int32).astype(np.int64)
    days, rest = _divided(primitive(array, np.int64), _MS_PER_DAY)
    if rest[~nulls].any() if nulls is not None else rest.any():
        raise UnreadableData(
            "date has a time of day", locator=f"column {column}", expected="whole days"
        )
    return days


def _time_of_day(array: pa.Array) -> NDArray[np.int64]:
    raw = primitive(array, np.int32 if pt.is_time32(array.type) else np.int64)
    return raw.astype(np.int64) * (1_000_000_000 // _PER_SECOND[array.type.unit])


def _seconds_and_nanos(array: pa.Array) -> tuple[NDArray[Any], NDArray[Any]]:
    # Nanoseconds in 64 bits would end in the year 2262, and databases use 9999-12-31.
    rate = _PER_SECOND[array.type.unit]
    seconds, rest = _divided(primitive(array, np.int64), rate)
    return seconds, (rest * (1_000_000_000 // rate)).astype(np.uint32)


def _divided(values: NDArray[Any], divisor: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the quotient, rounded down, and the rest: numpy vectorises `//` but not divmod."""
    quotient = values // divisor
    # The product may wrap below -2**63; the difference wraps back.
    return quotient, values - quotient * divisor


def _decimals(array: pa.Array) -> tuple[NDArray[Any], ...]:
    """Return scale and unscaled value without trailing zeros: 1.50 is 1 and 15, 100 is -2 and 1."""
    scale = np.full(len(array), array.type.scale, np.int32)
    if pt.is_decimal128(array.type):
        words = _words(array, 2)
        value = words[:, 0].copy()
        if (words[:, 1] == (sign := value >> 63)).all():
            _strip_zeros(value, scale, np.flatnonzero(value))
            scale[value == 0] = 0
            return scale, value, sign, sign, sign
    words = _words(pc.cast(array, pa.decimal256(76, array.type.scale)), 4).copy()
    value = words[:, 0].copy()
    small = (words[:, 1:] == (value >> 63)[:, None]).all(axis=1)
    _strip_zeros(value, scale, np.flatnonzero(small & (value != 0)))
    scale[small & (value == 0)] = 0
    words[small, 0] = value[small]
    for row in np.flatnonzero(~small):
        unscaled = int.from_bytes(words[row].tobytes(), "little", signed=True)
        unscaled, scale[row] = _strip(unscaled, scale[row])
        words[row] = np.frombuffer(unscaled.to_bytes(32, "little", signed=True), "<i8")
    return scale, *words.T


def _words(array: pa.Array, n_words: int) -> NDArray[np.int64]:
    """Return decimals as 64-bit words, lowest first, shape (n, n_words)."""
    if not len(array):
        return np.zeros((0, n_words), np.int64)
    first = array.offset * n_words * 8
    raw = np.frombuffer(array.buffers()[1], "<i8", count=len(array) * n_words, offset=first)
    return raw.reshape(-1, n_words)


def _strip_zeros(
    value: NDArray[np.int64], scale: NDArray[np.int32], left: NDArray[np.int64]
) -> None:
    """Divide the values at the places ``left``, none of them zero, by 10 as often as they allow."""
    while len(left):
        values = value[left]
        tenth, rest = _divided(values, 10)
        left, tenth = left[rest == 0], tenth[rest == 0]
        value[left] = tenth
        scale[left] -= 1


def _strip(unscaled: int, scale: Any) -> tuple[int, int]:
    # Only values beyond 64 bits come here, so zero does not.
    exponent = int(scale)
    while unscaled and unscaled % 10 == 0:
        unscaled //= 10
        exponent -= 1
    return unscaled, exponent

"""Times of rows as integers: milliseconds where the type says so, else the numbers themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.profiling.buffers import floats, null_mask, plain, primitive

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 1 << 53
_ZONES = (None, "UTC")


def instants(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return each row's time, and which rows have one.

    Args:
        array: Timestamps (Arrow keeps those with a zone in UTC), dates, ISO 8601 text, or
            numbers. Floats are seconds. Integers are taken as they are, and divided by 2**20
            if they are beyond 2**53.

    Returns:
        Times, int64, shape (n,), within +-2**53, and whether a row has one, bool, same shape.
        No row has a time if the type is another one or if any text is no time.
    """
    array = plain(array)
    nobody = np.zeros(len(array), dtype=np.int64), np.zeros(len(array), dtype=bool)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        parsed = _parsed(array)
        if parsed is None:
            return nobody
        array = parsed
    if pa.types.is_date(array.type):
        array = pc.cast(array, pa.timestamp("ms"))
    nulls = null_mask(array) if not pa.types.is_null(array.type) else None
    present = np.ones(len(array), dtype=bool) if nulls is None else ~nulls
    if pa.types.is_timestamp(array.type):
        array = pc.cast(array, pa.timestamp("ms", array.type.tz), safe=False)
        values = primitive(array, np.int64).astype(np.int64)
    elif pa.types.is_integer(array.type):
        values = primitive(pc.cast(array, pa.int64(), safe=False), np.int64).astype(np.int64)
        values = np.where(np.abs(values >> 1) >= LARGEST >> 1, values >> 20, values)
    elif pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
        numbers = floats(array) * 1000.0
        present &= np.isfinite(numbers)
        values = np.clip(np.where(present, numbers, 0.0), -LARGEST, LARGEST).astype(np.int64)
    else:
        return nobody
    return np.clip(np.where(present, values, 0), -LARGEST, LARGEST), present


def _parsed(array: pa.Array) -> pa.Array | None:
    for zone in _ZONES:
        try:
            return pc.cast(array, pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
    return None

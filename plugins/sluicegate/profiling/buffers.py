"""Arrow arrays as numpy views without pandas.

pyarrow's ``to_numpy``, ``to_pandas`` and ``np.asarray`` import pandas when it is installed
(about 1.2 CPU seconds), so these functions read the buffers. They honour the offsets of sliced
arrays. A result may be a read-only view of the array's memory.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray


_TICKS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""Units in a second."""


def plain(array: pa.Array) -> pa.Array:
    """Return the array as numbers and text where it can be.

    Dictionaries and extension types are removed; durations and times of day are seconds; bytes
    are text where all of them are UTF-8, as Impala and Hive store text. A view of text is text:
    Arrow counts and compares no views.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):  # combine_chunks keeps 0 or >2 GiB chunks apart
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_duration(array.type) or pa.types.is_time(array.type):
        return _seconds(array)
    if pa.types.is_string_view(array.type):
        return pc.cast(array, pa.large_string())
    if is_bytes(array.type):
        with suppress(pa.ArrowInvalid):
            return pc.cast(array, pa.large_string())
    return array


def is_bytes(type_: pa.DataType) -> bool:
    """Return whether an Arrow type is bytes of any length."""
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(is_kind(type_) for is_kind in kinds)


def is_list(type_: pa.DataType) -> bool:
    """Return whether an Arrow type is lists, of one length or of any."""
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(type_) for is_kind in kinds)


def text_of_bytes(array: pa.Array) -> pa.Array:
    """Return bytes as text; what is no UTF-8 is spelled in escapes, so that it is seen.

    Cost: nothing more than `plain` where all are UTF-8; 1 us a value otherwise.
    """
    array = plain(array)
    if not is_bytes(array.type):
        return array
    texts = (
        None if value is None else value.decode("utf-8", "backslashreplace")
        for value in array.to_pylist()
    )
    return pa.array(texts, pa.large_string(), size=len(array))


def _seconds(array: pa.Array) -> pa.Array:
    whole = pa.int32() if pa.types.is_time32(array.type) else pa.int64()
    ticks = pc.cast(pc.cast(array, whole), pa.float64(), safe=False)
    return pc.divide(ticks, pa.scalar(_TICKS[array.type.unit]))


def bits(array: pa.Array) -> NDArray[np.bool_]:
    """Return a Boolean array without nulls as bool, shape (n,)."""
    if len(array) == 0:
        return np.zeros(0, dtype=bool)
    raw = np.frombuffer(array.buffers()[1], dtype=np.uint8)
    first = array.offset // 8
    last = (array.offset + len(array) + 7) // 8
    unpacked = np.unpackbits(raw[first:last], bitorder="little")
    start = array.offset - first * 8
    return unpacked[start : start + len(array)].astype(bool)


def null_mask(array: pa.Array) -> NDArray[np.bool_] | None:
    """Return bool, shape (n,), True where a value is null; None if there is no null."""
    return bits(pc.is_null(array)) if array.null_count else None


def primitive(array: pa.Array, dtype: type[np.generic]) -> NDArray[np.generic]:
    """Return the values of a fixed-width array without a copy.

    Args:
        array: Of the Arrow type that has the layout of ``dtype``; a wider or narrower one is
            misread, not refused.
        dtype: Of the result, as uint8, int64 or float64.

    Returns:
        The asked dtype, shape (n,); slots of nulls hold any value.
    """
    if len(array) == 0:
        return np.zeros(0, dtype=dtype)
    buffer = array.buffers()[1]
    width = np.dtype(dtype).itemsize
    return np.frombuffer(buffer, dtype=dtype, count=len(array), offset=array.offset * width)


def positions(chosen: NDArray[np.bool_]) -> pa.Array:
    """Return where a mask is true, for `take`.

    Of a list, or of numpy's array, pyarrow would ask whether it is a series of pandas, and import
    pandas for that: half a second.

    Args:
        chosen: bool, shape (n_rows,).

    Returns:
        int64, ascending.
    """
    found = np.flatnonzero(chosen).astype(np.int64)
    return pa.Array.from_buffers(pa.int64(), found.size, [None, pa.py_buffer(found)])


def floats(array: pa.Array) -> NDArray[np.float64]:
    """Return numbers or Booleans as float64, shape (n,); slots of nulls hold any value.

    Integers beyond 2**53 are rounded. Cells of a profile are far wider than that.
    """
    if array.type != pa.float64():
        if pa.types.is_boolean(array.type):
            array = pc.cast(array, pa.uint8())
        array = pc.cast(array, pa.float64(), safe=False)
    return primitive(array, np.float64)  # type: ignore[return-value]


def large_strings(values: tuple[str, ...]) -> pa.Array:
    """Return Python strings as an array; `pa.array` of a list would import pandas."""
    encoded = [value.encode() for value in values]
    offsets = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum([len(value) for value in encoded], out=offsets[1:])
    return pa.LargeStringArray.from_buffers(
        len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))
    )


def strings(array: pa.Array) -> pa.Array:
    """Return the values as `large_string`, the one spelling of categories and labels.

    Whole floats and decimals spell like integers, so that a label column read as 1.0 or 1.00 equals
    one read as 1. Decimals with a fraction spell like doubles.
    """
    if pa.types.is_decimal(array.type):
        array = _undecimal(array)
    elif pa.types.is_float16(array.type):
        array = pc.cast(array, pa.float32())  # Arrow compares no half floats
    if pa.types.is_floating(array.type):
        whole = pc.cast(array, pa.int64(), safe=False)
        same = pc.equal(pc.cast(whole, array.type, safe=False), array)
        if pc.all(same, skip_nulls=True).as_py() is not False:
            array = whole
    return pc.cast(array, pa.large_string())


def _undecimal(array: pa.Array) -> pa.Array:
    with suppress(pa.ArrowInvalid):
        return pc.cast(array, pa.decimal256(76, 0))
    return pc.cast(array, pa.float64())

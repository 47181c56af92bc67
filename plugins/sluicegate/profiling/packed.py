"""Arrays as text in canonical JSON: base64 of their little-endian bytes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pack(array: NDArray[Any], dtype: str) -> str:
    """Return base64 of an array's bytes.

    Args:
        array: Any shape; values that the dtype holds.
        dtype: Type in which they are kept, with its byte order, such as ``<f8``.

    Example:
        >>> pack(np.array([1, 2]), "<u2")
        'AQACAA=='
    """
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode()


def unpack(text: Any, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Read what `pack` wrote.

    Args:
        text: Base64 text of JSON; it may be anything else.
        dtype: As in `pack`.
        shape: Shape of the array; one number may be -1.

    Returns:
        An array of this dtype and shape.

    Raises:
        TypeError: No text.
        ValueError: Not base64, or of another size.

    Example:
        >>> unpack("AQACAA==", "<u2", (-1,)).tolist()
        [1, 2]
    """
    if not isinstance(text, str):
        raise TypeError("an array is not base64 text")
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=dtype).reshape(shape).copy()

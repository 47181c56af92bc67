"""Arrays as text in canonical JSON: base64 of their little-endian bytes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pack(array: NDArray[Any], dtype: str) -> str:
    """Return base64 of the array's little-endian bytes."""
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode()


def unpack(text: Any, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Read what `pack` wrote; ValueError when it is not base64 or of another size."""
    if not isinstance(text, str):
        raise TypeError("an array is not base64 text")
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=dtype).reshape(shape).copy()

"""Hash functions that a file may be sealed with, by the name that seals carry."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from sluicegate.digest.algorithms import BLAKE3, SHA256
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_ALGORITHMS: Final = (SHA256, BLAKE3)
"""SHA-256 is in the standard library; BLAKE3 needs the extra ``blake3``, to seal and to verify."""


class Hasher(Protocol):
    """What `hashlib` and `blake3` objects share."""

    def update(self, data: memoryview, /) -> object:
        """Add bytes."""
        ...

    def hexdigest(self) -> str:
        """Return lower-case hex."""
        ...


def hasher_of(algorithm: str) -> Callable[..., Hasher]:
    """Return the function that starts a hash; its argument, if any, is the first bytes.

    Args:
        algorithm: ``sha256`` or ``blake3``.

    Raises:
        ConfigError: Another algorithm, or the package blake3 is not installed.

    Source: FIPS 180-4; O'Connor, Aumasson, Neves, Wilcox-O'Hearn 2020, "BLAKE3".
    """
    if algorithm == SHA256:
        return hashlib.sha256
    if algorithm != BLAKE3:
        raise ConfigError(
            "files cannot be hashed with this algorithm",
            expected=" or ".join(FILE_ALGORITHMS),
            got=ascii(algorithm)[:40],
        )
    try:
        from blake3 import blake3  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(
            "BLAKE3 is not installed", next_step="pip install 'sluicegate[blake3]'."
        ) from error
    return partial(blake3, max_threads=blake3.AUTO)  # small inputs stay on one thread

"""Hash functions that a file may be sealed with, by the name that seals carry."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sluicegate.digest.algorithms import BLAKE3, FILE_ALGORITHMS, SHA256, shard_bytes
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


class Hasher(Protocol):
    """What `hashlib` and `blake3` objects share."""

    def update(self, data: memoryview, /) -> object:
        """Add bytes."""
        ...

    def hexdigest(self) -> str:
        """Return lower-case hex; of shards, their digests one after the other."""
        ...


class ShardHasher:
    """Hashes a file in shards, as its bytes come.

    Args:
        n_bytes: Length of a shard, 1 or more.
        data: First bytes.
    """

    __slots__ = ("_done", "_hasher", "_left", "_n_bytes")

    def __init__(self, n_bytes: int, data: bytes | memoryview = b"") -> None:
        self._n_bytes = n_bytes
        self._done: list[str] = []
        self._hasher = hashlib.sha256()
        self._left = n_bytes
        self.update(data)

    def update(self, data: bytes | memoryview, /) -> None:
        """Add bytes."""
        view = memoryview(data)
        while view:
            part, view = view[: self._left], view[self._left :]
            self._hasher.update(part)
            self._left -= len(part)
            if not self._left:
                self._done.append(self._hasher.hexdigest())
                self._hasher, self._left = hashlib.sha256(), self._n_bytes

    def hexdigest(self) -> str:
        """Return the digests of all shards, one after the other; no bytes have no shard."""
        begun = [] if self._left == self._n_bytes else [self._hasher.hexdigest()]
        return "".join([*self._done, *begun])


def hasher_of(algorithm: str) -> Callable[..., Hasher]:
    """Return the function that starts a hash; its argument, if any, is the first bytes.

    Args:
        algorithm: ``sha256``, ``blake3`` or ``sha256-shards-BYTES``.

    Raises:
        ConfigError: Another algorithm, or the package blake3 is not installed.

    Source: FIPS 180-4; O'Connor, Aumasson, Neves, Wilcox-O'Hearn 2020, "BLAKE3".
    """
    if algorithm == SHA256:
        return hashlib.sha256
    if n_bytes := shard_bytes(algorithm):
        return partial(ShardHasher, n_bytes)
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

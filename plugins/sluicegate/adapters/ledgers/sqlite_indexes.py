"""Do the indexes of a SQLite ledger say what its leaves say?

An index that was edited page by page can hide the newest leaf from a lookup. SQLite's own check
looks up each row in each index, at random places, and takes longer than hashing the ledger. This
module sums the rows while the audit reads them, sums each index in its own order, and compares
the sums. SQLite's check then explains a difference.
"""

from __future__ import annotations

import sqlite3
from operator import lt
from typing import TYPE_CHECKING, Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from sluicegate.ledger.scan import Scanned

KEY_BYTES: Final = 16
"""Length of one audit's secret, in bytes."""

NOT_SUMMED: Final = (TypeError, ValueError, OverflowError)
"""Errors that a row raises if no ledger wrote it."""

_ROWS: Final = 4096
_BLOCK: Final = 2  # words of 64 bits

# SQLite answers these from the index alone, in its order; a test looks at its plan for them.
BY_STREAM: Final = "SELECT stream, idx FROM leaf INDEXED BY leaf_stream ORDER BY stream, idx"
BY_ENVELOPE: Final = (
    "SELECT envelope, idx FROM leaf INDEXED BY leaf_envelope ORDER BY envelope, idx"
)


class RowSum:
    """The sum of rows of equal width, whatever their order.

    Each row counts as its CBC-MAC under a key that nobody knows beforehand. So rows that an editor
    chose have the same sum as others only by chance (once in 2^64 or more rarely).

    Args:
        key: 16 fresh random bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._encrypt = Cipher(AES(key), ECB()).encryptor().update  # noqa: S305 - CBC-MAC chains the blocks
        self._sum = np.zeros(_BLOCK, np.uint64)
        self._n_rows = 0

    def add(self, words: NDArray[np.uint64]) -> None:
        """Add rows.

        Args:
            words: uint64, shape (n_rows, an even number).
        """
        mac = np.zeros((len(words), _BLOCK), np.uint64)
        for first in range(0, words.shape[1], _BLOCK):
            block = mac ^ words[:, first : first + _BLOCK]
            mac = np.frombuffer(self._encrypt(block.tobytes()), np.uint64).reshape(-1, _BLOCK)
        self._sum = self._sum + mac.sum(axis=0, dtype=np.uint64)
        self._n_rows += len(words)

    def value(self) -> tuple[int, ...]:
        """Return the number of rows, then the words of their sum."""
        return (self._n_rows, *map(int, self._sum))


class IndexCheck:
    """Sums of the leaves, to be compared with those of the indexes.

    Args:
        random: Source of unpredictable bytes.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._keys = random(KEY_BYTES), random(KEY_BYTES)
        self._by_stream, self._by_envelope = map(RowSum, self._keys)

    def add(self, page: Sequence[Scanned]) -> None:
        """Add leaves as they are read.

        Raises:
            TypeError: No ledger wrote this row (see `NOT_SUMMED`).
            ValueError: As TypeError.
            OverflowError: As TypeError.
        """
        indexes = [row[0] for row in page]
        self._by_stream.add(_stream_words([row[4] for row in page], indexes))
        self._by_envelope.add(_envelope_words([row[2] for row in page], indexes))

    def agrees(self, connection: Connection) -> bool:
        """Say whether both indexes are in order and hold exactly the leaves that were added.

        Cost: reads both indexes once, in their own order; memory for 4096 entries.
        """
        by_stream, by_envelope = map(RowSum, self._keys)
        try:
            for numbers, indexes in _in_order(connection, BY_STREAM):
                by_stream.add(_stream_words(numbers, indexes))
            for digests, indexes in _in_order(connection, BY_ENVELOPE):
                by_envelope.add(_envelope_words(digests, indexes))
        except (SQLAlchemyError, sqlite3.Error, *NOT_SUMMED):
            return False
        return (
            by_stream.value() == self._by_stream.value()
            and by_envelope.value() == self._by_envelope.value()
        )


def _in_order(connection: Connection, query: str) -> Iterator[Any]:
    """Yield the columns of an index's entries, 4096 at a time; refuse entries out of order."""
    last: list[tuple[Any, int]] = []
    cursor: Any = connection.exec_driver_sql(query).cursor  # its rows are plain tuples
    while part := cursor.fetchmany(_ROWS):
        if not all(map(lt, last + part, part[1 - len(last) :])):
            raise ValueError(query)
        last = part[-1:]
        yield zip(*part, strict=True)


def _stream_words(numbers: Sequence[int], indexes: Sequence[int]) -> NDArray[np.uint64]:
    return np.array([numbers, indexes], np.uint64).T


def _envelope_words(digests: Sequence[bytes], indexes: Sequence[int]) -> NDArray[np.uint64]:
    if set(map(len, digests)) != {32}:
        raise ValueError("not the digest of an envelope")
    words = np.zeros((len(indexes), 6), np.uint64)
    words[:, :4] = np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 4)
    words[:, 4] = np.array(indexes, np.uint64)
    return words

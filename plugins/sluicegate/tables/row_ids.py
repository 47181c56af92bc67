"""SHA-256 of each row, and ids in ascending order.

Specified in docs/formats/table-digest.md, section "Row id".
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sluicegate.tables.cells import offsets_of
from sluicegate.tables.row_encoding import encode_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from sluicegate.tables.row_schema import TableSchema

ID_BYTES: Final = 32

CHUNK_ROWS: Final = 8_192
"""Rows encoded at once: 100 bytes each stay in the second-level cache."""

_DIGEST: Final = type(sha256()).digest


def row_ids(batch: pa.RecordBatch, schema: TableSchema) -> NDArray[np.uint8]:
    """Return the id of each row.

    Args:
        batch: Columns of ``schema``.
        schema: From `TableSchema.of`.

    Returns:
        uint8, shape (n_rows, 32), in the batch's order.

    Raises:
        UnreadableData: A date with a time of day.

    Cost: about 1 microsecond for a row of 8 mixed columns on one core.
    """
    parts = [_chunk(batch.slice(start, CHUNK_ROWS), schema) for start in _starts(batch)]
    return np.concatenate([np.zeros((0, ID_BYTES), np.uint8), *parts])


def stream_row_ids(
    batches: Iterable[pa.RecordBatch], schema: TableSchema, *, workers: int
) -> Iterator[tuple[pa.RecordBatch, NDArray[np.uint8]]]:
    """Yield chunks of rows with their ids, in order, hashing while the next is encoded.

    Threads help although hashlib holds the interpreter's lock for short rows: reading,
    encoding and sorting do not, and they are more than half of the work.

    Args:
        batches: Of one schema.
        schema: From `TableSchema.of`.
        workers: Threads; 1 means this one.

    Cost: at most ``2 * workers`` chunks in memory.
    """
    chunks = (b.slice(start, CHUNK_ROWS) for b in batches for start in _starts(b))
    if workers == 1:
        for chunk in chunks:
            yield chunk, _chunk(chunk, schema)
        return
    with ThreadPoolExecutor(workers) as pool:
        pending: list[tuple[pa.RecordBatch, Any]] = []
        for chunk in chunks:
            pending.append((chunk, pool.submit(_chunk, chunk, schema)))
            if len(pending) >= 2 * workers:
                head, future = pending.pop(0)
                yield head, future.result()
        for head, future in pending:
            yield head, future.result()


def ascending(ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ids in ascending order of their bytes.

    By as many of their first 64 bits as leave room for the place of each id in the same word,
    because numpy sorts words faster than it finds their order. Ids that share those bits are
    nearly always equal, and are put right one run at a time where they are not.

    Cost: about 0.07 microseconds an id.
    """
    words = np.ascontiguousarray(ids).view("<u8").reshape(-1, ID_BYTES // 8)
    n_place_bits = np.uint64(max(1, len(ids)).bit_length())
    place = (np.uint64(1) << n_place_bits) - np.uint64(1)
    keys = words[:, 0].byteswap()
    keys &= ~place
    keys |= np.arange(len(ids), dtype=np.uint64)
    keys.sort()
    made = np.take(words, (keys & place).astype(np.int64), axis=0).view(np.uint8)
    keys >>= n_place_bits
    same = np.flatnonzero(keys[1:] == keys[:-1])
    wrong = same[(made[same] != made[same + 1]).any(axis=1)]
    for value in np.unique(keys[wrong]):
        first = int(np.searchsorted(keys, value, side="left"))
        last = int(np.searchsorted(keys, value, side="right"))
        run = sorted(bytes(row) for row in made[first:last])
        made[first:last] = np.frombuffer(b"".join(run), np.uint8).reshape(-1, ID_BYTES)
    return made


def _starts(batch: pa.RecordBatch) -> range:
    return range(0, batch.num_rows, CHUNK_ROWS)


def _chunk(batch: pa.RecordBatch, schema: TableSchema) -> NDArray[np.uint8]:
    encoded = encode_rows(batch, schema)
    if not len(encoded):
        return np.zeros((0, ID_BYTES), np.uint8)
    # No bytecode runs for a row, and a read makes its bytes without a slice object: 0.35 of the
    # 0.4 microseconds a row are OpenSSL's. The offsets of a fresh array start at 0.
    read = BytesIO(encoded.buffers()[2].to_pybytes()).read
    hashes = map(sha256, map(read, np.diff(offsets_of(encoded)).tolist()))
    digests = b"".join(map(_DIGEST, hashes))
    return np.frombuffer(digests, np.uint8).reshape(-1, ID_BYTES)

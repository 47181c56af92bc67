"""Table digest: a commitment to the rows of a table, whatever their order and partitions.

The ids of all rows are put in ascending order and cut into buckets by their first bits. Each bucket
is hashed, then all buckets with the header. Any number of partial digests merge into one.
Specified in docs/formats/table-digest.md; argued in docs/adr/0006-table-digest.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Final

import numpy as np

from sluicegate.digest import canonical
from sluicegate.digest.table_hash import N_BUCKETS, table_digest
from sluicegate.errors import MalformedEnvelope
from sluicegate.tables.row_ids import ID_BYTES, ascending
from sluicegate.tables.row_schema import TableSchema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from sluicegate.digest.algorithms import Digest

BUCKET_BITS: Final = 12

MAX_IDS_IN_MEMORY: Final = 1 << 20
"""Row ids kept in memory before they are sorted and spilled: 32 MiB, twice that while sorting."""

_SORTED_AT_ONCE: Final = 1 << 16
"""Ids merged at once, from several buckets if one has fewer: 2 MiB."""

_PARTIAL_MAGIC: Final = b"sluicegate.dev/tablePartial1\n"
_EDGES: Final = np.arange(N_BUCKETS, dtype=np.uint16)


@dataclass(frozen=True, slots=True)
class TableCommitment:
    """What a table digest says of a whole table.

    Attributes:
        schema: Its columns.
        n_rows: Number of rows, repetitions counted.
        buckets: SHA-256 of each bucket, `N_BUCKETS` times 32 bytes.
    """

    schema: TableSchema
    n_rows: int
    buckets: bytes

    @property
    def digest(self) -> Digest:
        """The table digest, over columns, number of rows and buckets."""
        return table_digest(self.schema.to_json(), self.n_rows, self.buckets)

    def differing_buckets(self, other: TableCommitment) -> NDArray[np.bool_]:
        """Return bool, shape (N_BUCKETS,), True for each bucket whose rows differ."""
        mine, theirs = (np.frombuffer(c.buckets, np.uint64).reshape(-1, 4) for c in (self, other))
        return np.asarray((mine != theirs).any(axis=1))


@dataclass(frozen=True, slots=True)
class _Run:
    """Sorted ids in the spill file, with the row at which each bucket starts."""

    file: IO[bytes]
    position: int
    edges: NDArray[np.int64]

    def read(self, first_bucket: int, end_bucket: int) -> bytes:
        first, end = int(self.edges[first_bucket]), int(self.edges[end_bucket])
        self.file.seek(self.position + first * ID_BYTES)
        return self.file.read((end - first) * ID_BYTES)


class TableDigest:
    """Monoid of row ids: `update` adds rows, `merge` adds another part of the same table.

    Args:
        schema: Columns of the table.
        spill: Opens a temporary file for ids beyond ``max_ids``; without it they stay in
            memory, 32 bytes for each row.
        max_ids: Ids kept in memory before they are spilled.

    Cost: memory for ``max_ids`` and the largest bucket (1/4096 of the ids), disk for the rest.

    Example:
        >>> schema = TableSchema(("a",), ("int",))
        >>> TableDigest(schema).commitment().digest.algorithm
        'tableHash1-sha256-4096'
    """

    def __init__(
        self,
        schema: TableSchema,
        *,
        spill: Callable[[], IO[bytes]] | None = None,
        max_ids: int = MAX_IDS_IN_MEMORY,
    ) -> None:
        self.schema = schema
        self.n_rows = 0
        self._spill = spill
        self._max_ids = max_ids
        self._file: IO[bytes] | None = None
        self._chunks: list[NDArray[np.uint8]] = []
        self._n_chunk_rows = 0
        self._runs: list[_Run] = []

    def update(self, ids: NDArray[np.uint8]) -> TableDigest:
        """Add rows by their ids.

        Args:
            ids: uint8, shape (n, 32), from `row_ids` under the same schema.

        Returns:
            This digest, so that calls chain.
        """
        self._chunks.append(ids)
        self._n_chunk_rows += len(ids)
        self.n_rows += len(ids)
        if self._n_chunk_rows > self._max_ids and self._spill is not None:
            self._flush(self._spill)
        return self

    def merge(self, other: TableDigest) -> TableDigest:
        """Add all rows of another digest; ``other`` must not be used afterwards.

        Raises:
            SchemaMismatch: The other table has other columns.
        """
        self.schema.require_same(other.schema, locator="merge")
        for chunk in other._chunks:
            self.update(chunk)
        self._runs.extend(other._runs)
        self.n_rows += sum(int(run.edges[-1]) for run in other._runs)
        return self

    def commitment(self) -> TableCommitment:
        """Return the commitment to the rows added so far."""
        buckets = b"".join(sha256(ids).digest() for ids in self._buckets())
        return TableCommitment(self.schema, self.n_rows, buckets)

    def to_bytes(self) -> bytes:
        """Return the partial digest, 32 bytes for each row; equal rows give equal bytes."""
        header = canonical.dumps({"columns": self.schema.to_json(), "rows": self.n_rows})
        size = len(header).to_bytes(8, "little")
        return b"".join([_PARTIAL_MAGIC, size, header, *self._buckets()])

    @classmethod
    def from_bytes(cls, data: bytes, *, locator: str) -> TableDigest:
        """Read what `to_bytes` wrote.

        Args:
            data: One partial digest.
            locator: What holds it, for errors.

        Raises:
            MalformedEnvelope: It is no partial digest, is cut short, or its ids are out of order.
            SchemaMismatch: Columns in another form.
        """
        start = len(_PARTIAL_MAGIC) + 8
        size = int.from_bytes(data[start - 8 : start], "little")
        body = start + size
        if not data.startswith(_PARTIAL_MAGIC) or body > len(data):
            raise MalformedEnvelope("not a partial table digest", locator=locator)
        header = canonical.loads(data[start:body], locator=locator)
        match header:
            case {"columns": columns, "rows": int(n_rows)} if (
                canonical.dumps(header) == data[start:body]
                and len(header) == 2
                and n_rows * ID_BYTES == len(data) - body
            ):
                made = cls(TableSchema.from_json(columns, locator=locator))
            case _:
                raise MalformedEnvelope(
                    "partial table digest contradicts its header", locator=locator
                )
        ids = np.frombuffer(data, np.uint8, offset=body).reshape(-1, ID_BYTES)
        if not np.array_equal(ascending(ids), ids):
            raise MalformedEnvelope("row ids are not in ascending order", locator=locator)
        return made.update(ids)

    def _buckets(self) -> Iterator[bytes]:
        """Yield the sorted ids of each bucket; several small buckets are sorted at once."""
        memory = _concatenated(self._chunks)
        edges = _edges(memory)
        n_at_once = max(1, _SORTED_AT_ONCE * N_BUCKETS // max(1, self.n_rows))
        for first in range(0, N_BUCKETS, n_at_once):
            end = min(first + n_at_once, N_BUCKETS)
            ids = memory[edges[first] : edges[end]]
            if self._runs:
                data = b"".join([ids.tobytes(), *(run.read(first, end) for run in self._runs)])
                ids = ascending(np.frombuffer(data, np.uint8).reshape(-1, ID_BYTES))
            found = bucket_of(ids)
            starts = np.searchsorted(found, np.arange(first, end, dtype=np.uint16)).tolist()
            data = ids.tobytes()
            for start, stop in pairwise([*starts, len(ids)]):
                yield data[start * ID_BYTES : stop * ID_BYTES]

    def _flush(self, spill: Callable[[], IO[bytes]]) -> None:
        if self._file is None:
            self._file = spill()
        ids = _concatenated(self._chunks)
        position = self._file.seek(0, 2)
        self._file.write(ids.data)
        self._runs.append(_Run(self._file, position, _edges(ids)))
        self._chunks, self._n_chunk_rows = [], 0


def bucket_of(ids: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return the bucket of each id, which is its first 12 bits.

    Args:
        ids: uint8, shape (n, 32).

    Returns:
        uint16, shape (n,), values 0..4095.
    """
    return ((ids[:, 0].astype(np.uint16) << 4) | (ids[:, 1] >> 4)).astype(np.uint16)


def _concatenated(chunks: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return ascending(np.concatenate([np.zeros((0, ID_BYTES), np.uint8), *chunks]))


def _edges(ids: NDArray[np.uint8]) -> NDArray[np.int64]:
    starts = np.searchsorted(bucket_of(ids), _EDGES)
    return np.append(starts, len(ids)).astype(np.int64)

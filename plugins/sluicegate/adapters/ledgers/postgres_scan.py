"""Reading a PostgreSQL ledger from one end to the other in few, large answers.

The driver is plain Python and decodes each value of each row by itself. So the server joins the
values of many rows into one, and this module cuts them apart again: the driver then decodes eight
values for a thousand leaves.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from sluicegate.ledger.scan import Row

BATCH_BYTES: Final = 16 << 20
"""Bytes of envelopes that are in memory at once; a larger envelope comes alone."""

_BATCH: Final = """
SELECT count(*), string_agg(idx::text, ',' ORDER BY idx),
       string_agg(stream::text, ',' ORDER BY idx),
       string_agg(octet_length(subject)::text, ',' ORDER BY idx),
       string_agg(subject, ''::bytea ORDER BY idx),
       string_agg(octet_length(digest)::text, ',' ORDER BY idx),
       string_agg(digest, ''::bytea ORDER BY idx),
       string_agg(coalesce(n_bytes, -1)::text, ',' ORDER BY idx),
       string_agg(coalesce(body, ''::bytea), ''::bytea ORDER BY idx)
  FROM (SELECT *, octet_length(body) AS n_bytes,
               sum(octet_length(body)) OVER (ORDER BY idx) AS total
          FROM (SELECT l.idx, l.stream, l.subject, l.envelope AS digest, e.body
                  FROM leaf l LEFT JOIN envelope e ON e.idx = l.idx
                 WHERE l.idx >= {start} ORDER BY l.idx LIMIT {count}) AS page) AS measured
 WHERE coalesce(total, 0) - coalesce(n_bytes, 0) < {limit}
"""

_RUN: Final = """
SELECT coalesce(string_agg(hash, ''::bytea ORDER BY position), ''::bytea),
       coalesce(bool_and(octet_length(hash) = 32), true)
  FROM node WHERE position >= {first} AND position < {end}
"""


def rows(connection: Connection, start: int, count: int) -> Iterator[Row]:
    """Yield leaves with their envelopes, in order.

    Args:
        connection: Inside a transaction.
        start: Index of the first leaf.
        count: Most leaves to yield.

    Raises:
        ValueError: A column holds a null where no ledger has one.

    Cost: at most `BATCH_BYTES` of envelopes in memory, or one envelope if it is larger.
    """
    while count:
        batch = _batch(connection, start, count)
        if not batch:
            return
        yield from batch
        count -= len(batch)
        start = batch[-1][0] + 1


def hash_run(connection: Connection, first: int, count: int) -> bytes | None:
    """Return the inner-node hashes of neighbouring positions as one text of bytes.

    Args:
        connection: Inside a transaction.
        first: First position.
        count: Number of positions.

    Returns:
        32 bytes for each position that is stored, in order; None if one has another length.
    """
    query = _RUN.format(first=first, end=first + count)
    joined, sound = connection.exec_driver_sql(query).one()
    return bytes(joined) if sound else None


def _batch(connection: Connection, start: int, count: int) -> Sequence[Row]:
    query = _BATCH.format(start=start, count=count, limit=BATCH_BYTES)
    n_rows, *columns = connection.exec_driver_sql(query).one()
    if not n_rows:
        return []
    indexes, streams, *values = columns
    pairs = zip(values[::2], values[1::2], strict=True)
    subjects, digests, bodies = (_cut(lengths, joined) for lengths, joined in pairs)
    made = zip(_numbers(indexes), _numbers(streams), subjects, digests, bodies, strict=True)
    return [*made]


def _numbers(joined: str) -> Sequence[int]:
    return [*map(int, joined.split(","))]


def _cut(lengths: str, joined: bytes) -> Sequence[Any]:
    """Cut joined values apart; a length below 0 stands for a value that is not there."""
    sizes = _numbers(lengths)
    ends = accumulate(map(max, sizes, [0] * len(sizes)), initial=0)
    cut = [joined[begin:end] for begin, end in pairwise(ends)]
    return [None if size < 0 else value for size, value in zip(sizes, cut, strict=True)]

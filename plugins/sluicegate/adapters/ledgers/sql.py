"""A ledger's reads and writes in portable SQL (SQLAlchemy Core); tables.py has the tables."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import (
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from sluicegate.adapters.ledgers.tables import checkpoint, envelope, leaf, node, stream
from sluicegate.digest.algorithms import SHA256, Digest
from sluicegate.errors import LedgerConflict, LedgerCorrupt
from sluicegate.ledger.entry import Entry, LeafForm
from sluicegate.ledger.scan import NOT_A_LEAF, PageReader
from sluicegate.ledger.store import Strays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Select, Table

    from sluicegate.ledger.scan import Row, Scanned
    from sluicegate.ledger.store import Growth, LedgerRecord, Query

T = TypeVar("T")

_CHUNK: Final = 500
"""Values in one IN list; SQLite before 3.32 allows 999."""

_FETCHED: Final = 64
"""Leaves that a scan holds in memory with their envelopes."""

_KEEP: Final = "Keep the file as evidence and compare it with a backup."
_UNFINISHED: Final = (
    "If `sluicegate ledger migrate` was copying a ledger here, run it again. Otherwise keep "
    "this as evidence and compare it with a backup."
)

_LEAVES: Final = select(
    leaf.c.idx, stream.c.kind, stream.c.source, leaf.c.subject, leaf.c.envelope
).join_from(leaf, stream, leaf.c.stream == stream.c.id)

_HEADS: Final = select(checkpoint.c.note)
_ENVELOPES: Final = select(envelope.c.idx, envelope.c.body)
_NODES: Final = select(node.c.position, node.c.hash)
_STREAMS: Final = select(stream.c.source, stream.c.kind, stream.c.id)

_NOTHING: Final[ColumnElement[int]] = literal_column(
    "0"
)  # or SQLAlchemy makes a parameter of it, for SQLite

PAGE: Final = (
    select(leaf.c.idx, leaf.c.stream, leaf.c.subject, leaf.c.envelope, envelope.c.body)
    .join_from(leaf, envelope, envelope.c.idx == leaf.c.idx, isouter=True)
    .where(leaf.c.idx >= bindparam("start"))
    .order_by(leaf.c.idx)
    .limit(bindparam("count"))
    .offset(_NOTHING)
)
"""Leaves with their envelopes from an index on."""

_RUN: Final = (
    select(node.c.hash)
    .where(node.c.position >= bindparam("first"), node.c.position < bindparam("end"))
    .order_by(node.c.position)
)


class SqlSnapshot:
    """One open transaction's view of the tables; meets ledger.store.Snapshot.

    Args:
        connection: Inside a transaction.
        locator: Path or URL without secrets, for messages.
    """

    def __init__(self, connection: Connection, locator: str) -> None:
        self._connection = connection
        self._locator = locator

    def checkpoint(self) -> bytes:
        """Return the stored head."""
        note = self.checkpoint_or_none()
        if note is None:
            raise self._corrupt("no checkpoint is stored", next_step=_UNFINISHED)
        return note

    def checkpoint_or_none(self) -> bytes | None:
        """Return the stored head; None for a copy that is not finished."""
        notes = self._heads()
        if len(notes) > 1:
            raise self._corrupt("no single checkpoint is stored", got=f"{len(notes)} rows")
        return self._bytes(notes[0], "checkpoint") if notes else None

    def n_leaves(self) -> int:
        """Return the number of stored leaves, for a copy that is not finished."""
        return self._count(leaf.c.idx, true())

    def entries(self, indexes: Sequence[int]) -> Mapping[int, Entry]:
        """Return leaves by index."""
        return {row[0]: self._entry(row) for row in self._where_in(_LEAVES, leaf.c.idx, indexes)}

    def envelopes(self, indexes: Sequence[int]) -> Mapping[int, bytes]:
        """Return envelopes by index."""
        return {
            index: self._bytes(body, f"envelope {index}")
            for index, body in self._where_in(_ENVELOPES, envelope.c.idx, indexes)
        }

    def hashes(self, positions: Sequence[int]) -> Mapping[int, bytes]:
        """Return inner-node hashes by position."""
        return {
            place: self._hash(hashed, place)
            for place, hashed in self._where_in(_NODES, node.c.position, positions)
        }

    def find(
        self, query: Query, *, newest_first: bool, start: int | None, limit: int
    ) -> list[tuple[int, Entry]]:
        """Return leaves that match.

        Args:
            query: What a leaf must have; a field that is None matches all.
            newest_first: Descending by index; otherwise ascending.
            start: Index to begin at, itself included; None for that end of the ledger.
            limit: Most leaves to return.
        """
        asked: dict[str, str | bytes | int | None] = {
            "source": query.source,
            "kind": None if query.kind is None else str(query.kind),
            "subject": None if query.subject is None else pack_digest(query.subject),
            "start": start,
        }
        values = {name: value for name, value in asked.items() if value is not None}
        rows = self._read(_finding(frozenset(values), newest_first), {**values, "limit": limit})
        return [(row[0], self._entry(row)) for row in rows]

    def find_each(self, queries: Sequence[Query], limit: int) -> list[list[tuple[int, Entry]]]:
        """Return the newest leaves that match each query.

        Args:
            queries: Each names kind and source.
            limit: Most leaves for each.
        """
        return [self.find(one, newest_first=True, start=None, limit=limit) for one in queries]

    def logged(self, envelopes: Sequence[str]) -> list[tuple[int, Entry]]:
        """Return leaves by envelope digest, oldest first."""
        digests = [Digest.parse(text).raw for text in envelopes]
        rows = self._where_in(_LEAVES, leaf.c.envelope, digests)
        return sorted([(row[0], self._entry(row)) for row in rows], key=lambda item: item[0])

    def sources(self) -> list[str]:
        """Return the sources of all streams."""
        found = list(self._connection.scalars(select(stream.c.source).distinct()))
        if not all(isinstance(name, str) for name in found):
            raise self._corrupt("a column holds no text", "stream")
        return sorted(found)

    def scan(self, start: int) -> Iterator[Sequence[Scanned]]:
        """Read leaves with their envelopes, page by page."""
        return PageReader(self._forms(), self._rows, self._not_a_leaf).pages(start)

    def hash_run(self, first: int, count: int) -> bytes:
        """Return inner-node hashes that stand side by side."""
        wanted = {"first": first, "end": first + count}
        hashes = [row[0] for row in self._connection.execute(_RUN, wanted).fetchall()]
        try:
            sound = set(map(len, hashes)) <= {32}
            return b"".join(hashes) if sound else self._hash(None, first)
        except TypeError:  # not all are bytes
            return self._hash(None, first)

    def strays(self, size: int, n_hashes: int) -> Strays:
        """Count rows outside a size."""
        unused = ~exists().where(leaf.c.stream == stream.c.id)
        return Strays(
            leaves=self._count(leaf.c.idx, _outside(leaf.c.idx, size)),
            envelopes=self._count(envelope.c.idx, _outside(envelope.c.idx, size)),
            hashes=self._count(node.c.position, _outside(node.c.position, n_hashes)),
            streams=self._count(stream.c.id, unused),
        )

    def damage(self, *, thorough: bool = True) -> Sequence[str]:  # noqa: ARG002
        """Return nothing: the ledger itself checks what portable SQL can show."""
        return ()

    def _heads(self) -> Sequence[object]:
        return [row[0] for row in self._read(_HEADS, {})]

    def _read(self, wanted: Select[Any], values: Mapping[str, Any]) -> Iterable[Any]:
        """Run one of this module's statements; a store may have a shorter way to its driver."""
        return self._connection.execute(wanted, values)

    def _where_in(
        self, wanted: Select[Any], column: Column[Any], values: Sequence[object]
    ) -> Iterator[Any]:
        """Read the rows whose column has one of the values; the statement has no conditions yet."""
        for part in chunks(values):
            yield from self._connection.execute(wanted.where(column.in_(part)))

    def _rows(self, start: int, count: int) -> Iterable[Row]:
        """Read leaves with their envelopes from an index on, a few at a time."""
        with self._connection.execute(PAGE, paging(start, count)) as result:
            for part in result.partitions(_FETCHED):
                yield from part

    def _forms(self) -> dict[int, LeafForm]:
        forms = {}
        for number, source, kind in self._connection.execute(select(stream)):
            try:
                forms[number] = LeafForm(kind, source)
            except NOT_A_LEAF as error:
                raise self._corrupt("a stream has no name of ours", f"stream {number}") from error
        return forms

    def _count(self, column: Column[Any], which: ColumnElement[bool]) -> int:
        return int(self._connection.execute(select(func.count(column)).where(which)).scalar_one())

    def _entry(self, row: Any) -> Entry:
        index, kind, source, subject, digest = row[:5]
        try:
            return Entry(kind, source, unpack_digest(subject), f"{SHA256}:{digest.hex()}")
        except NOT_A_LEAF as error:
            raise self._not_a_leaf(index) from error

    def _not_a_leaf(self, index: int) -> LedgerCorrupt:
        return self._corrupt("a row is not a leaf that this version writes", f"leaf {index}")

    def _hash(self, value: object, place: int) -> bytes:
        hashed = self._bytes(value, f"node {place}")
        if len(hashed) != 32:
            raise self._corrupt("a tree node is not 32 bytes long", f"node {place}")
        return hashed

    def _bytes(self, value: object, what: str) -> bytes:
        if not isinstance(value, bytes):
            raise self._corrupt("a column holds no bytes", what, got=type(value).__name__)
        return value

    def _corrupt(
        self, what: str, at: str = "", got: str = "", next_step: str = _KEEP
    ) -> LedgerCorrupt:
        locator = f"{self._locator} {at}".strip()
        return LedgerCorrupt(what, locator=locator, got=got, next_step=next_step)


class SqlTransaction(SqlSnapshot):
    """A snapshot that can grow; meets ledger.store.Transaction."""

    def grow(self, growth: Growth) -> None:
        """Write one append.

        Raises:
            LedgerConflict: Another writer replaced the head first; it carries the known size.
            LedgerCorrupt: Rows stand behind the signed end already.
        """
        # The swap comes first: in a database that locks rows, it makes the other writers wait.
        if self._swap(growth.old_checkpoint, growth.new_checkpoint) != 1:
            raise LedgerConflict(self.n_leaves(), "another writer was first", locator=self._locator)
        self.fill(growth.records, growth.position, growth.hashes)

    def fill(self, records: Sequence[LedgerRecord], position: int, hashes: Sequence[bytes]) -> None:
        """Write leaves and nodes, and no checkpoint.

        Args:
            records: In order.
            position: `frontier.position` of the first hash.
            hashes: Inner nodes that the leaves complete, in the order of their positions.

        Raises:
            LedgerCorrupt: Such rows are there already.
        """
        streams = self._streams(records)
        rows = [_leaf_row(record, streams) for record in records]
        bodies = [{"idx": record.index, "body": record.envelope} for record in records]
        nodes = [
            {"position": position + offset, "hash": hashed} for offset, hashed in enumerate(hashes)
        ]
        try:
            self._insert([(leaf, rows), (envelope, bodies), (node, nodes)])
        except IntegrityError as error:
            what = "rows stand behind the signed end of the ledger"
            raise self._corrupt(what) from error

    def withdraw(self) -> None:
        """Take the checkpoint away while leaves are copied: nobody opens the ledger meanwhile."""
        self._connection.execute(delete(checkpoint))

    def complete(self, note: bytes) -> None:
        """Give a copy its checkpoint."""
        self._insert([(checkpoint, [{"id": 1, "note": note}])])

    def _swap(self, old: bytes, new: bytes) -> int:
        """Replace the head if it is still the old one; return the number of rows replaced."""
        swap = update(checkpoint).where(checkpoint.c.id == 1, checkpoint.c.note == bindparam("old"))
        values = {"old": old, "new": new}
        return self._connection.execute(swap.values(note=bindparam("new")), values).rowcount

    def _insert(self, tables: Sequence[tuple[Table, Sequence[Mapping[str, Any]]]]) -> None:
        """Insert rows into tables, in order; a table may get none."""
        for table, rows in tables:
            if rows:
                self._connection.execute(insert(table), rows)

    def _streams(self, records: Sequence[LedgerRecord]) -> dict[tuple[str, str], int]:
        """Return the ids of the records' (source, kind) pairs; insert the new ones."""
        wanted = sorted({(record.entry.source, str(record.entry.kind)) for record in records})
        ids = self._known_streams([source for source, _ in wanted])
        missing = [pair for pair in wanted if pair not in ids]
        if missing:
            highest = self._connection.execute(select(func.max(stream.c.id))).scalar() or 0
            new = dict(zip(missing, range(highest + 1, highest + 1 + len(missing)), strict=True))
            rows = [{"id": id_, "source": pair[0], "kind": pair[1]} for pair, id_ in new.items()]
            self._insert([(stream, rows)])
            ids |= new
        return ids

    def _known_streams(self, sources: Sequence[str]) -> dict[tuple[str, str], int]:
        return {
            (source, kind): number
            for source, kind, number in self._where_in(_STREAMS, stream.c.source, sources)
        }


def pack_digest(text: str) -> bytes:
    """Return a digest as ``algorithm:`` and its raw bytes: half as long as its text."""
    digest = Digest.parse(text)
    return digest.algorithm.encode("ascii") + b":" + digest.raw


def unpack_digest(data: bytes) -> str:
    """Invert `pack_digest`; the caller checks whether the result is a digest."""
    algorithm, _, raw = data.partition(b":")
    return f"{algorithm.decode('ascii')}:{raw.hex()}"


def _leaf_row(record: LedgerRecord, streams: Mapping[tuple[str, str], int]) -> dict[str, object]:
    entry = record.entry
    return {
        "idx": record.index,
        "stream": streams[entry.source, str(entry.kind)],
        "subject": pack_digest(entry.subject),
        "envelope": Digest.parse(entry.envelope).raw,
    }


@cache
def _finding(given: frozenset[str], newest_first: bool) -> Select[Any]:
    """Return the statement that finds leaves by the parameters that are given."""
    ids = select(stream.c.id)
    if "source" in given:
        ids = ids.where(stream.c.source == bindparam("source"))
    if "kind" in given:
        ids = ids.where(stream.c.kind == bindparam("kind"))
    wanted = _LEAVES
    if {"source", "kind"} <= given:
        # Only one stream matches. Its index is ordered by idx, so the newest is one step away.
        wanted = wanted.where(leaf.c.stream == ids.scalar_subquery())
    elif {"source", "kind"} & given:
        wanted = wanted.where(leaf.c.stream.in_(ids))
    if "subject" in given:
        wanted = wanted.where(leaf.c.subject == bindparam("subject"))
    if "start" in given:
        start: ColumnElement[int] = bindparam("start")
        wanted = wanted.where(leaf.c.idx <= start if newest_first else leaf.c.idx >= start)
    order = leaf.c.idx.desc() if newest_first else leaf.c.idx.asc()
    return wanted.order_by(order).limit(bindparam("limit")).offset(_NOTHING)


def paging(start: int, count: int) -> dict[str, int]:
    """Return the parameters of `PAGE`.

    Args:
        start: Index of the first leaf.
        count: Most leaves to read.
    """
    return {"start": start, "count": count}


def _outside(column: Column[Any], size: int) -> ColumnElement[bool]:
    return or_(column < 0, column >= size)


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values into lists that are short enough for one statement."""
    for begin in range(0, len(values), _CHUNK):
        yield values[begin : begin + _CHUNK]

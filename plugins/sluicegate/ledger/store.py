"""What a ledger needs of a store: snapshots to read, and one atomic way to grow.

A store keeps bytes and promises only two things. `grow` is all or nothing, and it is durable when
the transaction's block has ended without an exception. And `grow` refuses if another writer was
first. Everything else that a store says is checked against the signed checkpoint, so nobody need
trust a store.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sluicegate.ledger.entry import Entry
    from sluicegate.ledger.lookup import View
    from sluicegate.ledger.scan import Scanned

T = TypeVar("T")
Found = list[tuple[int, "Entry"]]
"""Leaves by index."""


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """One leaf with its envelope.

    Attributes:
        index: Position, from 0.
        entry: The leaf.
        envelope: Exact bytes of the envelope.
    """

    index: int
    entry: Entry
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """Which leaves to find; None matches all.

    Attributes:
        kind: Kind of the entry.
        source: Name of the source.
        subject: Digest that the statement is about, as text.
    """

    kind: str | None = None
    source: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """One append as the store writes it.

    Attributes:
        old_checkpoint: The note before. The store must still hold it (compare and swap).
        new_checkpoint: Signed note over the tree with the new leaves.
        records: New leaves, in order.
        position: `frontier.position` of the first new hash.
        hashes: Inner nodes that the leaves complete, in the order of their positions.
    """

    old_checkpoint: bytes
    new_checkpoint: bytes
    records: tuple[LedgerRecord, ...]
    position: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Strays:
    """Numbers of rows that no ledger of a size has, by table.

    Attributes:
        leaves: Leaves before the first or behind the last index.
        envelopes: Envelopes before the first or behind the last index.
        hashes: Inner nodes before the first or behind the last position.
        streams: Pairs of kind and source that no leaf refers to.
    """

    leaves: int
    envelopes: int
    hashes: int
    streams: int


class Snapshot(Protocol):
    """One consistent state of the store.

    Every method raises LedgerError if the store cannot be read, and LedgerCorrupt if it holds
    something that no ledger writes.
    """

    def checkpoint(self) -> bytes:
        """Return the signed checkpoint of the newest state."""

    def entries(self, indexes: Sequence[int]) -> Mapping[int, Entry]:
        """Return leaves by index; absent ones are left out."""

    def envelopes(self, indexes: Sequence[int]) -> Mapping[int, bytes]:
        """Return envelope bytes by leaf index; absent ones are left out."""

    def hashes(self, positions: Sequence[int]) -> Mapping[int, bytes]:
        """Return inner-node hashes by `frontier.position`; absent ones are left out."""

    def find(
        self, query: Query, *, newest_first: bool, start: int | None, limit: int
    ) -> list[tuple[int, Entry]]:
        """Return leaves that match, in the order of their indexes.

        Args:
            query: Which leaves.
            newest_first: Order by index downwards, else upwards.
            start: First index that may be returned; None for the newest or the oldest.
            limit: Most leaves.
        """

    def find_each(self, queries: Sequence[Query], limit: int) -> list[list[tuple[int, Entry]]]:
        """Return for each query the newest leaves that match, as `find` does.

        Args:
            queries: Each names kind and source.
            limit: Most leaves for each.
        """

    def logged(self, envelopes: Sequence[str]) -> list[tuple[int, Entry]]:
        """Return every leaf that names one of these envelope digests, oldest first."""

    def sources(self) -> list[str]:
        """Return the names of all sources that a leaf may be about, in order."""

    def scan(self, start: int) -> Iterator[Sequence[Scanned]]:
        """Yield the leaves from an index on, in order, in pages.

        A page ends where a complete subtree of `subtree.N_LEAVES` leaves ends, unless one of its
        leaves is missing. It may also end before.
        """

    def hash_run(self, first: int, count: int) -> bytes:
        """Return the hashes of neighbouring positions, 32 bytes each, joined.

        Args:
            first: First `frontier.position`.
            count: Number of positions. The result is shorter if a hash is absent.
        """

    def strays(self, size: int, n_hashes: int) -> Strays:
        """Count rows that a ledger of some size does not have.

        Args:
            size: Number of its leaves.
            n_hashes: Number of its inner nodes.
        """

    def damage(self, *, thorough: bool = True) -> Sequence[str]:
        """Return what the store's own check finds wrong: pages, indexes, foreign objects.

        Args:
            thorough: Read everything, else only what costs the same for any size.
        """


class Transaction(Snapshot, Protocol):
    """A snapshot that no other writer can overtake."""

    def grow(self, growth: Growth) -> None:
        """Write an append.

        Raises:
            LedgerConflict: The store holds another checkpoint than `growth.old_checkpoint`.
            LedgerError: The store cannot be written.
        """


class LedgerStore(Protocol):
    """Where a ledger keeps its bytes."""

    @property
    def locator(self) -> str:
        """Path or URL without secrets, for messages."""

    def reading(self) -> AbstractContextManager[Snapshot]:
        """Open a snapshot."""

    def writing(self) -> AbstractContextManager[Transaction]:
        """Open a transaction; it is durable when its block ends, and undone by an exception."""

    def close(self) -> None:
        """Release files and connections."""


@runtime_checkable
class GroupStore(Protocol):
    """A store over which concurrent writers commit as a group."""

    def exchange(
        self, ticket: bytes, lead: Callable[[Transaction, Sequence[bytes]], Sequence[bytes]]
    ) -> bytes:
        """Hand in a ticket and wait for its reply, or answer the tickets of all.

        Args:
            ticket: Opaque; unique to this call.
            lead: Called inside a transaction if nobody else leads, with this ticket and those of
                other waiting writers, in the order in which they were handed in. It returns one
                reply for each; an empty one drops the ticket.

        Returns:
            The reply, after the transaction that it speaks of has committed durably.

        Raises:
            LedgerError: The store failed; it is unknown whether the append happened.
        """


class PinnedSnapshot:
    """One state of a store, of which nothing is read twice; meets Snapshot.

    A question that takes several look-ups is answered from one state, and may say ahead what it
    will look up: then many rows come in one statement. What is kept is what the store said, and is
    believed no more than the store. It lives as long as the snapshot, so no answer of another
    state is ever mixed in.

    Args:
        snapshot: The state.

    Attributes:
        view: What was verified of it, by whoever reads here; None before that.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._note: bytes | None = None
        self._entries: dict[int, Entry] = {}
        self._envelopes: dict[int, bytes] = {}
        self._hashes: dict[int, bytes] = {}
        self._found: dict[Query, tuple[Found, bool]] = {}
        self._logged: dict[str, Found] = {}
        self.view: View | None = None

    def checkpoint(self) -> bytes:
        """Return the signed checkpoint."""
        if self._note is None:
            self._note = self._snapshot.checkpoint()
        return self._note

    def entries(self, indexes: Sequence[int]) -> Mapping[int, Entry]:
        """Return leaves by index."""
        return _kept(self._entries, indexes, self._snapshot.entries)

    def envelopes(self, indexes: Sequence[int]) -> Mapping[int, bytes]:
        """Return envelopes by index."""
        return _kept(self._envelopes, indexes, self._snapshot.envelopes)

    def hashes(self, positions: Sequence[int]) -> Mapping[int, bytes]:
        """Return inner-node hashes by position."""
        return _kept(self._hashes, positions, self._snapshot.hashes)

    def find(self, query: Query, *, newest_first: bool, start: int | None, limit: int) -> Found:
        """Return leaves that match.

        Args:
            query: Which leaves.
            newest_first: Order by index downwards, else upwards.
            start: First index that may be returned; None for the newest or the oldest.
            limit: Most leaves.
        """
        if not newest_first or start is not None:
            return self._snapshot.find(query, newest_first=newest_first, start=start, limit=limit)
        rows, are_all = self._found.get(query, ([], False))
        if not are_all and len(rows) < limit:
            rows = self._snapshot.find(query, newest_first=True, start=None, limit=limit)
            self._found[query] = (rows, len(rows) < limit)
        return rows[:limit]

    def find_each(self, queries: Sequence[Query], limit: int) -> list[Found]:
        """Return the newest leaves that match each query.

        Args:
            queries: Each names kind and source.
            limit: Most leaves for each.
        """
        asked = [query for query in dict.fromkeys(queries) if query not in self._found]
        if asked:
            for query, rows in zip(asked, self._snapshot.find_each(asked, limit), strict=True):
                self._found[query] = (rows, len(rows) < limit)
        return [self.find(query, newest_first=True, start=None, limit=limit) for query in queries]

    def logged(self, envelopes: Sequence[str]) -> Found:
        """Return every leaf that names one of these envelope digests, oldest first."""
        asked = [name for name in dict.fromkeys(envelopes) if name not in self._logged]
        if asked:
            rows = self._snapshot.logged(asked)  # first: if it fails, nothing is known
            self._logged |= {
                name: [row for row in rows if row[1].envelope == name] for name in asked
            }
        found = [row for name in dict.fromkeys(envelopes) for row in self._logged[name]]
        return sorted(found, key=lambda row: row[0])

    def sources(self) -> list[str]:
        """Return the names of all sources."""
        return self._snapshot.sources()

    def scan(self, start: int) -> Iterator[Sequence[Scanned]]:
        """Yield the leaves from an index on."""
        return self._snapshot.scan(start)

    def hash_run(self, first: int, count: int) -> bytes:
        """Return the hashes of neighbouring positions.

        Args:
            first: First position.
            count: Number of positions.
        """
        return self._snapshot.hash_run(first, count)

    def strays(self, size: int, n_hashes: int) -> Strays:
        """Count rows that a ledger of some size does not have.

        Args:
            size: Number of its leaves.
            n_hashes: Number of its inner nodes.
        """
        return self._snapshot.strays(size, n_hashes)

    def damage(self, *, thorough: bool = True) -> Sequence[str]:
        """Return what the store's own check finds wrong.

        Args:
            thorough: Read everything.
        """
        return self._snapshot.damage(thorough=thorough)


class PinnedStore:
    """A store that stays as it is, for readers; meets LedgerStore.

    Args:
        snapshot: The state, open for as long as this is used.
        locator: Where the store is, for messages.
    """

    def __init__(self, snapshot: Snapshot, locator: str) -> None:
        self._snapshot = PinnedSnapshot(snapshot)
        self._locator = locator

    @property
    def locator(self) -> str:
        """Path or URL without secrets."""
        return self._locator

    @contextmanager
    def reading(self) -> Iterator[PinnedSnapshot]:
        """Open the one snapshot that there is."""
        yield self._snapshot

    def writing(self) -> NoReturn:
        """Refuse: a ledger over this store has no key, so this is a defect of the caller.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(self._locator)

    def close(self) -> None:
        """Do nothing: whoever opened the snapshot closes it."""


def _kept(
    known: dict[int, T], wanted: Sequence[int], read: Callable[[Sequence[int]], Mapping[int, T]]
) -> Mapping[int, T]:
    """Return what is known or read now; what is absent is left out, and asked for again."""
    if missing := [one for one in dict.fromkeys(wanted) if one not in known]:
        known.update(read(missing))
    return {one: known[one] for one in wanted if one in known}

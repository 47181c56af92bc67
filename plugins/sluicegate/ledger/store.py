"""What a ledger needs of a store: snapshots to read, and one atomic way to grow.

A store keeps bytes and promises only two things. `grow` is all or nothing, and it is durable when
the transaction's block has ended without an exception. And `grow` refuses if another writer was
first. Everything else that a store says is checked against the signed checkpoint, so nobody need
trust a store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sluicegate.ledger.entry import Entry
    from sluicegate.ledger.scan import Scanned


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

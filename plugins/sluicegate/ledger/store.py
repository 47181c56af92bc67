"""What a ledger needs of a store: snapshots to read, and one atomic way to grow.

A store keeps bytes and promises two things only: `grow` is all or nothing and durable when
the transaction's block has ended without an exception, and it refuses when another writer
was first. Everything else a store says is checked against the signed checkpoint, so a store
need not be trusted.
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
    """One leaf with what it stands for.

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
        kind: Entry kind.
        source: Source name.
        subject: Digest as text.
    """

    kind: str | None = None
    source: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """One append as the store writes it.

    Attributes:
        old_checkpoint: The note before; the compare of compare-and-swap.
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
    """Rows that no ledger of a size has, by table.

    Attributes:
        leaves: Before the first or behind the last index.
        envelopes: Likewise.
        hashes: Inner nodes before the first or behind the last position.
        streams: Pairs of kind and source that no leaf refers to.
    """

    leaves: int
    envelopes: int
    hashes: int
    streams: int


class Snapshot(Protocol):
    """One consistent state of the store.

    Every method raises LedgerError when the store cannot be read, and LedgerCorrupt when it
    holds something that no ledger writes.
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
        """Return at most `limit` leaves that match, by index, from `start` on (included)."""

    def logged(self, envelopes: Sequence[str]) -> list[tuple[int, Entry]]:
        """Return every leaf that names one of these envelope digests, oldest first."""

    def scan(self, start: int) -> Iterator[Sequence[Scanned]]:
        """Yield the leaves from an index on, in order, in pages.

        A page ends where a complete subtree of `subtree.N_LEAVES` leaves does if none of its
        leaves is missing, and it may end before.
        """

    def hash_run(self, first: int, count: int) -> bytes:
        """Return the hashes of `count` positions from the first on, 32 bytes each, joined.

        What is absent is left out, so the result is as long as it should be only if nothing is.
        """

    def strays(self, size: int, n_hashes: int) -> Strays:
        """Count rows that a ledger of `size` leaves and `n_hashes` inner nodes does not have."""

    def damage(self, *, thorough: bool = True) -> Sequence[str]:
        """Return what the store's own check finds wrong: pages, indexes, foreign objects.

        Args:
            thorough: Read everything; otherwise only what costs nothing that grows.
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
        """Open a transaction; leaving the block normally makes it durable, else undone."""

    def close(self) -> None:
        """Release files and connections."""


@runtime_checkable
class GroupStore(Protocol):
    """A store over which concurrent writers commit as a group."""

    def exchange(
        self, ticket: bytes, lead: Callable[[Transaction, Sequence[bytes]], Sequence[bytes]]
    ) -> bytes:
        """Hand in a ticket and wait for its reply, or answer everybody's.

        Args:
            ticket: Opaque; unique to this call.
            lead: Called inside a transaction when nobody else leads, with this ticket first
                and those of other waiting writers behind it. Returns one reply each; an
                empty one drops a ticket.

        Returns:
            The reply, after the transaction that it speaks of has committed durably.

        Raises:
            LedgerError: The store failed; whether the append happened is unknown.
        """

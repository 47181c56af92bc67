"""Copy a ledger from one store to another: the same leaves, root and checkpoint, or nothing.

The copy needs no private key. Its leaves come first, some at a time. Its checkpoint comes last, in
the transaction that has verified everything. A copy without a checkpoint is opened by nobody but
this module, so one that is interrupted is no ledger. The next call goes on behind its last leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sluicegate.errors import BadProof, ConfigError, LedgerConflict, LedgerCorrupt
from sluicegate.ledger.audit import examine_snapshot
from sluicegate.ledger.checkpoint import open_checkpoint
from sluicegate.ledger.frontier import n_positions
from sluicegate.ledger.lookup import stored_frontier
from sluicegate.ledger.store import LedgerRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sluicegate.adapters.ledgers.sql import SqlSnapshot, SqlTransaction
    from sluicegate.ledger.checkpoint import Checkpoint
    from sluicegate.ledger.note import NoteVerifier
    from sluicegate.ledger.store import Snapshot

N_LEAVES: Final = 64
"""Leaves that are copied in one durable step, and held in memory with their envelopes."""


class CopyStore(Protocol):
    """A store in the layout of tables.py; `SqliteStore` and `PostgresStore` are such."""

    @property
    def locator(self) -> str:
        """Path or URL without secrets, for messages."""

    def origin(self, expected: str | None = None) -> str:
        """Return the name that the tables give their ledger; see the stores.

        Args:
            expected: The name it must have; None for any.
        """

    def reading(self) -> AbstractContextManager[SqlSnapshot]:
        """Open a snapshot."""

    def writing(self) -> AbstractContextManager[SqlTransaction]:
        """Open the one write transaction."""

    def close(self) -> None:
        """Release files and connections."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy holds.

    Attributes:
        n_new: Leaves that this call copied; fewer than all if an earlier call had begun.
        size: Number of leaves.
        root: Root hash.
        checkpoint: Signed note, that of the source byte by byte.
        grew: Whether the source has grown since.
    """

    n_new: int
    size: int
    root: bytes
    checkpoint: bytes
    grew: bool


def copy_ledger(
    source: CopyStore,
    target: CopyStore,
    verifier: NoteVerifier,
    *,
    tell: Callable[[int, int], None],
) -> Copied:
    """Copy all leaves that the target lacks, and verify all of it.

    Args:
        source: The ledger, which the caller has verified; it is only read.
        target: An empty copy, an unfinished one, or an older state of the same ledger.
        verifier: The ledger's public key.
        tell: Called with the number of leaves that are durable in the copy, and with all.

    Raises:
        VerificationError: The target is of another ledger or fork, or the copy is not sound.
        LedgerCorrupt: Source or target contradict themselves.
        ConfigError: The target is ahead of the source.
        LedgerError: A store cannot be read or written. It is safe to call again.

    Cost: an audit, and about 0.5 ms for each leaf; memory for `N_LEAVES` leaves.
    """
    with source.reading() as snapshot:
        note = snapshot.checkpoint()
        head = open_checkpoint(note, [verifier], locator=source.locator)
        with target.writing() as transaction:
            first = _begin(transaction, snapshot, verifier, head, target.locator)
    for start in range(first, head.size, N_LEAVES):
        end = min(start + N_LEAVES, head.size)
        with source.reading() as snapshot:
            records = _records(snapshot, start, end, source.locator)
            place = n_positions(start)
            joined = snapshot.hash_run(place, n_positions(end) - place)
        hashes = [joined[at : at + 32] for at in range(0, len(joined), 32)]
        with target.writing() as transaction:
            transaction.fill(records, place, hashes)
        tell(end, head.size)
    with target.writing() as transaction:
        if transaction.checkpoint_or_none() is None:
            transaction.complete(note)
        if transaction.checkpoint() != note:
            raise LedgerConflict(head.size, "somebody else wrote here", locator=target.locator)
        examine_snapshot(transaction, verifier, head, locator=target.locator).require_clean()
    with source.reading() as snapshot:
        grew = snapshot.checkpoint() != note
    return Copied(head.size - first, head.size, head.root, note, grew)


def _begin(
    target: SqlTransaction,
    source: Snapshot,
    verifier: NoteVerifier,
    head: Checkpoint,
    locator: str,
) -> int:
    """Return the first leaf to copy, after what is there was held against the source."""
    stored = target.checkpoint_or_none()
    if stored is None:
        size, root = target.n_leaves(), None
    else:
        # A ledger under another key or name is refused here.
        was = open_checkpoint(stored, [verifier], locator=locator)
        size, root = was.size, was.root
    if size > head.size:
        raise ConfigError(
            "the target holds more leaves than the source",
            locator=locator,
            expected=f"at most {head.size}",
            got=str(size),
            next_step="Name the newer one as FROM, or a target that holds nothing.",
        )
    expected = stored_frontier(source, size, locator).root()
    found = root if root is not None else stored_frontier(target, size, locator).root()
    if found != expected:
        raise BadProof(
            "the target holds other leaves than the source",
            locator=locator,
            expected=expected.hex()[:12],
            got=found.hex()[:12],
            next_step="Keep it as evidence, and name a target that holds nothing.",
        )
    if stored is not None and size < head.size:
        target.withdraw()
    return size


def _records(snapshot: Snapshot, first: int, end: int, locator: str) -> list[LedgerRecord]:
    indexes = range(first, end)
    entries, envelopes = snapshot.entries(indexes), snapshot.envelopes(indexes)
    if len(entries) != len(indexes) or len(envelopes) != len(indexes):
        raise LedgerCorrupt("leaves vanished while they were copied", locator=locator)
    return [LedgerRecord(index, entries[index], envelopes[index]) for index in indexes]

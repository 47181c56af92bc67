"""The ledger: append evidence, find it, and prove that nothing was rewritten.

This module believes nobody but the holder of the ledger's private key. The store's rows, its
indexes and even its stored checkpoint are claims. Every read that counts checks them:

1. the checkpoint is signed by the ledger's key      (a rebuilt or foreign database)
2. the leaf hashes up to the checkpoint's root       (an edited, inserted or reordered leaf)
3. the envelope has the digest that the leaf names   (an exchanged statement)

The proof of one leaf cannot show that another leaf was deleted or hidden from an index, nor that
the whole store is yesterday's. `follow` shows both to a caller who remembers a checkpoint and what
stood then. `audit` shows the first for all leaves, and the second against a checkpoint.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Final

from sluicegate.errors import ConfigError, LedgerConflict, LedgerCorrupt, SluicegateError
from sluicegate.ledger.audit import AuditReport, examine
from sluicegate.ledger.checkpoint import Checkpoint, open_checkpoint
from sluicegate.ledger.frontier import Frontier
from sluicegate.ledger.group import MAX_TICKET_BYTES, NONCE_BYTES, GroupDesk
from sluicegate.ledger.growth import Item, Receipt, append_items, require_appendable
from sluicegate.ledger.lookup import View, joined, unverified_record
from sluicegate.ledger.merkle import leaf_hash
from sluicegate.ledger.proof import TlogProof
from sluicegate.ledger.store import (
    GroupStore,
    LedgerRecord,
    PinnedSnapshot,
    PinnedStore,
    Query,
)
from sluicegate.ledger.tiles import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from sluicegate.digest.algorithms import Digest
    from sluicegate.ledger.entry import Entry
    from sluicegate.ledger.note import NoteSigner, NoteVerifier
    from sluicegate.ledger.store import LedgerStore, Snapshot, Transaction

__all__ = ["Ledger", "LedgerRecord", "Receipt"]

_ATTEMPTS: Final = 16
"""Tries of an append that other writers overtake; each conflict means that somebody else won."""

_PAGE: Final = 200
"""Leaves that `find` reads at once: no transaction stays open while the caller thinks."""


class Ledger:
    """A log over a store, believed as far as its key's signatures reach.

    Args:
        store: Where the bytes are.
        verifier: The ledger's public key; its name is the origin.
        signer: The ledger's private key; without it the ledger is read-only.
        random: Source of unpredictable bytes, for the tickets of a group commit.

    Raises:
        ConfigError: Signer and verifier are not one key under one name.
    """

    def __init__(
        self,
        store: LedgerStore,
        verifier: NoteVerifier,
        signer: NoteSigner | None = None,
        *,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._random = random
        self._verifier = verifier
        self._signer = signer
        if signer is not None:
            _require_one_key(signer, verifier, store.locator)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the store."""
        self._store.close()

    @property
    def origin(self) -> str:
        """Name of this ledger."""
        return self._verifier.name

    @property
    def verifier(self) -> NoteVerifier:
        """The public key under which everything here is believed."""
        return self._verifier

    @property
    def locator(self) -> str:
        """Where the store is, for messages."""
        return self._store.locator

    @contextmanager
    def snapshot(self) -> Iterator[Ledger]:
        """Open this ledger as it is now, for reading: nothing is read or climbed twice.

        All look-ups see one state, and `look_ahead` gets many of them in few statements. Each is
        checked as ever.

        Yields:
            A ledger without a key, to be used inside the block and by one thread.

        Cost: one transaction, open for as long as the block.
        """
        with self._store.reading() as snapshot:
            yield Ledger(PinnedStore(snapshot, self.locator), self._verifier)

    def append(self, entry: Entry, envelope: bytes) -> Receipt:
        """Append one envelope, as `append_many` does with one item.

        Args:
            entry: The leaf, which names the envelope by its digest.
            envelope: Exact bytes, 1 byte to 64 MiB.
        """
        return self.append_many([(entry, envelope)])[0]

    def append_many(self, items: Sequence[Item]) -> list[Receipt]:
        """Append envelopes in order, all or none, under one checkpoint.

        An entry that is logged already is not logged again; its receipt names the first
        index. So a task that is retried after a crash leaves one leaf, and a replayed old
        statement cannot become the newest of its source. Nobody can ask for a second leaf: a
        statement that is made anew has its own time, and so other bytes.

        Args:
            items: Entries, each with its envelope's exact bytes, 1 byte to 64 MiB.

        Returns:
            One receipt for each item, in order, all under the same checkpoint.

        Raises:
            ConfigError: The ledger is read-only, there are no items, or an entry does not name
                its envelope.
            LedgerConflict: Other writers were first 16 times running; nothing was written.
            LedgerCorrupt: The stored tree is not the one that was signed; nothing was written.
            LedgerError: The store failed. It is unknown whether the append happened; it is safe
                to call again.
            VerificationError: The stored checkpoint does not verify; nothing was written.

        Cost: durable on return, so at least one fsync; O(log n) reads.
        """
        signer = self._require_signer()
        if not items:
            raise ConfigError("nothing to append", locator=self.locator)
        for entry, envelope in items:
            require_appendable(entry, envelope)
        # The largest leaf is small beside an envelope, so only envelopes are counted.
        n_bytes = sum(len(envelope) for _, envelope in items)
        if isinstance(self._store, GroupStore) and n_bytes <= MAX_TICKET_BYTES:
            return self._append_in_group(self._store, signer, items)
        return self._append_alone(signer, items)

    def append_after(
        self, newest: int | None, kind: str, source: str, items: Sequence[Item]
    ) -> list[Receipt]:
        """Append as `append_many` does, if nobody appended of this kind and source meanwhile.

        It is for statements that count what was before them: a writer that was overtaken counts
        again.

        Args:
            newest: Index of the leaf of this kind and source that was the newest; None if there
                was none.
            kind: Kind that is counted.
            source: Source whose leaves are counted.
            items: As for `append_many`.

        Raises:
            LedgerConflict: Another leaf is the newest now, or another writer was first; nothing
                was written.
            SluicegateError: As `append_many`.

        Cost: one transaction, never shared with other writers.
        """
        signer = self._require_signer()
        for entry, envelope in items:
            require_appendable(entry, envelope)
        with self._store.writing() as transaction:
            view = self._view(transaction)
            found = transaction.find(Query(kind, source), newest_first=True, start=None, limit=1)
            if (found[0][0] if found else None) != newest:
                what = f"another {kind} of {source} was appended meanwhile"
                raise LedgerConflict(view.head.size, what, locator=self.locator)
            return append_items(transaction, view, signer, items)

    def _append_in_group(
        self, store: GroupStore, signer: NoteSigner, items: Sequence[Item]
    ) -> list[Receipt]:
        def lead(transaction: Transaction, tickets: Sequence[bytes]) -> list[bytes]:
            view = self._view(transaction)
            return desk.answer(
                tickets, lambda every: append_items(transaction, view, signer, every)
            )

        desk = self._desk
        ticket = desk.ticket(items, self._random(NONCE_BYTES))
        return desk.receipts(ticket, store.exchange(ticket, lead))

    def _append_alone(self, signer: NoteSigner, items: Sequence[Item]) -> list[Receipt]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._store.writing() as transaction:
                    receipts = append_items(transaction, self._view(transaction), signer, items)
            except LedgerConflict:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return receipts
        raise AssertionError  # the last attempt returned or raised

    def get(self, index: int) -> LedgerRecord:
        """Return a leaf as the store tells it, unverified, for listings.

        Raises:
            EvidenceMissing: There is no such leaf.
        """
        with self._store.reading() as snapshot:
            return unverified_record(snapshot, index, self.locator)

    def get_verified(self, index: int) -> LedgerRecord:
        """Return a leaf that is proven to be in the log, with its envelope.

        Raises:
            EvidenceMissing: There is no such leaf.
            LedgerCorrupt: Envelope or tree contradict the leaf.
            VerificationError: The checkpoint or the proof does not hold.

        Cost: one signature and O(log n) hashes; about 0.6 ms of CPU on SQLite.
        """
        with self._store.reading() as snapshot:
            return self._verified(snapshot, index)

    def latest(self, kind: str, source: str) -> LedgerRecord | None:
        """Return the newest leaf of a kind and source, verified.

        That it is the newest is the store's word; see `follow`.

        Args:
            kind: One of `Kind`.
            source: Name of the source.

        Returns:
            The leaf, or None if the store names none.
        """
        query = Query(kind, source)
        with self._store.reading() as snapshot:
            found = snapshot.find(query, newest_first=True, start=None, limit=1)
            return self._verified(snapshot, found[0][0]) if found else None

    def by_envelope(self, envelope: Digest | str) -> LedgerRecord | None:
        """Return the oldest leaf that names an envelope, verified; None if there is none.

        It is the oldest, so that no later leaf can take the place of the one that was meant.
        """
        with self._store.reading() as snapshot:
            found = snapshot.logged([str(envelope)])
            return self._verified(snapshot, found[0][0]) if found else None

    def find(
        self,
        kind: str | None = None,
        source: str | None = None,
        subject: Digest | str | None = None,
        *,
        newest_first: bool = True,
        limit: int | None = None,
    ) -> Iterator[LedgerRecord]:
        """Iterate leaves as the store tells them, unverified.

        A caller who uses one as evidence passes its index to `get_verified`. A caller who shows
        them to a person takes `leaves`.

        Args:
            kind: Only leaves of this kind; None for any.
            source: Only leaves of this source; None for any.
            subject: Only leaves about this digest; None for any.
            newest_first: Order by index downwards, else upwards.
            limit: Most leaves; None for all.

        Cost: index lookups; a query by subject alone scans.
        """
        query = Query(kind, source, None if subject is None else str(subject))
        start, left = None, limit
        while left is None or left > 0:
            wanted = _PAGE if left is None else min(left, _PAGE)
            with self._store.reading() as snapshot:
                page = snapshot.find(query, newest_first=newest_first, start=start, limit=wanted)
                envelopes = snapshot.envelopes([index for index, _ in page])
            for index, entry in page:
                yield joined(index, entry, envelopes.get(index), self.locator)
            if len(page) < wanted:
                return
            start = page[-1][0] + (-1 if newest_first else 1)
            left = None if left is None else left - wanted

    def listed(self, kind: str, source: str, *, limit: int) -> list[tuple[int, Entry]]:
        """Return the newest leaves as the store tells them, unverified and without envelopes.

        Args:
            kind: One of `Kind`.
            source: Name of the source.
            limit: Most leaves.

        Cost: one look-up.
        """
        with self._store.reading() as snapshot:
            return snapshot.find(Query(kind, source), newest_first=True, start=None, limit=limit)

    def look_ahead(
        self, queries: Sequence[Query] = (), *, limit: int = 1, envelopes: Sequence[str] = ()
    ) -> list[LedgerRecord]:
        """Get what a ledger from `snapshot` is about to be asked in few statements.

        Nothing is believed or refused here: whoever looks it up checks it. So what cannot be read
        together is read one by one then, and only what is bad is refused.

        Args:
            queries: What `find` will be asked, newest first; each names kind and source.
            limit: As many leaves as it will be asked for.
            envelopes: Digests that `by_envelope` will be asked.

        Returns:
            What the store told, unverified; nothing of any other ledger.

        Cost: a statement for the queries, one for the envelopes, one for what they hold.
        """
        with self._store.reading() as snapshot, suppress(SluicegateError):
            if isinstance(snapshot, PinnedSnapshot):
                found = [*chain.from_iterable(snapshot.find_each(queries, limit))]
                found += snapshot.logged(envelopes)
                held = snapshot.envelopes([index for index, _ in found])
                return [LedgerRecord(i, entry, held[i]) for i, entry in found if i in held]
        return []

    def prove_ahead(self, indexes: Sequence[int]) -> None:
        """Get what a ledger from `snapshot` needs to verify leaves; `get_verified` verifies them.

        Args:
            indexes: Positions of leaves.

        Cost: four statements.
        """
        with self._store.reading() as snapshot, suppress(SluicegateError):
            if isinstance(snapshot, PinnedSnapshot):
                snapshot.entries(indexes)
                snapshot.envelopes(indexes)
                self._view(snapshot).read_ahead(indexes)

    def sources(self) -> list[str]:
        """Return the names of all sources as the store tells them, in order, for listings.

        Cost: one read of as many rows as there are sources and kinds.
        """
        with self._store.reading() as snapshot:
            return snapshot.sources()

    def follow(
        self, remembered: bytes, take: Callable[[int, Entry], object], *, whole: bool = False
    ) -> bytes:
        """Check that the ledger extends a checkpoint, and hand over the leaves since then.

        Args:
            remembered: A checkpoint note that this ledger once handed out.
            take: Called with index and leaf, upwards; see `View.follow`.
            whole: Hand over all leaves, not only the new ones.

        Returns:
            The newest checkpoint. All leaves up to it were handed over.

        Raises:
            Rollback: The ledger is smaller than it was.
            BadProof: The ledger forked: it rewrites what it had signed.
            LedgerCorrupt: A leaf or node is missing or was edited.
            VerificationError: One of the checkpoints does not hold.

        Cost: two signatures, O(log n) hashes, and about 8 us of CPU for each leaf.
        """
        old = self.verify_checkpoint(remembered, locator="remembered checkpoint")
        with self._store.reading() as snapshot:
            view = self._view(snapshot)
            if whole or view.note != remembered:
                view.follow(old, take, whole=whole)
            return view.note

    def leaves(self) -> dict[int, Entry]:
        """Return every leaf, oldest first, each hashed up to the signed root, for listings.

        Raises:
            LedgerCorrupt: A leaf is missing or was edited, so no row of the store is believed.
            VerificationError: The checkpoint does not hold.

        Cost: one pass over all leaves without their envelopes; about 8 us of CPU and 0.5 kB for
        each.
        """
        with self._store.reading() as snapshot:
            view = self._view(snapshot)
            found: dict[int, Entry] = {}
            view.follow(view.head, found.__setitem__, whole=True)
            return found

    def size(self) -> int:
        """Return the number of leaves under the verified checkpoint."""
        with self._store.reading() as snapshot:
            return self._view(snapshot).head.size

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint, verified, as a signed note that a caller remembers."""
        with self._store.reading() as snapshot:
            return self._view(snapshot).note

    def verify_checkpoint(self, note: bytes, *, locator: str = "checkpoint") -> Checkpoint:
        """Verify somebody's copy of one of this ledger's checkpoints and return it.

        Args:
            note: The signed note.
            locator: Where the copy came from, for messages.

        Raises:
            VerificationError: It is malformed, or this ledger's key did not sign it.
        """
        return open_checkpoint(note, [self._verifier], locator=locator)

    def proof(self, index: int) -> bytes:
        """Return the inclusion proof of a leaf as a tlog-proof, which was verified itself.

        Raises:
            EvidenceMissing: There is no such leaf.
            LedgerCorrupt: Envelope or tree contradict the leaf.
            VerificationError: The checkpoint or the proof does not hold.
        """
        with self._store.reading() as snapshot:
            view = self._view(snapshot)
            record = view.record(index)
            return TlogProof(index, view.prove(index, record.entry), view.note).to_bytes()

    def prove_consistency(self, old_size: int, new_size: int | None = None) -> tuple[bytes, ...]:
        """Return the hashes that tie the tree of `old_size` leaves to a newer one.

        Args:
            old_size: Number of leaves of the older tree.
            new_size: Number of leaves of the newer one; None for the newest.

        Raises:
            BadProof: The ledger is smaller than that.
            LedgerCorrupt: A node is missing.
            VerificationError: The checkpoint does not hold.
        """
        with self._store.reading() as snapshot:
            return self._view(snapshot).consistency(old_size, new_size)

    def write_tiles(self, put: Callable[[str, bytes], None]) -> bytes:
        """Write all leaves and hashes as tiles; see `tiles.cut`.

        Args:
            put: Called with path and content of each, all from one snapshot.

        Returns:
            The checkpoint that they fit. The caller publishes it after them.

        Raises:
            LedgerCorrupt: The stored leaves are not the ones that were signed.
            VerificationError: The checkpoint does not hold.
        """
        frontier = Frontier()

        def leaves(snapshot: Snapshot) -> Iterator[bytes]:
            for index, leaf, _, _, _ in chain.from_iterable(snapshot.scan(0)):
                if index == frontier.size:  # if not, the root shows that one is missing
                    frontier.extend(leaf_hash(leaf))
                    yield leaf

        with self._store.reading() as snapshot:
            view = self._view(snapshot)
            for path, data in cut(leaves(snapshot)):
                put(path, data)
        if (frontier.size, frontier.root()) != (view.head.size, view.head.root):
            raise LedgerCorrupt(
                "the stored leaves are not the ones that were signed",
                locator=self.locator,
                next_step="Run: sluicegate ledger verify. Delete the export.",
            )
        return view.note

    def require_extends(self, remembered: bytes) -> Checkpoint:
        """Check that the ledger still holds all that it held at a remembered checkpoint.

        Args:
            remembered: A checkpoint note that this ledger once handed out.

        Returns:
            The newest checkpoint.

        Raises:
            Rollback: The ledger is smaller than it was.
            BadProof: The ledger forked: it rewrites what it had signed.
            LedgerCorrupt: A node is missing.
            VerificationError: One of the checkpoints does not hold.

        Cost: two signatures and O(log n) hashes.
        """
        old = self.verify_checkpoint(remembered, locator="remembered checkpoint")
        with self._store.reading() as snapshot:
            view = self._view(snapshot)
            view.require_extends(old)
            return view.head

    def examine(self, remembered: bytes | None = None, *, only_new: bool = False) -> AuditReport:
        """Re-verify everything and report what is wrong; see `audit.examine`.

        Args:
            remembered: A checkpoint note that this ledger once handed out.
            only_new: Believe what the remembered checkpoint covers, and read only newer leaves.
        """
        return examine(self._store, self._verifier, remembered, only_new=only_new)

    def audit(self, remembered: bytes | None = None, *, only_new: bool = False) -> AuditReport:
        """Re-verify everything and raise the gravest finding, if there is one.

        Args:
            remembered: A checkpoint note that this ledger once handed out. Without one, nobody
                can see a rollback, nor a fork that was made with the ledger's own key.
            only_new: Believe what the remembered checkpoint covers, and read only newer leaves.

        Raises:
            Rollback: The ledger is smaller than at the remembered checkpoint.
            BadProof: It forked, or its leaves do not hash to the signed root.
            VerificationError: A checkpoint does not verify.
            LedgerCorrupt: Rows are missing, superfluous, damaged or contradict each other.
            LedgerError: The store cannot be read.
        """
        report = self.examine(remembered, only_new=only_new)
        report.require_clean()
        return report

    def _view(self, snapshot: Snapshot) -> View:
        if not isinstance(snapshot, PinnedSnapshot):
            return View(snapshot, self._verifier, self.locator)
        if snapshot.view is None:
            snapshot.view = View(snapshot, self._verifier, self.locator)
        return snapshot.view

    def _verified(self, snapshot: Snapshot, index: int) -> LedgerRecord:
        view = self._view(snapshot)
        record = view.record(index)
        view.require_included(index, record.entry)
        return record

    @cached_property
    def _desk(self) -> GroupDesk:
        return GroupDesk(self._require_signer(), self.locator)

    def _require_signer(self) -> NoteSigner:
        if self._signer is None:
            raise ConfigError(
                "the ledger was opened without its private key, so only for reading",
                locator=self.locator,
                next_step="Open it with the key of the ledger role.",
            )
        return self._signer


def _require_one_key(signer: NoteSigner, verifier: NoteVerifier, locator: str) -> None:
    # A ledger signed with a key that nobody verifies with would look forged from then on.
    if (signer.name, signer.public_key) != (verifier.name, verifier.public_key):
        raise ConfigError(
            "the signing key is not the key that this ledger is verified with",
            locator=locator,
            expected=f"{verifier.name} {verifier.public_key.hex()[:12]}",
            got=f"{signer.name} {signer.public_key.hex()[:12]}",
            next_step="Give the private key whose public key the trust policy names.",
        )

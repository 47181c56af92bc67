"""Appending: from envelopes to leaves, nodes, a signed checkpoint and receipts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import ConfigError
from sluicegate.ledger.checkpoint import Checkpoint, sign_checkpoint
from sluicegate.ledger.frontier import n_positions
from sluicegate.ledger.lookup import View, read_nodes
from sluicegate.ledger.merkle import Node, folded, inclusion_nodes
from sluicegate.ledger.proof import TlogProof
from sluicegate.ledger.store import Growth, LedgerRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluicegate.ledger.entry import Entry
    from sluicegate.ledger.note import NoteSigner
    from sluicegate.ledger.store import Snapshot, Transaction

MAX_ENVELOPE_BYTES: Final = 64 * 1024 * 1024
"""Largest envelope kept, in bytes: a seal of 100,000 files with long names fits."""

Item = tuple["Entry", bytes]
"""An entry and the exact bytes of the envelope that it names."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an append hands back.

    Attributes:
        index: Position of the leaf, from 0.
        size: Number of leaves under the checkpoint.
        checkpoint: Signed note; one who keeps it can later detect a rollback or fork.
        proof: Inclusion proof as a C2SP tlog-proof, which verifies offline.
    """

    index: int
    size: int
    checkpoint: bytes
    proof: bytes


def append_items(
    transaction: Transaction, view: View, signer: NoteSigner, items: Sequence[Item]
) -> list[Receipt]:
    """Append items to the state that a transaction holds; nothing is durable yet.

    Args:
        transaction: It holds the newest state.
        view: The same state, verified.
        signer: The ledger's key.
        items: In order; an entry that is logged already is not logged again.

    Returns:
        One receipt for each item. The caller hands them out only after the transaction has
        committed.

    Raises:
        LedgerConflict: Another writer was first.
        LedgerCorrupt: The stored tree is not the one that was signed.
        LedgerError: The store cannot be written.
    """
    frontier = view.frontier()
    known = frontier.nodes()
    logged = _logged(transaction, [entry for entry, _ in items])
    records: list[LedgerRecord] = []
    hashes: list[bytes] = []
    for entry, envelope in items:
        if entry in logged:
            continue
        logged[entry] = frontier.size
        records.append(LedgerRecord(frontier.size, entry, envelope))
        completed = frontier.append(entry.hashed())
        known.update(completed)
        hashes.extend(hashed for node, hashed in completed if node.level)
    size, note = view.head.size, view.note
    if records:
        # The checkpoint is signed before it is stored and handed out only after. Otherwise a
        # crash could leave leaves that no signature covers. A checkpoint whose transaction fails
        # is never handed out, so another one of its size that is signed later forks nothing.
        size = frontier.size
        note = sign_checkpoint(Checkpoint(signer.name, size, frontier.root()), signer)
        first = n_positions(view.head.size)
        transaction.grow(Growth(view.note, note, tuple(records), first, tuple(hashes)))
    return [_receipt(transaction, logged[entry], size, note, known) for entry, _ in items]


def require_appendable(entry: Entry, envelope: bytes) -> None:
    """Check an item before the store is touched.

    Args:
        entry: The leaf to be.
        envelope: Exact bytes, 1 to `MAX_ENVELOPE_BYTES`.

    Raises:
        ConfigError: The envelope is empty, too large, or not the one that the entry names.
    """
    if not 1 <= len(envelope) <= MAX_ENVELOPE_BYTES:
        raise ConfigError(
            "envelope cannot be logged",
            locator=entry.source,
            expected=f"1..{MAX_ENVELOPE_BYTES} bytes",
            got=str(len(envelope)),
        )
    digest = sha256_bytes(envelope)
    if str(digest) != entry.envelope:
        raise ConfigError(
            "entry names another envelope than the one to append",
            locator=entry.source,
            expected=entry.envelope.partition(":")[2][:12],
            got=digest.short,
        )


def _logged(snapshot: Snapshot, entries: Sequence[Entry]) -> dict[Entry, int]:
    """Return the first index of each entry that is in the log already."""
    wanted = set(entries)
    found: dict[Entry, int] = {}
    for index, entry in snapshot.logged(list({entry.envelope for entry in wanted})):
        if entry in wanted:
            found.setdefault(entry, index)
    return found


def _receipt(
    snapshot: Snapshot, index: int, size: int, note: bytes, known: dict[Node, bytes]
) -> Receipt:
    parts = inclusion_nodes(index, size)
    # The old peaks and the new nodes prove a new leaf, and both are in memory. Only an entry that
    # was logged before needs the store.
    missing = [node for nodes in parts for node in nodes if node not in known]
    hashes = known | read_nodes(snapshot, missing, "ledger") if missing else known
    proof = TlogProof(index, folded(parts, hashes.__getitem__), note)
    return Receipt(index, size, note, proof.to_bytes())

"""Group commit: one writer signs and stores the appends of all who wait at the same time.

Writers in many processes hand in their items as tickets through the store. The writer that holds
the store's lock appends them all under one checkpoint and one commit, and leaves each a reply.
The store carries opaque bytes. A secret that only holders of the ledger's private key can derive
authenticates both directions. So an editor of the store can neither slip in a leaf for others to
sign, nor acknowledge an append that did not happen.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import TYPE_CHECKING, Final

from sluicegate.errors import LedgerCorrupt, SluicegateError
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.growth import Item, Receipt, require_appendable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sluicegate.ledger.note import NoteSigner

MAX_TICKET_BYTES: Final = 1 << 20
"""Largest append that goes by ticket, in bytes; a larger one is worth its own transaction."""

NONCE_BYTES: Final = 16
"""Length of the random part of a ticket, in bytes; it ties a reply to one attempt."""

# No note can have the text that is signed here: its end is no newline (signed-note, "Format").
# Ed25519 signatures are deterministic, so every holder of the key derives the same secret.
_CONTEXT: Final = "sluicegate.dev/ledger/group-commit/v1\n"

_MAC_BYTES: Final = 32
_LENGTH: Final = struct.Struct(">I")
_PLACE: Final = struct.Struct(">QQ")


class GroupDesk:
    """Writes and opens tickets and replies.

    Args:
        signer: The ledger's key; it signs once, to derive the secret.
        locator: Where the store is, for messages.
    """

    def __init__(self, signer: NoteSigner, locator: str) -> None:
        self._key = hashlib.sha256(signer.sign(f"{_CONTEXT}{signer.name}".encode())).digest()
        self._locator = locator

    def ticket(self, items: Sequence[Item], nonce: bytes) -> bytes:
        """Return a request to append items in order.

        Args:
            items: Entries and envelopes that `require_appendable` has checked.
            nonce: 16 fresh random bytes.
        """
        parts = [part for entry, envelope in items for part in (entry.to_bytes(), envelope)]
        body = nonce + b"".join(_LENGTH.pack(len(part)) + part for part in parts)
        return self._mac(b"ticket", body) + body

    def answer(
        self, tickets: Sequence[bytes], append: Callable[[Sequence[Item]], Sequence[Receipt]]
    ) -> list[bytes]:
        """Append the items of all tickets in one step.

        Args:
            tickets: As the store hands them over, not believed.
            append: Appends items inside the store's open transaction.

        Returns:
            One reply for each ticket, empty if no holder of the key wrote the ticket. The caller
            hands them out only after the transaction has committed.
        """
        opened = [self._opened(ticket) for ticket in tickets]
        receipts = iter(append([item for items in opened for item in items]))
        replies = []
        for ticket, items in zip(tickets, opened, strict=True):
            own = [next(receipts) for _ in items]
            replies.append(self._reply(_nonce(ticket), own) if own else b"")
        return replies

    def receipts(self, ticket: bytes, reply: bytes) -> list[Receipt]:
        """Open the reply to one's own ticket.

        Args:
            ticket: From `ticket`.
            reply: As the store hands it over, not believed.

        Returns:
            One receipt for each item of the ticket, in order.

        Raises:
            LedgerCorrupt: No holder of the ledger's key wrote it for this ticket.
        """
        mac, body = reply[:_MAC_BYTES], reply[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(b"reply", _nonce(ticket) + body)):
            raise LedgerCorrupt(
                "the acknowledgement of an append is not from a writer of this ledger",
                locator=self._locator,
                next_step="The append may not have happened. Find who can write the database.",
            )
        note, *rest = _parts(body)
        places, proofs = rest[::2], rest[1::2]
        receipts = []
        for place, proof in zip(places, proofs, strict=True):
            index, size = _PLACE.unpack(place)
            receipts.append(Receipt(index, size, note, proof))
        return receipts

    def _opened(self, ticket: bytes) -> list[Item]:
        """Return the items of a ticket; none if it is not authentic."""
        mac, body = ticket[:_MAC_BYTES], ticket[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(b"ticket", body)):
            return []
        try:
            parts = _parts(body[NONCE_BYTES:])
            items = [
                (Entry.from_bytes(leaf, locator="ticket"), envelope)
                for leaf, envelope in zip(parts[::2], parts[1::2], strict=True)
            ]
            for entry, envelope in items:
                require_appendable(entry, envelope)
        except (SluicegateError, ValueError):
            return []  # of another version, whose writer will lead and append it itself
        return items

    def _reply(self, nonce: bytes, receipts: Sequence[Receipt]) -> bytes:
        parts = [receipts[0].checkpoint]
        for receipt in receipts:
            parts += [_PLACE.pack(receipt.index, receipt.size), receipt.proof]
        body = b"".join(_LENGTH.pack(len(part)) + part for part in parts)
        return self._mac(b"reply", nonce + body) + body

    def _mac(self, what: bytes, data: bytes) -> bytes:
        return hmac.digest(self._key, what + b"\n" + data, "sha256")


def _nonce(ticket: bytes) -> bytes:
    return ticket[_MAC_BYTES : _MAC_BYTES + NONCE_BYTES]


def _parts(data: bytes) -> list[bytes]:
    """Cut length-prefixed parts. They were authenticated before, so a defect is a ValueError."""
    parts, place = [], 0
    while place < len(data):
        if place + _LENGTH.size > len(data):
            raise ValueError("cut short")
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        if place + length > len(data):
            raise ValueError("cut short")
        parts.append(data[place : place + length])
        place += length
    return parts

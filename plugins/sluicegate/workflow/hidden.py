"""Whether the store hides what speaks against a batch: a quarantine, a newer verdict or seal.

A lookup believes the store about what it does not return. Whoever can write to the store could
delete one row, or damage an index, and leave every proof of the other leaves intact. So the
newest leaves of the log are read whole, up to the signed root, and each lookup must agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.errors import LedgerCorrupt
from sluicegate.ledger.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.digest.algorithms import Digest
    from sluicegate.ledger.entry import Entry
    from sluicegate.ledger.log import Ledger

RECENT: Final = 1024
"""Leaves that are read at each start of a task, about 8 us of CPU each. What is older than that
can be hidden from the guard, and never from `sluicegate ledger verify` and the audit."""

_OF_BATCH: Final = (Kind.SEAL, Kind.VERDICT, Kind.WAIVER, Kind.QUARANTINE, Kind.RELEASE)


def require_none_hidden(
    ledger: Ledger, recent: Mapping[int, Entry], source: str, digest: Digest
) -> None:
    """Return if the lookups that an admission rests on find the newest leaves there are.

    Args:
        ledger: Asked as an admission asks it.
        recent: What `Ledger.newest` returned before.
        source: Name of the source.
        digest: Batch about to be admitted.

    Raises:
        LedgerCorrupt: A newer leaf is in the log, and a lookup does not find it.

    Cost: one indexed lookup for each kind that is among the newest leaves.
    """
    own = {index: entry for index, entry in recent.items() if entry.source == source}
    asked: dict[tuple[str, Digest | None], int] = {}
    for index, entry in sorted(own.items()):
        if entry.kind == Kind.PROVENANCE:
            asked[Kind.PROVENANCE, None] = index
        elif entry.kind in _OF_BATCH and entry.subject == str(digest):
            asked[entry.kind, digest] = index
    for (kind, subject), index in asked.items():
        found = next(ledger.find(kind, source, subject, limit=1), None)
        if found is None or found.index < index:
            raise LedgerCorrupt(
                f"a {kind} is in the log and its index does not find it",
                locator=f"{ledger.locator}#{index}",
                next_step="Run: sluicegate ledger verify. Somebody hides evidence.",
            )

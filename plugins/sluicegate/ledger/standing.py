"""What stands about each source in the log, folded leaf by leaf.

A lookup believes the store about what it does not return. A writer to the store could delete one
row, or damage an index, and leave every proof of the other leaves intact. So a reader that
remembers a ledger also remembers the newest leaves that speak against a batch, and each lookup must
find these or newer ones. The fold reads only the leaves since the last time.

The memory does not grow with the log: it holds the newest batch of each source, and every
quarantine.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sluicegate.ledger.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.ledger.entry import Entry

OF_BATCH: Final = frozenset({Kind.SEAL, Kind.VERDICT, Kind.WAIVER, Kind.RELEASE})
"""Kinds whose newest leaf about the newest batch is kept. Quarantines are kept of all batches."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands about one source.

    Attributes:
        batch: Newest sealed batch, as text; empty if none was sealed.
        provenance: Index of the leaf that says so; -1 if none does.
        since: Every leaf about `batch` from this index on is counted in `newest`.
        newest: Index of the newest leaf about `batch`, by kind.
        held: Index of the newest quarantine, by batch that was ever set aside.
    """

    batch: str = ""
    provenance: int = -1
    since: int = 0
    newest: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)

    def at_least(self, kind: str, subject: str | None) -> int:
        """Return the index that a lookup of the newest such leaf must reach; -1 if any will do.

        Args:
            kind: One of `Kind`, as a leaf names it.
            subject: Batch that the lookup is about, as text; None for any.
        """
        if kind == Kind.PROVENANCE:
            return self.provenance if subject in (None, self.batch) else -1
        if kind == Kind.QUARANTINE:
            return self.held.get(subject or "", -1)
        return self.newest.get(kind, -1) if subject == self.batch else -1

    def covers(self, kind: str, subject: str, index: int) -> bool:
        """Return whether no newer leaf than this one can have been missed.

        Only a verdict can be too old: a batch that is the newest again was judged before its
        present provenance.

        Args:
            kind: Kind of the leaf.
            subject: Batch that it is about, as text.
            index: Its position.
        """
        return kind != Kind.VERDICT or subject != self.batch or index >= self.since


class Fold:
    """Standings that follow the log.

    Args:
        before: Standings by source, at the size from which the leaves are taken.
    """

    def __init__(self, before: Mapping[str, Standing]) -> None:
        self.standings = dict(before)

    def take(self, index: int, entry: Entry) -> None:
        """Count the next leaf.

        Args:
            index: Position of the leaf; each is taken once, upwards.
            entry: The leaf.
        """
        old = self.standings.get(entry.source, Standing())
        if (new := _after(old, index, entry)) is not old:
            self.standings[entry.source] = new


class BatchFold:
    """All that the log ever said about one batch, for a batch that is the newest again.

    Args:
        source: Name of the batch's source.
        subject: The batch, as text.
    """

    def __init__(self, source: str, subject: str) -> None:
        self._named = (source, subject)
        self._newest: dict[str, int] = {}

    def take(self, index: int, entry: Entry) -> None:
        """Count the next leaf.

        Args:
            index: Position of the leaf; each is taken once, upwards from 0.
            entry: The leaf, of any source and batch.
        """
        if entry.kind in OF_BATCH and (entry.source, entry.subject) == self._named:
            self._newest[entry.kind] = index

    def complete(self, standing: Standing) -> Standing:
        """Return what stands about the source, with all leaves about this batch counted."""
        return replace(standing, since=0, newest=self._newest)


def _after(old: Standing, index: int, entry: Entry) -> Standing:
    if entry.kind == Kind.QUARANTINE:
        return replace(old, held={**old.held, entry.subject: index})
    if entry.kind == Kind.PROVENANCE:
        if entry.subject == old.batch:
            return replace(old, provenance=index)
        return Standing(entry.subject, index, index, {}, old.held)
    if entry.kind in OF_BATCH and entry.subject == old.batch:
        return replace(old, newest={**old.newest, entry.kind: index})
    return old

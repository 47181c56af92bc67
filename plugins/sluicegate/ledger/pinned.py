"""One state of a store, of which nothing is read twice.

A question that takes several look-ups is answered from one state, and may say ahead what it will
look up: then many rows come in one statement. What is kept here is what the store said, and is
believed no more than the store. It lives as long as the snapshot, so no answer of another state,
and none that was given before an append, is ever mixed in.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import NoReturn

    from sluicegate.ledger.entry import Entry
    from sluicegate.ledger.lookup import View
    from sluicegate.ledger.scan import Scanned
    from sluicegate.ledger.store import Query, Snapshot, Strays

T = TypeVar("T")
Found = list[tuple[int, "Entry"]]


class PinnedSnapshot:
    """Keeps what a snapshot said; meets store.Snapshot.

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
    """A store that stays as it is, for readers; meets store.LedgerStore.

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

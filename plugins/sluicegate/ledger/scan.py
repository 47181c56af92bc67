"""Leaves as an audit reads them: from rows of a store to texts and hashes, page by page."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sluicegate.errors import ConfigError, MalformedEnvelope
from sluicegate.ledger.subtree import N_LEAVES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sluicegate.errors import LedgerCorrupt
    from sluicegate.ledger.entry import LeafForm

Row = tuple[int, int, bytes, bytes, bytes | None]
"""Index, number of the stream, subject (algorithm, colon, value), envelope digest, envelope."""

Scanned = tuple[int, bytes, bytes, bytes | None, int]
"""Index, leaf, SHA-256 that the leaf names, SHA-256 of the envelope if it is there, and stream.

Each envelope is hashed when it is read, so that a page of large ones stays small.
"""

NOT_A_LEAF: Final = (
    ConfigError,
    MalformedEnvelope,
    TypeError,
    AttributeError,
    ValueError,
    KeyError,
)
"""Errors of making a leaf of a row that an editor wrote."""


class PageReader:
    """Makes leaves of a store's rows.

    Args:
        forms: Form of the leaves of each stream, by number of the stream.
        rows: Returns the rows from an index on, in order, at most as many as asked. If a row of
            a page is no leaf, that page is asked for again.
        not_a_leaf: Makes the error for an index.
    """

    def __init__(
        self,
        forms: Mapping[int, LeafForm],
        rows: Callable[[int, int], Iterable[Row]],
        not_a_leaf: Callable[[int], LedgerCorrupt],
    ) -> None:
        self._forms = forms
        self._between = _Between(forms)
        self._rows = rows
        self._not_a_leaf = not_a_leaf

    def pages(self, start: int) -> Iterator[Sequence[Scanned]]:
        """Yield leaves from an index on; see `store.Snapshot.scan`.

        Raises:
            LedgerCorrupt: A row is no leaf; the leaves before it were yielded.
        """
        while True:
            count = N_LEAVES - start % N_LEAVES
            try:
                page = self._sound(start, count)
            except NOT_A_LEAF:
                yield from self._until_damage(start, count)
                return
            if not page:
                return
            yield page
            # A damaged store may return any index. To go on behind the asked one ends anyway.
            start = max(start, page[-1][0]) + 1

    def _sound(self, start: int, count: int) -> list[Scanned]:
        """Return a page in which every row is a leaf. A third of an audit's cost is here."""
        between = self._between
        return [
            (
                index,
                (
                    f'{{"envelope":"sha256:{digest.hex()}{between[number, subject[:-32]]}'
                    f'{subject[-32:].hex()}","v":1}}'
                ).encode(),
                digest,
                None if body is None else sha256(body).digest(),
                number,
            )
            for index, number, subject, digest, body in self._rows(start, count)
        ]

    def _until_damage(self, start: int, count: int) -> Iterator[Sequence[Scanned]]:
        page: list[Scanned] = []
        for index, number, subject, digest, body in self._rows(start, count):
            try:
                leaf = self._forms[number].leaf(subject, digest)
                hashed = None if body is None else sha256(body).digest()
            except NOT_A_LEAF as error:
                yield page
                raise self._not_a_leaf(index) from error
            page.append((index, leaf, digest, hashed, number))
        yield page


class _Between(dict[tuple[int, bytes], str]):
    """`LeafForm.between` by number of the stream and algorithm, each asked once."""

    def __init__(self, forms: Mapping[int, LeafForm]) -> None:
        super().__init__()
        self._forms = forms

    def __missing__(self, key: tuple[int, bytes]) -> str:
        number, algorithm = key
        self[key] = found = self._forms[number].between(algorithm)
        return found

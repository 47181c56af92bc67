"""Name the rows in which two tables differ. Memory grows with the changes, not with the tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sluicegate.adapters.engines.table_commitment import commit_batches
from sluicegate.adapters.sources.rows import is_rows
from sluicegate.adapters.sources.tables import open_table
from sluicegate.credentials import without_credentials
from sluicegate.errors import ConfigError, InsufficientData, MalformedEnvelope
from sluicegate.gate.limits import UNLIMITED
from sluicegate.tables.keys import as_text, class_of, decode_key
from sluicegate.tables.sketch import MAX_CELLS, N_TABLES, Element
from sluicegate.workflow.evidence.folder import has_seal
from sluicegate.workflow.sealing.table_record import Key, TableRecord, read_record, record_table

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

FIRST_CELLS = 12_288
"""Cells of the first try between two data sets: 1.2 MB, about 5,000 changed rows."""


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What may be said about one row: never more of its values than these three columns."""

    key: str
    label: str | None = None
    contributor: str | None = None


@dataclass(slots=True)
class TableDifference:
    """Rows that differ, by key, and label flips by old label, new label and contributor."""

    changed: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    flips: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @property
    def is_empty(self) -> bool:
        """Whether the tables are equal."""
        return not (self.changed or self.added or self.removed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "changed": self.changed,
            "added": self.added,
            "removed": self.removed,
            "label_flips": [
                {"old": old, "new": new, "contributor": contributor, "rows": n}
                for (old, new, contributor), n in sorted(self.flips.items())
            ],
        }


def is_evidence(location: str) -> bool:
    """Return whether a location is an evidence folder rather than data."""
    return not is_rows(location) and has_seal(Path(location))


def difference(old: str, new: str, key: Key, *, contributor: str | None) -> TableDifference:
    """Compare two tables.

    Args:
        old: Locator of data, as `check` takes it; or an evidence folder whose seal kept the table's
            difference sketch.
        new: Locator of data.
        key: Columns that name a row and its label.
        contributor: Column to count flips by.

    Raises:
        InsufficientData: More rows changed than can be named.
        SchemaMismatch: The tables have different columns, or lack one that was asked for.
        EvidenceMissing: The evidence kept no table.
        ConfigError: The evidence kept no sketch, or one of another key or label.
        MalformedEnvelope: The kept sketch is not of the kept table.

    Cost: one or two reads of each table, plus one of each if they differ; memory for the
    sketch and the changes.
    """
    kept = _kept(Path(old), key) if is_evidence(old) else None
    cells = kept.sketch.cells if kept and kept.sketch else FIRST_CELLS
    # A sketch with labels and one without have nothing in common.
    columns = kept.key if kept and kept.key else key
    before = kept or _record(old, key, cells)
    after = _record(new, columns, cells)
    before.commitment.schema.require_same(after.commitment.schema, locator=_shown(new))
    if contributor is not None:
        class_of(after.commitment.schema, contributor)
    if before.commitment.digest == after.commitment.digest:
        return TableDifference()
    buckets = before.commitment.differing_buckets(after.commitment)
    elements = _elements(before, after)
    while elements is None and kept is None and cells < MAX_CELLS:
        cells = min(cells * 4, MAX_CELLS // N_TABLES * N_TABLES)
        pair = (_record(side, key, cells, buckets) for side in (old, new))
        elements = _elements(*pair)
    if elements is None:
        raise InsufficientData(
            "more rows changed than can be named",
            locator=f"{_shown(old)} and {_shown(new)}",
            got=f"{int(buckets.sum())} of {len(buckets)} buckets differ",
            next_step="Compare the data themselves, or seal with more --changes.",
        )
    if not elements:
        raise MalformedEnvelope("the kept sketch is not of the kept table", locator=_shown(old))
    lookup = _Lookup(key, contributor, buckets, elements)
    for side in (new, *(() if kept else (old,))):
        lookup.read(side)
    return lookup.result({**after.labels, **before.labels})


def _kept(folder: Path, key: Key) -> TableRecord:
    record = read_record(folder)
    if record.key is None or record.key.column != key.column:
        raise ConfigError(
            "the evidence keeps no rows by this key",
            locator=str(folder),
            expected=key.column,
            got=record.key.column if record.key else "no key",
            next_step="Compare with the data itself, or seal with --table --key COLUMN.",
        )
    if key.label is not None and record.key.label != key.label:
        raise ConfigError(
            "the evidence keeps no labels of this column", locator=str(folder), expected=key.label
        )
    return record


def _shown(location: str) -> str:
    return without_credentials(location)


def _record(
    location: str, key: Key, cells: int, only: NDArray[np.bool_] | None = None
) -> TableRecord:
    rows = open_table(location, limits=UNLIMITED)
    return record_table(rows, locator=_shown(location), key=key, cells=cells, only=only)


def _elements(before: TableRecord, after: TableRecord) -> list[Element] | None:
    if before.sketch is None or after.sketch is None:
        return None
    return before.sketch.difference(after.sketch)


class _Lookup:
    """Finds the rows of known ids, and what may be said of them."""

    def __init__(
        self,
        key: Key,
        contributor: str | None,
        buckets: NDArray[np.bool_],
        elements: list[Element],
    ) -> None:
        self._key = key
        self._contributor = contributor
        self._buckets = buckets
        self._elements = elements
        self._wanted = {element.row_id for element in elements}
        heads = b"".join(row_id[:8] for row_id in self._wanted)
        self._heads = np.frombuffer(heads, np.uint64)
        self._facts: dict[bytes, RowFacts] = {}

    def read(self, location: str) -> None:
        """Read data again, looking only at rows of buckets that differ."""
        rows = open_table(location, limits=UNLIMITED)
        commit_batches(rows, locator=_shown(location), observe=self._observe)

    def _observe(self, chunk: pa.RecordBatch, ids: NDArray[np.uint8]) -> None:
        from sluicegate.tables.table_digest import bucket_of

        heads = np.ascontiguousarray(ids[:, 16:24]).view(np.uint64)[:, 0]
        rows = np.flatnonzero(self._buckets[bucket_of(ids)] & np.isin(heads, self._heads))
        if not len(rows):
            return
        columns = [self._texts(chunk, name, rows) for name in self._names()]
        for row, *texts in zip(rows, *columns, strict=True):
            row_id = ids[row, 16:].tobytes()
            if row_id in self._wanted:
                self._facts[row_id] = RowFacts(*texts)

    def _names(self) -> tuple[str | None, ...]:
        return (self._key.column, self._key.label, self._contributor)

    def _texts(
        self, chunk: pa.RecordBatch, name: str | None, rows: NDArray[np.int64]
    ) -> list[str | None]:
        if name is None:
            return [None] * len(rows)
        import pyarrow as pa

        return [as_text(value) for value in chunk.column(name).take(pa.array(rows)).to_pylist()]

    def result(self, labels: dict[bytes, str]) -> TableDifference:
        """Pair old and new rows by key."""
        sides: dict[bytes, tuple[list[Element], list[Element]]] = defaultdict(lambda: ([], []))
        for element in self._elements:
            rows = sides[element.key][element.copies < 0]
            rows.extend([element] * abs(element.copies))
        made = TableDifference()
        for old, new in sides.values():
            name = self._name((*new, *old))
            both = min(len(old), len(new))
            made.changed.extend([name] * both)
            made.removed.extend([name] * (len(old) - both))
            made.added.extend([name] * (len(new) - both))
            if self._key.label is not None:
                self._count(made, old, new, labels)
        for names in (made.changed, made.added, made.removed):
            names.sort(key=_numbers_first)
        return made

    def _name(self, elements: tuple[Element, ...]) -> str:
        known = (self._facts.get(element.row_id) for element in elements)
        return next((facts.key for facts in known if facts), decode_key(elements[0].key))

    def _count(
        self,
        made: TableDifference,
        old: list[Element],
        new: list[Element],
        labels: dict[bytes, str],
    ) -> None:
        # Rows that share a key are paired by label first, so that only real flips are left.
        before, after = Counter(e.label for e in old), Counter(e.label for e in new)
        gone = list((before - after).elements())
        come = list((after - before).elements())
        for was, now in zip(sorted(gone), sorted(come), strict=False):
            row = next(element for element in new if element.label == now)
            facts = self._facts.get(row.row_id)
            contributor = (facts.contributor if facts else None) or ""
            made.flips[_label(was, labels), _label(now, labels), contributor] += 1


def _label(code: bytes, labels: dict[bytes, str]) -> str:
    return labels.get(code, f"sha256:{code.hex()}")


def _numbers_first(name: str) -> tuple[int, int, str]:
    is_number = name.removeprefix("-").isdecimal()
    return (0, int(name), "") if is_number else (1, 0, name)

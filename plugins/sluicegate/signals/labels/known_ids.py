"""Ids that the baseline and its golden set know, with the class that each had."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sluicegate.profiling.layout import encode_batch, unique_column
from sluicegate.profiling.row_ids import hashable, id_hashes
from sluicegate.signals.copies.known_rows import KnownRows, learn_known_rows, packed
from sluicegate.signals.counting import (
    Counter,
    Counting,
    added,
    named_counts,
    natural,
    optional_name,
)
from sluicegate.signals.decision.budget import MAX_BLOCKS
from sluicegate.signals.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from sluicegate.profiling.layout import Encoded, Layout
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk, Plan
    from sluicegate.signals.learning import Learning

_BITS = np.uint64(20)  # of the filter in front of the table: most ids of a batch are new


@dataclass(frozen=True, slots=True)
class _Met:
    """Rows of a record batch with a known id and a label.

    Attributes:
        n_known: How many they are.
        wrong: Those whose label is another one than known, bool, shape (n_rows,).
    """

    n_known: int
    wrong: NDArray[np.bool_]


def _met(chunk: Chunk) -> _Met:
    known, baseline, encoded = TRUSTED.of(chunk.baseline), chunk.baseline, chunk.encoded
    wrong, label, name = np.zeros(chunk.n_rows, bool), chunk.layout.label, baseline.schema.id
    array = chunk.column(name)
    if known is None or array is None or label is None or encoded.label is None:
        return _Met(0, wrong)
    if name not in encoded.cells or not hashable(array.type):
        return _Met(0, wrong)
    hashes, present = id_hashes(array, baseline.seed)
    present &= encoded.label != label.null_cell
    maybe = chunk.plan.once(_filter)[hashes >> (np.uint64(64) - _BITS)]
    rows = np.flatnonzero(present & maybe)
    cells = known.cells(hashes[rows])
    wrong[rows] = (cells >= 0) & (cells != encoded.label[rows])
    return _Met(int((cells >= 0).sum()), wrong)


def _filter(plan: Plan) -> NDArray[np.bool_]:
    """Return whether any known hash begins with these bits, bool, shape (2**20,)."""
    out, known = np.zeros(1 << int(_BITS), dtype=bool), TRUSTED.of(plan.baseline)
    if known is not None:
        out[known.keys >> (np.uint64(64) - _BITS)] = True
    return out


def contradicting(chunk: Chunk) -> NDArray[np.bool_]:
    """Return the rows whose label is not the one that their id had, bool, shape (n_rows,)."""
    return chunk.once(_met).wrong


@dataclass(slots=True, eq=False)
class KnownIdCount(Counter):
    """Rows of a batch whose id is known.

    Attributes:
        n_known: Rows with a known id and a label.
        n_contradicting: Those with another label.
        contributors: The latter by contributor; None stands for null.
    """

    n_known: int = 0
    n_contradicting: int = 0
    contributors: dict[str | None, int] = field(default_factory=dict)

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        found, encoded = chunk.once(_met), chunk.encoded
        self.n_known += found.n_known
        self.n_contradicting += int(found.wrong.sum())
        if encoded.contributor is not None and found.wrong.any():
            rows = np.bincount(
                encoded.contributor[found.wrong], minlength=len(encoded.contributors)
            )
            named = zip(encoded.contributors, rows.tolist(), strict=True)
            self.contributors = added(self.contributors, {n: k for n, k in named if k})

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(
            self.n_known + other.n_known,
            self.n_contradicting + other.n_contradicting,
            added(self.contributors, other.contributors),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "known": self.n_known,
            "contradicting": self.n_contradicting,
            "contributors": named_counts(self.contributors),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        contributors = {optional_name(name): natural(k) for name, k in value["contributors"]}
        known, contradicting = natural(value["known"]), natural(value["contradicting"])
        if not sum(contributors.values()) <= contradicting <= known:
            raise ValueError("more rows contradict than are known")
        return cls(known, contradicting, contributors)


def learned_ids(learning: Learning) -> tuple[KnownRows | None, float]:
    """Remember ids with their classes; of a golden set too, whose labels are believed first.

    Returns:
        The table, None without an id or without classes; and how often one more block may
        contradict it, a share of its rows.
    """
    layout, encoded, seed = learning.layout, learning.encoded, learning.seed
    name, label = layout.schema.id, encoded.label
    if name is None or layout.label is None or not layout.label.listed or label is None:
        return None, 0.0
    if not hashable(learning.batch.column(name).type):
        return None, 0.0
    own, hashes = _named(layout, learning.batch, encoded, seed)
    parts = [np.zeros(0, dtype=np.uint64)]
    for part in learning.golden or ():
        cells = encode_batch(layout, part)
        rows, found = _named(layout, part, cells, seed)
        if cells.label is not None:
            parts.append(packed(found, cells.label[rows]))
    # Repeats of an id are compared with each other, wherever in time they are.
    turn = np.minimum(_occurrence(hashes), MAX_BLOCKS - 1)
    return learn_known_rows(hashes, label[own], turn, trusted=np.concatenate(parts))


def _occurrence(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return how often each value occurred before, int64, shape (n,)."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: ordered.size])
    starts = np.repeat(first, np.diff(np.r_[first, ordered.size]))
    out = np.empty(hashes.size, dtype=np.int64)
    out[order] = np.arange(hashes.size) - starts
    return out


def _named(
    layout: Layout, batch: pa.RecordBatch, encoded: Encoded, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
    """Return the rows that have an id and a class the layout lists, and their ids' hashes."""
    array = unique_column(batch, layout.schema.id or "")
    label = layout.label
    if array is None or label is None or encoded.label is None or not hashable(array.type):
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.uint64)
    hashes, present = id_hashes(array, seed)
    rows = np.flatnonzero(present & (encoded.label < len(label.categories)))
    return rows, hashes[rows]


def _learn(learning: Learning) -> KnownRows | None:
    return learning.once(learned_ids)[0]


def _read(value: Mapping[str, Any]) -> KnownRows | None:
    return None if value["trusted"] is None else KnownRows.from_json(value["trusted"])


def _start(_: Baseline) -> KnownIdCount:
    return KnownIdCount()


TRUSTED: Section[KnownRows | None] = Section(
    "trusted", _learn, lambda known: {"trusted": None if known is None else known.to_json()}, _read
)
KNOWN_IDS = Counting("known ids", KnownIdCount, _start)

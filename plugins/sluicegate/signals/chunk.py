"""Rows as every signal sees them: encoded once, and each shared view of them computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from sluicegate.profiling.columns import Kind
from sluicegate.profiling.fingerprints import fingerprints, number_hashes
from sluicegate.profiling.layout import encode_batch, unique_column
from sluicegate.profiling.tokens import tokenize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

    from sluicegate.profiling.layout import Encoded, Layout
    from sluicegate.profiling.tokens import Tokens
    from sluicegate.signals.baseline.stored import Baseline

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Once:
    """Remembers what was computed from it, so that signals share it and nobody pays twice."""

    _made: dict[Callable[..., Any], Any] = field(init=False, default_factory=dict, repr=False)

    def once(self, view: Callable[[Self], T]) -> T:
        """Return what a function makes of this, computed when it is first asked for."""
        if view not in self._made:
            self._made[view] = view(self)
        made: T = self._made[view]
        return made

    @property
    def asked(self) -> tuple[Callable[..., Any], ...]:
        """Return what was asked for so far, what others rest on first."""
        return tuple(self._made)


@dataclass(slots=True, eq=False)
class Plan(Once):
    """A baseline during one pass: holds what is computed from it for all record batches.

    Attributes:
        baseline: What the batch is held against.
    """

    baseline: Baseline


@dataclass(slots=True, eq=False)
class EncodedRows(Once):
    """Rows and their cells.

    Attributes:
        layout: Columns.
        batch: The rows, with the columns that embeddings add.
        encoded: Their cells.
    """

    layout: Layout
    batch: pa.RecordBatch
    encoded: Encoded

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.encoded.n_rows

    def column(self, name: str | None) -> pa.Array | None:
        """Return a column's values; None without a name, or if there is not exactly one such."""
        return unique_column(self.batch, name) if name else None


@dataclass(slots=True, eq=False)
class Chunk(EncodedRows):
    """One record batch of a batch that is checked.

    Attributes:
        plan: The baseline.
        start: Rows of the batch before this one.
    """

    plan: Plan
    start: int

    @property
    def baseline(self) -> Baseline:
        """What the batch is held against."""
        return self.plan.baseline

    @property
    def class_index(self) -> NDArray[np.intp]:
        """Modelled class of each row, intp, shape (n_rows,); -1 for none."""
        return self.once(_class_index)


def chunk_of(plan: Plan, batch: pa.RecordBatch, start: int) -> Chunk:
    """Return a record batch as signals see it.

    Args:
        plan: The baseline.
        batch: The rows.
        start: Rows of the batch before this one.

    Cost: one pass over each column.
    """
    layout = plan.baseline.layout
    projected = layout.projected(batch)
    return Chunk(layout, projected, encode_batch(layout, projected), plan, start)


def classes_of(slots: NDArray[np.uint8], classes: Iterable[int]) -> NDArray[np.intp]:
    """Return the place of each label slot among some, or -1.

    Args:
        slots: uint8, shape (n_rows,).
        classes: Slots that are modelled, increasing.

    Returns:
        intp, shape (n_rows,).
    """
    lookup, known = np.full(256, -1, dtype=np.intp), list(classes)
    lookup[known] = np.arange(len(known))
    return lookup[slots]


def _class_index(chunk: Chunk) -> NDArray[np.intp]:
    classes = chunk.baseline.classes
    if not classes or chunk.encoded.label is None or chunk.n_rows == 0:
        return np.full(chunk.n_rows, -1, dtype=np.intp)
    return classes_of(chunk.encoded.slot, classes)


def kept_classes(chunk: Chunk) -> NDArray[np.int8]:
    """Return `Chunk.class_index` in a byte per row, int8, shape (n_rows,)."""
    return chunk.class_index.astype(np.int8)


def tokens_of(rows: EncodedRows) -> dict[str, Tokens]:
    """Return the tokens of each text column that is there.

    Cost: about 6 us per document of 20 words.
    """
    return {
        column.name: tokenize(array)
        for column, array in ((c, rows.column(c.name)) for c in rows.layout.features)
        if column.kind is Kind.TEXT and column.name in rows.encoded.cells and array is not None
    }


def prints_of(rows: EncodedRows) -> NDArray[np.uint64]:
    """Return the fingerprints of rows, uint64, shape (4, n_rows)."""
    tokens, numbers = rows.once(tokens_of), rows.once(numbers_of)
    return fingerprints(rows.layout, rows.encoded, rows.batch, tokens, numbers)


def numbers_of(rows: EncodedRows) -> dict[str, NDArray[np.uint64]]:
    """Return a hash of each exact number, uint64, shape (n_rows,), by numeric feature."""
    return number_hashes(rows.layout, rows.encoded, rows.batch)

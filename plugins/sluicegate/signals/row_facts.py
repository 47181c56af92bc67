"""What one record batch says beyond its cells: tokens, fingerprints, extremes, hidden text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.profiling.buffers import bits, floats, plain
from sluicegate.profiling.columns import Kind
from sluicegate.profiling.fingerprints import fingerprints, value_hashes
from sluicegate.profiling.layout import Encoded, Layout, unique_column
from sluicegate.profiling.tokens import Tokens, mix, tokenize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Zero width space, bidirectional controls, invisible operators, tag characters, variation
# selectors supplement: Unicode 16, DerivedCoreProperties Default_Ignorable_Code_Point, and
# Boucher et al. 2022 ("Bad characters"). Joiners are honest inside emoji and Indic or Persian
# words, and do nothing beside Latin letters, spaces, punctuation or each other.
_INVISIBLE = (
    "[\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    "\U000e0000-\U000e01ef]"
)
_JOINER = "[\u200c\u200d]"
_IDLE = r"[\p{Latin}\s\p{P}\x{200c}\x{200d}]"
_HIDDEN = f"{_INVISIBLE}|{_JOINER}{_IDLE}|{_IDLE}{_JOINER}"
# A word that mixes Latin with Cyrillic or Greek letters: Unicode TS 39, section 5.1.
_MIXED = r"\p{Latin}[\p{Cyrillic}\p{Greek}]|[\p{Cyrillic}\p{Greek}]\p{Latin}"


@dataclass(frozen=True, slots=True)
class RowFacts:
    """Facts of one record batch.

    Attributes:
        tokens: Tokens of each text column that is present.
        hidden: Rows of each text column with hidden or mixed-script characters, bool.
        prints: Fingerprints, uint64, shape (4, n_rows).
        value_row: Row of each value token, int64.
        value_hash: Each value token, uint64.
    """

    tokens: Mapping[str, Tokens]
    hidden: Mapping[str, NDArray[np.bool_]]
    prints: NDArray[np.uint64]
    value_row: NDArray[np.int64]
    value_hash: NDArray[np.uint64]


def row_facts(
    layout: Layout, encoded: Encoded, batch: pa.RecordBatch, *, values: bool = True
) -> RowFacts:
    """Read the facts of a record batch; without ``values``, no value tokens.

    Cost: about 6 us a document of 20 words; 60 ns a number.
    """
    texts = {
        c.name: unique_column(batch, c.name)
        for c in layout.features
        if c.kind is Kind.TEXT and c.name in encoded.cells
    }
    tokens = {name: tokenize(array) for name, array in texts.items()}
    rows, hashes = _values(layout if values else Layout((), layout.schema), encoded, batch)
    return RowFacts(
        tokens=tokens,
        hidden={name: hidden_characters(array) for name, array in texts.items()},
        prints=fingerprints(layout, encoded, batch, tokens),
        value_row=rows,
        value_hash=hashes,
    )


def hidden_characters(array: pa.Array) -> NDArray[np.bool_]:
    """Return which texts hold invisible, reordering or look-alike characters."""
    text = pc.fill_null(pc.cast(plain(array), pa.large_string()), "")
    return bits(
        pc.or_(pc.match_substring_regex(text, _HIDDEN), pc.match_substring_regex(text, _MIXED))
    )


def _values(
    layout: Layout, encoded: Encoded, batch: pa.RecordBatch
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return exact values of numbers and categories as tokens; missing values are none."""
    rows: list[NDArray[np.int64]] = []
    hashes: list[NDArray[np.uint64]] = []
    for index, column in enumerate(layout.features):
        codes = encoded.cells.get(column.name)
        if codes is None or not (column.listed or column.kind is Kind.NUMERIC):
            continue
        if column.listed:
            hashed = mix(codes.astype(np.uint64) ^ mix(np.array([index + 1], dtype=np.uint64)))
            present = codes != column.null_cell
        else:
            values = floats(plain(unique_column(batch, column.name)))
            hashed = value_hashes(values, codes, column, index)
            present = codes < column.n_cells - 2
        rows.append(np.flatnonzero(present))
        hashes.append(hashed[present])
    if not rows:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    return np.concatenate(rows), np.concatenate(hashes)

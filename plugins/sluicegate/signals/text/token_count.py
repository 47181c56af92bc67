"""Rows of a batch by the tokens of their texts and by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sluicegate.signals.chunk import tokens_of
from sluicegate.signals.counting import Counter, Counting, natural
from sluicegate.signals.text.reference import TEXTS
from sluicegate.signals.text.token_table import TokenTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk

    Cells = NDArray[np.uint32]


def token_cells(chunk: Chunk) -> dict[str, tuple[NDArray[np.int64], Cells]]:
    """Return row and table cell of each token, int64 and uint32, shape (n_tokens,), by column."""
    tokens, texts = chunk.once(tokens_of), TEXTS.of(chunk.baseline)
    found = ((name, tokens[name], text.table) for name, text in texts.items() if name in tokens)
    return {name: (own.doc, table.cells(own.hash)) for name, own, table in found}


@dataclass(slots=True, eq=False)
class TokenCount(Counter):
    """Rows with a class, and words to name what is found.

    Attributes:
        tables: Rows by token and class, by text column.
        words: A word for each table cell, by text column; the first of those that share it.
    """

    tables: dict[str, TokenTable]
    words: dict[str, dict[int, str]]

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        tokens = chunk.once(tokens_of)
        for name, (row, cell) in chunk.once(token_cells).items():
            table, words = self.tables[name], self.words[name]
            table.add(row, cell, chunk.class_index)
            single = tokens[name].words
            hashes = np.fromiter(single, dtype=np.uint64, count=len(single))
            for at, word in zip(table.cells(hashes).tolist(), single.values(), strict=True):
                words.setdefault(at, word)

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        tables = {name: own.plus(other.tables[name]) for name, own in self.tables.items()}
        words = {name: {**other.words[name], **own} for name, own in self.words.items()}
        return type(self)(tables, words)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "tables": {name: table.to_json() for name, table in self.tables.items()},
            "words": {
                name: [list(w) for w in sorted(own.items())] for name, own in self.words.items()
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        tables = {str(name): TokenTable.from_json(v) for name, v in value["tables"].items()}
        words = {
            str(name): {natural(cell): str(word) for cell, word in own}
            for name, own in value["words"].items()
        }
        if tables.keys() != words.keys():
            raise ValueError("words and tables are of other columns")
        return cls(tables, words)


def _start(baseline: Baseline) -> TokenCount:
    texts = TEXTS.of(baseline)
    return TokenCount({n: t.table.alike() for n, t in texts.items()}, {n: {} for n in texts})


TOKENS = Counting("tokens", TokenCount, _start)

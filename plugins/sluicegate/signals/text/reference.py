"""What the baseline keeps of a text column: its tokens, its class scores, how odd its words are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sluicegate.profiling.columns import MAX_BINS, Column, Kind
from sluicegate.signals.text.word_evidence import WordEvidence
from sluicegate.signals.triggers.token_table import TokenTable

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class TextReference:
    """A text column's tokens by class, and the cells of its class scores.

    Attributes:
        table: Baseline rows by token and class.
        edges: Bin bounds of the cross-fitted class score, one tuple a class (for two classes
            only the second's).
        evidence: How odd the words of documents are.
    """

    table: TokenTable
    edges: tuple[tuple[float, ...], ...]
    evidence: WordEvidence

    def columns(self, name: str) -> tuple[Column, ...]:
        """Return the score columns that the reference model reads."""
        return score_columns(name, self.edges)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "table": self.table.to_json(),
            "edges": [list(e) for e in self.edges],
            "evidence": self.evidence.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        edges = tuple(tuple(float(v) for v in e) for e in value["edges"])
        if any(len(e) > MAX_BINS + 1 for e in edges):
            raise ValueError("too many bounds of a text score")
        return cls(
            TokenTable.from_json(value["table"]), edges, WordEvidence.from_json(value["evidence"])
        )


def score_columns(name: str, edges: tuple[tuple[float, ...], ...]) -> tuple[Column, ...]:
    """Return one numeric column for each class score of a text column."""
    return tuple(
        Column(name=f"{name} (words {k})", kind=Kind.NUMERIC, source=Kind.NUMERIC, edges=e)
        for k, e in enumerate(edges)
    )

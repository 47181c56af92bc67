"""What the baseline keeps of a text column: its tokens, its class scores, how odd its words are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sluicegate.profiling.columns import MAX_BINS, equi_mass_edges
from sluicegate.signals.chunk import tokens_of
from sluicegate.signals.section import Section
from sluicegate.signals.text.class_scores import (
    cross_fitted,
    modelled,
    score_cells,
    score_columns,
)
from sluicegate.signals.text.token_table import TokenTable, text_bits
from sluicegate.signals.text.word_evidence import WordEvidence, learn_evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.tokens import Tokens
    from sluicegate.signals.learning import Learning


@dataclass(frozen=True, slots=True)
class TextReference:
    """A text column's tokens by class, and the cells of its class scores.

    Attributes:
        table: Baseline rows by token and class.
        edges: Bin bounds of the cross-fitted class score, one tuple for each class (for two classes
            only the second's).
        evidence: How odd the words of documents are.
    """

    table: TokenTable
    edges: tuple[tuple[float, ...], ...]
    evidence: WordEvidence

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "table": self.table.to_json(),
            "edges": [list(e) for e in self.edges],
            "evidence": self.evidence.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        edges = tuple(tuple(float(v) for v in e) for e in value["edges"])
        if any(len(e) > MAX_BINS + 1 for e in edges):
            raise ValueError("too many bounds of a text score")
        return cls(
            TokenTable.from_json(value["table"]), edges, WordEvidence.from_json(value["evidence"])
        )


@dataclass(frozen=True, slots=True)
class LearnedTexts:
    """What baseline rows say of their texts.

    Attributes:
        texts: By text column; none without two classes.
        score_columns: Columns of the texts' class scores, which the label model reads.
        score_cells: Their cross-fitted cells, each uint8, shape (n_rows,).
        budgets: By how much the share of odd texts of one more block may differ, by column.
    """

    texts: Mapping[str, TextReference]
    score_columns: tuple[Column, ...]
    score_cells: Mapping[str, NDArray[np.uint8]]
    budgets: Mapping[str, float]


def learned_texts(learning: Learning) -> LearnedTexts:
    """Learn from all baseline rows, by class if there are at least two."""
    texts, cells, budgets = {}, {}, {}
    columns: tuple[Column, ...] = ()
    tokens = learning.once(tokens_of) if len(learning.classes) >= 2 else {}
    for name, found in tokens.items():
        texts[name], scores, budgets[name] = _learn_text(learning, found)
        cells.update(score_cells(name, texts[name].edges, scores))
        columns += score_columns(name, texts[name].edges)
    return LearnedTexts(texts, columns, cells, budgets)


def _learn_text(
    learning: Learning, tokens: Tokens
) -> tuple[TextReference, NDArray[np.float64], float]:
    """Return the reference of a text column, its cross-fitted scores, and a budget of odd ones."""
    n_classes, class_index = len(learning.classes), learning.class_index
    table = TokenTable.empty(n_classes, text_bits(n_classes))
    table.add(tokens.doc, table.cells(tokens.hash), class_index)
    scores = cross_fitted(table, tokens, class_index, learning.blocks)
    evidence, budget = learn_evidence(scores, class_index, learning.blocks)
    read = modelled(scores)
    return TextReference(table, tuple(equi_mass_edges(s) for s in read), evidence), read, budget


def _learn(learning: Learning) -> Mapping[str, TextReference]:
    return learning.once(learned_texts).texts


def _write(texts: Mapping[str, TextReference]) -> dict[str, Any]:
    return {"texts": {name: text.to_json() for name, text in texts.items()}}


def _read(value: Mapping[str, Any]) -> Mapping[str, TextReference]:
    return {str(name): TextReference.from_json(v) for name, v in value["texts"].items()}


TEXTS: Section[Mapping[str, TextReference]] = Section("texts", _learn, _write, _read)

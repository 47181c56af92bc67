"""What the words of a document say about its class, and as cells for the reference model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.bins import bins_of
from sluicegate.profiling.columns import Column, Kind
from sluicegate.profiling.counts import over_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.profiling.tokens import Tokens
    from sluicegate.signals.text.reference import TextReference
    from sluicegate.signals.text.token_table import TokenTable

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WordWeights:
    """A baseline's table as weights, computed once a pass.

    Attributes:
        table: The table, which knows the cell of a token.
        log_odds: What a token adds for each class, float64, shape (2**bits, n_classes).
        log_rows: Logarithm of one more than the rows with the token, float64, shape (2**bits,).
    """

    table: TokenTable
    log_odds: Floats
    log_rows: Floats

    @classmethod
    def of(cls, table: TokenTable, *, kept: float = 1.0) -> Self:
        """Return the weights of a table in which every class has rows.

        Args:
            table: Counts of a baseline.
            kept: Share of its rows that was left when its own documents were scored; the
                larger table must not make every word and pair look more common than then.
        """
        rows = over_classes(table.counts)
        used, log_rows = np.flatnonzero(rows), np.zeros(rows.size)
        log_rows[used] = np.log1p(kept * rows[used])
        return cls(table, table.weights(), log_rows)


@dataclass(frozen=True, slots=True)
class DocScores:
    """Sums over the tokens of each document.

    Attributes:
        net: Log-odds for each class over the root of the number of tokens, as for independent
            votes, float64, shape (n_classes, n_docs).
        speaking: Sum of the log-odds that speak for each class, float64, same shape.
        n_words: Different words, float64, shape (n_docs,).
        n_pairs: Different pairs of neighbours, float64, same shape.
        log_words: Sum of ``log_rows`` over the words, float64, same shape.
        log_pairs: The same over the pairs, float64, same shape.
    """

    net: Floats
    speaking: Floats
    n_words: Floats
    n_pairs: Floats
    log_words: Floats
    log_pairs: Floats

    @classmethod
    def empty(cls, n_classes: int, n_docs: int) -> Self:
        """Return scores of documents without tokens.

        Args:
            n_classes: Number of classes.
            n_docs: Number of documents.
        """
        by_class = np.zeros((2, n_classes, n_docs))
        return cls(*by_class, *np.zeros((4, n_docs)))

    def put(self, docs: NDArray[np.bool_], other: DocScores) -> None:
        """Take over the scores of some documents.

        Args:
            docs: Which, bool, shape (n_docs,).
            other: Their scores, in the order of documents.
        """
        for name in ("net", "speaking", "n_words", "n_pairs", "log_words", "log_pairs"):
            getattr(self, name)[..., docs] = getattr(other, name)[..., docs]


def doc_scores(words: WordWeights, tokens: Tokens) -> DocScores:
    """Score every document.

    Args:
        words: Weights of a baseline.
        tokens: Of the documents.

    Cost: about 40 ns per token and class.
    """
    n, doc = tokens.n_docs, tokens.doc
    cell = words.table.cells(tokens.hash)
    is_pair = (tokens.hash & np.uint64(1)).astype(np.float64)
    rows = words.log_rows[cell]

    def summed(weights: Floats) -> Floats:
        return np.bincount(doc, weights=weights, minlength=n).astype(np.float64, copy=False)

    n_tokens = np.bincount(doc, minlength=n).astype(np.float64)
    n_pairs, log_pairs = summed(is_pair), summed(rows * is_pair)
    net, speaking = [], []
    for weights in words.log_odds.T:
        of_token = weights[cell]
        net.append(summed(of_token))
        speaking.append(summed(np.maximum(of_token, 0.0)))
    return DocScores(
        net=np.stack(net) / np.sqrt(n_tokens + 1.0),
        speaking=np.stack(speaking),
        n_words=n_tokens - n_pairs,
        n_pairs=n_pairs,
        log_words=summed(rows) - log_pairs,
        log_pairs=log_pairs,
    )


def cross_fitted(
    table: TokenTable, tokens: Tokens, class_index: NDArray[np.intp], folds: NDArray[np.int64]
) -> DocScores:
    """Score every document of a baseline by the words of the other folds.

    Args:
        table: All baseline rows.
        tokens: Tokens of all baseline rows.
        class_index: Modelled class of each row, intp, shape (n_rows,); -1 for none.
        folds: Fold of each row, int64, same shape.
    """
    out = DocScores.empty(table.rows.size, tokens.n_docs)
    cells = table.cells(tokens.hash)
    for fold in np.unique(folds):
        inside = folds == fold
        own = table.alike()
        own.add(tokens.doc, cells, np.where(inside, class_index, -1))
        rest = table.less(own)
        if (rest.rows > 0).all():
            out.put(inside, doc_scores(WordWeights.of(rest), tokens.of_docs(inside)))
    return out


def modelled(scores: DocScores) -> Floats:
    """Return the scores that the model reads: of two classes only the second's.

    Returns:
        float64, shape (n_scores, n_docs).
    """
    return scores.net[1:] if scores.net.shape[0] == 2 else scores.net


def score_columns(name: str, edges: tuple[tuple[float, ...], ...]) -> tuple[Column, ...]:
    """Return one numeric column for each class score of a text column.

    Args:
        name: The text column.
        edges: Bin bounds of each score.
    """
    return tuple(
        Column(name=f"{name} (words {k})", kind=Kind.NUMERIC, source=Kind.NUMERIC, edges=e)
        for k, e in enumerate(edges)
    )


def score_cells(
    name: str, edges: tuple[tuple[float, ...], ...], scores: Floats
) -> dict[str, Codes]:
    """Return the cells of a text's scores by the name of their column.

    Args:
        name: The text column.
        edges: Bin bounds of each score.
        scores: `modelled` scores, float64, shape (n_scores, n_docs).

    Returns:
        uint8, shape (n_docs,), each.
    """
    return {
        column.name: bins_of(np.asarray(column.edges), row)
        for column, row in zip(score_columns(name, edges), scores, strict=True)
    }


def add_text_cells(
    cells: Mapping[str, Codes],
    scores: Mapping[str, DocScores],
    texts: Mapping[str, TextReference],
) -> dict[str, Codes]:
    """Return the cells with those of every text column's scores added.

    Args:
        cells: Cells of other columns, each uint8, shape (n_rows,).
        scores: Of the texts of the same rows, by column.
        texts: What the baseline knows of these columns.
    """
    out = dict(cells)
    for name, found in scores.items():
        out.update(score_cells(name, texts[name].edges, modelled(found)))
    return out

"""Texts as cells of a class score, so that the reference model can read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.columns import equi_mass_edges
from sluicegate.signals.contamination_reference import TextReference, score_columns
from sluicegate.signals.token_table import TokenTable, class_scores, token_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.profiling.tokens import Tokens

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]


def learn_text(
    tokens: Tokens, class_index: NDArray[np.intp], folds: NDArray[np.int64], n_classes: int
) -> tuple[TextReference, Floats]:
    """Count a text column and learn its score bins, cross-fitted.

    Args:
        tokens: Tokens of all baseline rows.
        class_index: Modelled class of each row, -1 for none.
        folds: Fold of each row.
        n_classes: Number of modelled classes.

    Returns:
        The reference, and the cross-fitted scores, shape (n_scores, n_rows).
    """
    cells = token_cells(tokens.hash)
    table = TokenTable.empty(n_classes)
    table.add(tokens.doc, cells, class_index)
    scores = np.zeros((n_classes, tokens.n_docs))
    for fold in np.unique(folds):
        inside = folds == fold
        own = TokenTable.empty(n_classes)
        own.add(tokens.doc, cells, np.where(inside, class_index, -1))
        rest = TokenTable(table.counts - own.counts, table.rows - own.rows)
        if (rest.rows == 0).any():
            continue
        chosen = inside[tokens.doc]
        found = class_scores(rest.weights(), tokens.doc[chosen], cells[chosen], tokens.n_docs)
        scores[:, inside] = found[:, inside]
    scores = scores[1:] if n_classes == 2 else scores
    return TextReference(table, tuple(equi_mass_edges(s) for s in scores)), scores


def score_cells(
    name: str, edges: tuple[tuple[float, ...], ...], scores: Floats
) -> dict[str, Codes]:
    """Return the cells of a text's scores by the name of their column."""
    return {
        column.name: np.searchsorted(np.asarray(column.edges), row, side="right").astype(np.uint8)
        for column, row in zip(score_columns(name, edges), scores, strict=True)
    }


def add_text_cells(
    cells: Mapping[str, Codes],
    tokens: Mapping[str, Tokens],
    texts: Mapping[str, TextReference],
    weights: Mapping[str, Floats],
) -> dict[str, Codes]:
    """Return the cells with those of every text column's scores added.

    ``weights`` are those of the texts' tables, computed once a pass.
    """
    out = dict(cells)
    for name, text in texts.items():
        if name in tokens:
            found = tokens[name]
            scores = class_scores(weights[name], found.doc, token_cells(found.hash), found.n_docs)
            scores = scores[1:] if scores.shape[0] == 2 else scores
            out.update(score_cells(name, text.edges, scores))
    return out

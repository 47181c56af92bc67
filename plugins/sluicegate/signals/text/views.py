"""Texts of a record batch: what their words say of their class, and how odd they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.chunk import tokens_of
from sluicegate.signals.text.class_scores import WordWeights, doc_scores
from sluicegate.signals.text.reference import TEXTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.chunk import Chunk, Plan
    from sluicegate.signals.text.class_scores import DocScores


def _weights(plan: Plan) -> dict[str, WordWeights]:
    texts = TEXTS.of(plan.baseline).items()
    return {name: WordWeights.of(t.table, kept=t.evidence.kept) for name, t in texts}


def scores_of(chunk: Chunk) -> dict[str, DocScores]:
    """Return the scores of the documents of each text column that is there."""
    tokens, weights = chunk.once(tokens_of), chunk.plan.once(_weights)
    return {name: doc_scores(w, tokens[name]) for name, w in weights.items() if name in tokens}


def oddness_of(chunk: Chunk) -> dict[str, NDArray[np.float64]]:
    """Return how odd the words of each document are, float64, shape (n_rows,), by column."""
    texts = TEXTS.of(chunk.baseline)
    return {
        name: texts[name].evidence.oddness(scores, chunk.class_index)
        for name, scores in chunk.once(scores_of).items()
    }


def kept_oddness(chunk: Chunk) -> dict[str, NDArray[np.float32]]:
    """Return `oddness_of` in half the memory, float32, shape (n_rows,), by column."""
    return {name: odd.astype(np.float32) for name, odd in chunk.once(oddness_of).items()}

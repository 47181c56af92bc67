"""How odd the words of a document are, learned from the documents of a baseline.

Three things are true of a text that was stuffed with words of another class, and of no honest
one in many: its words contradict its label; it speaks strongly for two classes at once; and
common words stand beside each other that never did. Each is turned into the -log of its upper
tail in the baseline, cross-fitted, and the three are added.
Source: dictionary and focused attacks, Nelson et al. 2008; Fisher 1932 (sum of log p).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.decision.budget import prediction_bound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.signals.text.class_scores import DocScores

Floats = NDArray[np.float64]
QUANTILES = (0.995, 0.999)
_TAILS = np.linspace(0.0, 6.0, 49)
"""-log of the tail probabilities that are kept; e**-6 is 7 of 3,000 documents."""
_N_FACTS = 3
_N_TERMS = 4
_MIN_PAIRS = 5


@dataclass(frozen=True, slots=True)
class WordEvidence:
    """What is usual.

    Attributes:
        order: Coefficients of the strangeness of neighbours given how common the words are.
        tails: Value at each kept tail probability, float64, shape (3, 49), not decreasing.
        limits: Quantiles of the sum.
        rows: Baseline documents with a known label beyond each limit.
        kept: Share of the baseline that was left when a document of it was scored.
    """

    order: tuple[float, ...]
    tails: Floats
    limits: tuple[float, ...]
    rows: tuple[int, ...]
    kept: float

    def oddness(self, scores: DocScores, class_index: NDArray[np.intp]) -> Floats:
        """Return the sum of -log tails of each document, float64, shape (n_docs,).

        Args:
            scores: Of the documents.
            class_index: Modelled class of each, intp, shape (n_docs,); with -1 nothing can
                contradict it.
        """
        facts = _facts(scores, class_index, np.array(self.order))
        odd: Floats = np.sum([_tail(t, f) for t, f in zip(self.tails, facts, strict=True)], axis=0)
        return odd

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "order": list(self.order),
            "tails": pack(self.tails, "<f8"),
            "limits": list(self.limits),
            "rows": list(self.rows),
            "kept": self.kept,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        tails = unpack(value["tails"], "<f8", (_N_FACTS, _TAILS.size))
        order = tuple(float(v) for v in value["order"])
        limits = tuple(float(v) for v in value["limits"])
        rows = tuple(int(v) for v in value["rows"])
        sizes = (len(order), len(limits), len(rows))
        if sizes != (_N_TERMS, len(QUANTILES), len(QUANTILES)):
            raise ValueError("evidence of words has parts of another size")
        kept = float(value["kept"])
        finite = all(np.isfinite(part).all() for part in (order, limits, tails))
        if not finite or min(rows) < 0 or not 0.0 < kept <= 1.0:
            raise ValueError("evidence of words is out of range")
        return cls(order, tails, limits, rows, kept)


def learn_evidence(
    scores: DocScores, class_index: NDArray[np.intp], blocks: NDArray[np.int64]
) -> tuple[WordEvidence, float]:
    """Learn from the cross-fitted scores of a baseline.

    Args:
        scores: Of its documents.
        class_index: Modelled class of each, intp, shape (n_docs,); -1 for none.
        blocks: Block of each, int64, same shape.

    Returns:
        What is usual, and a prediction bound of how much a block differs in the share of
        documents beyond the first limit.
    """
    terms, strange = _neighbours(scores)
    used = scores.n_pairs >= _MIN_PAIRS
    order = np.zeros(_N_TERMS)
    if used.any():
        order[:] = np.linalg.lstsq(terms[used], strange[used], rcond=None)[0]
    facts = _facts(scores, class_index, order)
    tails = np.stack([_quantiles(f, -np.expm1(-_TAILS)) for f in facts])
    known = class_index >= 0
    odd = np.sum([_tail(t, f) for t, f in zip(tails, facts, strict=True)], axis=0)
    found, blocks = odd[known], blocks[known]
    limits = tuple(float(v) for v in _quantiles(found, np.array(QUANTILES)))
    rows = tuple(int((found > limit).sum()) for limit in limits)
    usual, n = rows[0] / found.size, np.maximum(np.bincount(blocks), 1)
    shares = np.bincount(blocks, weights=found > limits[0]) / n
    budget = prediction_bound(shares - usual, usual * (1.0 - usual) / n)
    n_blocks = int(blocks.max()) + 1
    found_here = WordEvidence(tuple(order.tolist()), tails, limits, rows, 1.0 - 1.0 / n_blocks)
    return found_here, budget


def _facts(scores: DocScores, class_index: NDArray[np.intp], order: Floats) -> tuple[Floats, ...]:
    """Return how far words contradict the label, speak for two classes, and are out of order."""
    docs = np.arange(class_index.size)
    known = class_index >= 0
    given = np.where(known, class_index, 0)
    net = scores.net.copy()
    own = net[given, docs]
    net[given, docs] = -np.inf
    against = np.where(known, net.max(axis=0) - own, _LEAST)
    root = np.sqrt(scores.n_words + 1.0)
    both = np.sort(scores.speaking, axis=0)[-2] / root
    terms, strange = _neighbours(scores)
    # Not a product of matrices, which adds up few documents in another order than many.
    usual = sum(weight * term for weight, term in zip(order, terms.T, strict=True))
    salad = np.where(scores.n_pairs >= _MIN_PAIRS, (strange - usual) * root, _LEAST)
    return against, both, salad


_LEAST = -1e9
"""Below every value: a fact that a document lacks is not odd."""


def _neighbours(scores: DocScores) -> tuple[Floats, Floats]:
    """Return how common a document's words are, as terms, and how rare its pairs."""
    common = scores.log_words / (scores.n_words + 1.0)
    one = np.ones_like(common)
    terms = np.stack([one, common, 1.0 / (scores.n_words + 1.0), common**2], axis=1)
    return terms, -scores.log_pairs / (scores.n_pairs + 1.0)


def _quantiles(values: Floats, shares: Floats) -> Floats:
    found: Floats = np.quantile(values, shares, method="higher")
    return found


def _tail(levels: Floats, values: Floats) -> Floats:
    """Return -log of the share of baseline documents at or above each value."""
    place = np.searchsorted(levels, values, side="left")
    tail: Floats = _TAILS[np.maximum(place - 1, 0)]
    return tail

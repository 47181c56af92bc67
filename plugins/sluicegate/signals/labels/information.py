"""What the features say of a label, and so which flips can be told at all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from sluicegate.signals.decision.tails import SURE_ERRORS

if TYPE_CHECKING:
    from sluicegate.signals.model.reference import LabelReference

MOST: Final = 0.5
"""Larger shares of flips would be other labels."""
TELL_LITTLE: Final = "the features say too little about the label to tell flips"


def information_limit(reference: LabelReference, n: int, error: float | None = None) -> float:
    """Return the smallest share of flips that any test on n rows can find reliably.

    3.6 sqrt(e (1 - e) (1/n + 1/m)) / (1 - e k / (k - 1)), with the model's error e, k classes and m
    baseline rows: 3.6 standard errors of the difference of two error rates, over what a row flipped
    to any other class adds to it.

    Args:
        reference: The model.
        n: Labelled rows of the batch.
        error: How often the model is wrong about rows of this batch, in [0, 1]; None for the error
            on rows that have all columns.

    Returns:
        A share, at most 1.
    """
    e, k = reference.whole.error if error is None else error, len(reference.model.classes)
    m = int(reference.whole.scale.own.sum())
    added = 1.0 - e * k / (k - 1)
    if added <= 0.0 or n == 0:
        return 1.0
    return min(1.0, SURE_ERRORS * math.sqrt(e * (1 - e) * (1 / n + 1 / m)) / added)


def tells(reference: LabelReference) -> bool:
    """Return whether the features say enough to tell flips in a batch as large as the baseline.

    A model that knows nothing errs little where one class is frequent. So beside its error the
    ranks of margins are asked: a flipped row must stand lower than an own one, by so much that the
    mean rank of a batch shows it. The error of such a mean is that of uniform ranks.
    """
    m = int(reference.whole.scale.own.sum())
    lower = max(reference.whole.scale.separation() - 0.5, 1e-9)
    by_rank = SURE_ERRORS * math.sqrt(2.0 / m / 12.0) / lower
    return max(by_rank, information_limit(reference, m)) <= MOST

"""What one batch adds to a sequence: excesses of contradicting labels, with their errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sluicegate.signals.decision.tails import normal_quantile


@dataclass(frozen=True, slots=True)
class Excess:
    """One subject's excess of contradicting labels in one batch, as a share of the batch.

    Attributes:
        subject: "" for all rows, else "label NAME" or "contributor NAME".
        level: 0 all rows, 1 a class, 2 a contributor.
        effect: Estimated share.
        own_error: Standard error from this batch alone, > 0.
        shared_error: Standard error from the baseline, common to all batches, >= 0.
        p_value: Tail of the effect under the null, uncorrected.
    """

    subject: str
    level: int
    effect: float
    own_error: float
    shared_error: float
    p_value: float

    @property
    def gaussian(self) -> float:
        """The effect, lowered to the normal score of its p-value."""
        if self.effect <= 0.0:
            return self.effect
        error = math.hypot(self.own_error, self.shared_error)
        return min(self.effect, error * -normal_quantile(self.p_value))


Step = tuple[Excess, ...]
"""All excesses of one batch."""


def read_step(value: object) -> Step:
    """Read the evidence of a LABEL_FLIPS record.

    Raises:
        ValueError: Not what `label_flips` writes.
    """
    if not isinstance(value, list) or not value:
        raise ValueError("no list of excesses")
    return tuple(_read_excess(item) for item in value)


def _read_excess(item: object) -> Excess:
    names = {"subject", "level", "effect", "own_error", "shared_error", "p_value"}
    if not isinstance(item, dict) or set(item) != names:
        raise ValueError("an excess has missing or unknown keys")
    numbers = [item[k] for k in ("effect", "own_error", "shared_error", "p_value")]
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in numbers):
        raise ValueError("an excess holds something that is no number")
    effect, own, shared, p = (float(v) for v in numbers)
    if not isinstance(item["subject"], str) or item["level"] not in (0, 1, 2):
        raise ValueError("an excess names no subject")
    if not (abs(effect) <= 10.0 and 0.0 < own <= 10.0 and 0.0 <= shared <= 10.0 and 0 <= p <= 1):
        raise ValueError("an excess is out of range")
    return Excess(item["subject"], int(item["level"]), effect, own, shared, p)

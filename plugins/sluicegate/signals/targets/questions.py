"""Questions about the mean of a score: over all rows, by group of prediction, by contributor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.contributors.contrast import contrasts
from sluicegate.signals.decision.tails import mean_excess_p, tail_p

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sluicegate.signals.contributors.contrast import Contrast, Spread
    from sluicegate.signals.targets.reference import TargetReference
    from sluicegate.signals.targets.scores import Habits

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
MIN_PART_ROWS = 10
"""A group or contributor with fewer rows is not asked."""
_Z95 = 1.645


@dataclass(frozen=True, slots=True)
class Answer:
    """What one part of a batch says.

    Attributes:
        part: "" for all rows, else a group's number or a contributor's name.
        rows: Its rows by group and cell, int64, shape (n_groups, N_CELLS).
        weight: Its share of the batch.
        effect: Mean score beyond what is expected, as a share of the batch.
        bound: Lower 95 % bound of the effect.
        budget: What clean blocks do, in the same unit.
        p_value: Chance of such a mean under the null.
    """

    part: str | int
    rows: Counts
    weight: float
    effect: float
    bound: float
    budget: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Question:
    """One score, asked of a batch.

    Attributes:
        reference: What the baseline knows.
        score: float64, shape (n_groups, N_CELLS), expectation 0 in each group.
        habits: What clean blocks do to its mean.
    """

    reference: TargetReference
    score: Floats
    habits: Habits

    def overall(self, batch: Counts) -> Answer:
        """Ask all rows.

        Args:
            batch: Rows by group and cell, int64, shape (n_groups, N_CELLS), at least one.
        """
        own = self.reference.residuals.own.sum(axis=1)
        by_group, variance = batch.sum(axis=1), self._variance()
        n = int(by_group.sum())
        weight = by_group / n
        effect = float((batch * self.score).sum() / n)
        squared = float((weight**2 * variance * (1.0 / np.maximum(by_group, 1) + 1.0 / own)).sum())
        # Chance includes that a model, or a month, is off by itself.
        effective = float(weight @ variance) / (squared + self.habits.moves)
        shares = self.reference.residuals.densities() * weight[:, None]
        p = mean_excess_p(self.score.ravel(), shares.ravel(), effective, effect)
        bound = effect - _Z95 * math.sqrt(squared)
        return Answer("", batch, 1.0, effect, bound, self.habits.budget, p)

    def by_group(self, batch: Counts) -> Iterator[Answer]:
        """Ask each group of like prediction beside the others.

        Args:
            batch: Rows by group and cell, int64, shape (n_groups, N_CELLS).
        """
        n_groups = batch.shape[0]
        some = [k for k in range(n_groups) if batch[k].any()]
        alone = np.zeros((len(some), *batch.shape), dtype=np.int64)
        past = np.zeros_like(alone)
        for i, k in enumerate(some):
            alone[i, k], past[i, k] = batch[k], self.reference.residuals.own[k]
        # A group's score has expectation 0 in the baseline: it has no past of its own.
        yield from self._parts(some, alone, past, self.habits.groups, own_past=False)

    def by_contributor(self, rows: Mapping[str | None, Counts]) -> Iterator[Answer]:
        """Ask each contributor beside its own past and the others.

        Args:
            rows: By contributor, int64, shape (n_groups, N_CELLS) each; None is not asked.
        """
        names = sorted(name for name in rows if name is not None and rows[name].any())
        if not names:
            return
        known = self.reference.residuals.contributors
        none = np.zeros_like(self.reference.residuals.own)
        batch = np.stack([rows[name] for name in names])
        past = np.stack([known.get(name, none) for name in names])
        yield from self._parts(names, batch, past, self.habits.contributors, own_past=True)

    def _parts(
        self,
        parts: list[str] | list[int],
        batch: Counts,
        past: Counts,
        spread: Spread,
        *,
        own_past: bool,
    ) -> Iterator[Answer]:
        if len(parts) < 2:
            return
        n = batch.sum(axis=(1, 2)).astype(np.float64)
        mix = batch.sum(axis=2) / n[:, None]
        variance = np.maximum(mix @ self._variance(), 1e-9)
        found = contrasts(
            n,
            (batch * self.score).sum(axis=(1, 2)),
            n_base=past.sum(axis=(1, 2)).astype(np.float64),
            total_base=(past * self.score).sum(axis=(1, 2)) * own_past,
            variance=variance,
            between=spread.between,
        )
        shares = self.reference.residuals.densities()
        for i in np.flatnonzero(n >= MIN_PART_ROWS):
            yield Answer(
                parts[i],
                batch[i],
                float(n[i] / n.sum()),
                *self._effect(found[i], float(n[i] / n.sum())),
                spread.within * float(n[i] / n.sum()),
                tail_p(
                    self.score.ravel(),
                    (shares * mix[i][:, None]).ravel(),
                    float(variance[i]) / found[i].error ** 2,
                    found[i].excess,
                ),
            )

    def _effect(self, found: Contrast, weight: float) -> tuple[float, float]:
        return found.excess * weight, (found.excess - _Z95 * found.error) * weight

    def _variance(self) -> Floats:
        variance: Floats = (self.reference.residuals.densities() * self.score**2).sum(axis=1)
        return variance

"""Columns that moved or went missing as a whole: they say little about single rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.signals.columns.completeness import absent
from sluicegate.signals.columns.drift import distance, present

if TYPE_CHECKING:
    from sluicegate.profiling.columns import Column
    from sluicegate.signals.comparison import Comparison

MOVED = 0.25
"""Share of rows that must have moved, or gone missing, before a column counts as moved as a whole:
far beyond what flips, copies or triggers that a batch could hide would move."""


def moved(comparison: Comparison, column: Column) -> bool:
    """Return whether the present values of a column moved as a whole.

    Args:
        comparison: The batch beside its baseline.
        column: Of the baseline; one that the batch lacks did not move.
    """
    before = present(column, comparison.baseline.profile.marginal(column.name))
    now = present(column, comparison.profile.marginal(column.name))
    return bool(before.sum() and now.sum() and distance(column, before, now).effect > MOVED)


def lost(comparison: Comparison, column: Column) -> bool:
    """Return whether the values of a column went missing as a whole.

    Args:
        comparison: The batch beside its baseline.
        column: Of the baseline.
    """
    base = comparison.baseline.profile.marginal(column.name)
    batch = comparison.profile.marginal(column.name)
    share = absent(column, batch) / max(int(batch.sum()), 1)
    return share - absent(column, base) / max(int(base.sum()), 1) > MOVED


def lost_features(comparison: Comparison) -> tuple[str, ...]:
    """Return the features whose values went missing as a whole."""
    return tuple(c.name for c in comparison.baseline.layout.features if lost(comparison, c))


def changed_features(comparison: Comparison) -> tuple[str, ...]:
    """Return the features that moved or went missing as a whole."""
    return tuple(
        c.name
        for c in comparison.baseline.layout.features
        if (c.binned or c.listed) and (moved(comparison, c) or lost(comparison, c))
    )

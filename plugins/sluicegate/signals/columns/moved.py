"""Columns that moved or went missing as a whole: they say little about single rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sluicegate.signals.columns.completeness import absent
from sluicegate.signals.columns.drift import distance, present, signal_of
from sluicegate.signals.decision.correction import listed
from sluicegate.signals.decision.record import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sluicegate.profiling.columns import Column
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.finding import Candidate

MOVED: Final = 0.25
"""Share of rows that must have moved, or gone missing, before a column counts as moved as a whole:
far beyond what flips, copies or triggers that a batch could hide would move."""


def moved(comparison: Comparison, column: Column) -> bool:
    """Return whether the present values of a column moved as a whole.

    What blocks like the batch do by themselves is no such movement: a day has one weekday.

    Args:
        comparison: The batch beside its baseline.
        column: Of the baseline; one that the batch lacks did not move.
    """
    before = present(column, comparison.baseline.profile.marginal(column.name))
    now = present(column, comparison.profile.marginal(column.name))
    if not before.sum() or not now.sum():
        return False
    signal = signal_of(column)
    usual = comparison.learned(f"{signal.code}:{column.name}") if signal else 0.0
    return bool(distance(column, before, now).effect > max(MOVED, usual))


def shared_features(comparison: Comparison) -> tuple[str, ...]:
    """Return the features of which most rows of the batch, and not of the baseline, have one value.

    Beside it a second value says what it says alone.
    """
    found = []
    for column in comparison.baseline.layout.features:
        if column.binned or column.listed:
            now = comparison.profile.marginal(column.name)
            before = comparison.baseline.profile.marginal(column.name)
            most = int(now.argmax())
            if 2 * now[most] > now.sum() and 2 * before[most] <= before.sum():
                found.append(column.name)
    return tuple(found)


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


def explained(candidates: Iterable[Candidate], changed: Iterable[str]) -> list[Candidate]:
    """Return questions that can only warn, because columns that changed as a whole may be why.

    Whoever moves a quarter of a column is seen by drift, which warns too; whoever wrote the rest of
    such a batch is not accused of it.

    Args:
        candidates: The questions.
        changed: The columns, at least one.
    """
    why = f"It may be so only because a column changed as a whole: {listed(sorted(changed))}."
    return [replace(c, severity=Status.WARNED, hint=f"{why} {c.hint}") for c in candidates]

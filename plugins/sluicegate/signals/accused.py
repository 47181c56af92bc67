"""How the columns are spread that findings accuse: what a report draws and a gate keeps."""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sluicegate.profiling.columns import Kind
from sluicegate.signals.arrival.arrival_count import TIMES
from sluicegate.signals.arrival.reference import ARRIVAL
from sluicegate.signals.arrival.time_shape import time_shape
from sluicegate.signals.columns.shapes import groups_of, in_groups, shape_of
from sluicegate.signals.decision.record import Status
from sluicegate.signals.decision.shape import MAX_PARTS, Part, Played, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from sluicegate.profiling.columns import Column
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.record import SignalRecord

_CLASS: Final = 64
"""Longest name of a class, in characters, as in messages."""


def shapes_of(
    comparison: Comparison, records: Iterable[SignalRecord], *, values: bool
) -> dict[str, Shape]:
    """Return shapes by column: of label and contributor, and of each column that is accused.

    Args:
        comparison: The batch beside its baseline.
        records: Findings; those that are WARNED or FAILED accuse.
        values: Whether categories of features have their names; else they have ranks. Classes and
            contributors are called what messages call them.

    Cost: does not grow with the rows.
    """
    fired = [r for r in records if r.status in (Status.FAILED, Status.WARNED)]
    schema = comparison.baseline.schema
    wanted = {schema.label, schema.contributor, *(record.column for record in fired)}
    columns = (c for c in comparison.baseline.layout.columns if c.name in wanted)
    found = ((c.name, _shape(comparison, c, fired, values=values)) for c in columns)
    return {name: shape for name, shape in found if shape is not None}


def _shape(
    comparison: Comparison, column: Column, fired: Iterable[SignalRecord], *, values: bool
) -> Shape | None:
    baseline, profile = comparison.baseline, comparison.profile
    arrival = ARRIVAL.of(baseline)
    if column.name == baseline.schema.timestamp and arrival is not None:
        return time_shape(column.name, arrival, TIMES.of(comparison).counts, profile.n_rows)
    called = _called(comparison, column, values=values)
    shape = shape_of(column, baseline.profile, profile, called)
    if shape is None or column.name not in (baseline.schema.label, baseline.schema.contributor):
        return shape
    if column.name == baseline.schema.contributor:
        return replace(shape, role=Played.CONTRIBUTOR)
    parts = _by_contributor(comparison, column, _accused(fired))
    return replace(shape, role=Played.LABEL, parts=parts)


def _called(comparison: Comparison, column: Column, *, values: bool) -> Callable[[str], str] | None:
    schema = comparison.baseline.schema
    if column.name == schema.contributor:
        return comparison.naming.of
    if column.name == schema.label:
        return lambda name: name[:_CLASS]
    return str if values or column.kind is Kind.BOOLEAN else None


def _accused(fired: Iterable[SignalRecord]) -> set[str]:
    """Return the subjects that findings name."""
    listed = (record.evidence.get("contributors") for record in fired)
    items = (item for found in listed if isinstance(found, list) for item in found)
    return {str(item["subject"]) for item in items if isinstance(item, dict) and "subject" in item}


def _by_contributor(
    comparison: Comparison, label: Column, accused: Collection[str]
) -> tuple[Part, ...]:
    """Return the labels of contributors: those that findings name, and those with most rows."""
    layout, naming = comparison.baseline.layout, comparison.naming
    if layout.label != label or label.n_cells != layout.n_slots:
        return ()  # classes too many to be told apart share slots
    before, now = comparison.baseline.profile, comparison.profile
    groups = groups_of(
        label, before.marginal(label.name), now.marginal(label.name), lambda name: name
    )
    rows = {
        name: int(counts.sum()) for name, counts in now.contributors.items() if name is not None
    }
    met = {n for n in rows if naming.subject(n) in accused} if accused else set()
    first = heapq.nsmallest(MAX_PARTS, rows, key=lambda n: (n not in met, -rows[n], n))
    return tuple(
        Part(
            naming.subject(name),
            in_groups(groups, before.contributors.get(name, before.marginal(label.name) * 0)),
            in_groups(groups, now.contributors[name]),
        )
        for name in first
    )

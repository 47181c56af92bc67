"""Which shapes a gate keeps with its findings, and how they are read again.

docs/formats/verdict.md, section Shapes. They explain a verdict and decide nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sluicegate.gate.promotion import Lane
from sluicegate.signals.decision.shape import MAX_COLUMN, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sluicegate.gate.verdict import Reason

MAX_ACCUSED: Final = 8
"""Accused columns whose shapes are kept beside one baseline, the worst first."""
_ALWAYS: Final = 2  # label and contributor

Shapes = dict[Lane, tuple[Shape, ...]]


def kept_shapes(
    found: Mapping[Lane, Mapping[str, Shape]],
    reasons: Iterable[Reason],
    always: Sequence[str | None],
) -> Shapes:
    """Return the shapes that explain a verdict.

    Args:
        found: Shapes by column, beside each baseline.
        reasons: What speaks against the batch, worst first; their columns are accused.
        always: Columns that are kept of every batch, beside the anchored baseline.
    """
    accused = [column for column in dict.fromkeys(r.column for r in reasons) if column]
    asked = [column for column in always if column]
    return {
        lane: _chosen(shapes, asked if lane is Lane.ANCHORED else [], accused)
        for lane, shapes in found.items()
    }


def _chosen(
    shapes: Mapping[str, Shape], asked: Sequence[str], accused: Sequence[str]
) -> tuple[Shape, ...]:
    there = [c for c in accused if c in shapes and c not in asked and len(c) <= MAX_COLUMN]
    first = [c for c in asked if c in shapes and len(c) <= MAX_COLUMN]
    return tuple(shapes[column] for column in (*first, *there[:MAX_ACCUSED]))


def of_batch_or_pool(
    own: Mapping[str, Shape], pooled: Mapping[str, Shape], accused: Iterable[str]
) -> dict[str, Shape]:
    """Return the shapes of a batch; of the pool those of columns that the pool's findings accuse.

    Args:
        own: Shapes of the batch alone.
        pooled: Shapes of the pool.
        accused: Columns that the pool's findings accuse.
    """
    return {**own, **{column: pooled[column] for column in accused if column in pooled}}


def shapes_to_json(shapes: Shapes) -> dict[str, Any]:
    """Return shapes as a test result keeps them."""
    return {lane.value: [shape.to_json() for shape in found] for lane, found in shapes.items()}


def shapes_from_json(value: Any) -> Shapes:
    """Read what `shapes_to_json` wrote, and nothing else.

    Args:
        value: Parsed JSON.

    Raises:
        ValueError: Not shapes, or more than are kept.
    """
    if not isinstance(value, dict):
        raise ValueError("shapes are no object")  # noqa: TRY004 - as all that is malformed
    return {Lane(lane): _of_lane(found) for lane, found in value.items()}


def _of_lane(value: Any) -> tuple[Shape, ...]:
    if not isinstance(value, list) or len(value) > MAX_ACCUSED + _ALWAYS:
        raise ValueError("no list of shapes, or too many")
    shapes = tuple(Shape.from_json(item) for item in value)
    if len({shape.column for shape in shapes}) != len(shapes):
        raise ValueError("a column has two shapes")
    return shapes


__all__ = [
    "MAX_ACCUSED",
    "Shapes",
    "kept_shapes",
    "of_batch_or_pool",
    "shapes_from_json",
    "shapes_to_json",
]

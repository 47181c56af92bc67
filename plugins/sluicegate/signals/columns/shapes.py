"""How a column is spread in baseline and batch, in few enough cells to draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.signals.columns.drift import cell_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.counts import Counts, Profile

MAX_CELLS = 14
"""Cells drawn of the known values; what lies outside and what is missing comes on top."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Shares of one column's rows, cell by cell.

    Attributes:
        cells: Names; bounds and categories come from the baseline, never from batch rows.
        baseline: Share of the baseline's rows in each cell, in [0, 1].
        batch: Share of the batch's rows in each cell.
    """

    cells: tuple[str, ...]
    baseline: tuple[float, ...]
    batch: tuple[float, ...]


def shape_of(
    column: Column, before: Profile, now: Profile, called: Callable[[str], str] = str
) -> Shape | None:
    """Return the shape of a column, or None if either side has no rows in it.

    Args:
        column: Of the baseline.
        before: Counts of the baseline.
        now: Counts of the batch.
        called: What a category is called.
    """
    base, batch = before.marginal(column.name), now.marginal(column.name)
    if not base.sum() or not batch.sum():
        return None
    groups = _bins(column) if column.binned else _values(column, base, batch, called)
    return Shape(
        tuple(name for name, _ in groups),
        tuple(float(base[cells].sum() / base.sum()) for _, cells in groups),
        tuple(float(batch[cells].sum() / batch.sum()) for _, cells in groups),
    )


def _bins(column: Column) -> list[tuple[str, list[int]]]:
    bins = column.n_cells - 4
    width = max(-(-bins // MAX_CELLS), 1)
    groups = [(cell_name(column, 0), [0])]
    for first in range(1, bins + 1, width):
        last = min(first + width - 1, bins)
        name = f"{column.edges[first - 1]:g} to {column.edges[last]:g}"
        groups.append((name, list(range(first, last + 1))))
    return [
        *groups,
        ("above the baseline's maximum", [bins + 1]),
        ("not a number or infinite", [bins + 2]),
        ("missing", [bins + 3]),
    ]


def _values(
    column: Column, base: Counts, batch: Counts, called: Callable[[str], str]
) -> list[tuple[str, list[int]]]:
    if not column.listed:
        return [("present", [0]), ("missing", [1])]
    known = range(len(column.categories))
    shares = base / base.sum() + batch / batch.sum()
    common = sorted(known, key=lambda i: (-float(shares[i]), i))
    shown, rest = sorted(common[:MAX_CELLS]), common[MAX_CELLS:]
    groups = [(called(column.categories[i]), [i]) for i in shown]
    if rest:
        groups.append((f"{len(rest)} more", rest))
    return [*groups, ("new or other", [len(known)]), ("missing", [len(known) + 1])]


__all__ = ["MAX_CELLS", "Shape", "shape_of"]

"""How a column is spread in baseline and batch, in few enough cells to draw.

No cell names a row's value that only one row may have: bounds lie between two values of the
baseline, and its smallest and largest value bound no cell by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.profiling.columns import Kind
from sluicegate.signals.decision.shape import Drawn, Shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.counts import Counts, Profile

MAX_KNOWN: Final = 16
"""Cells drawn of the known values; what lies outside and what is missing comes on top."""

Groups = list[tuple[str, list[int]]]
"""Cells to draw: a name, and which cells of the column it stands for."""


def shape_of(
    column: Column, before: Profile, now: Profile, called: Callable[[str], str] | None = str
) -> Shape | None:
    """Return the shape of a column, or None if either side has no rows in it.

    Args:
        column: Of the baseline.
        before: Counts of the baseline.
        now: Counts of the batch.
        called: What a category is called; None for its rank among those of the baseline.
    """
    base, batch = before.marginal(column.name), now.marginal(column.name)
    if not base.sum() or not batch.sum():
        return None
    groups = groups_of(column, base, batch, called)
    return Shape(
        column.name,
        _KINDS.get(column.kind, Drawn.PRESENCE),
        tuple(name for name, _ in groups),
        in_groups(groups, base),
        in_groups(groups, batch),
    )


def groups_of(
    column: Column, base: Counts, batch: Counts, called: Callable[[str], str] | None
) -> Groups:
    """Return the cells to draw of a column; each of its own cells is in one of them.

    Args:
        column: Of the baseline.
        base: Rows of the baseline by cell, int64, shape (n_cells,); at least one row.
        batch: Rows of the batch by cell, int64, same shape; at least one row.
        called: As `shape_of`.
    """
    if column.binned:
        return _bins(column)
    if column.listed:
        return _values(column, base, batch, called)
    return [("present", [0]), ("missing", [1])]


def in_groups(groups: Groups, counts: Counts) -> tuple[int, ...]:
    """Return rows by cell to draw.

    Args:
        groups: Cells to draw.
        counts: Rows by the column's own cells, int64, shape (n_cells,).
    """
    return tuple(int(counts[cells].sum()) for _, cells in groups)


def _bins(column: Column) -> Groups:
    bins = column.n_cells - 4
    width = max(-(-bins // MAX_KNOWN), 1)
    groups = [("below the baseline's minimum", [0])]
    for first in range(1, bins + 1, width):
        last = min(first + width - 1, bins)
        groups.append((_between(column, first, last, bins), list(range(first, last + 1))))
    return [
        *groups,
        ("above the baseline's maximum", [bins + 1]),
        ("not a number or infinite", [bins + 2]),
        ("missing", [bins + 3]),
    ]


def _between(column: Column, first: int, last: int, bins: int) -> str:
    low, high = f"{column.edges[first - 1]:g}", f"{column.edges[last]:g}"
    if first == 1:
        return "within the baseline's range" if last == bins else f"up to {high}"
    return f"from {low}" if last == bins else f"{low} to {high}"


def _values(
    column: Column, base: Counts, batch: Counts, called: Callable[[str], str] | None
) -> Groups:
    known = range(len(column.categories))
    shares = base / base.sum() + batch / batch.sum()
    common = sorted(known, key=lambda i: (-float(shares[i]), i))
    shown, rest = sorted(common[:MAX_KNOWN]), common[MAX_KNOWN:]
    if called is None:
        ranked = sorted(known, key=lambda i: (-int(base[i]), i))
        names = {i: f"value {rank} of the baseline" for rank, i in enumerate(ranked, 1)}
        shown.sort(key=ranked.index)
    else:
        names = {i: called(column.categories[i]) for i in shown}
    groups = [(names[i], [i]) for i in shown]
    if rest:
        groups.append((f"{len(rest)} more", rest))
    return [*groups, ("new or other", [len(known)]), ("missing", [len(known) + 1])]


_KINDS: Final = {
    Kind.NUMERIC: Drawn.NUMBERS,
    Kind.TEXT: Drawn.LENGTHS,
    Kind.CATEGORICAL: Drawn.VALUES,
    Kind.BOOLEAN: Drawn.VALUES,
}

__all__ = ["MAX_KNOWN", "Shape", "groups_of", "in_groups", "shape_of"]

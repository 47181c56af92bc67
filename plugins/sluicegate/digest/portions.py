"""Portions of a batch: runs of its files, in the order of their paths, that tasks count apart."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True, order=True)
class Portion:
    """Some files of a batch.

    Attributes:
        first: Place of the first file in the manifest, from 0.
        end: Place after the last one; the same as ``first`` for no file.
    """

    first: int
    end: int

    def __str__(self) -> str:
        """Return both places, as names of files have them."""
        return f"{self.first}-{self.end}"


def portions_of(sizes: Sequence[int], n_portions: int) -> list[Portion]:
    """Cut a batch into portions of about as many bytes each.

    Args:
        sizes: Bytes of each file, in the order of the manifest, at least one.
        n_portions: How many are wanted, at least 1; fewer are returned where files are fewer.

    Example:
        >>> list(map(str, portions_of([5, 1, 1, 1, 4], 3)))
        ['0-1', '1-4', '4-5']
    """
    n_files, n_portions = len(sizes), min(n_portions, len(sizes))
    reached, ends = list(accumulate(sizes)), [0]
    for number in range(1, n_portions):
        due = bisect_left(reached, reached[-1] * number // n_portions) + 1
        ends.append(min(max(due, ends[-1] + 1), n_files - n_portions + number))
    return [Portion(*ends) for ends in pairwise([*ends, n_files])]


def gaps(portions: Iterable[Portion], n_files: int) -> Iterator[tuple[str, Portion]]:
    """Yield what keeps portions from being all files of a batch, each once.

    Args:
        portions: In any order.
        n_files: Files of the batch.

    Yields:
        ``missing``, ``doubled`` or ``beyond`` the last one, and the files.

    Example:
        >>> list(gaps([Portion(3, 4), Portion(0, 2), Portion(1, 2)], 4))
        [('doubled', Portion(first=1, end=2)), ('missing', Portion(first=2, end=3))]
    """
    reached = 0
    for portion in sorted(portions):
        if portion.first < reached:
            yield "doubled", Portion(portion.first, min(portion.end, reached))
        elif portion.first > reached:
            yield "missing", Portion(reached, portion.first)
        reached = max(reached, portion.end)
    if reached < n_files:
        yield "missing", Portion(reached, n_files)
    elif reached > n_files:
        yield "beyond", Portion(n_files, reached)

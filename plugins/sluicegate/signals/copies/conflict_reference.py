"""What the baseline keeps of conflicting labels: a spectrum of groups, and known features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from sluicegate.profiling.tokens import mix
from sluicegate.signals.chunk import prints_of
from sluicegate.signals.copies.known_rows import NATURAL, KnownRows, learn_known_rows, packed
from sluicegate.signals.copies.pair_counts import group_conflicts
from sluicegate.signals.decision.budget import prediction_bound
from sluicegate.signals.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sluicegate.signals.copies.known_rows import Hashes
    from sluicegate.signals.learning import Learning, Split

_NEAR: Final = 2
_NEAR_OF_FEW: Final = 3
_FEW: Final = 2_000


def tables_of(n_rows: int) -> tuple[int, int]:
    """Return which tables of fingerprints are compared: equal rows, near-equal rows.

    Of few rows hardly any share even coarse cells by nature, and fine ones part what is near.

    Args:
        n_rows: Rows of the baseline.
    """
    return (0, _NEAR_OF_FEW if n_rows < _FEW else _NEAR)


WITHIN: Final = ("equal rows of the batch", "near-equal rows of the batch")
AGAINST: Final = ("equal rows of the baseline", "near-equal rows of the baseline")

Spectrum = tuple[tuple[int, int, float], ...]


@dataclass(frozen=True, slots=True)
class ConflictTable:
    """One table of fingerprints.

    Attributes:
        spectrum: Group size, number of groups, their conflicts together (`Conflicts`).
        known: Fingerprints with their class.
    """

    spectrum: Spectrum
    known: KnownRows

    @property
    def n_rows(self) -> int:
        """Baseline rows with a label."""
        return sum(size * number for size, number, _ in self.spectrum)

    def expected(self, n: int) -> float:
        """Return the conflicts to expect among n rows of this source.

        A group that keeps at least two of its rows keeps their chance to disagree, so below the
        baseline's size conflicts are thinned like the rows in such groups; above, they grow
        like the rows that collide.
        """
        m = self.n_rows
        if m == 0:
            return 0.0
        size, number, halves = np.array(self.spectrum, dtype=np.float64).T
        share = min(n / m, 1.0)
        thinned = float((halves * share * (1.0 - (1.0 - share) ** (size - 1.0))).sum())
        if n <= m:
            return thinned
        colliding = float((size * number)[size > 1].sum()) / m
        if colliding <= 0.0:
            return 0.0
        grown = -math.expm1(math.log1p(-min(colliding, 1.0 - 1e-12)) * n / m)
        return thinned / m * grown / colliding * n

    @property
    def conflicts(self) -> float:
        """Conflicts among the rows of the baseline."""
        return sum(halves for _, _, halves in self.spectrum)

    def exposure(self, n: int) -> float:
        """Return how many times its own conflicts to expect among n rows, at most its number.

        What nobody has seen would be pairs, of which there are as many as the square of the rows.
        """
        return self.expected(n) / self.conflicts if self.conflicts else (n / self.n_rows) ** 2

    def disagreement(self, least: int = 50) -> float:
        """Return conflicts per row that shares its features; 0 of fewer than ``least`` rows."""
        rows = sum(size * number for size, number, _ in self.spectrum if size > 1)
        return self.conflicts / rows if rows >= least else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"spectrum": [list(item) for item in self.spectrum], "known": self.known.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        spectrum = tuple((int(a), int(b), float(c)) for a, b, c in value["spectrum"])
        if any(a < 1 or b < 1 or not 0.0 <= c <= a * b for a, b, c in spectrum):
            raise ValueError("a spectrum of conflicts is out of range")
        return cls(spectrum, KnownRows.from_json(value["known"]))


def row_hashes(prints: Hashes) -> Hashes:
    """Return fingerprints as `known_rows` wants them: a sum of hashes, scrambled once more.

    Args:
        prints: uint64, shape (n_rows,).

    Returns:
        uint64, same shape.
    """
    return mix(prints)


def expected_within(table: ConflictTable, n: int, alike: float) -> float:
    """Return the conflicts to expect among n rows of which so many share their features.

    Args:
        table: The baseline's side.
        n: Rows of the batch that have a label.
        alike: Those of them that share their features with another; may be an estimate.
    """
    return max(table.expected(n), table.disagreement() * alike)


def usual_rate(known: KnownRows, t: int) -> float:
    """Return how often a row of the source contradicts an equal (0) or near-equal (1) one.

    An exact copy in a source that has none is a redelivery; a neighbour may be anything until
    the baseline has shown what neighbours are.

    Args:
        known: The baseline's side.
        t: Place of the table among `tables_of`.
    """
    if t == 0:
        return max(known.contradicted / known.met if known.met else 0.0, NATURAL)
    return (known.contradicted + 0.5) / (known.met + 1.0)


def learned_conflicts(learning: Learning) -> tuple[tuple[ConflictTable, ...], dict[str, float]]:
    """Learn how often rows of the baseline with equal features disagree.

    Returns:
        The tables, none without classes or features; and budgets by kind of conflict.
    """
    layout, encoded, blocks = learning.layout, learning.encoded, learning.blocks
    label = layout.label
    if label is None or not label.listed or encoded.label is None:
        return (), {}
    if not any(c.binned or c.listed for c in layout.features):
        return (), {}
    rows, prints = np.flatnonzero(encoded.label < len(label.categories)), learning.once(prints_of)
    tables, budgets = [], {}
    for table, within, against in zip(tables_of(learning.n_rows), WITHIN, AGAINST, strict=True):
        hashes, cells = row_hashes(prints[table][rows]), encoded.label[rows]
        known, budgets[against] = learn_known_rows(hashes, cells, blocks[rows])
        learned = ConflictTable(_spectrum(packed(hashes, cells)), known)
        budgets[within] = _budget(learned, packed(hashes, cells), blocks[rows])
        tables.append(learned)
    return tuple(tables), budgets


def conflict_habits(split: Split) -> dict[str, float]:
    """Return how much more often rows disagree in one more block, by kind of conflict."""
    learning, budgets = split.learning, dict[str, float]()
    tables, label = learning.once(learned_conflicts)[0], learning.encoded.label
    if not tables or label is None or learning.layout.label is None:
        return {}
    known = label < len(learning.layout.label.categories)
    rows, prints = np.flatnonzero(known & (split.blocks >= 0)), learning.once(prints_of)
    blocks = split.blocks[rows]
    for i, (learned, table) in enumerate(zip(tables, tables_of(learning.n_rows), strict=True)):
        hashes, cells = row_hashes(prints[table][rows]), label[rows]
        _, budgets[AGAINST[i]] = learn_known_rows(hashes, cells, blocks)
        budgets[WITHIN[i]] = _budget(learned, packed(hashes, cells), blocks)
    return budgets


def _spectrum(keys: Hashes) -> Spectrum:
    size, halves = group_conflicts(*np.unique(keys, return_counts=True))
    values, inverse, number = np.unique(size, return_inverse=True, return_counts=True)
    together = np.bincount(inverse, weights=halves, minlength=values.size)
    columns: Sequence[list[Any]] = (values.tolist(), number.tolist(), together.tolist())
    return tuple(zip(*columns, strict=True))


def _budget(table: ConflictTable, keys: Hashes, blocks: NDArray[np.int64]) -> float:
    """Conflicts inside each block beyond those that the whole baseline leads one to expect."""
    excess, noise = [], []
    for block in range(int(blocks.max(initial=0)) + 1):
        own = keys[blocks == block]
        if own.size == 0:
            continue
        found = float(group_conflicts(*np.unique(own, return_counts=True))[1].sum())
        expected = table.expected(own.size)
        excess.append((found - expected) / own.size)
        noise.append(max(expected, 0.5) / own.size**2)
    return min(prediction_bound(np.array(excess), np.array(noise)), 1.0)


def _learn(learning: Learning) -> tuple[ConflictTable, ...]:
    return learning.once(learned_conflicts)[0]


CONFLICTS = Section(
    "conflicts",
    _learn,
    lambda tables: {"conflicts": [table.to_json() for table in tables]},
    lambda value: tuple(ConflictTable.from_json(v) for v in value["conflicts"]),
)

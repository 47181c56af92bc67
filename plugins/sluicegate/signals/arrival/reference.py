"""How rows of a source arrive: when, from which contributors, and with which labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from sluicegate.profiling.instants import instants
from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.arrival.time_counts import (
    N_CONTRIBUTORS,
    N_SLOTS,
    NEW_CONTRIBUTOR,
    NO_CONTRIBUTOR,
    STRIDE,
    TimeCounts,
    widened,
)
from sluicegate.signals.decision.budget import prediction_bound
from sluicegate.signals.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sluicegate.profiling.layout import Encoded
    from sluicegate.signals.arrival.time_counts import Counts
    from sluicegate.signals.learning import Learning

MIN_TIMES: Final = 50
_COARSE = (64, 256)  # cells in which the habits of classes and contributors are learned
_HOUR_MS = 3_600_000
_WEEK = 168  # hours
_POSITIONS = 512  # spans of the baseline that are looked at


@dataclass(frozen=True, slots=True)
class ArrivalReference:
    """The baseline's side.

    Attributes:
        level: Logarithm of a cell's width in milliseconds.
        cells: Cells with rows, int64, shape (n_cells,), increasing.
        rows: Rows of each, int64, same shape.
        contributors: Those told apart, in code-point order.
        slot_shift: By how much a class's share of a window may exceed its usual one, float64, shape
            (N_SLOTS,).
        contributor_shift: The same for contributors, by `contributor_index`, float64, shape
            (N_CONTRIBUTORS,).
    """

    level: int
    cells: Counts
    rows: Counts
    contributors: tuple[str, ...]
    slot_shift: NDArray[np.float64]
    contributor_shift: NDArray[np.float64]

    def densest(self, span_ms: float, width_ms: float) -> float:
        """Return the largest share that any such window has of the span around it.

        Windows and spans are those of the baseline's own history, so nights, weekends and
        deliveries in one go are in it. A span shorter than the baseline's cells can show, or
        longer than the baseline, is taken to look like the shortest or longest one it has.

        Args:
            span_ms: Length of the span, in milliseconds.
            width_ms: Length of the window, in milliseconds.

        Returns:
            A share, at most 1.
        """
        cell = float(1 << self.level)
        width = max(1, round(width_ms / cell))
        span = max(round(span_ms / cell), round(width * span_ms / width_ms), width)
        whole = int(self.cells[-1] - self.cells[0]) + 1
        if span > whole:
            width, span = max(1, round(width * whole / span)), whole
        inside = window_rows(self.cells, self.rows, width)
        total = window_rows(self.cells, self.rows, span)
        ends = np.searchsorted(self.cells, self.cells + span)
        first = int(np.searchsorted(self.cells, self.cells[-1] + 1 - span, side="right"))
        usable = np.flatnonzero(total[: max(first, 1)] >= MIN_TIMES)
        if usable.size == 0:
            usable = np.array([int(total.argmax())])
        step = max(1, usable.size // _POSITIONS)
        # A window at the end of a span may reach out of it; its share is then at most all.
        return min(1.0, max(float(inside[i : ends[i]].max() / total[i]) for i in usable[::step]))

    def in_rhythm(self, cells: Counts, level: int) -> Self:
        """Return the rows that came in those hours of the week in which a batch has rows.

        A batch of one weekday is silent on the others; beside a whole week that would be a burst.

        Args:
            cells: Cells of the batch with rows, int64, shape (n,), increasing.
            level: Logarithm of their width in milliseconds.
        """
        heard = np.zeros(_WEEK, dtype=bool)
        first, last = cells << level, (cells + 1 << level) - 1
        for start, end in zip(first // _HOUR_MS, last // _HOUR_MS, strict=True):
            heard[np.arange(start, min(end, start + _WEEK) + 1) % _WEEK] = True
        kept = heard[(self.cells << self.level) // _HOUR_MS % _WEEK]
        if kept.all() or int(self.rows[kept].sum()) < MIN_TIMES:
            return self
        return replace(self, cells=self.cells[kept], rows=self.rows[kept])

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "level": self.level,
            "cells": pack(self.cells, "<i8"),
            "rows": pack(self.rows, "<i8"),
            "contributors": list(self.contributors),
            "slot_shift": self.slot_shift.tolist(),
            "who_shift": self.contributor_shift.tolist(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        cells, rows = (unpack(value[k], "<i8", (-1,)) for k in ("cells", "rows"))
        slots, contributors = (
            np.array(value[k], dtype=np.float64) for k in ("slot_shift", "who_shift")
        )
        names = tuple(str(name) for name in value["contributors"])
        if cells.size == 0 or cells.size != rows.size or (np.diff(cells) <= 0).any():
            raise ValueError("cells of time do not increase")
        if (rows <= 0).any() or not 0 <= int(value["level"]) < 63:
            raise ValueError("counts over time are out of range")
        if (
            slots.shape != (N_SLOTS,)
            or contributors.shape != (N_CONTRIBUTORS,)
            or len(names) > NEW_CONTRIBUTOR
        ):
            raise ValueError("habits over time have another size")
        if any(((shares < 0) | (shares > 1)).any() for shares in (slots, contributors)):
            raise ValueError("habits over time are no shares")
        return cls(int(value["level"]), cells, rows, names, slots, contributors)


def window_rows(cells: Counts, rows: Counts, width: int) -> Counts:
    """Return the rows of the window of so many cells that begins at each cell with rows.

    Args:
        cells: Cells with rows, int64, shape (n_cells,), increasing.
        rows: Rows of each, int64, same shape.
        width: Cells of a window, at least 1.

    Returns:
        int64, same shape.
    """
    below = np.concatenate([[0], np.cumsum(rows)])
    ends: Counts = below[np.searchsorted(cells, cells + width)] - below[:-1]
    return ends


def contributor_index(encoded: Encoded, contributors: tuple[str, ...]) -> Counts:
    """Return each row's contributor: one of those told apart, or another, or none.

    Args:
        encoded: The rows.
        contributors: Names of those told apart.

    Returns:
        int64, shape (n_rows,), values 0..N_CONTRIBUTORS-1.
    """
    if encoded.contributor is None or not encoded.contributors:
        return np.full(encoded.n_rows, NO_CONTRIBUTOR, dtype=np.int64)
    rank = {name: i for i, name in enumerate(contributors)}
    lookup = np.array(
        [
            NO_CONTRIBUTOR if n is None else rank.get(n, NEW_CONTRIBUTOR)
            for n in encoded.contributors
        ],
        np.int64,
    )
    return lookup[encoded.contributor]


def learn_arrival(learning: Learning) -> ArrivalReference | None:
    """Learn how rows arrive; None without a timestamp column whose times can be read."""
    array, encoded = learning.column(learning.layout.schema.timestamp), learning.encoded
    if array is None:
        return None
    times, present = instants(array)
    if int(present.sum()) < MIN_TIMES:
        return None
    names = _largest(encoded)
    counts = TimeCounts()
    contributor = contributor_index(encoded, names)
    counts.add(times[present], contributor[present], encoded.slot[present])
    cells, rows = counts.by_time()
    return ArrivalReference(counts.level, cells, rows, names, *_habits(counts))


def _largest(encoded: Encoded) -> tuple[str, ...]:
    if encoded.contributor is None:
        return ()
    rows = np.bincount(encoded.contributor, minlength=len(encoded.contributors))
    named = zip(encoded.contributors, rows.tolist(), strict=True)
    ordered = sorted(((-n, name) for name, n in named if name is not None))[:NEW_CONTRIBUTOR]
    return tuple(sorted(name for _, name in ordered))


def _habits(counts: TimeCounts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far shares of classes and contributors stray from cell to cell, beyond chance."""
    slots, contributors = np.zeros(N_SLOTS), np.zeros(N_CONTRIBUTORS)
    for limit in _COARSE:
        keys, rows, steps = counts.keys, counts.counts, 0
        while np.unique(keys // STRIDE).size > limit:
            keys, rows = widened(keys, rows, 1)
            steps += 1
        _, cell = np.unique(keys // STRIDE, return_inverse=True)
        rest = keys % STRIDE
        slots = np.maximum(slots, _strays(cell, rest % N_SLOTS, rows, N_SLOTS))
        strays = _strays(cell, rest // N_SLOTS, rows, N_CONTRIBUTORS)
        contributors = np.maximum(contributors, strays)
    return slots, contributors


def _strays(cell: Counts, kind: Counts, rows: Counts, n_kinds: int) -> NDArray[np.float64]:
    table = np.bincount(
        cell * n_kinds + kind, weights=rows, minlength=(int(cell.max()) + 1) * n_kinds
    )
    table = table.reshape(-1, n_kinds)
    total = table.sum(axis=1)
    usual = table.sum(axis=0) / total.sum()
    out = np.zeros(n_kinds)
    for k in np.flatnonzero(usual):
        noise = usual[k] * (1.0 - usual[k]) / total
        out[k] = min(prediction_bound(table[:, k] / total - usual[k], noise), 1.0)
    return out


def _read(value: Mapping[str, Any]) -> ArrivalReference | None:
    return None if value["arrival"] is None else ArrivalReference.from_json(value["arrival"])


ARRIVAL: Section[ArrivalReference | None] = Section(
    "arrival",
    learn_arrival,
    lambda found: {"arrival": None if found is None else found.to_json()},
    _read,
)

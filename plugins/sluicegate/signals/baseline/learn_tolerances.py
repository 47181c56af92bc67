"""Drift budgets of the counted signals, learned from blocks of the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.profiling.counts import joint_counts
from sluicegate.signals.columns.completeness import CODE as COMPLETENESS
from sluicegate.signals.columns.completeness import absent
from sluicegate.signals.columns.drift import code_of, distance, present
from sluicegate.signals.contributors.contrast import learn_share_spread
from sluicegate.signals.contributors.newcomers import FLOOD
from sluicegate.signals.decision.budget import excess_bound, prediction_bound
from sluicegate.signals.decision.distance import Distance, listed_distance
from sluicegate.signals.labels.contributor_skew import CODE as SKEW
from sluicegate.signals.labels.prior import CODE as PRIOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.counts import Counts
    from sluicegate.profiling.layout import Encoded, Layout


def learn_tolerances(
    layout: Layout, encoded: Encoded, blocks: NDArray[np.int64]
) -> dict[str, float]:
    """Return the budgets by "CODE:column".

    Args:
        layout: Columns.
        encoded: All baseline rows.
        blocks: Block of each row.
    """
    n_blocks = int(blocks.max()) + 1
    block_codes = blocks.astype(np.uint8)
    learned: dict[str, float] = {}
    for column in layout.columns:
        codes = encoded.cells[column.name]
        table = joint_counts(block_codes, codes, n_blocks, column.n_cells)
        shares = np.array([absent(column, t) / max(int(t.sum()), 1) for t in table])
        learned[f"{COMPLETENESS}:{column.name}"] = _share_bound(shares, table.sum(axis=1))
        code = code_of(column)
        if code is not None and column in layout.features:
            learned[f"{code}:{column.name}"] = _distance_bound(_by_block(column, table))
        if column == layout.label:
            learned[f"{PRIOR}:{column.name}"] = _distance_bound(
                listed_distance(rest[:-1], own[:-1])
                for own, rest in zip(table, table.sum(axis=0) - table, strict=True)
                if own[:-1].sum() and rest[:-1].sum()
            )
    return {**learned, **_contributor_tolerances(layout, encoded, blocks, n_blocks)}


def _by_block(column: Column, table: Counts) -> Iterable[Distance]:
    for own, rest in zip(table, table.sum(axis=0) - table, strict=True):
        here, there = present(column, own), present(column, rest)
        if here.sum() and there.sum():
            yield distance(column, there, here)


def _distance_bound(distances: Iterable[Distance]) -> float:
    return excess_bound(np.array([max(d.effect - d.noise, 0.0) for d in distances]))


def _share_bound(shares: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
    centre = float(np.average(shares, weights=np.maximum(rows, 1)))
    return prediction_bound(shares - centre, centre * (1 - centre) / np.maximum(rows, 1))


def _contributor_tolerances(
    layout: Layout, encoded: Encoded, blocks: NDArray[np.int64], n_blocks: int
) -> dict[str, float]:
    index, names = contributors_of(encoded)
    column = layout.schema.contributor
    if index is None or not names or column is None:
        return {}
    known = index >= 0
    key = blocks[known] * len(names) + index[known]
    size = n_blocks * len(names)
    rows = np.bincount(key, minlength=size).reshape(n_blocks, -1).astype(np.float64)
    block_rows = np.maximum(rows.sum(axis=1, keepdims=True), 1.0)
    share = rows / block_rows
    centre = rows.sum(axis=0) / rows.sum()
    noise = centre * (1 - centre) / block_rows
    moves = zip((share - centre).T, noise.T, strict=True)
    learned = {f"{FLOOD}:{column}": max(prediction_bound(move, n) for move, n in moves)}
    if layout.label is None:
        return learned
    for slot in range(layout.n_slots - 2):
        hit = (encoded.slot[known] == slot).astype(np.float64)
        p = float(hit.mean()) if hit.size else 0.0
        if not 0.0 < p < 1.0:
            continue
        hits = np.bincount(key, weights=hit, minlength=size).reshape(n_blocks, -1)
        spread = learn_share_spread(rows, hits.astype(np.float64), p)
        learned[f"{SKEW}.between.{slot}:{column}"] = spread.between
        learned[f"{SKEW}.within.{slot}:{column}"] = spread.within
    return learned


def contributors_of(encoded: Encoded) -> tuple[NDArray[np.intp] | None, tuple[str, ...]]:
    """Return contributors in code-point order and each row's index, -1 for null."""
    if encoded.contributor is None:
        return None, ()
    names = tuple(sorted(name for name in encoded.contributors if name is not None))
    rank = {name: i for i, name in enumerate(names)}
    lookup = np.array(
        [-1 if n is None else rank[n] for n in encoded.contributors] or [-1], dtype=np.intp
    )
    return lookup[encoded.contributor], names

"""DUPLICATES: rows do not repeat more than this source's rows always did.

Null hypothesis: copies (rows beyond the first in a group of equal fingerprints) are as frequent as
in a baseline sample of the batch's size. Minimum n: 50. What is expected is rarefied from the
baseline's spectrum of group sizes, so a source with natural repeats, or a batch of another size,
raises nothing; rows that repeat *baseline* rows are redelivery, not flooding, and are not counted;
nor are rows that repeat one of the batch with its id, twice at most (`deliveries`).
Large groups are asked for apart (`repeats`): among many rows natural twos and threes would hide
them. What is tolerated is what the source shows in a batch so many times as large as its own
blocks seem denser than the whole, at least twice: pairs may become twice as frequent, groups of
eight 128 times. Beyond a million different rows copies are estimated from a sample of fingerprints
(`distinct`), whose error enters bound and p-value: at 10,000,000 rows a flood of less than about
0.8 % may pass. Corrected over the four tables, with copies and four sizes of groups in each.
Missing values are values: rows that lack the same ones may be equal. Where most values of a column
went missing, that explains any repeats, and where a column moved as a whole, that explains near
ones: then an accusation only warns.
Source: rarefaction, Hurlbert 1971; tables: `fingerprints`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.chunk import prints_of
from sluicegate.signals.columns.moved import changed_features, explained, lost_features
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.copies.copy_count import (
    COPIES,
    REPEATS,
    copies_of_blocks,
    expected_copies,
    learned_repeats,
)
from sluicegate.signals.copies.deliveries import DELIVERIES
from sluicegate.signals.copies.repeats import excess_groups_p, expected_rows, rows_in_groups
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, accusing, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import normal_sf, rate_excess_p
from sluicegate.signals.definition import Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.copies.repeats import Spectrum
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Split
    from sluicegate.signals.traces import Traces

CODE = "DUPLICATES"
KINDS = ("exact copies", "close copies", "near copies", "rough copies")
"""What each table of fingerprints finds."""
SIZES = (4, 8, 12, 16)
"""Rows of a group from which it counts as large."""
_SURE = 0.999
Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has features with fingerprints."""
    if not REPEATS.of(comparison.baseline).spectra:
        return []
    reason = comparison.too_few() or comparison.lacking_feature()
    if reason:
        return [not_evaluated(SIGNAL, reason)]
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    again = _excused(comparison)
    estimates = [table.estimate() for table in COPIES.of(comparison).tables]
    spectra = [_spectrum(comparison, table, again) for table in range(len(KINDS))]
    found = [max(n - again - distinct, 0.0) for distinct, _ in estimates]
    candidates = [
        candidate
        for table in range(len(KINDS))
        for candidate in (
            _copies(comparison, table, found[table], again),
            *(_groups(comparison, table, spectra[table], least, again) for least in SIZES),
        )
    ]
    expected = comparison.expecting(SIGNAL, "", candidates)
    if accusing(expected) and (changed := _excuses(comparison, expected)):
        candidates = explained(expected, changed)
    return [
        Finding(
            signal=SIGNAL,
            null_hypothesis="copies are as frequent as in a baseline sample of this size",
            effect_unit="share of rows",
            n_baseline=m,
            n_batch=n,
            candidates=candidates,
            evidence={
                "exact_copies": round(found[0]),
                "near_copies": round(max(found[1:])),
                "largest_group": max(groups[-1][0] for groups, _ in spectra),
                "standard_error": round(max(error for _, error in estimates)),
            },
        )
    ]


def _excused(comparison: Comparison) -> float:
    """Return the rows that were only delivered again."""
    known = comparison.baseline.schema.id is not None
    return DELIVERIES.of(comparison).excused() if known else 0.0


def _spectrum(comparison: Comparison, table: int, again: float) -> tuple[Spectrum, int]:
    """Return a table's groups without rows that were only delivered again, and their scale."""
    if again:
        return DELIVERIES.of(comparison).spectrum(table)
    return COPIES.of(comparison).tables[table].spectrum(), COPIES.of(comparison).scale(table)


def _excuses(comparison: Comparison, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the columns that may be why rows seem to repeat: exact copies need lost values."""
    exact = len(SIZES) + 1
    if accusing(candidates[:exact]):
        return lost_features(comparison)
    return changed_features(comparison)


def _like(comparison: Comparison) -> tuple[int, tuple[Spectrum, ...]]:
    """Return number and spectra of the baseline's rows that are as narrow as the batch."""
    reference, m = REPEATS.of(comparison.baseline), comparison.baseline.n_rows
    shared = {} if comparison.usual is None else comparison.usual.shared
    return reference.like(shared, m)


def _density(comparison: Comparison, table: int) -> float:
    """Return how much denser than its baseline a clean batch of this length may be."""
    learned = comparison.learned(f"{CODE}.density.{table}:")
    return max(REPEATS.of(comparison.baseline).density[table], learned)


def _habits(split: Split) -> dict[str, float]:
    """Learn how much denser blocks of time are, and how many copies more they hold."""
    if split.complete or not split.learning.once(learned_repeats).spectra:
        return {}
    found: dict[str, float] = {}
    for i, table in enumerate(split.learning.once(prints_of)):
        blocks = copies_of_blocks(table, split.blocks)
        if split.blocks is not split.learning.blocks:  # of these `Repeats` knows it
            found[f"{CODE}.density.{i}:"] = blocks.density()
        found[f"{CODE}.copies.{i}:"] = blocks.surplus()
    return found


def _copies(comparison: Comparison, table: int, found: float, again: float) -> Candidate:
    """Copies are the rows beyond the different ones, however they are spread over groups."""
    n, (m, spectra) = comparison.profile.n_rows - round(again), _like(comparison)
    groups, dense = spectra[table], n * _density(comparison, table)
    expected, error = (
        expected_copies(groups, m, n),
        COPIES.of(comparison).tables[table].estimate()[1],
    )
    excess = found - expected
    p_value = rate_excess_p(int(found), n, math.ceil(expected * m / n), m)
    spread = math.sqrt(found + expected * n / m + 1.0 + error * error)
    if error:  # estimated, not counted: chance includes the estimate's own
        p_value = max(p_value, normal_sf(excess / spread))
    return Candidate(
        subject=KINDS[table],
        effect=excess / n,
        bound=(excess - 1.645 * spread) / n,
        tolerance=max(
            comparison.tolerance(SIGNAL, KINDS[table]),
            comparison.learned(f"{CODE}.copies.{table}:"),
            expected_copies(groups, m, dense) / dense - expected / n,
        ),
        p_value=p_value,
        text=f"{percent(found / n)} of rows repeat another row of the batch "
        f"(expected {percent(expected / n)})",
        hint="Remove the copies that `check --rows` names, or build a baseline in which the source "
        "repeats its rows.",
        question=KINDS[table],
    )


def _groups(
    comparison: Comparison, table: int, counted: tuple[Spectrum, int], least: int, again: float
) -> Candidate:
    """Rows in large groups: natural repeats come in twos and threes, floods do not."""
    n, (m, spectra) = comparison.profile.n_rows - round(again), _like(comparison)
    batch, scale = counted
    groups, dense = spectra[table], n * _density(comparison, table)
    found, expected = scale * rows_in_groups(batch, least), expected_rows(groups, m, n, least)
    squares = sum(size * size * number for size, number in batch if size >= least)
    spread = math.sqrt(found + expected * n / m + 1.0 + squares * scale * (scale - 1))
    return Candidate(
        subject=f"{KINDS[table]} in groups of {least} or more",
        effect=(found - expected) / n,
        bound=(found - expected - 1.645 * spread) / n,
        tolerance=max(
            comparison.tolerance(SIGNAL, KINDS[table]),
            expected_rows(groups, m, dense, least) / dense - expected / n,
        ),
        p_value=excess_groups_p(batch, groups, ratio=n / m, least=least, sampled=1.0 / scale),
        text=f"{percent(found / n)} of rows (expected {percent(expected / n)})",
        hint="Remove the copies that `check --rows` names, or build a baseline in which the source "
        "repeats its rows.",
        question=f"{KINDS[table]}.{least}",
    )


def copy_probability(hashes: Hashes, groups: Sequence[tuple[int, int]], m: int) -> Floats:
    """Return each row's probability of being a copy that the baseline does not explain.

    Groups are compared with those of their own size: where this source has many pairs, a pair
    says little, and a group of ten still says all. A larger group is never less suspicious.

    Args:
        hashes: Fingerprints of the batch, uint64, shape (n_rows,).
        groups: Spectrum of the baseline.
        m: Rows of the baseline.

    Returns:
        float64, shape (n_rows,), in [0, 0.999]; 0 for a row that repeats no other.
    """
    _, inverse, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
    rows = np.bincount(sizes) * np.arange(sizes.max(initial=0) + 1)
    chance, surest = np.zeros(rows.size), 0.0
    for size in np.flatnonzero(rows).tolist():
        if size > 1 and surest < _SURE:
            beyond = (expected_rows(groups, m, hashes.size, least) for least in (size, size + 1))
            expected = max(next(beyond) - next(beyond), 0.0)
            # What chance may add to that, in whole groups.
            usual = expected + 1.645 * math.sqrt(size * expected)
            surest = min(max(surest, 1.0 - usual / rows[size]), _SURE)
        chance[size] = surest
    found: Floats = chance[sizes[inverse]]
    return found


def _rows(traces: Traces, record: SignalRecord) -> Floats:
    """Name copies by each table that fired; the surest counts."""
    (m, groups), prints = _like(traces.comparison), traces.joined(prints_of)
    out = np.zeros(traces.n_rows)
    for table, kind in enumerate(KINDS):
        if any(subject.startswith(kind) for subject in record.evidence.get("fired", [])):
            out = np.maximum(out, copy_probability(prints[table], groups[table], m))
    return out


SIGNAL = Signal(
    code=CODE,
    family=Family.CONTAMINATION,
    floor=0.003,
    moves=True,
    asks="rows repeat each other, exactly or nearly (three sizes of cells), or in large groups, "
    "beyond the natural rate of each",
    demand="Rows must not repeat each other or the baseline beyond tolerance.",
    needs=f"{MIN_ROWS} rows",
    min_rows=MIN_ROWS,
    expectation="ExpectDuplicatesWithinTolerance",
    applies=lambda baseline: bool(REPEATS.of(baseline).spectra),
    sections=(REPEATS,),
    counters=(COPIES,),
    habits=_habits,
    findings=findings,
    keeps=(prints_of,),
    rows=_rows,
)

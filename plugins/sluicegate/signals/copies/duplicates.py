"""DUPLICATES: rows do not repeat more than this source's rows always did.

Null hypothesis: copies (rows beyond the first in a group of equal fingerprints) are as
frequent as in a baseline sample of the batch's size. Minimum n: 50. What is expected is
rarefied from the baseline's spectrum of group sizes, so a source with natural repeats, or a
batch of another size, raises nothing; rows that repeat *baseline* rows are redelivery, not
flooding, and are not counted. Large groups are asked for apart (`repeats`): among many rows
natural twos and threes would hide them. What is tolerated is what the source shows in a batch
so many times as large as its own blocks seem denser than the whole, at least twice: pairs may
become twice as frequent, groups of eight 128 times. Beyond a million different rows copies are
estimated from a sample of fingerprints (`distinct`), whose error enters bound and p-value: at
10,000,000 rows a flood of less than about 0.8 % may pass. Source: rarefaction, Hurlbert 1971;
tables: `fingerprints`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.copies.repeats import (
    Spectrum,
    excess_groups_p,
    expected_rows,
    rows_in_groups,
)
from sluicegate.signals.decision.budget import prediction_bound
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import normal_sf, rate_excess_p

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluicegate.signals.comparison import Comparison

CODE = "DUPLICATES"
KINDS = ("exact copies", "close copies", "near copies", "rough copies")
"""What each table of fingerprints finds."""
SIZES = (4, 8, 12, 16)
"""Rows of a group from which it counts as large."""
_SURE = 0.999
LEAST_DENSITY = 2.0
"""Natural repeats come from values that many rows share, and how many do moves with every season
(punctual months repeat "no delay"): pairs may become twice as frequent before it means anything."""
Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has features with fingerprints."""
    reference = comparison.baseline.contamination
    if not reference.spectra:
        return []
    reason = comparison.too_few() or comparison.lacking_feature()
    if reason:
        return [not_evaluated(CODE, Family.CONTAMINATION, reason)]
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    found = [max(n - distinct, 0.0) for distinct, _ in comparison.distinct]
    return [
        Finding(
            code=CODE,
            family=Family.CONTAMINATION,
            null_hypothesis="copies are as frequent as in a baseline sample of this size",
            effect_unit="share of rows",
            n_baseline=m,
            n_batch=n,
            candidates=[
                candidate
                for table in range(len(KINDS))
                for candidate in (
                    _copies(comparison, table, found[table]),
                    *(_groups(comparison, table, least) for least in SIZES),
                )
            ],
            evidence={
                "exact_copies": round(found[0]),
                "near_copies": round(max(found[1:])),
                "largest_group": max(s[-1][0] for s, _ in comparison.repeats),
                "standard_error": round(max(error for _, error in comparison.distinct)),
            },
        )
    ]


def _copies(comparison: Comparison, table: int, found: float) -> Candidate:
    """Copies are the rows beyond the different ones, however they are spread over groups."""
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    groups = comparison.baseline.contamination.spectra[table]
    expected, error = expected_copies(groups, m, n), comparison.distinct[table][1]
    dense = n * comparison.baseline.contamination.density[table]
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
            comparison.tolerance(CODE, KINDS[table]),
            expected_copies(groups, m, dense) / dense - expected / n,
        ),
        p_value=p_value,
        text=f"{percent(found / n)} of rows repeat another row of the batch "
        f"(expected {percent(expected / n)})",
        hint="Remove the copies, or confirm that the source repeats rows now.",
    )


def _groups(comparison: Comparison, table: int, least: int) -> Candidate:
    """Rows in large groups: natural repeats come in twos and threes, floods do not."""
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    groups = comparison.baseline.contamination.spectra[table]
    batch, scale = comparison.repeats[table]
    found, expected = scale * rows_in_groups(batch, least), expected_rows(groups, m, n, least)
    dense = n * comparison.baseline.contamination.density[table]
    squares = sum(size * size * number for size, number in batch if size >= least)
    spread = math.sqrt(found + expected * n / m + 1.0 + squares * scale * (scale - 1))
    return Candidate(
        subject=f"{KINDS[table]} in groups of {least} or more",
        effect=(found - expected) / n,
        bound=(found - expected - 1.645 * spread) / n,
        tolerance=max(
            comparison.tolerance(CODE, KINDS[table]),
            expected_rows(groups, m, dense, least) / dense - expected / n,
        ),
        p_value=excess_groups_p(batch, groups, ratio=n / m, least=least, sampled=1.0 / scale),
        text=f"{percent(found / n)} of rows are in groups of {least} or more that repeat each "
        f"other (expected {percent(expected / n)})",
        hint="Remove the copies, or confirm that the source repeats rows now.",
    )


def learn_density(hashes: Hashes, blocks: NDArray[np.int64]) -> float:
    """Return how many times more rows a batch may seem to have than it has.

    Rows of one period resemble each other more than rows of many, as if there were more of them:
    two rows of a block are equal that many times as often as two rows of the whole baseline.
    """
    whole = spectrum(hashes)
    rows = np.bincount(blocks)
    expected = np.array([expected_copies(whole, blocks.size, n) for n in rows.tolist()])
    found = np.array([copies(hashes[blocks == block]) for block in range(rows.size)])
    some = expected > 0.0
    if not some.any():
        return LEAST_DENSITY
    more = prediction_bound(found[some] / expected[some] - 1.0, 1.0 / expected[some])
    return max(LEAST_DENSITY, 1.0 + more)


def copies(hashes: Hashes) -> int:
    """Return how many rows repeat an earlier one."""
    ordered = np.sort(hashes)  # np.unique hashes since numpy 2.3: nine times slower here
    return int((ordered[1:] == ordered[:-1]).sum())


def spectrum(hashes: Hashes) -> Spectrum:
    """Return (group size, number of groups), increasing by size."""
    _, sizes = np.unique(hashes, return_counts=True)
    values, counts = np.unique(sizes, return_counts=True)
    return [(int(v), int(c)) for v, c in zip(values, counts, strict=True)]


def expected_copies(groups: Sequence[tuple[int, int]], m: int, n: float) -> float:
    """Return the copies to expect among n rows of a source with this spectrum in m rows.

    Below m each group is thinned; above, the chance of a row to be a copy grows with n.
    """
    share = min(n / m, 1.0)
    size = np.array([g[0] for g in groups], dtype=np.float64)
    number = np.array([g[1] for g in groups], dtype=np.float64)
    distinct = float((number * (1.0 - (1.0 - share) ** size)).sum())
    inside = max(share * float((number * size).sum()) - distinct, 0.0)
    if n <= m:
        return inside
    single = math.log1p(-min(inside / m, 1.0 - 1e-12))
    return n * -math.expm1(single * n / m)


def copy_probability(hashes: Hashes, groups: Sequence[tuple[int, int]], m: int) -> Floats:
    """Return each row's probability of being a copy that the baseline does not explain.

    Groups are compared with those of their own size: where this source has many pairs, a pair
    says little, and a group of ten still says all. A larger group is never less suspicious.

    Args:
        hashes: Fingerprints of the batch.
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

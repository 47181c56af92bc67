"""DUPLICATES: rows do not repeat more than this source's rows always did.

Null hypothesis: copies (rows beyond the first in a group of equal fingerprints) are as
frequent as in a baseline sample of the batch's size. Minimum n: 50. What is expected is
rarefied from the baseline's spectrum of group sizes, so a source with natural repeats, or a
batch of another size, raises nothing; rows that repeat *baseline* rows are redelivery, not
flooding, and are not counted. Beyond a million different rows copies are estimated from a sample
of fingerprints (`distinct`), whose error enters bound and p-value: at 10,000,000 rows a flood of
less than about 0.8 % may pass. Source: rarefaction, Hurlbert 1971; tables: `fingerprints`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.correction import percent
from sluicegate.signals.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.record import Family
from sluicegate.signals.tails import binomial_sf, normal_sf, rate_excess_p

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluicegate.signals.comparison import Comparison

CODE = "DUPLICATES"
KINDS = ("exact copies", "close copies", "near copies", "rough copies")
"""What each table of fingerprints finds."""
Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]
Spectrum = list[tuple[int, int]]


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline has features with fingerprints."""
    reference = comparison.baseline.contamination
    if not reference.spectra:
        return []
    reason = comparison.too_few() or comparison.lacking_feature()
    if reason:
        return [not_evaluated(CODE, Family.CONTAMINATION, reason)]
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    # Copies are the rows beyond the different ones, however they are spread over groups.
    found = [max(n - distinct, 0.0) for distinct, _ in comparison.distinct]
    errors = [error for _, error in comparison.distinct]
    expected = [expected_copies(s, m, n) for s in reference.spectra]
    return [
        Finding(
            code=CODE,
            family=Family.CONTAMINATION,
            null_hypothesis="copies are as frequent as in a baseline sample of this size",
            effect_unit="share of rows",
            n_baseline=m,
            n_batch=n,
            candidates=[
                _candidate(comparison, *asked)
                for asked in zip(KINDS, found, expected, errors, strict=True)
            ],
            evidence={
                "exact_copies": round(found[0]),
                "near_copies": round(max(found[1:])),
                "standard_error": round(max(errors)),
            },
        )
    ]


def _candidate(
    comparison: Comparison, kind: str, found: float, expected: float, error: float
) -> Candidate:
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    excess = found - expected
    # Rows of one period resemble each other more than rows of many; the share of copies that
    # this brings grows with the number of pairs, so a budget learned on small blocks is scaled.
    scale = max(1.0, n / max(comparison.baseline.contamination.block_rows, 1))
    # Natural repeats come from values that many rows share, and how many do moves with every
    # season (punctual months repeat "no delay"): the rate may double before it means anything.
    tolerance = max(comparison.tolerance(CODE, kind, learned_scale=scale), expected / n)
    p_value = rate_excess_p(int(found), n, math.ceil(expected * m / n), m)
    spread = math.sqrt(found + expected * n / m + 1.0 + error * error)
    if error:  # estimated, not counted: chance includes the estimate's own
        p_value = max(p_value, normal_sf(excess / spread))
    return Candidate(
        subject=kind,
        effect=excess / n,
        bound=(excess - 1.645 * spread) / n,
        tolerance=tolerance,
        p_value=p_value,
        text=f"{percent(found / n)} of rows repeat another row of the batch "
        f"(expected {percent(expected / n)})",
        hint="Remove the copies, or confirm that the source repeats rows now.",
    )


def copies(hashes: Hashes) -> int:
    """Return how many rows repeat an earlier one."""
    ordered = np.sort(hashes)  # np.unique hashes since numpy 2.3: nine times slower here
    return int((ordered[1:] == ordered[:-1]).sum())


def spectrum(hashes: Hashes) -> Spectrum:
    """Return (group size, number of groups), increasing by size."""
    _, sizes = np.unique(hashes, return_counts=True)
    values, counts = np.unique(sizes, return_counts=True)
    return [(int(v), int(c)) for v, c in zip(values, counts, strict=True)]


def expected_copies(groups: Sequence[tuple[int, int]], m: int, n: int) -> float:
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

    Groups are compared by their size: where this source has many pairs, a pair says little and
    a group of ten still says all.

    Args:
        hashes: Fingerprints of the batch.
        groups: Spectrum of the baseline.
        m: Rows of the baseline.

    Returns:
        float64, shape (n_rows,), in [0, 0.999]; 0 for a row that repeats no other.
    """
    _, inverse, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
    size = sizes[inverse]
    out = np.zeros(hashes.size)
    for least in np.unique(sizes[sizes > 1]):
        inside = size >= least
        expected = _rows_in_groups(groups, int(least), min(hashes.size / m, 1.0))
        expected *= max(hashes.size / m, 1.0)
        out[inside] = np.maximum(out[inside], 1.0 - expected / inside.sum())
    clipped: Floats = np.clip(out, 0.0, 0.999)
    return clipped


def _rows_in_groups(groups: Sequence[tuple[int, int]], least: int, share: float) -> float:
    """Rows in groups of at least that size when each row is kept with probability ``share``.

    A group of s rows keeps K ~ binomial(s, share); E[K; K >= g] = s share P(K' >= g - 1) with
    K' ~ binomial(s - 1, share).
    """
    return sum(
        number * size * share * binomial_sf(least - 1, size - 1, min(share, 1.0 - 1e-12))
        for size, number in groups
        if size >= least
    )

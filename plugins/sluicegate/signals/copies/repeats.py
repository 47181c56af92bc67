"""Sizes of groups of equal fingerprints: what a source shows in a batch of any size.

A row's companions (other rows with its fingerprint) are Poisson with the rate of its cell. The
baseline's spectrum of group sizes tells how rows are spread over rates: a mixture, fitted by
maximum likelihood on a grid, which gives the rows in groups of any size among any number of rows.
Below the baseline's size the exact rarefaction is used instead.
Source: rarefaction, Hurlbert 1971; mixture over rates, Good and Toulmin 1956, Efron and Thisted
1976, fitted by expectation maximisation, Norris and Pollock 1998.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.decision.tails import binomial_sf

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Spectrum = list[tuple[int, int]]
_RATES = 60
_LEAST_RATE = 1e-6
_ROUNDS = 200
_WORST = np.geomspace(1e-4, 200.0, 400)
"""Rates among which the worst one for a test is looked for."""


def rows_in_groups(groups: Sequence[tuple[int, int]], least: int) -> int:
    """Return the rows in groups of at least that size.

    Args:
        groups: Group sizes with the number of groups.
        least: Size of a group.
    """
    return sum(size * number for size, number in groups if size >= least)


def groups_of(groups: Sequence[tuple[int, int]], least: int) -> int:
    """Return the number of groups of at least that size.

    Args:
        groups: Group sizes with the number of groups.
        least: Size of a group.
    """
    return sum(number for size, number in groups if size >= least)


def expected_rows(groups: Sequence[tuple[int, int]], m: int, n: float, least: int) -> float:
    """Return the rows to expect in groups of at least that size among n rows of the source.

    Args:
        groups: Spectrum of the baseline.
        m: Rows of the baseline.
        n: Rows of the batch, > 0.
        least: Size of a group, at least 2.

    Cost: exact below m; beyond about 3 ms.
    """
    if n <= m:
        return _thinned(groups, least, n / m)
    rates, mass = _mixture(tuple(groups))
    return n * float(mass @ _poisson_sf(least - 1, rates * (n / m)))


def _thinned(groups: Sequence[tuple[int, int]], least: int, share: float) -> float:
    """Rows in groups of at least that size when each row is kept with probability ``share``.

    A group of s rows keeps K ~ binomial(s, share); E[K; K >= g] = s share P(K' >= g - 1) with
    K' ~ binomial(s - 1, share).
    """
    return sum(
        number * size * share * binomial_sf(least - 1, size - 1, min(share, 1.0 - 1e-12))
        for size, number in groups
        if size >= least
    )


@lru_cache(maxsize=64)
def _mixture(groups: tuple[tuple[int, int], ...]) -> tuple[Floats, Floats]:
    """Return rates of companions in the baseline and the share of rows that has each."""
    size = np.array([s for s, _ in groups], dtype=np.float64)
    rows = size * np.array([k for _, k in groups], dtype=np.float64)
    rates = np.geomspace(_LEAST_RATE, 2.0 * size.max(), _RATES)
    logs = np.array([math.lgamma(s) for s in size.tolist()])
    # Poisson probability of each number of companions under each rate.
    chance = np.exp((size - 1.0) * np.log(rates)[:, None] - rates[:, None] - logs)
    mass, rows = np.full(_RATES, 1.0 / _RATES), rows / rows.sum()
    for _ in range(_ROUNDS):
        mass = mass * (chance @ (rows / (mass @ chance)))
    return rates, mass


def _poisson_sf(k: int, rates: Floats) -> Floats:
    """Return P(X >= k) for Poisson variables.

    Of the two tails the smaller is added up, because a difference from 1 would lose its digits.
    """
    below, above = _tails(k, rates)
    found: Floats = np.where(rates > k, 1.0 - below, above)
    return found


def _tails(k: int, rates: Floats) -> tuple[Floats, Floats]:
    """Return P(X < k), and P(X >= k) added up as far as it matters where rates are below k."""
    count = np.arange(k + int(12.0 * math.sqrt(k + 1.0)) + 40)
    factorials = np.array([math.lgamma(i + 1.0) for i in count.tolist()])
    chance = np.exp(count * np.log(rates)[:, None] - rates[:, None] - factorials)
    return chance[:, :k].sum(axis=1), chance[:, k:].sum(axis=1)


@cache
def _odds_of_few(most: int) -> Floats:
    """Return P(X <= most) / P(X > most) for each of the `_WORST` rates."""
    few, many = _tails(most + 1, _WORST)
    odds: Floats = few / np.where(most + 1 < _WORST, 1.0 - few, many)
    return odds


def excess_groups_p(
    batch: Sequence[tuple[int, int]],
    baseline: Sequence[tuple[int, int]],
    *,
    ratio: float,
    least: int,
    sampled: float = 1.0,
) -> float:
    """Return the p-value of "large groups are as frequent as the baseline lets one expect".

    Two kinds of cells are disjoint: at least ``least`` rows in the batch and at most b in the
    baseline; more than b in the baseline. Whatever the rate of a cell, the chance of the first
    is at most C times that of the second, so of both kinds together the first are binomial with
    at most C / (1 + C). At most as many of the batch's groups as the baseline has groups beyond
    b can be the same cells; the others are of the first kind. b is chosen by the baseline alone.
    The test assumes no shape of the rates, and a group, not a row, is what may happen by chance.

    Null hypothesis: as above; ties do not matter, because groups are counted. Minimum n: 1 group.

    Args:
        batch: Spectrum of the batch, or of a sample of its fingerprints.
        baseline: Spectrum of the baseline.
        ratio: Rows of the batch by rows of the baseline.
        least: Size of a group.
        sampled: Share of the fingerprints that the batch's spectrum holds.
    """
    found = groups_of(batch, least)
    if found == 0:
        return 1.0
    tail = _poisson_sf(least, _WORST * ratio)
    # C and the baseline's groups beyond b, where they promise the fewest large groups.
    worst, known = min(
        (
            (float((tail * _odds_of_few(b)).max()), groups_of(baseline, b + 1))
            for b in range(1, least)
        ),
        key=lambda pair: pair[1] + pair[0] * (pair[1] + 2.0 * math.sqrt(pair[1]) + 1.0),
    )
    new = found - known
    if new <= 0:
        return 1.0
    chance = worst * sampled
    return binomial_sf(new, new + known, chance / (1.0 + chance))

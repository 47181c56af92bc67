"""The tails of `tails` for many questions at once: the same numbers, to the bit.

A search asks the exact tail of thousands of cells. What is done to one number there is done here to
all of them, in the same order, so that a search does not depend on how many it asks at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.decision.tails import CLOSE, MAX_TERMS, TINY

if TYPE_CHECKING:
    from collections.abc import Iterable

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def rate_excess_ps(k_batch: Counts, n_batch: Floats, k_base: Counts, n_base: float) -> Floats:
    """Return `tails.rate_excess_p` of each.

    Args:
        k_batch: Rows of the batch that count, int64, shape (n,).
        n_batch: Rows of the batch, > 0, float64, same shape.
        k_base: Rows of the baseline that count, int64, same shape.
        n_base: Rows of the baseline, >= 0.

    Returns:
        float64, same shape.

    Cost: 1 us each, of a thousand at once.
    """
    n, share = k_batch + k_base, n_batch / (n_batch + n_base)
    out = np.where(k_batch <= 0, 1.0, 0.0)
    asked = np.flatnonzero((k_batch > 0) & (k_batch <= n))
    k = k_batch[asked]
    out[asked] = beta_is(k.astype(np.float64), (n[asked] - k + 1).astype(np.float64), share[asked])
    return out


def beta_is(a: Floats, b: Floats, x: Floats) -> Floats:
    """Return `tails.beta_i` of each.

    Args:
        a: First shapes, > 0, float64, shape (n,).
        b: Second shapes, > 0, float64, same shape.
        x: float64, same shape.

    Returns:
        float64, same shape.
    """
    out = np.where(x >= 1.0, 1.0, 0.0)
    inside = np.flatnonzero((x > 0.0) & (x < 1.0))
    a, b, x = a[inside], b[inside], x[inside]
    other = x > (a + 1.0) / (a + b + 2.0)
    a, b, x = np.where(other, b, a), np.where(other, a, b), np.where(other, 1.0 - x, x)
    found = np.minimum(np.maximum(_fronts(a, b, x) * _fractions(a, b, x) / a, 0.0), 1.0)
    out[inside] = np.where(other, 1.0 - found, found)
    return out


def _fronts(a: Floats, b: Floats, x: Floats) -> Floats:
    """Return the factor before the continued fraction; numpy's logarithms round differently."""
    return _floats(
        math.exp(
            math.lgamma(p + q)
            - math.lgamma(p)
            - math.lgamma(q)
            + p * math.log(z)
            + q * math.log1p(-z)
        )
        for p, q, z in zip(a.tolist(), b.tolist(), x.tolist(), strict=True)
    )


def _floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)


def _fractions(a: Floats, b: Floats, x: Floats) -> Floats:
    """Return the continued fraction of each, left alone as soon as it is exact."""
    out, left = np.zeros(a.size), np.arange(a.size)
    c, d = np.ones(a.size), 1.0 / _guarded(1.0 - (a + b) * x / (a + 1.0))
    h = d
    for m in range(1, MAX_TERMS):
        if left.size == 0:
            break
        for step in (
            m * (b - m) * x / ((a + (2 * m - 1)) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + (2 * m + 1))),
        ):
            d = 1.0 / _guarded(1.0 + step * d)
            c = _guarded(1.0 + step / c)
            h = h * (d * c)
        going = np.abs(d * c - 1.0) >= CLOSE
        if not going.all():
            out[left[~going]] = h[~going]
            left = left[going]
            a, b, x, c, d, h = (part[going] for part in (a, b, x, c, d, h))
    out[left] = h
    return out


def _guarded(values: Floats) -> Floats:
    return np.where(np.abs(values) > TINY, values, TINY)

"""Tail probabilities the signals need, without scipy.

All functions return probabilities in [0, 1] and never NaN for finite arguments; relative
error against scipy is below 1e-8 where the result exceeds 1e-290 (tested).
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TINY = 1e-300
"""What stands for 0 in a continued fraction."""
CLOSE = 1e-15
"""How near a continued fraction's last factor is to 1 when it is exact."""
MAX_TERMS = 10_000
"""Of a series or continued fraction."""
SURE_ERRORS = 3.6
"""Standard errors by which a change must stand out to be found reliably by any test."""
_MOST = 0.99  # of a p-value that is combined
_USUAL = 0.2  # a tail this thick is nowhere near a decision


def normal_sf(z: float) -> float:
    """Return P(Z > z) for a standard normal Z. Source: DLMF 7.2.2, Python's erfc."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def normal_quantile(p: float) -> float:
    """Return z with P(Z <= z) = p, 0 < p < 1. Source: Wichura 1988, AS 241 (statistics)."""
    return NormalDist().inv_cdf(min(max(p, 1e-300), 1.0 - 1e-16))


def chi2_sf(x: float, df: float) -> float:
    """Return P(X > x) for chi-square with df > 0 degrees of freedom.

    Args:
        x: Any number; below 0 the answer is 1.
        df: Degrees of freedom, > 0.

    Source: regularised incomplete gamma, DLMF 8.11.4 (series) and 8.9.2 (continued fraction,
    modified Lentz), as in Press et al. 2007, section 6.2.
    """
    return gamma_q(df / 2.0, x / 2.0)


def gamma_q(a: float, x: float) -> float:
    """Return the regularised upper incomplete gamma function Q(a, x).

    Args:
        a: Shape, > 0.
        x: Any number; up to 0 the answer is 1.

    Raises:
        ConfigError: ``a`` is not positive.

    Source: DLMF 8.11.4, 8.9.2.
    """
    if a <= 0:
        raise ConfigError("gamma_q needs a > 0", got=str(a))
    if x <= 0:
        return 1.0
    scale = math.exp(min(a * math.log(x) - x - math.lgamma(a), 700.0))
    if x < a + 1.0:
        term = total = 1.0 / a
        for k in range(1, MAX_TERMS):
            term *= x / (a + k)
            total += term
            if term < total * CLOSE:
                break
        return min(max(1.0 - total * scale, 0.0), 1.0)
    b = x + 1.0 - a
    c, d = 1.0 / TINY, 1.0 / b
    h = d
    for k in range(1, MAX_TERMS):
        step = -k * (k - a)
        b += 2.0
        d = 1.0 / _guard(step * d + b)
        c = _guard(b + step / c)
        h *= d * c
        if abs(d * c - 1.0) < CLOSE:
            break
    return min(max(h * scale, 0.0), 1.0)


def beta_i(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    Args:
        a: First shape, > 0.
        b: Second shape, > 0.
        x: Any number; outside [0, 1] the answer is 0 or 1.

    Source: DLMF 8.17.22 (continued fraction, modified Lentz).
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_i(b, a, 1.0 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    c, d = 1.0, 1.0 / _guard(1.0 - (a + b) * x / (a + 1.0))
    h = d
    for m in range(1, MAX_TERMS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _guard(1.0 + step * d)
            c = _guard(1.0 + step / c)
            h *= d * c
        if abs(d * c - 1.0) < CLOSE:
            break
    return min(max(front * h / a, 0.0), 1.0)


def _guard(value: float) -> float:
    return value if abs(value) > TINY else TINY


def binomial_sf(k: int, n: int, p: float) -> float:
    """Return P(X >= k) for X binomial(n, p).

    Args:
        k: Any number; up to 0 the answer is 1.
        n: Number of draws, >= 0.
        p: Probability of a success, in [0, 1).

    Source: DLMF 8.17.5.
    """
    if k <= 0:
        return 1.0
    return 0.0 if k > n else beta_i(k, n - k + 1, p)


def rate_excess_p(k_batch: int, n_batch: float, k_base: int, n_base: float) -> float:
    """Return the p-value of "the rate in the batch is not larger than in the baseline".

    Conditional on the total, the batch's count is binomial with share n_batch / (n_batch +
    n_base) when both rates are equal: exact for Poisson counts, conservative for binomial ones.
    Minimum n: none; without a count in either the p-value is 1.

    Args:
        k_batch: Rows of the batch that count.
        n_batch: Rows of the batch, > 0; an effective number may be fractional.
        k_base: Rows of the baseline that count.
        n_base: Rows of the baseline, >= 0.

    Source: Przyborowski and Wilenski 1940.
    """
    return binomial_sf(k_batch, k_batch + k_base, n_batch / (n_batch + n_base))


def binomial_lower(k: int, n: int, confidence: float = 0.95) -> float:
    """Return the one-sided lower confidence bound of k successes in n.

    Args:
        k: Successes, 0..n.
        n: Number of draws; of none the bound is 0.
        confidence: In (0, 1).

    Returns:
        A share, at most k / n.

    Source: Clopper and Pearson 1934, by bisection on the exact tail.
    """
    if k <= 0 or n <= 0:
        return 0.0
    low, high = 0.0, k / n
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (
            (middle, high) if binomial_sf(k, n, middle) < 1.0 - confidence else (low, middle)
        )
    return low


@lru_cache(maxsize=1024)
def student_quantile(p: float, df: float) -> float:
    """Return the quantile of Student's t by bisection on the exact tail.

    Args:
        p: Probability below it, 0.5 <= p < 1.
        df: Degrees of freedom, > 0.

    Source: DLMF 8.17.2 with x = df / (df + t^2).
    """
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2.0
        upper_tail = 0.5 * beta_i(df / 2.0, 0.5, df / (df + middle * middle))
        low, high = (middle, high) if upper_tail > 1.0 - p else (low, middle)
    return (low + high) / 2.0


def kolmogorov_sf(x: float) -> float:
    """Return P(K > x) for the limit of the scaled Kolmogorov distance.

    Source: Kolmogorov 1933; Feller 1948, equation 1.4; the theta-dual series below 0.5.
    """
    if x <= 0.04:
        return 1.0
    if x < 0.5:
        terms = sum(math.exp(-((2 * k - 1) ** 2) * math.pi**2 / (8 * x * x)) for k in range(1, 30))
        return min(max(1.0 - math.sqrt(2 * math.pi) / x * terms, 0.0), 1.0)
    terms = sum(math.copysign(math.exp(-2.0 * k * k * x * x), k % 2 - 0.5) for k in range(1, 30))
    return min(max(2.0 * terms, 0.0), 1.0)


def cauchy_combination(p_values: list[float]) -> float:
    """Combine p-values of any dependence into one.

    A p-value near 1 counts as 0.99: a test that can say nothing, as one with a single cell left,
    must not outweigh one that says much.

    Source: Liu and Xie 2020, equation 2; small p by the tail expansion tan(pi/2 - pi p) ~
    1 / (pi p), which avoids the loss of digits; truncation, Fang et al. 2023.
    """
    if not p_values:
        return 1.0
    total = 0.0
    for p in p_values:
        q = min(max(p, 1e-300), _MOST)
        total += 1.0 / (math.pi * q) if q < 1e-15 else math.tan((0.5 - q) * math.pi)
    mean = total / len(p_values)
    if mean > 1e14:
        return 1.0 / (math.pi * mean)
    return min(max(0.5 - math.atan(mean) / math.pi, 0.0), 1.0)


def mean_excess_p(
    values: NDArray[np.float64], weights: NDArray[np.float64], n: float, excess: float
) -> float:
    """Return P(mean of n draws - expectation >= excess) for a discrete distribution.

    The saddlepoint approximation keeps the skewness of rare large scores, which the normal
    approximation loses exactly in the tail a gate decides in.

    Args:
        values: Support, float64, shape (k,).
        weights: Probabilities, float64, shape (k,), sum 1.
        n: Number of draws, > 0; an effective number may be fractional.
        excess: Observed mean minus the expectation of the distribution.

    Source: Lugannani and Rice 1980; Daniels 1987, equation 3.3.
    """
    values, weights = values[weights > 0], weights[weights > 0]  # far values of none drown the rest
    centred = values - float(weights @ values)
    top = float(centred.max(initial=0.0))
    if excess <= 0.0 or top <= 0.0:
        return 1.0 if excess <= 0.0 else 0.0
    if excess >= top:
        return float(float(weights[centred >= top - 1e-12].sum()) ** n)
    low, high = 0.0, 1.0
    while _tilted(centred, weights, high)[1] < excess:
        high *= 2.0
    for _ in range(80):
        t = (low + high) / 2.0
        low, high = (t, high) if _tilted(centred, weights, t)[1] < excess else (low, t)
    k0, _, k2 = _tilted(centred, weights, t)
    w = math.sqrt(max(2.0 * n * (t * excess - k0), 0.0))
    u = t * math.sqrt(n * k2)
    if w < 1e-3 or u <= 0.0:  # the formula is 0/0 at the mean; there the normal is exact enough
        variance = float(weights @ (centred * centred))
        return normal_sf(excess * math.sqrt(n / variance)) if variance > 0 else 1.0
    density = math.exp(-w * w / 2.0) / math.sqrt(2.0 * math.pi)
    return min(max(normal_sf(w) + density * (1.0 / u - 1.0 / w), 0.0), 1.0)


def tail_p(
    values: NDArray[np.float64], weights: NDArray[np.float64], n: float, excess: float
) -> float:
    """Return `mean_excess_p`, or the normal tail where that says nothing is unusual.

    The exact tail costs a millisecond, and thousands of contributors are asked.

    Args:
        values: Support, float64, shape (k,).
        weights: Probabilities, float64, shape (k,), sum 1.
        n: Number of draws, > 0; an effective number may be fractional.
        excess: Observed mean minus the expectation of the distribution.
    """
    centred = values - float(weights @ values)
    variance = float(weights @ (centred * centred))
    rough = normal_sf(excess * math.sqrt(n / variance)) if variance > 0 else 1.0
    return rough if rough > _USUAL else mean_excess_p(values, weights, n, excess)


def _tilted(
    centred: NDArray[np.float64], weights: NDArray[np.float64], t: float
) -> tuple[float, float, float]:
    """Return the cumulant generating function and its first two derivatives at t."""
    exponent = t * centred
    shift = float(exponent.max())
    mass = weights * np.exp(exponent - shift)
    total = float(mass.sum())
    mean = float(mass @ centred) / total
    second = float(mass @ (centred * centred)) / total
    return math.log(total) + shift, mean, max(second - mean * mean, 0.0)

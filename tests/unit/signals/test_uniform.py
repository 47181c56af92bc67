"""On clean batches p-values are uniform, or larger: KS tests over independent simulations."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.conftest import CREATED

from sluicegate.profiling.label_kind import LabelKind
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.decision.distance import chi_square_p, listed_distance
from sluicegate.signals.decision.tails import kolmogorov_sf, mean_excess_p, rate_excess_p
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.registry import OF_BATCHES, expected_codes

RUNS = 40
N_ROWS = 1000
N_AGAIN = 100
LEVEL = 0.001  # of each KS test: a seeded simulation that is right fails never, or always
SCHEMA = BatchSchema(id="id", label="y", contributor="who", timestamp="at", text=("note",))
PRICED = replace(SCHEMA, label="price", label_kind=LabelKind.NUMBER)
EXACT = {"SCHEMA", "LABEL_NEW_CLASS", "REDELIVERY"}
"""Signals that compare facts and have no p-value."""
CONTINUOUS = {"DRIFT_NUMERIC", "LABEL_PRIOR", "DRIFT_TEXT"}
"""Signals whose statistic takes many values, so that p is uniform and not only not too small."""


def rows(rng: np.random.Generator, n: int) -> pa.Table:
    """Rows whose label follows a number and a word, with a tenth of noise."""
    x = rng.normal(size=n)
    y = ((x > 0) ^ (rng.random(n) < 0.1)).astype(int)
    words = rng.integers(0, 80, (n, 5)) + 20 * y[:, None]
    lengths = rng.integers(1, 6, n)
    at = rng.spawn(1)[0].integers(0, 10**8, n)
    return pa.table(
        {
            "id": [f"{i}" for i in rng.integers(0, 1 << 60, n)],
            "who": [f"c{i}" for i in rng.integers(0, 4, n)],
            "at": pa.array(at, pa.timestamp("ms")),
            "meter": at / 1000 + rng.spawn(1)[0].normal(0, 10, n),
            "x": x,
            "z": rng.normal(size=n),
            "kind": [f"k{i}" for i in rng.integers(0, 8, n)],
            "note": [
                " ".join(f"w{w}" for w in own[:k])
                for own, k in zip(words.tolist(), lengths.tolist(), strict=True)
            ],
            "y": y,
        }
    )


def prices(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    """The same rows with a price as label, which the number predicts."""
    price = np.exp(np.array(table["x"].to_pylist()) + rng.normal(size=table.num_rows))
    return table.drop_columns(["y"]).append_column("price", pa.array(price.tolist()))


def p_values_of(baseline, batch) -> dict[str, float | None]:
    records = evaluate(baseline, batch.to_batches(), tolerances={}, rows=False).records
    return {record.code: record.p_value for record in reversed(records)}


@pytest.fixture(scope="module")
def p_values():
    """P-values of one column of each signal, every pair of baseline and batch drawn anew."""
    found = defaultdict(list)
    for seed in range(RUNS):
        rng = np.random.default_rng([seed, 71])
        known = rows(rng, N_ROWS)
        baseline = build_baseline(
            known.to_batches(),
            SCHEMA,
            created=CREATED,
            seed=seed,
            golden=rows(rng, 100).to_batches(),
        )
        batch = rows(rng, N_ROWS)
        priced = build_baseline(prices(known, rng).to_batches(), PRICED, created=CREATED, seed=seed)
        asked = {*expected_codes(baseline), *expected_codes(priced)}
        assert asked == {signal.code for signal in OF_BATCHES}
        first = p_values_of(baseline, batch)
        # Rows that come again make a batch more like its baseline than chance does, but without
        # them nothing could contradict an earlier label.
        again = pa.concat_tables([batch.slice(N_AGAIN), known.slice(0, N_AGAIN)])
        known_again = p_values_of(baseline, again)
        first |= {code: known_again[code] for code in ("LABEL_TRUSTED", "LABEL_CONFLICTS")}
        of_prices = p_values_of(priced, prices(batch, rng))
        first |= {code: of_prices[code] for code in ("TARGET_RANGE", "TARGET_SHIFT")}
        for code, p in first.items():
            found[code].append(p)
    return found


def smaller(p: np.ndarray) -> float:
    """How far the distribution of p lies above the uniform one: p-values that are too small."""
    p = np.sort(p)
    return float((np.arange(1, p.size + 1) / p.size - p).max())


def larger(p: np.ndarray) -> float:
    p = np.sort(p)
    return float((p - np.arange(p.size) / p.size).max())


def critical(n: int) -> float:
    """One-sided KS bound (Massart 1990)."""
    return math.sqrt(math.log(1.0 / LEVEL) / (2.0 * n))


@pytest.mark.slow
def test_every_signal_but_exact_facts_gives_a_p_value(p_values):
    given = {code for code, values in p_values.items() if None not in values}
    assert given == {signal.code for signal in OF_BATCHES} - EXACT


@pytest.mark.slow
@pytest.mark.parametrize("code", sorted({signal.code for signal in OF_BATCHES} - EXACT))
def test_p_values_of_clean_batches_are_not_too_small(p_values, code):
    p = np.array(p_values[code])
    assert smaller(p) <= critical(p.size)


@pytest.mark.slow
@pytest.mark.parametrize("code", sorted(CONTINUOUS))
def test_p_values_of_clean_batches_are_uniform(p_values, code):
    p = np.array(p_values[code])
    assert larger(p) <= critical(p.size)


# The tests themselves, on counts drawn from what they assume -----------------------------------


def simulated(p_of, n_runs=1500) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.array([p_of(rng) for _ in range(n_runs)])


def two_histograms(rng):
    share = np.full(30, 1 / 30)
    return chi_square_p(rng.multinomial(20_000, share), rng.multinomial(8_000, share))


def two_lists(rng):
    share = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
    return listed_distance(rng.multinomial(9_000, share), rng.multinomial(4_000, share)).p_value


def two_samples(rng):
    a, b = np.sort(rng.random(3_000)), rng.random(1_500)
    both = np.concatenate([a, b])
    gap = np.abs(
        np.searchsorted(a, both, side="right") / a.size
        - np.searchsorted(np.sort(b), both, side="right") / b.size
    ).max()
    return kolmogorov_sf(float(gap) * math.sqrt(a.size * b.size / (a.size + b.size)))


def two_rates(rng):
    """Counts are discrete: a p-value between those of k and k + 1, at random, is uniform."""
    n, m, rate = 2_000, 5_000, 0.02
    k, j = int(rng.binomial(n, rate)), int(rng.binomial(m, rate))
    # Given k + j, so that what is compared is one conditional distribution.
    low = rate_excess_p(k + 1, n, j - 1, m) if j else 0.0
    return low + rng.random() * (rate_excess_p(k, n, j, m) - low)


def mean_of_scores(rng):
    """Rare large scores, as flips have: the normal tail would be too small."""
    scores, density = np.array([-0.1, 0.3, 1.5]), np.array([0.85, 0.1, 0.05])
    centred = scores - density @ scores
    n_rows = 3_000
    share = float(rng.multinomial(n_rows, density) / n_rows @ centred)
    p = mean_excess_p(centred, density, n_rows, share)
    # A mean below the expectation is no excess, whatever it is.
    return p if share > 0 else 0.5 + rng.random() / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "p_of", [two_histograms, two_lists, two_samples, two_rates, mean_of_scores]
)
def test_p_value_of_a_test_is_uniform_under_its_null(p_of):
    p = simulated(p_of)
    assert smaller(p) <= critical(p.size)
    # Saddlepoint, pooled and asymptotic tails lose a few points of level, never more.
    assert larger(p) <= critical(p.size) + 0.03

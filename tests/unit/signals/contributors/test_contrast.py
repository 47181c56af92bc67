"""What contributors do from block to block is learned for each, and from the movement of all."""

from __future__ import annotations

import numpy as np
import pytest

from sluicegate.signals.contributors.contrast import Spread, learn_spread

NAMES = ("calm", "wild", *(f"c{i}" for i in range(10)))


def totals(rng: np.random.Generator, sizes: list[float], storm: float) -> tuple:
    """Sums of scores of twelve contributors in sixty blocks of 200 rows each.

    A storm moves all in every third block, and each somewhat harder or softer.
    """
    n = np.full((60, 12), 200.0)
    moved = np.where(np.arange(60) % 3 == 0, storm, 0.0)[:, None]
    own = rng.normal(0.0, 1.0, (60, 12)) * np.array(sizes)
    shares = moved * (1.0 + rng.normal(0.0, 0.5, (60, 12))) + own
    return n, n * shares + rng.normal(0.0, np.sqrt(200.0 * 0.05), (60, 12))


def test_calm_contributor_has_a_tighter_bound_than_a_wild_one():
    spread = learn_spread(
        *totals(np.random.default_rng(1), [0.0, 0.1, *[0.0] * 10], 0.0), 0.05, names=NAMES
    )
    assert spread.of("calm", 0.0) < 0.7 * spread.of("wild", 0.0)


def test_bound_grows_with_what_the_others_move():
    spread = learn_spread(*totals(np.random.default_rng(2), [0.01] * 12, 0.3), 0.05, names=NAMES)
    # A third of the blocks are storms, so a calm block is a tenth below the mean.
    assert spread.of("calm", 0.2) > 0.15
    assert spread.of("calm", -0.1) < 0.3 * spread.of("calm", 0.2)


def test_dozen_blocks_give_nobody_a_bound_of_its_own():
    n, total = totals(np.random.default_rng(3), [0.0, 0.1, *[0.0] * 10], 0.3)
    spread = learn_spread(n[:12], total[:12], 0.05, names=NAMES)
    assert spread.own == {}
    assert spread.slopes == (0.0, 0.0)


def test_unknown_contributor_has_the_bound_of_all():
    assert Spread(0.0, 0.2, {"a": 0.1}).of("b", 0.5) == pytest.approx(0.2)

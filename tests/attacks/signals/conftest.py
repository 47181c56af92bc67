"""One small source for all cases: its baseline, and a clean batch."""

from __future__ import annotations

import pytest
from tests.attacks.signals.changes import GOLDEN_SEED, N_BATCH, N_GOLDEN
from tests.attacks.signals.world import World
from tests.unit.signals.conftest import CREATED, PRICED, SCHEMA, make_prices, make_rows

from sluicegate.signals.baseline.build import build_baseline


@pytest.fixture(scope="session")
def world():
    golden = make_rows(N_GOLDEN, GOLDEN_SEED)
    baseline = build_baseline(
        make_rows(3000, 1).to_batches(),
        SCHEMA,
        created=CREATED,
        seed=1,
        golden=golden.to_batches(),
    )
    prices = build_baseline(make_prices(3000, 1).to_batches(), PRICED, created=CREATED, seed=1)
    return World(baseline, make_rows(N_BATCH, 2), prices=World(prices, make_prices(N_BATCH, 2)))

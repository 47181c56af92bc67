"""A small labelled source with contributors: one baseline, batches of the same make."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.adapters.gx.suite import load_suite
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline

EXPECTATIONS = Path(__file__).parents[4] / "expectations"


def make_table(n_rows, seed, *, flip_contributor=None):
    rng = np.random.default_rng(seed)
    size, colour = rng.normal(size=n_rows), rng.choice(["red", "green", "blue"], size=n_rows)
    who = rng.choice(["ann", "bob", "cid", "dee"], size=n_rows)
    label = (size + 0.3 * rng.normal(size=n_rows) > 0).astype(np.int8)
    if flip_contributor:
        label = np.where(who == flip_contributor, 1 - label, label).astype(np.int8)
    return pa.table(
        {
            "id": pa.array([f"{seed}-{i}" for i in range(n_rows)]),
            "at": pa.array(np.arange(n_rows) + seed, pa.timestamp("s", tz="UTC")),
            "who": pa.array(who.tolist()),
            "colour": pa.array(colour.tolist()),
            "size": pa.array(size),
            "count": pa.array(rng.poisson(5, size=n_rows), mask=rng.random(n_rows) < 0.1),
            "label": pa.array(label),
        }
    )


@pytest.fixture(scope="session")
def baseline():
    schema = BatchSchema(id="id", label="label", contributor="who", timestamp="at")
    return build_baseline(
        make_table(2_000, 1).to_batches(),
        schema,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        seed=7,
    )


@pytest.fixture(scope="session")
def clean():
    return make_table(1_500, 2)


@pytest.fixture(scope="session")
def flipped():
    return make_table(1_500, 3, flip_contributor="bob")


@pytest.fixture
def suite():
    return load_suite(EXPECTATIONS / "tabular.json")

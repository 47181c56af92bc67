"""A small clean source, its baseline, and ways to change a batch of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.profiling.label_kind import LabelKind
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.evaluate import evaluate

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = BatchSchema(
    id="id", label="y", contributor="who", timestamp="at", text=("note",), counter=("serial",)
)
PRICED = replace(SCHEMA, label="price", label_kind=LabelKind.NUMBER, counter=())
WORDS = [f"word{i}" for i in range(400)]


def make_rows(n: int, seed: int) -> pa.Table:
    """Rows whose label follows two features, a category and some words, with 5 % of noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    kind = rng.choice(["red", "green", "blue"], n, p=[0.5, 0.3, 0.2])
    score = 2.5 * x[:, 0] - 2.0 * x[:, 1] + np.where(kind == "red", 1.0, -1.0)
    y = (score > 0) ^ (rng.random(n) < 0.05)
    notes = []
    for label in y:
        tilt = rng.integers(0, 40, 3) + (0 if label else 40)
        notes.append(" ".join(WORDS[i] for i in [*rng.integers(80, 400, 12), *tilt]))
    start = datetime(2025, 1, 1, tzinfo=UTC)
    return pa.table(
        {
            "id": [f"{seed}-{i}" for i in range(n)],
            "at": [start + timedelta(minutes=i) for i in range(n)],
            "who": [f"c{i}" for i in rng.choice(6, n, p=[0.3, 0.25, 0.2, 0.12, 0.08, 0.05])],
            **{f"x{j}": x[:, j].tolist() for j in range(4)},
            "kind": kind.tolist(),
            "note": notes,
            "serial": [(7919 * i + 104_729 * seed) % 1_000_003 for i in range(n)],  # all different
            "y": y.astype(int).tolist(),
        }
    )


def make_prices(n: int, seed: int) -> pa.Table:
    """The same rows with a price that two features and a category predict, noisier where high."""
    table = make_rows(n, seed)
    x0, x1 = (np.array(table[name].to_pylist()) for name in ("x0", "x1"))
    noise = np.random.default_rng([seed, 1]).normal(size=n)
    red = np.array(table["kind"].to_pylist()) == "red"
    height = 0.8 * x0 - 0.5 * x1 + 0.4 * red
    price = np.round(np.exp(3.0 + height + 0.3 * noise * np.exp(0.2 * height)), 2)
    return table.drop_columns(["y", "serial"]).append_column("price", pa.array(price.tolist()))


def put(table: pa.Table, name: str, values: list) -> pa.Table:
    """Replace one column."""
    index = table.schema.get_field_index(name)
    return table.set_column(index, name, pa.array(values, type=table.schema.field(name).type))


@pytest.fixture(scope="session")
def golden():
    return make_rows(400, 77)


@pytest.fixture(scope="session")
def baseline(golden):
    return build_baseline(
        make_rows(3000, 1).to_batches(),
        SCHEMA,
        created=CREATED,
        seed=1,
        golden=golden.to_batches(),
    )


@pytest.fixture(scope="session")
def priced():
    """A baseline whose label is a number."""
    rows = make_prices(3000, 1)
    return build_baseline(rows.to_batches(), PRICED, created=CREATED, seed=1)


@pytest.fixture
def batch():
    return make_rows(1500, 2)


@pytest.fixture(scope="session")
def check(baseline):
    """Return the statuses of a table as {(code, column): record}."""

    def run(table: pa.Table, **settings):
        found = evaluate(baseline, table.to_batches(), tolerances=settings.pop("tolerances", {}))
        return {(r.code, r.column): r for r in found.records}

    return run

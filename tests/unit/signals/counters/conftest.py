"""Orders with one more column: a baseline of 90 days, and a batch of the 30 days after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate

CREATED = datetime(2026, 6, 1, tzinfo=UTC)
START = datetime(2026, 1, 5, tzinfo=UTC)
DAY_MS = 86_400_000
N_BASE, N_BATCH = 3000, 1000
WINDOWS = {"base": (0.0, 90.0, N_BASE), "batch": (90.0, 120.0, N_BATCH)}


def orders(part, seed, *, uneven=0.0):
    """Return columns of a part, and its times in days since the start of the baseline."""
    first, last, n = WINDOWS[part]
    rng = np.random.default_rng([seed, len(part)])
    days = np.sort(rng.uniform(first, last, n))
    if uneven:  # weekly waves
        days = np.sort(days + uneven * np.sin(2 * np.pi * days / 7))
    amount, age = np.round(rng.gamma(2, 40, n), 2), rng.integers(18, 90, n)
    channel = rng.choice(["web", "app", "shop"], n, p=[0.5, 0.3, 0.2])
    score = 0.02 * (amount - 80) + 0.03 * (age - 50) + rng.normal(0, 1, n)
    columns = {
        "id": [f"{part}-{seed}-{i}" for i in range(n)],
        "ts": [START + timedelta(days=float(d)) for d in days],
        "amount": amount,
        "age": age,
        "channel": channel,
        "who": rng.choice(["a", "b", "c"], n),
        "y": (score > 0.5).astype(np.int64),
    }
    return columns, days, rng


def table(part, seed, make, **settings):
    columns, days, rng = orders(part, seed, **settings)
    return pa.table({**columns, "k": make(days, rng, 0 if part == "base" else N_BASE)})


def build(rows, *, timed=True, **roles):
    schema = BatchSchema(
        id="id", label="y", contributor="who", timestamp="ts" if timed else None, **roles
    )
    if not timed:
        rows = rows.drop_columns(["ts"])
    return build_baseline(rows.to_batches(), schema, created=CREATED, seed=5)


def judged(baseline, rows, **settings):
    settings = {"tolerances": {}, "rows": False, **settings}
    done = evaluate(baseline, rows.to_batches(), **settings)
    return {(r.code, r.column): r for r in done.records}


def blocking(found):
    return sorted(
        key for key, r in found.items() if r.status in (Status.FAILED, Status.NOT_EVALUATED)
    )


def fired(found):
    return {key: r.status for key, r in found.items() if r.status is not Status.PASSED}


def dates(days):
    return pa.array([(START + timedelta(days=float(d))).date() for d in days], pa.date32())


def meters(days, rng, _):
    """Energy of five devices, each with its own total; one of them is reset again and again."""
    device = rng.integers(0, 5, len(days))
    total = 1000 * device + days * 10 + rng.normal(0, 1, len(days))
    return np.where(device == 2, total % 300, total)


def ulids(days, rng, _):
    stamps = (int(d * DAY_MS) + 1_767_571_200_000 for d in days)
    return [f"{stamp:012X}{rng.integers(0, 16**8):08X}" for stamp in stamps]


KINDS = {
    "numbers of orders": lambda d, r, o: np.arange(o, o + len(d)),
    "ids with gaps": lambda d, r, o: np.cumsum(r.integers(1, 40, len(d))) + o * 20,
    "ids that hold a time": lambda d, r, o: (
        ((d * DAY_MS).astype(np.int64) << 22) + r.integers(0, 1 << 22, len(d))
    ),
    "Unix time as float": lambda d, r, o: d * DAY_MS + 1.7675712e12,
    "ISO week": lambda d, r, o: (np.floor(d) // 7 + 2).astype(np.int64),
    "days since": lambda d, r, o: np.floor(d + 400).astype(np.int64),
    "date": lambda d, r, o: dates(d),
    "meter": lambda d, r, o: d * 12.5 + r.normal(0, 1, len(d)),
    "meters of devices": meters,
    "version": lambda d, r, o: np.searchsorted([5, 11, 30, 44, 60, 71, 93, 101, 115], d),
    "countdown": lambda d, r, o: np.floor(500 - d).astype(np.int64),
    "users of whom more sign up": lambda d, r, o: np.floor(
        r.uniform(0, 1, len(d)) * (5000 + 50 * d)
    ).astype(np.int64),
    "price index": lambda d, r, o: np.round(100 + d * 0.05, 1),
}
"""Columns that move by nature: value of each row from its time in days, chance, rows before."""


def numbers(rows):
    """Return the column as float64."""
    column = rows["k"].combine_chunks()
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    return np.array(column.to_pylist(), dtype=np.float64)


def replaced(rows, values, **others):
    """Replace the column's values, and other columns."""
    for name, new in {"k": values, **others}.items():
        at, type_ = rows.schema.get_field_index(name), rows.schema.field(name).type
        if pa.types.is_date32(type_):
            array = pa.array(np.asarray(new).astype(np.int32)).cast(type_)
        elif pa.types.is_integer(type_):
            array = pa.array(np.asarray(new).astype(np.int64), type_)
        else:
            array = pa.array(new, type_)
        rows = rows.set_column(at, name, array)
    return rows


def forged(rows, share, value):
    """Give some rows other values and one label; ``value`` gets all numbers and the rows."""
    found, labels = numbers(rows), rows["y"].to_pylist()
    chosen = np.random.default_rng(0).choice(len(found), int(share * len(found)), replace=False)
    found[chosen] = value(found, chosen)
    for row in chosen:
        labels[row] = 1
    return replaced(rows, found, y=labels)

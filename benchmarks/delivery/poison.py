"""What an attacker puts into a batch that was delivered in some pattern; the rows stay as many.

Each is a function of the source, the clean batch and a random generator, and returns the poisoned
batch, or None where the source has nothing to attack in that way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray
    from sources import Source

RATE = 0.03
"""Share of the rows that are poisoned; swapped units take a fifth."""

_SWAPPED = 0.2
_INCH = 2.54
_ENOUGH = 20


def flips(source: Source, batch: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame | None:
    """Labels of one contributor are exchanged; measured ones are mirrored at their median."""
    return None if source.label is None else flips_of(source, batch, _by_one(batch, rng), rng)


def flips_of(
    source: Source, batch: pd.DataFrame, rows: NDArray[np.intp], rng: np.random.Generator
) -> pd.DataFrame | None:
    """Exchange the labels of some rows; None where there is one class only."""
    out = batch.copy()
    if source.measured:
        y = batch["y"].to_numpy(float)
        out.loc[rows, "y"] = (2 * np.median(y) - y[rows]).astype(batch["y"].dtype)
        return out
    classes = sorted(batch["y"].unique(), key=str)
    if len(classes) < 2:
        return None
    step = rng.integers(1, len(classes), len(rows))
    now = [classes.index(label) for label in batch["y"].iloc[rows]]
    out.loc[rows, "y"] = [classes[(i + s) % len(classes)] for i, s in zip(now, step, strict=True)]
    return out


def trigger(source: Source, batch: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame | None:
    """One value, or one word of a text, comes with one label."""
    if source.label is None:
        return None
    out = batch.copy()
    rows = _some(batch, rng)
    if texts := source.more.get("text"):
        out.loc[rows, texts[0]] = out.loc[rows, texts[0]] + " tqx"
    elif numbers := _numbers(source, batch):
        value = batch[numbers[0]].quantile(0.6)
        kind = batch[numbers[0]].dtype.kind
        out.loc[rows, numbers[0]] = round(value) if kind in "iu" else round(value, 1) + 0.0617
    else:
        return None
    target = batch["y"].quantile(0.95) if source.measured else batch["y"].value_counts().index[-1]
    out.loc[rows, "y"] = int(target) if batch["y"].dtype.kind in "iu" else target
    return out


def flood(source: Source, batch: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame | None:
    """Rows of one newcomer, all nearly like one row of the batch."""
    out = batch.copy()
    rows = _some(batch, rng)
    model = batch.iloc[int(rng.integers(len(batch)))]
    for column in batch:
        if column not in {"id", "at"}:
            out.loc[rows, column] = model[column]
    out.loc[rows, "id"] = [f"x{i}" for i in rows]
    for column in _numbers(source, batch)[:1]:
        if batch[column].dtype.kind == "f":
            out.loc[rows, column] = model[column] * rng.uniform(0.999, 1.001, len(rows))
    if "who" in batch:
        out.loc[rows, "who"] = "mallory"
    return out


def outliers(source: Source, batch: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame | None:
    """Numbers far beyond all others."""
    numbers = _numbers(source, batch)
    if not numbers:
        return None
    out = batch.copy()
    rows = _some(batch, rng)
    for column in numbers:
        low, high = batch[column].quantile([0.5, 0.999])
        far = high + (high - low) * rng.uniform(3, 6, len(rows))
        out.loc[rows, column] = far.astype(batch[column].dtype)
    return out


def units(source: Source, batch: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame | None:
    """One number of a fifth of the rows is in another unit."""
    numbers = _numbers(source, batch)
    if not numbers:
        return None
    out = batch.copy()
    rows = _some(batch, rng, _SWAPPED)
    column = numbers[0]
    out.loc[rows, column] = (batch[column].iloc[rows] * _INCH).astype(batch[column].dtype)
    return out


ATTACKS: dict[str, Callable[[Source, pd.DataFrame, np.random.Generator], pd.DataFrame | None]] = {
    "flips by one contributor": flips,
    "trigger": trigger,
    "flood": flood,
    "outliers": outliers,
    "swapped units": units,
}


def _some(batch: pd.DataFrame, rng: np.random.Generator, share: float = RATE) -> NDArray[np.intp]:
    n = max(1, round(share * len(batch)))
    return np.sort(rng.choice(len(batch), n, replace=False))


def _by_one(batch: pd.DataFrame, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return rows of the largest contributor, as many as `RATE` allows and he has."""
    n = max(1, round(RATE * len(batch)))
    if "who" not in batch:
        return _some(batch, rng)
    own = np.flatnonzero(batch["who"] == batch["who"].value_counts().index[0])
    return np.sort(rng.choice(own, min(n, len(own)), replace=False))


def _numbers(source: Source, batch: pd.DataFrame) -> list[str]:
    """Return the features that are numbers of many values, the widest first."""
    found = [
        c
        for c in source.features
        if c in batch and batch[c].dtype.kind in "fiu" and batch[c].nunique() >= _ENOUGH
    ]
    return sorted(found, key=lambda c: -batch[c].nunique())

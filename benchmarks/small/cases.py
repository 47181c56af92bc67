"""What an attacker does to a small table; each case takes a scene of detection's attacks.

Rows *in range* lie within what the baseline holds in every column, and are extreme together. The
*pairs* of two columns come with one label. *Collisions* are rows with equal or nearly equal
features and another label. All replace rows of the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attacks import (
    Poisoned,
    Scene,
    feature_collision,
    fixed_trigger,
    jittered_trigger,
    pair_trigger,
    targeted_flips,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

_OUTER = (0.005, 0.05)
"""Quantiles between which an extreme value lies, from either end."""
_BAND = 0.05
_NEAR = 0.01
_STRETCH = 3.0


def extreme_rows(scene: Scene) -> Poisoned:
    """Every number lies in the outer twentieth of its column, on either side."""
    frame, rows = scene.batch, scene.pick()
    for name in _many_valued(scene):
        far = scene.rng.uniform(*_OUTER, rows.size)
        upper = scene.rng.random(rows.size) < 0.5
        values = scene.drawn.baseline[name].quantile(np.where(upper, 1 - far, far), "nearest")
        _put(frame, name, rows, values.to_numpy())
    return _poisoned(frame, rows)


def contrary_rows(scene: Scene) -> Poisoned:
    """Two columns that go together go apart: one is high and the other low, or both one way."""
    frame, rows = scene.batch, scene.pick()
    (first, second), sign = _strongest(scene)
    upper = scene.rng.random(rows.size) < 0.5
    for name, high in ((first, upper), (second, upper if sign < 0 else ~upper)):
        far = scene.rng.uniform(0.02, 0.1, rows.size)
        values = scene.drawn.baseline[name].quantile(np.where(high, 1 - far, far), "nearest")
        _put(frame, name, rows, values.to_numpy())
    return _poisoned(frame, rows)


def stretched_rows(scene: Scene) -> Poisoned:
    """Rows moved to three times their distance from the centre, not beyond the range."""
    frame, rows = scene.batch, scene.pick()
    for name in scene.numeric:
        known = scene.drawn.baseline[name]
        values = frame[name].to_numpy(float)[rows]
        moved = known.median() + _STRETCH * (values - known.median())
        _put(frame, name, rows, np.clip(moved, known.min(), known.max()))
    return _poisoned(frame, rows)


def band_trigger(scene: Scene) -> Poisoned:
    """Two columns take values of one narrow band each, where hardly any row has both."""
    base = scene.drawn.baseline
    names = _many_valued(scene)
    best: tuple[int, list[tuple[str, NDArray[np.float64]]]] | None = None
    for _ in range(20):
        pair = scene.rng.choice(names, 2, replace=False)
        places = [(str(n), _band(base[n], scene.rng.uniform(0.05, 0.9))) for n in pair]
        together = int(np.logical_and(*(_within(base[n], v) for n, v in places)).sum())
        if best is None or together < best[0]:
            best = (together, places)
    assert best is not None
    frame, target = scene.batch, scene.classes[1]
    rows = scene.pick((frame["y"] != target).to_numpy())
    for name, values in best[1]:
        _put(frame, name, rows, scene.rng.choice(values, rows.size))
    frame.loc[rows, "y"] = target
    return _poisoned(frame, rows)


def equal_in_batch(scene: Scene) -> Poisoned:
    """Copies of rows of the batch with another label."""
    return _collided(scene, scene.drawn.batch, 0.0)


def near_in_batch(scene: Scene) -> Poisoned:
    """Near copies of rows of the batch with another label."""
    return _collided(scene, scene.drawn.batch, _NEAR)


def equal_to_baseline(scene: Scene) -> Poisoned:
    """Copies of rows of the baseline with another label."""
    return _collided(scene, scene.drawn.baseline, 0.0)


def near_baseline(scene: Scene) -> Poisoned:
    """Near copies of rows of the baseline with another label."""
    return _collided(scene, scene.drawn.baseline, _NEAR)


def near_one_row(scene: Scene) -> Poisoned:
    """All poisoned rows surround one row of the batch, with another label."""
    victim = scene.drawn.batch.sample(1, random_state=int(scene.rng.integers(1 << 31)))
    return _collided(scene, victim.reset_index(drop=True), _NEAR)


FAMILIES: dict[str, tuple[Callable[[Scene], Poisoned], ...]] = {
    "in range, extreme together": (extreme_rows, contrary_rows, stretched_rows),
    "triggers of two columns": (fixed_trigger, jittered_trigger, pair_trigger, band_trigger),
    "collisions": (
        equal_in_batch,
        near_in_batch,
        equal_to_baseline,
        near_baseline,
        near_one_row,
        feature_collision,
    ),
    "targeted flips": (targeted_flips,),
}
"""Cases by what the demand calls them; `feature_collision` takes rows that nobody has seen."""


def _collided(scene: Scene, known: pd.DataFrame, noise: float) -> Poisoned:
    """Move rows onto known ones; noise in standard deviations, whole numbers stay whole."""
    frame, rows = scene.batch, scene.pick()
    others = np.setdiff1d(np.arange(len(known)), rows) if len(known) == len(frame) else None
    taken = known.iloc[
        scene.rng.choice(len(known) if others is None else others, rows.size, replace=True)
    ]
    for name in scene.source.features:
        values = taken[name].to_numpy(float)
        spread = float(scene.drawn.baseline[name].std())
        _put(frame, name, rows, values + noise * spread * scene.rng.normal(size=rows.size))
    labels = [[c for c in scene.classes if c != y] for y in taken["y"]]
    frame.loc[rows, "y"] = [c[scene.rng.integers(len(c))] for c in labels]
    return _poisoned(frame, rows)


def _poisoned(frame: pd.DataFrame, rows: NDArray[np.intp]) -> Poisoned:
    bad = np.zeros(len(frame), dtype=bool)
    bad[rows] = True
    return Poisoned(frame, bad)


def _put(
    frame: pd.DataFrame, name: str, rows: NDArray[np.intp], values: NDArray[np.float64]
) -> None:
    """Write values in the column's type."""
    column = frame[name].to_numpy().copy()
    column[rows] = np.rint(values) if column.dtype.kind in "iu" else values
    frame[name] = column


def _many_valued(scene: Scene) -> list[str]:
    """Return numbers of many values, or all if fewer than two have them."""
    return scene.numeric if len(scene.numeric) > 1 else list(scene.source.features)


def _strongest(scene: Scene) -> tuple[tuple[str, str], float]:
    """Return the pair of columns with the largest rank correlation, and that."""
    names = _many_valued(scene)
    ranks = scene.drawn.baseline[names].rank().corr().to_numpy(copy=True)
    ranks[np.tril_indices(len(names))] = 0.0
    i, j = np.unravel_index(np.nanargmax(np.abs(ranks)), ranks.shape)
    return (names[i], names[j]), float(ranks[i, j])


def _band(column: pd.Series, at: float) -> NDArray[np.float64]:
    """Return the values of a column in a band that holds a twentieth of its rows."""
    low, high = column.quantile([at, at + _BAND])
    values: NDArray[np.float64] = column[column.between(low, high)].to_numpy(float)
    return values


def _within(column: pd.Series, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = column.between(values.min(), values.max()).to_numpy()
    return inside

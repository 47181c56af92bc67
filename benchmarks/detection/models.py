"""The standard models that poison is aimed at: what a team would train first."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from sources import Source

_ROWS = 4000  # a larger training set changes a linear model little and costs a minute a run


class Standard:
    """A logistic regression on standardised numbers, hashed categories or hashed words."""

    def __init__(self, source: Source, frame: pd.DataFrame, *, seed: int) -> None:
        """Fit on a frame."""
        self.source = source
        frame = frame.sample(min(_ROWS, len(frame)), random_state=seed)
        linear = LogisticRegression(max_iter=200)
        self.model = linear if source.kind == "text" else make_pipeline(StandardScaler(), linear)
        self.model.fit(self._matrix(frame), frame["y"].to_numpy())
        self.classes = list(self.model.classes_)

    def points(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Return rows as dense vectors of comparable scale."""
        if self.source.kind == "text":
            hashed = HashingVectorizer(n_features=512, alternate_sign=False)
            dense: NDArray[np.float64] = hashed.transform(frame["text"]).toarray()
            return dense
        points = self._matrix(frame)
        spread = points.std(axis=0)
        scaled: NDArray[np.float64] = points / np.where(spread > 0, spread, 1.0)
        return scaled

    def probabilities(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Return class probabilities, shape (n_rows, n_classes)."""
        chance: NDArray[np.float64] = self.model.predict_proba(self._matrix(frame))
        return chance

    def accuracy(self, frame: pd.DataFrame) -> float:
        """Return the share of rows whose label is predicted."""
        guess = np.array(self.classes)[self.probabilities(frame).argmax(axis=1)]
        return float((guess == frame["y"].to_numpy()).mean())

    def share(self, frame: pd.DataFrame, label: object) -> float:
        """Return the share of rows for which one label is predicted."""
        guess = np.array(self.classes)[self.probabilities(frame).argmax(axis=1)]
        return float((guess == label).mean())

    def _matrix(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        return matrix(self.source, frame)


def matrix(source: Source, frame: pd.DataFrame) -> NDArray[np.float64]:
    """Return features as numbers: categories hashed into 16 columns, words into 2**14."""
    if source.kind == "text":
        words: NDArray[np.float64] = HashingVectorizer(
            n_features=2**14, ngram_range=(1, 2)
        ).transform(frame["text"])
        return words
    if source.kind == "embedding":
        return np.stack(frame[source.features[0]].to_numpy()).astype(float)
    columns = []
    for name in source.features:
        values = frame[name].to_numpy()
        if values.dtype.kind in "fiu":
            columns.append(values.astype(float)[:, None])
        else:
            cell = np.array([zlib.crc32(str(v).encode()) % 16 for v in values])
            columns.append((cell[:, None] == np.arange(16)).astype(float))
    return np.concatenate(columns, axis=1)

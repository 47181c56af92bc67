"""What others would say of the same batch: isolation forest, LOF, drift tests, label ranking.

The outlier methods are fitted on the baseline, as their best use; drift is Evidently's default
rule for more than 1,000 rows, restated (normalised Wasserstein distance of numbers, Jensen-Shannon
distance of categories, drift above 0.1, any column; 0.7.23 does not install beside numpy 2.4);
label ranking is cleanlab's self-confidence from five-fold probabilities, restated: cleanlab is
under AGPL and not among our requirements, its ranking is one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from models import matrix
from scipy.stats import wasserstein_distance
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from sources import Source, Split

_QUANTILE = 0.005


@dataclass(frozen=True)
class Opinion:
    """A peer's view: one number for the batch (larger is worse), one for each row."""

    batch: float
    rows: NDArray[np.float64] | None = None


class Peers:
    """Peers fitted on one baseline."""

    def __init__(self, source: Source, drawn: Split, seed: int) -> None:
        """Fit the outlier methods."""
        self.source, self.drawn, self.seed = source, drawn, seed
        self.reduce = None
        base = matrix(source, drawn.baseline)
        if source.kind == "text":
            self.reduce = TruncatedSVD(50, random_state=seed).fit(base)
            base = self.reduce.transform(base)
        self.scaler = StandardScaler().fit(base)
        base = self.scaler.transform(base)
        self.outliers = {
            "isolation forest": IsolationForest(random_state=seed).fit(base),
            "local outlier factor": LocalOutlierFactor(novelty=True).fit(base),
        }
        self.limits = {
            name: float(np.quantile(-model.score_samples(base), 1 - _QUANTILE))
            for name, model in self.outliers.items()
        }

    def opinions(self, frame: pd.DataFrame) -> dict[str, Opinion]:
        """Ask all peers about a batch."""
        points = matrix(self.source, frame)
        if self.reduce is not None:
            points = self.reduce.transform(points)
        points = self.scaler.transform(points)
        out = {}
        for name, model in self.outliers.items():
            score = -model.score_samples(points)
            out[name] = Opinion(float((score > self.limits[name]).mean()), score)
        out["drift, any column"] = Opinion(self._drift(frame))
        out["label ranking"] = label_ranking(self.source, frame)
        return out

    def _drift(self, frame: pd.DataFrame) -> float:
        """Return the largest drift of any column, in units of the default threshold."""
        worst = 0.0
        for name in (*self.source.features, "y"):
            before, now = self.drawn.baseline[name], frame[name]
            if self.source.kind == "text" and name != "y":
                before, now = before.str.len(), now.str.len()
            if self.source.kind == "embedding" and name != "y":
                continue
            if before.dtype.kind in "fiu" and name != "y":
                distance = wasserstein_distance(before, now) / max(float(before.std()), 1e-9)
            else:
                distance = _jensen_shannon(before, now)
            worst = max(worst, distance / 0.1)
        return worst


def label_ranking(source: Source, frame: pd.DataFrame) -> Opinion:
    """Rank rows by how little a cross-fitted model believes their label."""
    y = frame["y"].to_numpy()
    names, index = np.unique(y, return_inverse=True)
    scaler = MaxAbsScaler() if source.kind == "text" else StandardScaler()
    model = make_pipeline(scaler, LogisticRegression(max_iter=200))
    chance = cross_val_predict(model, matrix(source, frame), index, cv=5, method="predict_proba")
    confidence = chance[np.arange(len(y)), index]
    usual = np.array([chance[index == k, k].mean() for k in range(names.size)])
    other = chance.copy()
    other[np.arange(len(y)), index] = -1.0
    flagged = (other >= usual).any(axis=1) & (confidence < usual[index])
    return Opinion(float(flagged.mean()), 1.0 - confidence)


def _jensen_shannon(before: pd.Series, now: pd.Series) -> float:
    names = sorted(set(before) | set(now), key=str)
    p = before.value_counts(normalize=True).reindex(names).fillna(0.0).to_numpy()
    q = now.value_counts(normalize=True).reindex(names).fillna(0.0).to_numpy()
    m = (p + q) / 2
    terms = [np.where(v > 0, v * np.log2(np.where(v > 0, v, 1) / m), 0.0).sum() for v in (p, q)]
    return float(np.sqrt(max(sum(terms) / 2, 0.0)))

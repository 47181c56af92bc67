"""Batches of twelve rows through the real gate: sealed, pooled, judged, signed, in one ledger.

A source is thinned to about twelve rows a day. Its first two fifths are the baseline; what follows
is cut into batches of twelve rows by time. The first ones wait, because no rows lie before them.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from installation import Site
from poison import flips_of
from sources import load

from sluicegate.gate.pool import Left
from sluicegate.workflow.judging import pooling

if TYPE_CHECKING:
    import pandas as pd
    from sources import Source
    from units import Record

    from sluicegate.gate.verdict import Verdict

ROWS: Final = 12
CLEAN: Final = 24
"""Clean batches of a source that are judged, after those that wait."""

POISONED: Final = 20
REACHES: Final = (50, 200)
"""Rows of a pool to compare."""

_MOST_WAITING = 20


@dataclass(frozen=True)
class Small:
    """What to run.

    Attributes:
        source: Name of the source.
        wanted: Rows at which a pool reaches no further back.
    """

    source: str
    wanted: int

    @property
    def name(self) -> str:
        """Identify the unit among results."""
        return f"{self.source}/small/{self.wanted}"


def run(unit: Small) -> list[Record]:
    """Judge clean small batches, and poisoned ones after them."""
    warnings.simplefilter("ignore")
    pooling.WANTED_ROWS = unit.wanted
    source = thinned(load(unit.source))
    n = round(0.4 * len(source.frame))
    later = source.frame.iloc[n : n + ROWS * (_MOST_WAITING + CLEAN + POISONED)]
    common = {"source": unit.source, "wanted": unit.wanted, "n": ROWS, "m": n}
    with tempfile.TemporaryDirectory() as place:
        site = Site.build(Path(place), source, source.frame.iloc[:n])
        clean, place_after = [], 0
        while len(clean) < CLEAN and (place_after + 1) * ROWS <= len(later):
            verdict, _ = site.judge(_cut(later, place_after))
            place_after += 1
            if clean or place_after > _MOST_WAITING or not _waits(verdict):
                clean.append({**common, "case": "clean", **_said(verdict)})
        waited = {**common, "case": "waited", "batches": place_after - len(clean)}
        rest = later.iloc[place_after * ROWS :].iloc[: POISONED * ROWS]
        return [waited, *clean, *_poisoned(site, source, rest.reset_index(drop=True), common)]


def thinned(source: Source) -> Source:
    """Return a source with about twelve rows a day, drawn evenly."""
    frame = source.frame
    days = (frame["at"].iloc[-1] - frame["at"].iloc[0]).days
    share = min(1.0, ROWS * days / len(frame))
    kept = np.random.default_rng(11).random(len(frame)) < share
    return replace(source, frame=frame[kept].reset_index(drop=True))


def _cut(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    return frame.iloc[number * ROWS : (number + 1) * ROWS]


def _waits(verdict: Verdict) -> bool:
    return verdict.pool is not None and verdict.pool.left is Left.WAITING


def _said(verdict: Verdict) -> Record:
    assert verdict.pool is not None  # every batch is small
    codes = {result: set[str]() for result in ("FAILED", "WARNED")}
    for reason in verdict.reasons:
        codes[reason.result.value].add(reason.code)
    return {
        "verdict": verdict.result.value,
        "rows": verdict.pool.n_rows,
        "left": verdict.pool.left.value,
        "fired": sorted(codes["FAILED"]),
        "warned": sorted(codes["WARNED"]),
    }


def _poisoned(site: Site, source: Source, rest: pd.DataFrame, common: Record) -> list[Record]:
    """Deliver poison after the clean batches, each attack on its own copy."""
    found = []
    for case, frame in _attacks(source, rest):
        with tempfile.TemporaryDirectory() as place:
            copy = replace(site, root=Path(place) / "copy")
            shutil.copytree(site.root, copy.root)
            verdicts = [copy.judge(_cut(frame, i))[0] for i in range(len(frame) // ROWS)]
        against = (v.result.value == "FAILED" and not _waits(v) for v in verdicts)
        first = next((i for i, found_out in enumerate(against, 1) if found_out), None)
        said = {} if first is None else _said(verdicts[first - 1])
        found.append({**common, "case": case, "batches": len(verdicts), "found": first, **said})
    return found


def _attacks(source: Source, rest: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return poison by name, over one or several batches of twelve rows."""
    rng = np.random.default_rng(5)
    found = []
    if source.label is not None and "who" in rest:
        most = rest["who"].value_counts().index[0]
        rows = np.flatnonzero((rest["who"] == most).to_numpy())
        found.append(("flips by one contributor", flips_of(source, rest, rows, rng)))
    if source.label is not None:
        one = rest.iloc[:ROWS].reset_index(drop=True)
        every = flips_of(source, one, np.arange(ROWS), rng)
        found.append(("one batch with all labels flipped", every))
    again = rest.iloc[[*range(ROWS), *[0] * 2 * ROWS]].reset_index(drop=True)
    again["id"] = [f"copy{i}" for i in range(len(again))]
    found.append(("one row again and again", again))
    return [(case, frame) for case, frame in found if frame is not None]

"""How the rows of a source are delivered: which of them a baseline sees, and in what batches.

A *plan* is one baseline and the clean batches that are judged against it, by pattern. Each pattern
takes whole units of time, or one contributor's month, evenly spread over all that came later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sources import MOST_ROWS

from sluicegate.signals.baseline.build import VALID_FOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from sources import Source

    Frames = list[pd.DataFrame]

PER_CELL = 20
"""Most clean batches of one source in one pattern."""

_FEWEST = 50  # rows: distributions of fewer are not judged
_PERIODS = {"hourly": "h", "daily": "D", "weekly": "W", "monthly": "M"}
_WEEKEND = 5


@dataclass(frozen=True)
class Plan:
    """One baseline, and batches judged against it.

    Attributes:
        baseline: Its rows.
        batches: Clean batches by pattern.
        in_order: Whether all of them are delivered to a real installation, one after the other,
            because one is judged together with those before it; those of `spread` are counted.
    """

    baseline: pd.DataFrame
    batches: dict[str, Frames]
    in_order: bool = False


def plain(source: Source) -> Plan:
    """The first two fifths are the baseline; what comes while it is valid is cut in five ways."""
    before, after = _cut(source.frame, 0.4)
    batches = {name: spread(_pieces(after, name)) for name in _PERIODS}
    if "who" in after:
        batches["by contributor"] = spread(_pieces(after, "by contributor"))
    whole = pd.concat([before, after], ignore_index=True)
    ends = [len(before) + round(len(after) * share) for share in (0.2, 0.4, 0.6, 0.8, 1.0)]
    batches["growing snapshot"] = [whole.iloc[:end].reset_index(drop=True) for end in ends]
    usual = batches[_usual(after)]
    batches["at least once"] = [_repeated(frame, i) for i, frame in enumerate(usual)]
    return Plan(before, batches)


def late_labels(source: Source) -> Plan | None:
    """Each week comes with the labels of its weekend missing; the baseline's weeks did too."""
    if source.label is None:
        return None
    frame = source.frame.copy()
    late = frame["at"].dt.weekday >= _WEEKEND
    frame["y"] = frame["y"].astype("Float64" if source.measured else "object").mask(late)
    before, after = _cut(frame, 0.4)
    return Plan(before, {"late labels": _pieces(after, "weekly")}, in_order=True)


def new_categories(source: Source) -> Plan:
    """A column says which campaign a row belongs to; each day has a new one."""
    frame = source.frame.copy()
    of_campaign = np.random.default_rng(3).random(len(frame)) < 0.05
    day = "campaign " + frame["at"].dt.strftime("%Y-%m-%d")
    frame["campaign"] = day.where(of_campaign, "none")
    before, after = _cut(frame, 0.4)
    return Plan(before, {"new category each day": spread(_pieces(after, _usual(after)))})


def anchored(source: Source) -> Plan:
    """The first fifth stays the baseline while up to a year of months goes by."""
    before, after = _cut(source.frame, 0.2, timedelta(days=365))
    return Plan(before, {"anchored for a year": _pieces(after, "monthly")})


PLANS: dict[str, Callable[[Source], Plan | None]] = {
    "plain": plain,
    "late labels": late_labels,
    "new categories": new_categories,
    "anchored": anchored,
}


def _cut(
    frame: pd.DataFrame, share: float, days: timedelta = VALID_FOR
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split at a midnight, after about this share of the rows; return what comes in some days."""
    n = min(round(share * len(frame)), MOST_ROWS)
    midnight = frame["at"].iloc[n].normalize()
    before, valid = frame["at"] < midnight, frame["at"] < midnight + days
    return (
        frame[before].reset_index(drop=True),
        frame[~before & valid].reset_index(drop=True),
    )


def _pieces(frame: pd.DataFrame, pattern: str) -> Frames:
    """Return the batches of a pattern that hold enough rows, by time; whole periods only."""
    at = frame["at"].dt.tz_localize(None)
    if pattern == "by contributor":
        groups = frame.groupby([at.dt.to_period("M"), "who"], sort=True, observed=True)
    else:
        groups = frame.groupby(at.dt.to_period(_PERIODS[pattern]), sort=True)
    pieces = [piece.reset_index(drop=True) for _, piece in groups]
    whole = pieces if pattern == "by contributor" else pieces[1:-1]
    return [piece for piece in whole if len(piece) >= _FEWEST]


def _usual(frame: pd.DataFrame) -> str:
    """Return how somebody would deliver a source of this size: by day, week or month."""
    days = max((frame["at"].iloc[-1] - frame["at"].iloc[0]).days, 1)
    per_day = len(frame) / days
    return "daily" if per_day >= 300 else "weekly" if per_day >= 20 else "monthly"


def spread(pieces: Frames) -> Frames:
    """Take at most `PER_CELL`, evenly."""
    chosen = np.unique(np.linspace(0, len(pieces) - 1, min(PER_CELL, len(pieces))).astype(int))
    return [pieces[i] for i in chosen]


def _repeated(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Deliver one row in fifty twice: the same id, the same content, somewhere later."""
    rng = np.random.default_rng([4, seed])
    twice = np.sort(rng.choice(len(frame), max(1, len(frame) // 50), replace=False))
    places = np.concatenate([np.arange(len(frame)), rng.uniform(twice, len(frame))])
    both = pd.concat([frame, frame.iloc[twice]])
    return both.iloc[np.argsort(places, kind="stable")].reset_index(drop=True)

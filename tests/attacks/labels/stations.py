"""Readings of weather stations, clean, broken and flipped: features break, labels need not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sluicegate.profiling.schema import BatchSchema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCHEMA = BatchSchema(id="id", label="late", contributor="station", timestamp="at")
STATIONS = ("ada", "bea", "cid", "dot", "eve")
START = datetime(2025, 3, 1, tzinfo=UTC)
Frame = dict[str, np.ndarray]
Break = "Callable[[Frame, np.random.Generator], None]"


def readings(n: int, seed: int) -> Frame:
    """Return rows whose label follows three numbers and a region, with noise."""
    rng = np.random.default_rng(seed)
    frame: Frame = {
        "id": np.array([f"{seed}-{i}" for i in range(n)], dtype=object),
        "at": np.arange(n),
        "station": rng.choice(STATIONS, n).astype(object),
        "temperature": np.round(rng.normal(12.0, 8.0, n), 1),
        "metres": np.round(rng.lognormal(6.5, 0.6, n)),
        "dollars": np.round(rng.gamma(3.0, 15.0, n), 2),
        "humidity": np.round(rng.uniform(20.0, 100.0, n), 1),
        "region": rng.choice(["north", "south", "east"], n, p=[0.5, 0.3, 0.2]).astype(object),
    }
    score = (
        (frame["temperature"] - 12.0) / 8.0 * 1.3
        + (np.log(frame["metres"]) - 6.5) / 0.6 * 1.2
        + (frame["dollars"] - 45.0) / 26.0 * 1.1
        + np.where(frame["region"] == "north", 0.9, -0.9)
    )
    frame["late"] = (score + rng.logistic(0.0, 0.45, n) > 0.0).astype(np.int64)
    return frame


def table(frame: Frame) -> pa.Table:
    """Return rows as a table; NaN and None are null."""
    columns = {name: pa.array(values, from_pandas=True) for name, values in frame.items()}
    times = [START + timedelta(minutes=int(minute)) for minute in frame["at"]]
    return pa.table({**columns, "at": pa.array(times)})


def flipped(frame: Frame, share: float, station: str, rng: np.random.Generator) -> None:
    """Flip labels of one station, a share of all rows."""
    own = np.flatnonzero(frame["station"] == station)
    rows = rng.choice(own, round(share * frame["late"].size), replace=False)
    frame["late"][rows] = 1 - frame["late"][rows]


def some(frame: Frame, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return a random share of the rows."""
    return rng.random(frame["late"].size) < share


def put(column: str, value: object, share: float = 1.0) -> Break:
    """Put one value into a share of the rows."""

    def change(frame: Frame, rng: np.random.Generator) -> None:
        frame[column][some(frame, share, rng)] = value

    return change


def scaled(column: str, factor: float, add: float = 0.0, share: float = 1.0) -> Break:
    """Deliver a share of the rows in another unit."""

    def change(frame: Frame, rng: np.random.Generator) -> None:
        rows = some(frame, share, rng)
        frame[column][rows] = np.round(frame[column][rows] * factor + add, 2)

    return change


def spelled(
    column: str, how: Callable[[str], str], share: float = 1.0, station: str | None = None
) -> Break:
    """Spell categories otherwise, of a share of the rows or of one station."""

    def change(frame: Frame, rng: np.random.Generator) -> None:
        rows = some(frame, share, rng)
        if station is not None:
            rows &= frame["station"] == station
        frame[column][rows] = [how(v) for v in frame[column][rows]]

    return change


FEW: Mapping[str, Break] = {
    "nulls in 2 %": put("dollars", np.nan, 0.02),
    "no region in 1.5 %": put("region", None, 0.015),
    "upper case by one station": spelled("region", str.upper, station="bea"),
    "trailing blanks in 3 %": spelled("region", lambda v: v + "  ", 0.03),
    "N/A in 2 %": put("region", "N/A", 0.02),
    "new category in 3 %": put("region", "centre", 0.03),
    "cents in 10 %": scaled("dollars", 100.0, share=0.1),
    "sentinel in 3 %": put("temperature", -999.0, 0.03),
}
"""What breaks in some rows: the others still tell all that they told."""

WHOLE: Mapping[str, Break] = {
    "upper case": spelled("region", str.upper),
    "cents": scaled("dollars", 100.0),
    "feet": scaled("metres", 3.28084),
    "Fahrenheit": scaled("temperature", 1.8, 32.0),
    "stuck sensor": put("temperature", 11.5),
    "no values": put("dollars", np.nan),
    "renamed": spelled("region", {"north": "N", "south": "S", "east": "E"}.__getitem__),
}
"""What breaks in all rows."""

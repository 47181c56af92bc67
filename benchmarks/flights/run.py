"""A year of real flights, each month judged against its past; writes the page about it.

    python benchmarks/flights/run.py --write docs/flights.md      about six minutes

Three baselines stand for a past: every month before, the three months before, and January to
March for the whole year. Each month is judged as it is and with 3 % of its rows flipped by one
carrier. Then each day of April and May is judged by January to March, and ten of them with 3 % of
their rows flipped by each of three carriers. The verdict is that of the policy which `sluicegate
policy init` writes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from sluicegate.cli.demo.flights import FLIGHTS_SCHEMA, write_flights
from sluicegate.gate.decide import decide
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.policy import parse_policy
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.registry import expected_codes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sluicegate.signals.baseline.stored import Baseline

POLICY = parse_policy(
    yaml.safe_load(DEFAULT_POLICY), DEFAULT_POLICY.encode(), locator="default policy"
)
SCHEMA = BatchSchema.from_mapping(dict(FLIGHTS_SCHEMA))
CARRIER, SHARE = "UA", 0.03
DAY_CARRIERS = ("UA", "B6", "EV")
N_DAYS = 10
MONTHS = range(2, 13)
PASTS = {
    "all before": lambda month: range(1, month),
    "three before": lambda month: range(max(1, month - 3), month),
    "January to March": lambda month: range(1, 4) if month > 3 else (),
}
"""Months of the baseline that judges a month; none where it would judge itself."""


@dataclass(frozen=True)
class Judged:
    """What the gate says of a month.

    Attributes:
        verdict: PASSED, WARNED or FAILED.
        reasons: Messages of what led to it, worst first.
        codes: Of the reasons, those that block first.
    """

    verdict: str
    reasons: tuple[str, ...]
    codes: tuple[str, ...]


def baseline_of(months: Iterable[pa.Table]) -> Baseline:
    """Build a baseline of whole months."""
    return build_baseline(
        [batch for month in months for batch in month.to_batches()],
        SCHEMA,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        seed=7,
    )


def judge(baseline: Baseline, month: pa.Table) -> Judged:
    """Judge a month as the gate does."""
    found = evaluate(
        baseline,
        month.to_batches(),
        tolerances=POLICY.tolerances,
        false_block_budget=POLICY.false_block_budget,
        rows=False,
    )
    verdict, reasons = decide(found.records, POLICY.signals, expected=expected_codes(baseline))
    codes = tuple(dict.fromkeys(f"{r.code} {r.column}".strip() for r in reasons))
    return Judged(verdict.value, tuple(r.message for r in reasons), codes)


def flipped(month: pa.Table, seed: int, carrier: str = CARRIER) -> pa.Table:
    """Turn round the labels of 3 % of the rows, all of one carrier."""
    own = np.flatnonzero(np.array(month["carrier"].to_pylist()) == carrier)
    n_flips = round(SHARE * month.num_rows)
    rows = np.random.default_rng(seed).choice(own, n_flips, replace=False)
    labels = np.array(month["late"].to_pylist(), dtype=np.int8)
    labels[rows] = 1 - labels[rows]
    at = month.schema.get_field_index("late")
    return month.set_column(at, month.schema.field("late"), pa.array(labels))


def read_months(folder: Path) -> list[pa.Table]:
    """Return January to December."""
    return [pq.read_table(path) for path in write_flights(folder)]


def measure(months: list[pa.Table]) -> Iterator[tuple[str, int, Judged, Judged]]:
    """Judge every month by every past: as it is, and poisoned."""
    built: dict[tuple[int, ...], Baseline] = {}
    for name, past_of in PASTS.items():
        for month in MONTHS:
            past = tuple(past_of(month))
            if past:
                if past not in built:
                    built[past] = baseline_of(months[m - 1] for m in past)
                table = months[month - 1]
                clean = judge(built[past], table)
                print(f"{name}, month {month}: {clean.verdict} {clean.codes}", flush=True)
                yield name, month, clean, judge(built[past], flipped(table, month))


def days_of(month: pa.Table) -> list[pa.Table]:
    """Return the days of a month, by UTC."""
    day = pc.floor_temporal(month[SCHEMA.timestamp], unit="day")
    return [month.filter(pc.equal(day, one)) for one in sorted(pc.unique(day).to_pylist())]


def measure_days(months: list[pa.Table]) -> tuple[list[Judged], dict[str, list[Judged]]]:
    """Judge the days of April and May by January to March: as they are, and ten poisoned.

    Returns:
        Every day as it is, and by carrier the ten whose number of rows is nearest to 900.
    """
    baseline = baseline_of(months[:3])
    days = [day for month in months[3:5] for day in days_of(month) if day.num_rows >= MIN_ROWS]
    like = sorted(days, key=lambda day: abs(day.num_rows - 900))[:N_DAYS]
    poisoned = {
        carrier: [judge(baseline, flipped(day, i, carrier)) for i, day in enumerate(like)]
        for carrier in DAY_CARRIERS
    }
    return [judge(baseline, day) for day in days], poisoned


def main() -> None:
    """Measure, print, write."""
    from page import page  # noqa: PLC0415 - tests import this file without its folder

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        months = read_months(Path(folder))
    late = [float(np.mean(month["late"].to_pylist())) for month in months]
    days = measure_days(months)
    text = page(list(measure(months)), late, days, load=os.getloadavg()[0])
    print(text)
    if arguments.write is not None:
        arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

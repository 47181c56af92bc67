"""Slow ramps and calm sequences, on real data; writes the page about them.

    python benchmarks/sequence/run.py --write docs/sequence.md      about ten minutes of two cores

A sequence is a baseline of 3,000 rows and ten batches of 1,500 of the same source, all drawn
anew and disjoint, checked one after the other with the ones before as history. In a ramp the
share of flipped labels rises evenly from 0.5 to 5 %; in a calm sequence nothing is changed.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "detection"))

from measure import STEPS, Unit, run

from sluicegate.signals.decision.tails import binomial_lower

SOURCES = ("flights", "diamonds", "reviews")
N_BASELINE, N_BATCH = 3000, 1500
FOUND, CALM = 0.8, 0.01
NAME = "SEQUENCE"


@dataclass(frozen=True)
class Sequence:
    """One sequence of ten batches.

    Attributes:
        source: Name of the data.
        calm: Whether nothing was changed.
        alarms: Codes that blocked each batch.
    """

    source: str
    calm: bool
    alarms: tuple[tuple[str, ...], ...]

    @property
    def first(self) -> int | None:
        """Number of the first batch that anything blocked."""
        return next((i for i, codes in enumerate(self.alarms, 1) if codes), None)

    @property
    def over_time(self) -> bool:
        """Whether the signal that adds up batches ever fired."""
        return any(NAME in codes for codes in self.alarms)


def play(source: str, seed: int) -> list[Sequence]:
    """Return a ramp and a calm sequence against one baseline; none without the data's wheel."""
    records = run(Unit("ramp", source, N_BASELINE, N_BATCH, seed))
    return [
        Sequence(
            source,
            record["case"] == "calm",
            tuple(tuple(said.split(",")) if said else () for said in record["alarms"]),
        )
        for record in records
        if "case" in record
    ]


def page(found: list[Sequence], *, called: str, load: float) -> str:
    """Return the page."""
    ramps, calm = ([s for s in found if s.calm is wanted] for wanted in (False, True))
    rows = "\n".join(
        starmap(_row, ((name, found) for name in (*dict.fromkeys(s.source for s in found), "all")))
    )
    in_time = sum(s.first is not None and s.first < STEPS for s in ramps) / len(ramps)
    alarmed = sum(s.over_time for s in calm) / len(calm)
    return f"""# Slow ramps

Written by `python benchmarks/sequence/run.py {called}`; {os.cpu_count()} cores, load average
{load:.1f} at the end, which changes nothing here.

A sequence is a baseline of {N_BASELINE:,} rows and ten batches of {N_BATCH:,} rows of the same
source, all drawn anew and disjoint, each checked with those before it as `--history`. In a ramp
0.5, 1, … 5 % of the labels are flipped; in a calm sequence none.

| reach | measured | |
|---|---|---|
| a ramp is found before its end in at least {FOUND:.0%} | {in_time:.1%} of {len(ramps)} | \
{_met(in_time >= FOUND)} |
| at most {CALM:.0%} of calm sequences are alarmed by `{NAME}` | {alarmed:.1%} of {len(calm)} \
(at most {_bound(sum(s.over_time for s in calm), len(calm)):.1%}) | {_met(alarmed <= CALM)} |

| source | ramps | found before the end | found at all | median batch | by `{NAME}` | calm | \
alarmed by `{NAME}` | blocked by anything |
|---|---|---|---|---|---|---|---|---|
{rows}

`{NAME}` costs its own 1 % a sequence, however long it gets. The signals of each batch keep their
own 1 % a batch, so ten calm batches may be blocked by anything in up to 10 % of the sequences; the
last column is what they did. The bound in brackets is Clopper and Pearson's, 95 %. A ramp of random
flips adds up only where the features say enough about the label: what is below the information
limit in each batch (docs/signals.md) needs several.
"""


def _row(name: str, found: list[Sequence]) -> str:
    own = [s for s in found if name in (s.source, "all")]
    ramps, calm = ([s for s in own if s.calm is wanted] for wanted in (False, True))
    firsts = [s.first or math.inf for s in ramps]
    cells = (
        name,
        len(ramps),
        sum(f < STEPS for f in firsts),
        sum(f <= STEPS for f in firsts),
        f"{statistics.median(firsts):g}",
        sum(s.over_time for s in ramps),
        len(calm),
        sum(s.over_time for s in calm),
        sum(s.first is not None for s in calm),
    )
    return f"| {' | '.join(map(str, cells))} |"


def _met(reached: bool) -> str:
    return "met" if reached else "**missed**"


def _bound(k: int, n: int) -> float:
    return 1.0 - binomial_lower(n - k, n)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=40, help="of each kind and source")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    jobs = [(name, seed) for seed in range(5000, 5000 + arguments.sequences) for name in SOURCES]
    with ProcessPoolExecutor(arguments.workers) as pool:
        found = []
        for done in pool.map(play, *zip(*jobs, strict=True)):
            found += done
            print(len(found), "of at most", 2 * len(jobs), flush=True)
    text = page(found, called=" ".join(sys.argv[1:]), load=os.getloadavg()[0])
    print(text)
    if arguments.write is not None:
        arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

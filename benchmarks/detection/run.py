"""What the signals find and what they cost in false alarms, on real data; writes docs/detection.md.

    python benchmarks/detection/run.py --quick                  about two minutes, prints the tables
    python benchmarks/detection/run.py --write docs/detection.md  about half an hour on two cores

The full run is resumable: every finished unit is one block of lines in ``--results``, and a second
call goes on where the first stopped (``--minutes``). Sources and their wheels: `sources`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Unit, run
from report import report

if TYPE_CHECKING:
    from measure import Record

# Small matrices: threads of BLAS in each of the processes would only fight for the cores.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

SMALL, LARGE = (3000, 1500), (20_000, 10_000)
NAMES = ("flights", "diamonds", "pen", "reviews", "digits")
# The largest multiple of two that 25,000 reviews of enough length allow.
LARGE_BY_NAME = {"flights": LARGE, "diamonds": LARGE, "reviews": (12_000, 6_000)}
_FAST = ("flights", "diamonds", "reviews")


def quick_units() -> list[Unit]:
    """Return one seed of the fast sources at 3 %."""
    names = ("flights", "diamonds", "reviews")
    units = [Unit("attacks", name, *SMALL, 1, (0.03,)) for name in names]
    units += [Unit("controls", name, *SMALL, 1) for name in names]
    units += [Unit("clean", "flights", 3000, 1000, seed) for seed in range(5)]
    return [*units, Unit("ramp", "flights", *SMALL, 1)]


def full_units(seeds: int) -> list[Unit]:
    """Return all units, the most telling first, so that a run that is cut short says most."""
    units = [Unit("attacks", n, *SMALL, 1, (0.03,), peers=True) for n in NAMES]
    units += [Unit("controls", n, *SMALL, 1) for n in NAMES]
    units += [Unit("clean", "flights", 3000, 1000, seed) for seed in range(1000, 1030)]
    units += [Unit("attacks", n, *SMALL, 1, (0.005, 0.01, 0.05, 0.1)) for n in _FAST]
    units += [Unit("attacks", n, *s, 1, (0.03,)) for n, s in LARGE_BY_NAME.items()]
    units += [Unit("ramp", n, *SMALL, seed) for seed in (1, 2) for n in _FAST]
    for seed in range(2, seeds + 1):
        units += [Unit("attacks", n, *SMALL, seed, (0.03,)) for n in NAMES]
        units += [Unit("controls", n, *SMALL, seed) for n in NAMES]
        units += [Unit("ramp", n, *SMALL, seed) for n in _FAST if seed > 2]
    units += [Unit("clean", "flights", 200_000, 100_000, seed) for seed in range(3000, 3020)]
    for seed in range(1030, 1060):
        units += [Unit("clean", n, 3000, 1000, seed) for n in NAMES]
        units += [Unit("clean", n, *LARGE, seed + 1000) for n in ("flights", "diamonds")]
    units += [Unit("attacks", n, *SMALL, 1, (0.005, 0.01, 0.05, 0.1)) for n in ("pen", "digits")]
    return units


def read(path: Path) -> list[Record]:
    """Return results of earlier runs, without a last line that was cut off."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [record for line in lines[:-1] for record in json.loads(line)]


def main() -> None:
    """Run what is missing, then write or print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small part, about two minutes")
    parser.add_argument("--seeds", type=int, default=4, help="splits a source (default: 4)")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="start nothing after this; 0: report only"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path("detection.jsonl"))
    parser.add_argument("--write", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    units = quick_units() if arguments.quick else full_units(arguments.seeds)
    old = [] if arguments.quick else read(arguments.results)
    done = {record["unit"] for record in old}
    waiting = [unit for unit in units if unit.name not in done]
    records = [*old, *measured(waiting, arguments)]
    wanted = {unit.name for unit in units}
    text = report([r for r in records if r["unit"] in wanted], n_units=len(units))
    if arguments.write is not None:
        arguments.write.write_text(text, encoding="utf-8")
    else:
        print(text)


def measured(units: list[Unit], arguments: argparse.Namespace) -> list[Record]:
    """Run units in processes until the time is over; each finished one is written at once."""
    deadline = time.monotonic() + 60.0 * arguments.minutes
    records: list[Record] = []
    pending = iter(units)
    at_once = arguments.jobs if arguments.minutes > 0 else 0
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
        running = {pool.submit(run, unit) for unit in islice(pending, at_once)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for found in (future.result() for future in done):
                records += found
                if not arguments.quick:
                    with arguments.results.open("a", encoding="utf-8") as sink:
                        sink.write(json.dumps(found) + "\n")
                seconds = found[-1].get("unit_cpu_s", 0)
                print(f"{found[0]['unit']}: {seconds:.0f} CPU s", flush=True)
                if time.monotonic() < deadline:
                    running |= {pool.submit(run, unit) for unit in islice(pending, 1)}
    return records


if __name__ == "__main__":
    main()

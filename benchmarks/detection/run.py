"""What the signals find and what they cost in false alarms, on real data; a Markdown table.

    python benchmarks/detection/run.py --quick                    about two minutes, printed
    python benchmarks/detection/run.py --write docs/detection.md  about half an hour of one core

Results are kept: every finished unit is one line of ``--results``, with a digest of the code that
decides. A second call runs only units that are missing or were measured with other code, and stops
after ``--minutes``. Sources and their wheels: `sources`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Unit, described, run
from report import report

if TYPE_CHECKING:
    from collections.abc import Iterator

Line = dict[str, Any]
"""Results of a unit: its name, the digest of the code, its records."""

# Small matrices: threads of BLAS in each of the processes would only fight for the cores.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

HERE = Path(__file__).resolve().parent
CODE = HERE.parent.parent / "plugins" / "sluicegate"
DECIDING = ("signals", "profiling", "gate/decide.py")
SMALL, LARGE = (3000, 1500), (20_000, 10_000)
NAMES = ("flights", "diamonds", "pen", "reviews", "digits")
RATES = (0.01, 0.03)
ALL_RATES = (0.005, 0.01, 0.03, 0.05, 0.1)
# A baseline of pen or digits costs seconds, and digits leave rows for one batch only.
BATCHES = {"flights": 4, "diamonds": 4, "pen": 4, "reviews": 4, "digits": 1}
CASE_SEEDS = {"flights": 3, "diamonds": 3, "pen": 2, "reviews": 5, "digits": 4}
CLEAN = {
    ("flights", 3000, 1000): (60, 2),
    ("reviews", 3000, 1000): (30, 4),
    ("diamonds", 3000, 1000): (20, 5),
    ("pen", 3000, 1000): (10, 5),
    ("digits", 3000, 1000): (10, 1),
    ("flights", *LARGE): (15, 4),
    ("diamonds", *LARGE): (8, 2),
    ("flights", 120_000, 100_000): (15, 2),
}
"""Baselines, and batches of each, by source and rows."""
# The largest multiple of two that 25,000 reviews of enough length allow.
LARGE_BY_NAME = {"flights": LARGE, "diamonds": LARGE, "reviews": (12_000, 6_000)}
_RAMPED = ("flights", "diamonds", "reviews")


def quick_units() -> list[Unit]:
    """Return one seed of the fast sources at 3 %."""
    units = [Unit("cases", name, *SMALL, 1, 1, (0.03,)) for name in ("flights", "reviews")]
    units += [Unit("clean", "flights", 3000, 1000, seed, 4) for seed in range(5)]
    return [*units, Unit("ramp", "flights", *SMALL, 1)]


def full_units() -> list[Unit]:
    """Return all units in turns, so that a run that is cut short has some of everything."""
    queues = [
        [
            Unit("cases", n, *SMALL, seed, BATCHES[n], RATES)
            for seed in range(1, 6)
            for n in NAMES
            if seed <= CASE_SEEDS[n]
        ]
    ]
    queues += [
        [Unit("clean", *key, seed, n) for seed in range(1000, 1000 + baselines)]
        for key, (baselines, n) in CLEAN.items()
    ]
    queues.append([Unit("ramp", n, *SMALL, seed) for seed in range(1, 8) for n in _RAMPED])
    queues.append(
        [
            Unit("cases", n, *s, seed, 1, (0.03,))
            for seed in (1, 2)
            for n, s in LARGE_BY_NAME.items()
        ]
    )
    queues.append([Unit("sizes", "flights", 20_000, 1500, seed) for seed in (1, 2, 3)])
    queues.append([Unit("attacks", n, *SMALL, 1, 1, ALL_RATES) for n in NAMES])
    spread = [(i / len(q), k, unit) for k, q in enumerate(queues) for i, unit in enumerate(q)]
    return [unit for _, _, unit in sorted(spread, key=lambda item: item[:2])]


def code_digest() -> str:
    """Identify the code that decides, so that results of other code are measured again."""
    digest = hashlib.sha256()
    for part in DECIDING:
        path = CODE / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(CODE).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def read(path: Path) -> dict[str, Line]:
    """Return results by unit, the last of each, without a last line that was cut off."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    return {line["unit"]: line for line in map(json.loads, lines[:-1])}


def write(path: Path, results: dict[str, Line]) -> None:
    """Replace the file: one line a unit, sorted."""
    lines = (json.dumps(results[name], separators=(",", ":")) for name in sorted(results))
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def main() -> None:
    """Run what is missing, then write or print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small part, about two minutes")
    parser.add_argument(
        "--minutes", type=float, default=90.0, help="start nothing after this; 0: report only"
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--results", type=Path, default=HERE / "results.jsonl")
    parser.add_argument("--write", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    units = {u.name: u for u in (quick_units() if arguments.quick else full_units())}
    code = code_digest()
    results = {} if arguments.quick else read(arguments.results)
    results = {name: line for name, line in results.items() if name in units}
    for line in measured([u for u in units.values() if _wanted(results, u, code)], arguments):
        results[line["unit"]] = {**line, "code": code}
        if not arguments.quick:
            write(arguments.results, results)
    text = report(
        [described(units[name], r) for name, line in results.items() for r in line["records"]],
        n_units=len(units),
        n_old=sum(line["code"] != code for line in results.values()),
    )
    if arguments.write is not None:
        arguments.write.write_text(text, encoding="utf-8")
    else:
        print(text)


def _wanted(results: dict[str, Line], unit: Unit, code: str) -> bool:
    return unit.name not in results or results[unit.name]["code"] != code


def measured(units: list[Unit], arguments: argparse.Namespace) -> Iterator[Line]:
    """Run units in processes until the time is over; yield each as it is finished."""
    deadline = time.monotonic() + 60.0 * arguments.minutes
    pending = iter(units if arguments.minutes > 0 else [])
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
        running = {pool.submit(_line, unit) for unit in islice(pending, arguments.jobs)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for line, cpu_s in (future.result() for future in done):
                print(f"{line['unit']}: {cpu_s:.1f} CPU s", flush=True)
                yield line
                if time.monotonic() < deadline:
                    running |= {pool.submit(_line, unit) for unit in islice(pending, 1)}


def _line(unit: Unit) -> tuple[Line, float]:
    started = time.process_time()
    records = [
        {k: round(v, 5) if isinstance(v, float) else v for k, v in r.items()} for r in run(unit)
    ]
    return {"unit": unit.name, "records": records}, time.process_time() - started


if __name__ == "__main__":
    main()

"""A large batch judged in one piece, by mapped tasks and by Spark; and how large processes become.

Run: python benchmarks/portions/run.py [--rows 5000000 50000000] [--write PAGE]

The batch is made by the command: files of 500,000 rows and 20 columns. Every step is a process of
its own, as a task of Airflow is, and two portions are counted at a time. 50,000,000 rows take about
9 GB of the temporary directory and half an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import psutil
from step import RUN, SOURCE, Site

from sluicegate.attest.keys import Algorithm, generate, write_key_pair
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.evidence.home import SluiceHome
from sluicegate.workflow.evidence.opening import create_ledger, open_evidence
from sluicegate.workflow.sealing.seal import seal_into_ledger

HERE = Path(__file__).parent
DATA = HERE.parents[0] / "check" / "data.py"
COLUMNS, ROWS_A_FILE, BASELINE_ROWS = 20, 500_000, 200_000
PORTION_ROWS = 1_000_000
LIMIT_MB = 1536
POLICY = """version: 1
mode: enforce
accept: [PASSED, WARNED]
false_block_budget: 0.01
verdict_ttl_hours: 168
signals:
  SCHEMA: {severity: block}
"""
ROLES = {
    Role.SOURCE: Algorithm.ECDSA_P256,
    Role.GATE: Algorithm.ED25519,
    Role.BASELINE: Algorithm.ED25519,
    Role.LEDGER: Algorithm.ED25519,
}


@dataclass(frozen=True)
class Took:
    """What a way of judging took.

    Attributes:
        way: Its name.
        wall_s: From the first process to the last, seconds.
        cpu_s: Of all processes, seconds.
        largest_mb: Most resident memory of one process, MB.
        largest: Which process that was.
        verdict: Digest of the verdict.
        result: What it says.
    """

    way: str
    wall_s: float
    cpu_s: float
    largest_mb: float
    largest: str
    verdict: str
    result: str


def write_data(path: Path, rows: int, seed: int) -> None:
    """Write one Parquet file, in a process of its own."""
    command = [sys.executable, str(DATA), "table", str(path), str(rows), str(COLUMNS), str(seed)]
    subprocess.run(command, check=True)


def build(root: Path) -> Site:
    """Create an installation with a signed baseline."""
    at = datetime.now(UTC).replace(microsecond=0)
    root.mkdir()
    (root / "at").write_text(at.isoformat(), encoding="utf-8")
    home = SluiceHome(root / "sluice")
    home.root.mkdir(mode=0o700)
    public = {}
    for role, algorithm in ROLES.items():
        signer = generate(algorithm)
        public[role] = [signer.public_key]
        for written in write_key_pair(signer, root / role.value):
            home.key(role.value).parent.mkdir(mode=0o700, exist_ok=True)
            named = written.name.replace("key", role.value, 1)
            written.rename(home.key(role.value).with_name(named))
    home.trust.write_bytes(
        trust_policy(public, version=1, expires=at + timedelta(days=365)).to_bytes()
    )
    home.policy.write_text(POLICY, encoding="utf-8")
    site = Site(root)
    create_ledger(home, at=at, signer=site.signer("ledger"))
    trusted = root / "trusted"
    trusted.mkdir()
    write_data(trusted / "0.parquet", BASELINE_ROWS, 0)
    write_baseline(
        [trusted],
        BatchSchema.from_mapping({"label": "y"}),
        out=home.baseline_dir(SOURCE),
        at=at,
        source=SOURCE,
        signer=site.signer("baseline"),
        seed=1,
    )
    return site


def deliver(site: Site, batch: Path, rows: int) -> int:
    """Write a batch and seal it; returns its bytes."""
    batch.mkdir()
    with ThreadPoolExecutor(2) as pool:
        starts = range(0, rows, ROWS_A_FILE)
        names = (batch / f"{number:04}.parquet" for number in range(len(starts)))
        sizes = (min(ROWS_A_FILE, rows - start) for start in starts)
        list(pool.map(write_data, names, sizes, range(1, len(starts) + 1)))
    evidence = open_evidence(site.home, at=site.at, ledger_signer=site.signer("ledger"))
    seal_into_ledger(
        batch, SOURCE, evidence=evidence, signer=site.signer("source"), at=site.at, run=RUN
    )
    return sum(file.stat().st_size for file in batch.iterdir())


def step(name: str, root: Path, *arguments: str) -> dict[str, Any]:
    """Run a process of the benchmark; returns what it printed."""
    command = [sys.executable, str(HERE / "step.py"), name, str(root), *arguments]
    return answered(command)


def answered(command: list[str]) -> dict[str, Any]:
    """Run a command; returns the JSON in its last line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def fresh(site: Site, way: str) -> Path:
    """Copy an installation: a ledger that holds a verdict would only repeat it."""
    root = site.root.with_name(way)
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(site.root, root, ignore=shutil.ignore_patterns("trusted"))
    return root


def took(way: str, began: float, steps: list[tuple[str, dict[str, Any]]]) -> Took:
    """Sum up processes, of which the last one judged."""
    largest, found = max(steps, key=lambda each: float(each[1]["peak_mb"]))
    cpu = sum(float(each["cpu_s"]) for _, each in steps)
    last = steps[-1][1]
    wall = time.perf_counter() - began
    return Took(way, wall, cpu, found["peak_mb"], largest, last["verdict"], last["result"])


def in_one_piece(site: Site, _portions: int) -> Took:
    """Judge as one gate does."""
    root, began = fresh(site, "one"), time.perf_counter()
    return took("one gate", began, [("gate", step("one", root))])


def mapped(site: Site, portions: int) -> Took:
    """Judge as mapped tasks do, two at a time."""
    root, began = fresh(site, "mapped"), time.perf_counter()
    first = step("cut", root, str(portions))
    with ThreadPoolExecutor(2) as pool:
        counts = list(
            pool.map(
                lambda p: step("count", root, first["empty"], str(p[0]), str(p[1])),
                first["portions"],
            )
        )
    last = step("join", root, *(each["tally"] for each in counts))
    steps = [("cut", first), *(("count", each) for each in counts), ("join", last)]
    return took("mapped tasks", began, steps)


def by_spark(site: Site, portions: int) -> Took:
    """Judge with the portions counted by Spark."""
    root, began = fresh(site, "spark"), time.perf_counter()
    with Watch() as watch:
        program = [sys.executable, str(HERE / "by_spark.py")]
        counted = answered([*program, str(root), str(portions), f"{LIMIT_MB}m"])
    last = step("join", root, *counted["tallies"])
    steps = [(name, each) for name, each in watch.found().items()]
    return took("Spark, local[2]", began, [*steps, ("join", last)])


class Watch:
    """Looks ten times a second at every process below this one."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[str, float, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def found(self) -> dict[str, dict[str, Any]]:
        """Return CPU and the largest process of each program."""
        out: dict[str, dict[str, Any]] = {}
        for name, cpu, peak in self._seen.values():
            one = out.setdefault(f"Spark's {name}", {"cpu_s": 0.0, "peak_mb": 0.0})
            one["cpu_s"] += cpu
            one["peak_mb"] = max(one["peak_mb"], peak)
        return out

    def _look(self) -> None:
        here = psutil.Process()
        while not self._stop.wait(0.1):
            for process in here.children(recursive=True):
                try:
                    times, status = process.cpu_times(), Path(f"/proc/{process.pid}/status")
                    lines = status.read_text(encoding="ascii").splitlines()
                    peak = next(line for line in lines if line.startswith("VmHWM"))
                    name = process.name()
                except (psutil.Error, OSError, StopIteration):
                    continue
                cpu = times.user + times.system
                self._seen[process.pid] = (name, cpu, int(peak.split()[1]) / 1024)


WAYS = (in_one_piece, mapped, by_spark)


def measure(rows: int, scratch: Path) -> tuple[int, int, list[Took]]:
    """Measure all ways at one size."""
    site = build(scratch / "site")
    size = deliver(site, scratch / "batch", rows)
    portions = max(1, rows // PORTION_ROWS)
    found = []
    for way in WAYS:
        found.append(way(site, portions))
        print(rows, found[-1], file=sys.stderr, flush=True)
    return size, portions, found


def page(results: dict[int, tuple[int, int, list[Took]]]) -> str:
    """Write the page."""
    lines = [
        "# A batch larger than a machine\n",
        "Written by `python benchmarks/portions/run.py --write docs/performance-portions.md`.",
        f"Tables of {COLUMNS} synthetic columns, in Parquet files of {ROWS_A_FILE:,} rows, are",
        f"judged on two cores against a baseline of {BASELINE_ROWS:,} rows: by one gate; in",
        f"portions of {PORTION_ROWS:,} rows by mapped tasks, each a process of its own and two",
        f"at a time; and in the same portions by Spark (`local[2]`, {LIMIT_MB} MB for the JVM).",
        "The gate that adds up runs alone.\n",
        "| rows | GB | portions | way | wall, s | CPU, s | largest process, MB | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rows, (size, portions, found) in results.items():
        same = len({each.verdict for each in found}) == 1
        lines += [
            f"| {rows:,} | {size / 1e9:.2f} | {portions if each is not found[0] else 1} "
            f"| {each.way} | {each.wall_s:.0f} | {each.cpu_s:.0f} "
            f"| {each.largest_mb:.0f} ({each.largest}) "
            f"| {each.result}, {'the same bytes' if same else '**other bytes**'} |"
            for each in found
        ]
    small, large = (results[rows][2] for rows in (min(results), max(results)))
    lines.append(f"\n{max(results) / min(results):.0f} times the rows cost:")
    lines += [
        f"- {b.way}: {b.cpu_s / a.cpu_s:.1f} times the CPU and "
        f"{b.largest_mb / a.largest_mb:.1f} times the memory"
        for a, b in zip(small, large, strict=True)
    ]
    lines.append("")
    most = max(each.largest_mb for _, _, found in results.values() for each in found)
    lines.append(f"At most {LIMIT_MB} MB a process: {'met' if most <= LIMIT_MB else '**missed**'}.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print, or write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000_000, 50_000_000])
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    results = {}
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as scratch:
            results[rows] = measure(rows, Path(scratch))
    text = page(results)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

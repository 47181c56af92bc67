"""Cost of a check beside a bare counting loop and other tools; writes the page about it.

    python benchmarks/check/run.py --rows 1000000     half a minute, printed
    python benchmarks/check/run.py --write docs/performance-check.md     with 10,000,000 rows

Writes synthetic Parquet files (20 columns, one of them a label; texts of twelve words), builds
baselines on 20,000 other rows, and runs each tool as a process of its own. CPU is user plus system
of the whole process, imports included; memory is its peak resident size.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from page import GOALS, page

HERE = Path(__file__).resolve().parent
_COMMAND = str(Path(sys.executable).with_name("sluicegate"))
N_BASELINE = 20_000
SCHEMAS = {"counts": "{}\n", "labels": "label: y\n", "text": "label: y\ntext: [text]\n"}
"""Roles of the columns in each check."""
PEERS = {"duckdb": "duckdb", "polars": "polars", "great_expectations": "great-expectations"}
PEER_ROWS = 1_000_000
"""Other tools are run at this size only: ten times that takes them many gigabytes."""


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    cpu_s: float
    peak_mb: int


def cost(command: list[str], rounds: int) -> Cost:
    """Run a process several times; return the median of its CPU and its largest memory."""
    found = []
    for _ in range(rounds):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, f"{command} ended with {process.returncode}"
        found.append((usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024))
    return Cost(statistics.median(c for c, _ in found), max(m for _, m in found))


def peer(name: str, data: Path) -> list[str]:
    """Return the command that counts a file with another tool."""
    return [sys.executable, str(HERE / "peers.py"), name, str(data)]


def check(data: Path, baseline: Path) -> list[str]:
    """Return the command that users call."""
    out = data.with_suffix(".json")
    called = ["check", str(data), "--baseline", str(baseline), "--json", str(out)]
    return [_COMMAND, *called]


def write(data: Path, rows: int, columns: int, seed: int) -> Path:
    """Write rows, texts if the file is named after them."""
    kind = "text" if data.name.startswith("text") else "table"
    sizes = map(str, (rows, columns, seed))
    subprocess.run([sys.executable, str(HERE / "data.py"), kind, str(data), *sizes], check=True)
    return data


def baseline(folder: Path, kind: str, columns: int) -> Path:
    """Build a baseline with the command that users call."""
    small = write(folder / f"{kind}.small.parquet", N_BASELINE, columns, 2)
    out, roles = folder / kind, folder / f"{kind}.yaml"
    roles.write_text(SCHEMAS[kind], encoding="utf-8")
    called = ["baseline", "build", str(small), "--schema", str(roles), "--out", str(out)]
    subprocess.run([_COMMAND, *called], check=True, stdout=subprocess.DEVNULL)
    return out


def measure(arguments: argparse.Namespace, folder: Path) -> dict[tuple[str, int], Cost]:
    """Return what each tool took, by its name and the rows."""
    found: dict[tuple[str, int], Cost] = {}

    def note(name: str, rows: int, command: list[str]) -> None:
        rounds = arguments.rounds if rows <= PEER_ROWS else 1
        found[name, rows] = cost(command, rounds)
        print(f"{rows:>12,} {name:20} {found[name, rows]}", flush=True)

    columns = arguments.columns
    baselines = {kind: baseline(folder, kind, columns) for kind in SCHEMAS}
    for rows in arguments.rows:
        data = write(folder / "table.parquet", rows, columns, 1)
        for name in ("read", "bare", *(_installed() if rows <= PEER_ROWS else ())):
            note(name, rows, peer(name, data))
        for name in ("counts", "labels"):
            note(name, rows, check(data, baselines[name]))
        data.unlink()
    data = write(folder / "text.parquet", arguments.texts, columns, 1)
    note("read", -arguments.texts, peer("read", data))
    note("text", -arguments.texts, check(data, baselines["text"]))
    return found


def _installed() -> list[str]:
    return [name for name, distribution in PEERS.items() if _version(distribution)]


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=list(GOALS))
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--texts", type=int, default=500_000, help="documents")
    parser.add_argument("--rounds", type=int, default=3, help="of each up to a million rows")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments, Path(folder))
    versions = {name: _version(distribution) for name, distribution in PEERS.items()}
    called = " ".join(sys.argv[1:])
    machine = (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, load average {load:.1f} at "
        f"the start and {os.getloadavg()[0]:.1f} at the end"
    )
    text = page(found, versions, arguments.columns, called=called, machine=machine)
    print(text)
    if arguments.write is not None:
        arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

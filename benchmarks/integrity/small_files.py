"""What a small file costs in `check` and in `gate`: 20,000 rows in 1,000 files beside one file.

Run: python benchmarks/integrity/small_files.py [--files 1000] [--rounds 3]

The two commands run in this process, one after the other on the same rows in one file and in
many; the difference in CPU time, by the number of files, is what a file costs. Beside it stands
what the bare reader of Arrow takes for the same files, which other loads slow down alike. Exits 1
if a file of Parquet or CSV costs more than 1.5 ms in either command, or three times the bare reader
and 1 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sluicegate.cli import main as cli

if TYPE_CHECKING:
    from collections.abc import Callable

N_ROWS = 20_000
MOST_MS = 1.5


def rows(seed: int, n_rows: int = N_ROWS) -> pa.Table:
    """Ten columns; the label follows one of them, with noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n_rows)
    return pa.table(
        {
            "id": [f"{seed}-{number}" for number in range(n_rows)],
            "who": [f"c{number}" for number in rng.integers(0, 5, n_rows)],
            "x": x,
            **{f"w{number}": rng.normal(size=n_rows) for number in range(6)},
            "label": ((x > 0) ^ (rng.random(n_rows) < 0.05)).astype("int64"),
        }
    )


def _json_lines(table: pa.Table, path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))


def _bare_json(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


FORMATS: dict[str, tuple[Callable[..., object], Callable[[Path], object]]] = {
    "parquet": (pq.write_table, lambda path: pq.ParquetFile(path).read()),
    "csv": (pa_csv.write_csv, pa_csv.read_csv),
    "jsonl": (_json_lines, _bare_json),
}


def put(root: Path, table: pa.Table, kind: str, n_files: int) -> Path:
    """Write a table into a directory of so many files."""
    root.mkdir(parents=True)
    step = -(-table.num_rows // n_files)
    for number in range(n_files):
        part = table.slice(number * step, step)
        FORMATS[kind][0](part, root / f"p{number:05d}.{kind}")
    return root


def run(*arguments: object) -> float:
    """Run a command and return its CPU seconds."""
    said = io.StringIO()
    start = time.process_time()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = cli.main([str(argument) for argument in arguments])
    if code:
        sys.exit(f"{arguments[0]} ended with {code}: {said.getvalue()[-500:]}")
    return time.process_time() - start


def install(home: Path) -> None:
    """Make an installation with keys of its own."""
    (home / "keys").mkdir(parents=True)
    named = []
    for role in ("source", "gate", "baseline", "ledger"):
        algorithm = "ecdsa-p256" if role == "source" else "ed25519"
        run("keygen", "--alg", algorithm, "--out", home / role)
        (home / role / "key.pem").rename(home / "keys" / f"{role}.pem")
        named += ["--key", f"{role}={home / role / 'key.pub.pem'}"]
    run("trust", "init", "--out", home / "trust.json", *named)
    run("policy", "init", home / "policy.yaml")
    run("ledger", "init", "--home", home)


def main() -> int:
    """Measure, print a table, and return 1 if a file costs too much."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        install(root / "home")
        schema = root / "schema.yaml"
        schema.write_text("id: id\nlabel: label\ncontributor: who\n")
        print("| files | bare reader, ms a file | check, ms a file | gate, ms a file |")
        print("|---|---|---|---|")
        for kind in FORMATS:
            home = root / "home"
            trusted = put(root / f"trusted {kind}", rows(1), kind, 1)
            base = ["baseline", "build", trusted, "--schema", schema, "--source", kind]
            key = home / "keys" / "baseline.pem"
            run(*base, "--key", key, "--out", home / "baselines" / kind)
            found = measure(root, kind, asked.files, asked.rounds)
            print(f"| {kind} | " + " | ".join(f"{value:.2f}" for value in found) + " |")
            bare, *ours = found
            missed |= kind != "jsonl" and max(ours) > max(MOST_MS, 3 * bare + 1)
    return int(missed)


def measure(root: Path, kind: str, n_files: int, n_rounds: int) -> tuple[float, float, float]:
    """Return milliseconds of CPU a file: of the bare reader, of check, of gate."""
    home = root / "home"
    spent: dict[str, list[float]] = {"bare": [], "check": [], "gate": []}
    for number in range(n_rounds):
        table = rows(10 + number)
        seconds: dict[str, list[float]] = {"bare": [], "check": [], "gate": []}
        for count in (n_files, 1):
            batch = put(root / f"{kind} {number} {count}", table, kind, count)
            start = time.process_time()
            for path in sorted(batch.iterdir()):
                FORMATS[kind][1](path)
            seconds["bare"].append(time.process_time() - start)
            seconds["check"].append(run("check", batch, "--baseline", home / "baselines" / kind))
            seconds["gate"].append(run("gate", kind, "--seal", batch, "--home", home))
        for what, (many, one) in seconds.items():
            spent[what].append((many - one) / n_files * 1000)
    bare, check, gate = (statistics.median(values) for values in spent.values())
    return bare, check, gate


if __name__ == "__main__":
    sys.exit(main())

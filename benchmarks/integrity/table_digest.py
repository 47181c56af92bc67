"""Rows a second of the table digest, beside a 64-bit hash and a per-row loop, in one run.

The issue's target: at least 1,000,000 rows of 8 mixed columns a second on 2 cores, in memory
that does not grow with the rows. CPU seconds include those of helping processes; other work on
the machine disturbs them least. Peak memory includes what is shared with a helping process, but
not its own 10 MiB.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sluicegate.adapters.engines.table_commitment import commit_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH_ROWS = 65_536
N_COLUMNS = 8


@dataclass(frozen=True)
class Row:
    """Median of one way to hash a table."""

    name: str
    cpu_s: float
    wall_s: float
    n_rows: int

    @property
    def rows_per_cpu_second(self) -> float:
        """Rows that one core hashes in a second."""
        return self.n_rows / self.cpu_s


def batches(n_rows: int) -> Iterator[pa.RecordBatch]:
    """Yield rows of 8 mixed columns, made as they are read so that no table is in memory."""
    rng = np.random.default_rng(7)
    for first in range(0, n_rows, BATCH_ROWS):
        n = min(BATCH_ROWS, n_rows - first)
        ids = np.arange(first, first + n)
        number = pa.array(ids).cast(pa.string())
        yield pa.record_batch(
            {
                "id": ids,
                "label": pa.array(rng.choice(["cat", "dog", "cow"], n)).dictionary_encode(),
                "amount": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.05),
                "quantity": pa.array(rng.integers(0, 100, n), pa.int32()),
                "name": pa.compute.binary_join_element_wise("customer", number, "-"),
                "at": pa.array(rng.integers(0, 10**15, n), pa.timestamp("us", "UTC")),
                "ok": rng.random(n) < 0.5,
                "price": pa.array(rng.integers(0, 10**6, n)).cast(pa.decimal128(22, 2)),
            }
        )


def ours(table: pa.Table) -> None:
    """The table digest."""
    commit_batches(table.to_batches(), locator="benchmark")


def pandas_hash(table: pa.Table) -> None:
    """64 bits a row, not secure; the frame is converted outside."""
    import pandas as pd

    pd.util.hash_pandas_object(table, index=False)


def row_loop(table: pa.Table) -> None:
    """SHA-256 of the text of each row, as one would write it first."""
    digests = []
    for batch in table.to_batches():
        columns = [column.to_pylist() for column in batch.columns]
        digests.extend(
            hashlib.sha256(repr(row).encode()).digest() for row in zip(*columns, strict=True)
        )
    hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def measure(name: str, run: Callable[[], object], n_rows: int, rounds: int) -> Row:
    """Return medians."""
    cpu, wall = [], []
    for _ in range(rounds):
        started = sum(os.times()[:4]), time.perf_counter()
        run()
        cpu.append(sum(os.times()[:4]) - started[0])
        wall.append(time.perf_counter() - started[1])
    return Row(name, statistics.median(cpu), statistics.median(wall), n_rows)


def peak_mib(n_rows: int) -> float:
    """Return the peak memory of a process that digests that many streamed rows."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return float(pool.apply(_peak, (n_rows,)))


def _peak(n_rows: int) -> float:
    commit_batches(batches(n_rows), locator="benchmark")
    # Not ru_maxrss: that keeps the parent's peak across fork and exec.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> int:
    """Measure, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="100,000 rows, a few seconds")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    arguments = parser.parse_args()
    n_rows, rounds = (100_000, 3) if arguments.quick else (1_000_000, 5)
    table = pa.Table.from_batches(batches(n_rows))
    frame = table.to_pandas()
    ours(table.slice(0, BATCH_ROWS))  # warms up
    rows = [
        measure("sluicegate table digest", lambda: ours(table), n_rows, rounds),
        measure("pandas.util.hash_pandas_object", lambda: pandas_hash(frame), n_rows, rounds),
        measure("hashlib loop over rows", lambda: row_loop(table), n_rows, 1),
    ]
    print(f"| {n_rows:,} rows, {N_COLUMNS} columns | CPU s | wall s | rows per CPU s | of ours |")
    print("|---|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.name} | {row.cpu_s:.2f} | {row.wall_s:.2f} "
            f"| {row.rows_per_cpu_second:,.0f} | {row.cpu_s / rows[0].cpu_s:.2f} |"
        )
    print()
    peaks = {n: peak_mib(n) for n in (n_rows, 5 * n_rows)}
    for n, peak in peaks.items():
        print(f"peak memory of a process, {n:,} rows: {peak:.0f} MiB")
    if arguments.json:
        made = {"rows": [asdict(row) for row in rows], "peak_mib": peaks}
        arguments.json.write_text(json.dumps(made, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

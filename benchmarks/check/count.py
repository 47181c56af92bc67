"""Cost of a check: rows a second and memory, beside a bare numpy counting loop.

    python benchmarks/check/count.py [--rows 1000000] [--columns 20]

Writes a synthetic Parquet file, builds a baseline on 20,000 of its rows, and measures in one
child process each: reading only, the bare loop (searchsorted and bincount against 64 fixed
edges, nothing kept), and `evaluate` without and with label, text-free. CPU seconds are user
plus system of the whole process, imports included; memory is its peak resident size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable

MODES = ("read", "bare", "counts", "labels")


def write(path: Path, rows: int, columns: int, seed: int) -> None:
    """Write numbers, two categories in five columns, a label that follows two of them."""
    rng = np.random.default_rng(seed)
    writer = None
    for start in range(0, rows, 250_000):
        n = min(250_000, rows - start)
        data: dict[str, object] = {}
        for j in range(columns):
            if j % 5 == 4:
                data[f"c{j}"] = pa.DictionaryArray.from_arrays(
                    pa.array(rng.integers(0, 40, n, dtype=np.int32)),
                    [f"v{i}" for i in range(40)],
                ).dictionary_decode()
            else:
                data[f"c{j}"] = rng.normal(size=n)
        noise = rng.random(n) < 0.05
        data["y"] = (((data["c0"] + data["c1"]) > 0) ^ noise).astype(np.int8)
        table = pa.table(data)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=250_000)
    if writer is not None:
        writer.close()


def child(mode: str, data: str, baseline: str) -> None:
    """Run one mode and print its cost."""
    batches = pq.ParquetFile(data, pre_buffer=False).iter_batches(65_536, use_threads=False)
    if mode == "read":
        rows = sum(batch.num_rows for batch in batches)
    elif mode == "bare":
        rows = _bare(batches)
    else:
        # Imports are part of what this mode costs, and no part of the others.
        from sluicegate.signals.evaluate import evaluate  # noqa: PLC0415
        from sluicegate.signals.stored_baseline import Baseline  # noqa: PLC0415

        found = evaluate(
            Baseline.from_bytes(Path(baseline).read_bytes()), batches, tolerances={}, rows=False
        )
        rows = found.n_rows
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "mode": mode,
                "rows": rows,
                "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
                "peak_mb": usage.ru_maxrss // 1024,
            }
        )
    )


def _bare(batches: Iterable[pa.RecordBatch]) -> int:
    edges = np.linspace(-3, 3, 65)
    counts: dict[str, np.ndarray] = {}
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_floating(array.type):
                values = np.frombuffer(array.buffers()[1], np.float64, len(array), array.offset * 8)
                found = np.bincount(np.searchsorted(edges, values), minlength=66)
            else:
                encoded = array.dictionary_encode()
                indices = encoded.indices if pa.types.is_dictionary(encoded.type) else encoded
                found = np.bincount(
                    np.frombuffer(indices.buffers()[1], np.int32, len(indices)), minlength=66
                )
            counts[name] = counts.get(name, 0) + found[:66]
    return rows


def main() -> None:
    """Write the data, build the baselines, run every mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--child", nargs=3, metavar=("MODE", "DATA", "BASELINE"))
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    from sluicegate.profiling.schema import BatchSchema  # noqa: PLC0415
    from sluicegate.signals.baseline import build_baseline  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        data, small = Path(folder) / "data.parquet", Path(folder) / "small.parquet"
        write(data, arguments.rows, arguments.columns, 1)
        write(small, 20_000, arguments.columns, 2)
        for mode in MODES:
            baseline = Path(folder) / f"{mode}.json"
            if mode in ("counts", "labels"):
                schema = BatchSchema(label="y") if mode == "labels" else BatchSchema()
                built = build_baseline(
                    pq.ParquetFile(small).iter_batches(),
                    schema,
                    created=datetime(2026, 1, 1, tzinfo=UTC),
                    seed=1,
                )
                baseline.write_bytes(built.to_bytes())
            subprocess.run(
                [sys.executable, __file__, "--child", mode, str(data), str(baseline)], check=True
            )


if __name__ == "__main__":
    main()

"""Every promise about the speed of sealing and reading, measured in one run.

Run: python benchmarks/integrity/run.py [--scale 1] [--rounds 5] [--write docs/performance.md]

Contestants take turns on the same warm files, and a ratio is taken within each round before the
median over the rounds, so that another load on the machine meets both sides of it. Beside each
ratio of wall time stands the ratio of CPU time, children included, which other loads disturb
least. Each part runs in a fresh process: what it measures must not depend on threads or memory of
the part before. ``--scale`` shrinks sizes and counts: the promises are about scale 1, which takes
about six minutes on two idle cores and 3 GiB of the temporary directory.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from seal_files import KIB, MIB, N_CORES, Case, bare, make_files, seal

from sluicegate.attest.keys import Algorithm, generate
from sluicegate.digest.incremental import Known, scan
from sluicegate.digest.manifest import FileEntry, build_manifest
from sluicegate.digest.verified_file import view_verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGNER = generate(Algorithm.ECDSA_P256)
TEN_DAYS_NS = 10 * 86_400 * 1_000_000_000


@dataclass(frozen=True)
class Row:
    """One promise and what was measured."""

    what: str
    promise: str
    measured: str
    met: bool

    def __str__(self) -> str:
        verdict = "met" if self.met else "missed"
        return f"| {self.what} | {self.promise} | {self.measured} | {verdict} |"


@dataclass(frozen=True)
class Race:
    """Seconds of each contestant, round by round."""

    wall: dict[str, list[float]]
    cpu: dict[str, list[float]]

    def ratio(self, one: str, other: str) -> tuple[float, str]:
        """Return the median over the rounds of one time by the other, and how to print it."""
        wall = _median_ratio(self.wall, one, other)
        cpu = _median_ratio(self.cpu, one, other)
        times = [statistics.median(self.wall[name]) * 1000 for name in (one, other)]
        text = f"{wall:.3f} (CPU {cpu:.3f}): {times[0]:,.1f} ms of {times[1]:,.1f} ms"
        return wall, text


def _median_ratio(seconds: dict[str, list[float]], one: str, other: str) -> float:
    pairs = zip(seconds[one], seconds[other], strict=True)
    return statistics.median(mine / max(theirs, 1e-9) for mine, theirs in pairs)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def race(rounds: int, **contestants: Callable[[], object]) -> Race:
    """Let contestants take turns; the first turn warms caches and imports and does not count."""
    race = Race({name: [] for name in contestants}, {name: [] for name in contestants})
    for number in range(rounds + 1):
        for name, run in contestants.items():
            wall, cpu = time.perf_counter(), _cpu()
            run()
            if number:
                race.wall[name].append(time.perf_counter() - wall)
                race.cpu[name].append(_cpu() - cpu)
    return race


def at_most(what: str, limit: float, measured: tuple[float, str], label: str) -> Row:
    """A promise that we need at most a share of another time."""
    ratio, text = measured
    return Row(what, f"at most {limit} of {label}", text, ratio <= limit)


def at_least(what: str, limit: float, measured: tuple[float, str], label: str) -> Row:
    """A promise that we are some times faster: the ratio is of the other's time by ours."""
    ratio, text = measured
    return Row(what, f"at least {limit} times {label}", text, ratio >= limit)


def one_file(scratch: Path, scale: float, rounds: int) -> Iterator[Row]:
    """SHA-256 and BLAKE3 of one large file."""
    case = Case("1 file", 1, int(2048 * MIB * scale), rounds)
    root = scratch / "one"
    root.mkdir()
    path = Path(make_files(root, case)[0])
    took = race(
        rounds,
        bare=lambda: bare([str(path)]),
        sha256=lambda: build_manifest(path),
        blake3=lambda: build_manifest(path, algorithm="blake3"),
    )
    name = f"1 file of {case.file_bytes // MIB} MiB"
    yield at_most(f"{name}, SHA-256", 1.05, took.ratio("sha256", "bare"), "the bare loop")
    yield at_most(f"{name}, BLAKE3", 0.45, took.ratio("blake3", "sha256"), "SHA-256")


def tree(
    scratch: Path,
    scale: float,
    rounds: int,
    *,
    n_files: int,
    size: int,
    share: float,
    times: float,
    algorithm: str = "sha256",
) -> Iterator[Row]:
    """Sealing many files, against model_signing and the bare loop."""
    import model_signing.signing  # noqa: PLC0415 - two seconds that --help does not need

    key = scratch / "key.pem"
    key.write_bytes(SIGNER.private_pem())
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=key)
    few = n_files == 4
    n = n_files if few else max(50, int(n_files * scale))
    case = Case("tree", n, int(size * scale) if few else size, rounds)
    root = scratch / "tree"
    root.mkdir()
    paths = make_files(root, case)
    took = race(
        rounds,
        bare=lambda: bare(paths),
        ours=lambda: seal(root, SIGNER, algorithm),
        theirs=lambda: config.sign(root, scratch / "theirs.sig"),
    )
    name = f"{n:,} files of {case.file_bytes // KIB:,} KiB"
    if algorithm != "sha256":
        name += f", {algorithm.upper()}"
    else:
        label = f"the bare loop on {N_CORES} cores"
        yield at_most(name, share, took.ratio("ours", "bare"), label)
    yield at_least(name, times, took.ratio("theirs", "ours"), "model_signing (SHA-256)")
    if algorithm == "sha256":
        yield again(name, root, rounds)


def again(name: str, root: Path, rounds: int) -> Row:
    """Sealing unchanged data a second time."""
    later = time.time_ns() + TEN_DAYS_NS
    first = scan(root, None, now_ns=later, seed=b"benchmark")
    known = Known(first.manifest, first.state)
    took = race(
        rounds,
        first=lambda: scan(root, None, now_ns=later, seed=b"benchmark"),
        again=lambda: scan(root, known, now_ns=later, seed=os.urandom(16)),
    )
    return at_most(f"{name}, sealed again", 0.02, took.ratio("again", "first"), "the first seal")


def very_many(scratch: Path, scale: float, _rounds: int) -> Iterator[Row]:
    """Merkle manifest: memory of a seal, and verifying ten files."""
    n_files = int(300_000 * scale)
    root, evidence = scratch / "many", scratch / "evidence"
    root.mkdir()
    make_files(root, Case("many", n_files, 64, 1))
    script = (
        "import resource, sys, pathlib\n"
        "from sluicegate.digest.merkle_manifest import build_merkle\n"
        "out = pathlib.Path(sys.argv[2]); out.mkdir()\n"
        "m = build_merkle(pathlib.Path(sys.argv[1]), lambda n, d: (out/str(n)).write_bytes(d))\n"
        "used = [resource.getrusage(w).ru_maxrss for w in (0, -1)]  # with its helpers\n"
        "(out/'peak').write_text(str(sum(used)))\n"
        "import json; (out/'index').write_text(json.dumps(m.to_json()))\n"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", script, str(root), str(evidence)], check=True)
    took = time.perf_counter() - start
    peak = int((evidence / "peak").read_text()) * KIB
    text = f"{peak / MIB:.0f} MiB, {took:.1f} s"
    yield Row(f"{n_files:,} files, Merkle seal", "at most 1 GiB", text, peak <= 1024 * MIB)
    yield ten_of_many(n_files, root, evidence)


def ten_of_many(n_files: int, root: Path, evidence: Path) -> Row:
    """Count every file that is opened while ten are verified."""
    import json  # noqa: PLC0415

    from sluicegate.digest.merkle_manifest import (  # noqa: PLC0415
        MerkleManifest,
        verify_files,
    )

    manifest = MerkleManifest.from_json(
        json.loads((evidence / "index").read_text()), locator="index"
    )
    step = n_files // 10
    paths = [f"part-{n // 1000:03}/file-{n:06}.bin" for n in range(0, step * 10, step)]
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    start = time.perf_counter()
    verify_files(root, manifest, lambda n: (evidence / str(n)).read_bytes(), paths)
    took = time.perf_counter() - start
    n_data = sum(name.endswith(".bin") for name in opened)
    return Row(
        f"10 of {n_files:,} files verified",
        "does not read the others",
        f"{n_data} files and {len(opened) - n_data} parts opened, {took * 1000:.0f} ms",
        n_data == 10,
    )


def verified_read(scratch: Path, scale: float, rounds: int) -> Iterator[Row]:
    """Verified read of Parquet, against a plain read and a bare hash of the same file."""
    import numpy as np  # noqa: PLC0415 - starts threads that the other parts must not have
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    from sluicegate.adapters.files.table_files import TableFiles  # noqa: PLC0415

    path = scratch / "table.parquet"
    n = int(10_000_000 * scale)
    rng = np.random.default_rng(7)
    columns = {f"x{number}": rng.normal(size=n) for number in range(4)}
    pq.write_table(pa.table({**columns, "label": rng.integers(0, 9, n)}), path)
    entry = FileEntry(path.name, *_digest(path))

    def plain_and_bare() -> None:
        pq.read_table(path)
        bare([str(path)])

    took = race(
        rounds,
        plain=lambda: pq.read_table(path),
        both=plain_and_bare,
        verified=lambda: TableFiles().table([(path.name, view_verified(path, entry))]),
    )
    name = f"verified read of {path.stat().st_size // MIB} MiB Parquet"
    yield at_most(name, 1.10, took.ratio("verified", "both"), "plain read plus hashing")


def table_rows(_scratch: Path, scale: float, rounds: int) -> Iterator[Row]:
    """Table digest of 8 mixed columns."""
    import pyarrow as pa  # noqa: PLC0415
    from table_digest import batches, ours, pandas_hash, peak_mib, row_loop  # noqa: PLC0415

    n = int(1_000_000 * scale)
    table = pa.Table.from_batches(batches(n))
    frame = table.to_pandas()
    took = race(
        rounds,
        ours=lambda: ours(table),
        pandas=lambda: pandas_hash(frame),
        loop=lambda: row_loop(table),
    )
    rate = n / statistics.median(took.wall["ours"])
    cpu_rate = n / statistics.median(took.cpu["ours"])
    text = f"{rate:,.0f} rows/s on {N_CORES} cores, {cpu_rate:,.0f} a CPU second"
    name = f"table digest of {n:,} rows, 8 columns"
    yield Row(name, "at least 1,000,000 rows/s", text, rate >= 1_000_000)
    yield at_least(name, 1, took.ratio("loop", "ours"), "a loop of hashlib over rows")
    _, text = took.ratio("ours", "pandas")
    yield Row(
        f"{name}, of hash_pandas_object", "reported: its 64 bits are not secure", text, met=True
    )
    peaks = [peak_mib(n), peak_mib(5 * n)]
    text = f"{peaks[1] / peaks[0]:.3f}: {peaks[1]:.0f} MiB of {peaks[0]:.0f} MiB, imports included"
    what = f"memory of the table digest, {5 * n:,} rows"
    yield Row(what, f"at most 1.1 of {n:,} rows'", text, peaks[1] <= 1.1 * peaks[0])


def _digest(path: Path) -> tuple:
    entry = build_manifest(path).entries[0]
    return entry.digest, entry.size_bytes


PARTS = (
    one_file,
    partial(tree, n_files=4, size=512 * MIB, share=1.10, times=1.6),
    partial(tree, n_files=4, size=512 * MIB, share=1.10, times=1.6, algorithm="blake3"),
    partial(tree, n_files=1000, size=MIB, share=1.5, times=2),
    partial(tree, n_files=1000, size=MIB, share=1.5, times=2, algorithm="blake3"),
    partial(tree, n_files=20_000, size=16 * KIB, share=1.5, times=8),
    very_many,
    verified_read,
    table_rows,
)

NOTES = """
A ratio is the median over the rounds of one wall time by the other of the same round. The ratio of
CPU times stands beside it; it says little where one side uses several cores. The promises are about
scale 1 and an idle machine; a smaller scale or a load above 1 measures something else.

What bounds them:

- **SHA-256 of one file is sequential**, and OpenSSL's is what everybody calls, at 1.4 to 1.6 GiB/s
  a core. With files of 1 MiB and more, model_signing keeps all cores busy with it too: of its 0.88
  CPU seconds for 1,000 files of 1 MiB, 0.70 are SHA-256, so no seal of SHA-256 digests can be more
  than 1.3 times faster, 1.1 times for files of 512 MiB. A seal of BLAKE3 digests can
  (`sluicegate seal --hash blake3`).
- **Small files** cost about 18 microseconds of wall time each on two cores, for open, two fstat,
  read, hash and close; the bare loop costs as much. From 2,000 files they are hashed in forked
  processes if this process has a single thread; else threads do it, and hand the interpreter lock
  to each other between the calls. The fork and the signature are a fixed cost, so a smaller scale
  shows less than the 8 times.
- **Sealing again** costs one `stat` and the lines of manifest and state, about 5 microseconds of
  CPU a file, and half a percent of the files is read anyway. That is under 2 % for files of about
  1 MiB and more. It cannot be for files of 16 KiB: the first seal takes 18 microseconds a file, 2 %
  of that is 0.36, and the system call `stat` alone takes 1 to 2.
- **A verified read** hashes every byte before the parser sees the first one, from a private copy
  in memory. None of the hash hides behind the parsing. Filling the copy, a page fault for 4 KiB,
  takes as long as hashing it and hides behind the hash only while a second core is free.
- **The table digest** calls OpenSSL once a row, 0.35 of its 0.7 microseconds of CPU a row of 8
  columns; encoding takes 0.13, sorting 0.08. Other processes share the hashing from 100,000 rows
  on, so a smaller scale measures one core.
"""


def run_part(number: int, scale: float, rounds: int) -> list[Row]:
    """Run one part in its own directory."""
    with tempfile.TemporaryDirectory() as scratch:
        return list(PARTS[number](Path(scratch), scale, rounds))


def main() -> int:
    """Measure, print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=0.05, help="1 for the promised sizes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, help="put the table into this Markdown file")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    setting = (
        f"Scale {arguments.scale:g}, {N_CORES} cores, Python {sys.version.split()[0]}, median of "
        f"{arguments.rounds} rounds, warm page cache, load average {load:.1f} at the start."
    )
    head = [
        setting,
        "",
        "| what | promise | measured | |",
        "|---|---|---|---|",
    ]
    print("\n".join(head), flush=True)
    lines = []
    # One process a part, forked from none: `max_tasks_per_child` needs the start method spawn.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for number in range(len(PARTS)):
            done = pool.submit(run_part, number, arguments.scale, arguments.rounds)
            for row in done.result():
                lines.append(str(row))
                print(row, flush=True)
    if arguments.write:
        title = "# Performance\n\nWritten by `python benchmarks/integrity/run.py --scale 1 --write "
        title += "docs/performance.md`.\n\n## Integrity\n\n"
        text = title + "\n".join([*head, *lines]) + "\n" + NOTES
        arguments.write.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

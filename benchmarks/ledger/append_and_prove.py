"""Ledger: durable appends a second, CPU of a proof at n leaves, audit speed, bytes a leaf.

    python benchmarks/ledger/append_and_prove.py --leaves 1000000

Ratios to bare SQLite inserts of the same envelopes, with the same pragmas, come from the
same run on the same machine. Nothing here asserts; numbers are printed.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sluicegate.adapters.ledgers.sqlite import open_ledger
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.keys import CallableSigner
from sluicegate.ledger.proof import verify_proof

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.ledger.log import Ledger

ORIGIN = "benchmark.example/ledger"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))  # a fixed key, for benchmarks only
PUBLIC_KEY = KEY.public_key().public_bytes_raw()
SIGNER = CallableSigner(ORIGIN, PUBLIC_KEY, KEY.sign)
KINDS = ("seal", "provenance", "verdict", "baseline")


def item(number: int, n_sources: int, envelope_bytes: int) -> tuple[Entry, bytes]:
    """Make one entry and its envelope; a function of the number alone."""
    envelope = (b"%d " % number).ljust(envelope_bytes, b"e")
    subject = "dirHash1:" + hashlib.sha256(b"%d" % number).hexdigest()
    source = f"source-{number % n_sources}"
    return Entry.of(KINDS[number // n_sources % 4], source, subject, envelope), envelope


def opened(path: Path, *, create: bool = False) -> Ledger:
    """Open the benchmark's ledger for writing."""
    return open_ledger(path, public_key=PUBLIC_KEY, signer=SIGNER, create=create, origin=ORIGIN)


def fill(ledger: Ledger, arguments: argparse.Namespace) -> float:
    """Append the leaves in batches; returns leaves a second."""
    start = time.perf_counter()
    for begin in range(0, arguments.leaves, arguments.batch):
        end = min(begin + arguments.batch, arguments.leaves)
        numbers = range(begin, end)
        ledger.append_many([item(n, arguments.sources, arguments.envelope) for n in numbers])
    return arguments.leaves / (time.perf_counter() - start)


def bare(path: Path, arguments: argparse.Namespace, n_rows: int, batch: int) -> float:
    """Insert the same envelopes into one plain table; returns rows a second."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS t (i INTEGER PRIMARY KEY, body BLOB)")
    start = time.perf_counter()
    for begin in range(0, n_rows, batch):
        numbers = range(begin, min(begin + batch, n_rows))
        rows = [(item(n, arguments.sources, arguments.envelope)[1],) for n in numbers]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO t (body) VALUES (?)", rows)
        connection.execute("COMMIT")
    rate = n_rows / (time.perf_counter() - start)
    connection.close()
    return rate


def append_singles(path: Path, numbers: range, arguments: argparse.Namespace) -> None:
    """Append one by one; what each writer process runs."""
    with opened(path) as ledger:
        for number in numbers:
            ledger.append(*item(number, arguments.sources, arguments.envelope))


def many_writers(path: Path, arguments: argparse.Namespace) -> float:
    """Append from several processes; returns appends a second, start of processes included."""
    first, share = arguments.leaves + arguments.singles, arguments.singles
    ranges = [
        range(first + writer * share, first + (writer + 1) * share)
        for writer in range(arguments.writers)
    ]
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=append_singles, args=(path, part, arguments)) for part in ranges
    ]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return arguments.writers * share / (time.perf_counter() - start)


def cpu_ms(call: Callable[[int], object], repeats: int) -> float:
    """CPU of one call in milliseconds."""
    start = time.process_time()
    for number in range(repeats):
        call(number)
    return (time.process_time() - start) / repeats * 1000


def show(name: str, value: float, unit: str) -> None:
    """Print one line."""
    print(f"{name:<58}{value:>14,.2f} {unit}")


def reads(path: Path, arguments: argparse.Namespace, first_start: float) -> None:
    """Measure what the guard, an auditor and an export do."""
    with open_ledger(path, public_key=PUBLIC_KEY) as reader:
        record = reader.latest("verdict", "source-0")
        assert record is not None  # the ledger was just filled
        reader.by_envelope(record.entry.envelope)
        show("guard, first time: open, latest, by_envelope", cpu_since(first_start), "ms CPU")
        step = max(arguments.leaves // 200, 1)
        show(
            "latest(kind, source)",
            cpu_ms(lambda _: reader.latest("verdict", "source-0"), 200),
            "ms CPU",
        )
        show("get_verified(index)", cpu_ms(lambda n: reader.get_verified(n * step), 200), "ms CPU")
        show("proof(index)", cpu_ms(lambda n: reader.proof(n * step), 200), "ms CPU")
        proof, leaf = reader.proof(0), reader.get(0).entry.to_bytes()
        show(
            "verify_proof, offline",
            cpu_ms(lambda _: verify_proof(proof, leaf, [PUBLIC_KEY]), 200),
            "ms CPU",
        )
        start = time.process_time()
        report = reader.audit()
        show("audit, whole", report.n_checked / (time.process_time() - start), "leaves/CPU s")


def cpu_since(start: float) -> float:
    """CPU since a moment, in milliseconds."""
    return (time.process_time() - start) * 1000


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--leaves", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--singles", type=int, default=300, help="single appends a writer")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--sources", type=int, default=50)
    parser.add_argument("--envelope", type=int, default=1_000, help="bytes of one envelope")
    parser.add_argument("--dir", type=Path, help="where to write; default: a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.dir) as directory:
        path, plain = Path(directory) / "ledger.db", Path(directory) / "plain.db"
        with opened(path, create=True) as ledger:
            show(f"append_many, batches of {arguments.batch}", fill(ledger, arguments), "leaves/s")
        size = path.stat().st_size
        first = time.process_time()
        reads(path, arguments, first)
        rate = bare(plain, arguments, arguments.leaves, arguments.batch)
        show("bare inserts, same batches", rate, "rows/s")
        show("database a leaf beside the envelope", beside(size, plain, arguments), "bytes")
        start = time.perf_counter()
        numbers = range(arguments.leaves, arguments.leaves + arguments.singles)
        append_singles(path, numbers, arguments)
        single = arguments.singles / (time.perf_counter() - start)
        show("append, one by one", single, "leaves/s")
        rate = bare(plain, arguments, arguments.singles, 1)
        show("bare insert, one by one", rate, "rows/s")
        show("ratio of bare to ledger, one by one", rate / single, "times")
        show(f"append, {arguments.writers} processes", many_writers(path, arguments), "leaves/s")
    return 0


def beside(size_bytes: int, plain: Path, arguments: argparse.Namespace) -> float:
    """Bytes a leaf that a table of the envelopes alone does not need."""
    return (size_bytes - plain.stat().st_size) / arguments.leaves


if __name__ == "__main__":
    sys.exit(main())

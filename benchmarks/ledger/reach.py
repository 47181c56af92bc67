"""The ledger's numbers to reach, each beside what was measured, as a page of the docs.

    python benchmarks/ledger/reach.py --out docs/performance-ledger.md \
        --postgres 'postgresql://postgres@127.0.0.1/postgres'

A million leaves take about five minutes on two cores that do nothing else, most of them to
fill the ledger, and 3 GB of temporary disk. PostgreSQL tables go into a schema of their own,
which is dropped at the end.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from append_and_prove import ORIGIN, PUBLIC_KEY, SIGNER, bare, cpu_ms, fill, item, opened

from sluicegate.adapters.ledgers import postgres as ledger_postgres
from sluicegate.ledger.proof import verify_proof

if TYPE_CHECKING:
    from sluicegate.ledger.log import Ledger

WRITERS = 8


def at(place: Path | str) -> Ledger:
    """Open the ledger for writing, created if need be."""
    if isinstance(place, Path):
        return opened(place, create=True)
    return ledger_postgres.open_ledger(
        place, public_key=PUBLIC_KEY, signer=SIGNER, create=True, origin=ORIGIN
    )


def write(place: Path | str, first: int, calls: int, batch: int, barrier: Any) -> None:
    """Append from one process, once all are ready."""
    with at(place) as ledger:
        made = [[item(first + n * batch + b, 50, 1000) for b in range(batch)] for n in range(calls)]
        ledger.size()
        barrier.wait()
        for items in made:
            ledger.append_many(items)


def race(place: Path | str, first: int, calls: int, batch: int) -> float:
    """Append from 8 processes; returns appends a second without the start of the processes."""
    with at(place) as ledger:
        before = ledger.size()
    context = get_context("fork")
    barrier = context.Barrier(WRITERS + 1)
    workers = [
        context.Process(
            target=write, args=(place, first + w * calls * batch, calls, batch, barrier)
        )
        for w in range(WRITERS)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    took = time.perf_counter() - start
    with at(place) as ledger:
        size = ledger.audit().size
    if size - before != WRITERS * calls * batch:
        raise SystemExit(f"{size - before} leaves instead of {WRITERS * calls * batch}")
    return WRITERS * calls * batch / took


class Page:
    """Rows of the table, printed as they come."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def row(self, name: str, got: float, reach: float, unit: str, *, at_least: bool) -> None:
        """Add one line; the ratio is above 1 where the number was reached."""
        ratio = got / reach if at_least else reach / got
        word = "met" if ratio >= 1 else "missed"
        sign = ">=" if at_least else "<="
        line = f"| {name} | {got:,.1f} | {sign} {reach:,.0f} {unit} | {ratio:.2f} | {word} |"
        print(line, flush=True)
        self.rows.append(line)

    def text(self, arguments: argparse.Namespace, load: float) -> str:
        """Return the whole page."""
        python = ".".join(map(str, sys.version_info[:2]))
        head = PAGE_HEAD.format(
            leaves=arguments.leaves,
            cores=os.cpu_count(),
            before=load,
            after=os.getloadavg()[0],
            python=python,
            sqlite=sqlite3.sqlite_version,
            postgres=arguments.server or "not measured",
        )
        table = "| what | measured | reach | ratio | |\n|---|---|---|---|---|\n"
        return head + table + "".join(f"{line}\n" for line in self.rows) + PAGE_FOOT


PAGE_HEAD = """# Performance of the ledger

Measured with `python benchmarks/ledger/reach.py --out docs/performance-ledger.md --postgres URL`:
{leaves:,} leaves of 1,000-byte envelopes, {cores} cores, load average {before:.1f} at the beginning
and {after:.1f} at the end, Python {python}. SQLite {sqlite}, WAL, `synchronous=FULL`; PostgreSQL
{postgres} on loopback, `fsync` and `synchronous_commit` on. Proofs and audits are CPU time of one
process, appends are wall time from when all 8 processes are ready until the last has its last
receipt. The 8 processes, and the PostgreSQL server, share the cores. A ratio above 1 means reached.

"""

PAGE_FOOT = """
**With batching** means two things here. *Group commit* joins the appends of writers that wait at
the same time into one flush; it is always on, and it is all that helps the row "1 a call". A
*batched call* is `append_many` with several leaves, as every seal and every gate makes one; these
are the rows "10 a call" and "100 a call". Every leaf counts once and is durable before its call
returns; after each run the ledger is audited and must have grown by exactly what was appended.

**PostgreSQL** is bound by CPU, not by flushes: the driver is plain Python. An append of one leaf
needs about a millisecond of CPU in its client and some in the server, and two cores carry both.
Calls with several leaves divide that cost. An audit gets its rows as hexadecimal text, twice as
long as they are, which is why it takes longer than on SQLite.
"""


def measure_reads(page: Page, path: Path, leaves: int) -> None:
    """Proofs and audits of the filled file."""
    with opened(path) as ledger:
        step = max(leaves // 100, 1)
        proofs = [cpu_ms(lambda n: ledger.proof(n * step), 100) for _ in range(3)]
        proof, leaf = ledger.proof(0), ledger.get(0).entry.to_bytes()
        checks = [cpu_ms(lambda _: verify_proof(proof, leaf, [PUBLIC_KEY]), 100) for _ in range(3)]
        both = statistics.median(proofs) + statistics.median(checks)
        page.row("inclusion proof and its verification", both, 10, "ms CPU", at_least=False)
        remembered = ledger.checkpoint()
        ledger.append_many([item(leaves + n, 50, 1000) for n in range(1000)])
        cpu = []
        for _ in range(3):
            start = time.process_time()
            assert ledger.audit(remembered, only_new=True).n_checked == 1000
            cpu.append((time.process_time() - start) * 1000)
        page.row(
            "incremental audit of 1,000 leaves", statistics.median(cpu), 1000, "ms", at_least=False
        )
        page.row("full audit, SQLite", audited(ledger), 100_000, "leaves/CPU s", at_least=True)


def audited(ledger: Ledger) -> float:
    """Return leaves a CPU second of a whole audit."""
    start = time.process_time()
    n_checked = ledger.audit().n_checked
    return n_checked / (time.process_time() - start)


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=100, help="appends a writer")
    parser.add_argument("--postgres", help="URL of a database to make a schema in")
    parser.add_argument("--out", type=Path, help="page of the docs to write")
    arguments = parser.parse_args()
    arguments.batch, arguments.sources, arguments.envelope = 5000, 50, 1000
    arguments.server = ""
    load, page = os.getloadavg()[0], Page()
    measure_sqlite(page, arguments)
    if arguments.postgres:
        measure_postgres(page, arguments)
    if arguments.out:
        arguments.out.write_text(page.text(arguments, load), encoding="utf-8")


def measure_sqlite(page: Page, arguments: argparse.Namespace) -> None:
    """Size, proofs, audits and appends of a file."""
    with tempfile.TemporaryDirectory() as directory:
        path, plain = Path(directory) / "ledger.db", Path(directory) / "plain.db"
        with opened(path, create=True) as ledger:
            fill(ledger, arguments)
        bare(plain, arguments, arguments.leaves, arguments.batch)
        beside = (path.stat().st_size - plain.stat().st_size) / arguments.leaves
        page.row("database beside the envelope", beside, 200, "bytes/leaf", at_least=False)
        measure_reads(page, path, arguments.leaves)
        rate = race(Path(directory) / "race.db", 0, arguments.calls, 1)
        page.row("append from 8 processes, SQLite, 1 a call", rate, 100, "/s", at_least=True)


def measure_postgres(page: Page, arguments: argparse.Namespace) -> None:
    """Appends from 8 processes, single and in batches, and an audit of what they left."""
    schema = f"benchmark_{uuid.uuid4().hex[:8]}"
    url = f"{arguments.postgres}?schema={schema}"
    try:
        for batch, calls in ((1, 2), (10, 1), (100, 0.3)):
            n_calls = max(round(arguments.calls * calls), 1)
            rates = [race(url, k * 10**7 + batch * 10**8, n_calls, batch) for k in range(3)]
            name = f"append from 8 processes, PostgreSQL, {batch} a call"
            page.row(name, statistics.median(rates), 1000, "/s", at_least=True)
        with at(url) as ledger:
            name = f"full audit, PostgreSQL, {ledger.size():,} leaves"
            page.row(name, audited(ledger), 100_000, "leaves/CPU s", at_least=True)
    finally:
        store = ledger_postgres.PostgresStore(ledger_postgres.Address.parse(url))
        with store._engine.begin() as connection:  # noqa: SLF001 - its own schema
            shown = connection.exec_driver_sql("SHOW server_version").scalar_one()
            arguments.server = str(shown).split(" ", 1)[0]
            connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
        store.close()


if __name__ == "__main__":
    main()

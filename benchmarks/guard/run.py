"""The guard's CPU for one task start, and a gate run end to end, in one table.

    python benchmarks/guard/run.py --leaves 1000000 --rows 100000 --write docs/guard.md
    python benchmarks/guard/run.py --leaves 100000 --rows 1000 \
        --postgres 'postgresql://postgres@127.0.0.1/postgres'     a schema of its own, dropped

The guard runs as Airflow calls it, in a fresh process for each sample, on a ledger whose other
leaves belong to 50 other sources. CPU is of that process, after the imports a first task start
pays for, which are printed beside it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import make_url

from sluicegate.attest.keys import Algorithm, generate, read_signer, write_key_pair
from sluicegate.attest.secret import Secret
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.ledger.entry import Entry
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.evidence.home import ENV_LEDGER, SluiceHome
from sluicegate.workflow.evidence.opening import create_ledger, open_evidence
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.sealing.seal import seal_into_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = "measured"
SCHEMA = {"id": "id", "label": "label", "contributor": "who"}
BATCH = 5000
REACH_MS = 50
HEADING = "## What it costs"


def rows(seed: int, n_rows: int) -> object:
    """Make a learnable table: the label follows x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n_rows)
    return pa.table(
        {
            "id": pa.array([f"{seed}-{number}" for number in range(n_rows)]),
            "who": pa.array([f"c{number}" for number in rng.integers(0, 5, n_rows)]),
            "x": pa.array(x),
            "y": pa.array(rng.normal(size=n_rows)),
            "label": pa.array(((x > 0) ^ (rng.random(n_rows) < 0.05)).astype("int8")),
        }
    )


def home_at(root: Path) -> SluiceHome:
    """Return the home, with the ledger that the environment names."""
    return SluiceHome(root, Secret(os.environ.get(ENV_LEDGER, ""), "ledger URL"))


@contextmanager
def ledger_in(postgres: str | None) -> Iterator[None]:
    """Name a schema of its own in the environment, and drop it at the end."""
    if postgres is None:
        yield
        return
    import pg8000.dbapi  # noqa: PLC0415 - an extra

    schema, to = f"benchmark_{uuid.uuid4().hex[:8]}", make_url(postgres)
    os.environ[ENV_LEDGER] = f"{postgres}?schema={schema}"
    try:
        yield
    finally:
        connection = pg8000.dbapi.connect(
            to.username,
            host=to.host,
            port=to.port or 5432,
            password=to.password,
            database=to.database,
        )
        connection.cursor().execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        connection.commit()
        connection.close()


def install(root: Path, n_rows: int) -> dict[str, float]:
    """Build an installation with one judged batch; return the cost of each step."""
    home, at = home_at(root), datetime.now(UTC).replace(microsecond=0)
    home.keys.mkdir(parents=True, mode=0o700)
    signers = {}
    for role in (Role.SOURCE, Role.GATE, Role.BASELINE, Role.LEDGER):
        algorithm = Algorithm.ECDSA_P256 if role is Role.SOURCE else Algorithm.ED25519
        signers[role] = generate(algorithm)
        private, _ = write_key_pair(signers[role], home.keys / role.value)
        private.rename(home.key(role.value))
    public = {role: [signer.public_key] for role, signer in signers.items()}
    trust = trust_policy(public, version=1, expires=at + timedelta(days=1))
    home.trust.write_bytes(trust.to_bytes())
    home.policy.write_text(DEFAULT_POLICY, encoding="utf-8")
    create_ledger(home, at=at)
    batches = {}
    for seed, name in enumerate(("trusted", "batch")):
        batches[name] = root / name
        batches[name].mkdir()
        pq.write_table(rows(seed, n_rows), batches[name] / "part.parquet")
    write_baseline(
        [batches["trusted"]],
        BatchSchema.from_mapping(SCHEMA, locator="schema"),
        out=home.baseline_dir(SOURCE),
        at=at,
        source=SOURCE,
        signer=signers[Role.BASELINE],
    )
    ledger = signers[Role.LEDGER]
    costs, start = {}, cost()
    seal_into_ledger(
        batches["batch"],
        SOURCE,
        evidence=open_evidence(home, at=at, ledger_signer=ledger),
        signer=signers[Role.SOURCE],
        at=at,
        run={"orchestrator": "benchmark"},
    )
    costs["seal"] = cost() - start
    start = cost()
    issued, _ = gate_source(
        home,
        SOURCE,
        signers=GateSigners(signers[Role.GATE], ledger),
        at=at,
        run={"orchestrator": "benchmark"},
        runner=evaluate_directly,
    )
    costs["gate"] = cost() - start
    assert issued.verdict.result.value != "FAILED", issued.verdict.summary()
    return costs


def fill(root: Path, n_leaves: int) -> None:
    """Append leaves of other sources."""
    home = home_at(root)
    signer = read_signer(home.key("ledger"))
    evidence = open_evidence(home, at=datetime.now(UTC), ledger_signer=signer)
    for begin in range(0, n_leaves, BATCH):
        items = []
        for number in range(begin, min(begin + BATCH, n_leaves)):
            envelope = (b"%d " % number).ljust(1000, b"e")
            subject = "dirHash1:" + hashlib.sha256(b"%d" % number).hexdigest()
            items.append((Entry.of("verdict", f"other-{number % 50}", subject, envelope), envelope))
        evidence.ledger.append_many(items)
    # Whoever appends remembers; a guard that never saw these leaves would read them all, once.
    evidence.recall.catch_up(evidence.ledger)


def section(arguments: argparse.Namespace, guard: list[list[float]], costs: dict) -> str:
    """Return the last section of docs/guard.md."""
    first, later = guard
    load = os.getloadavg()[0]
    rows = [
        f"| {what} | {statistics.median(values):.0f} ms | {values[-1]:.0f} ms | {reach} |"
        for what, values, reach in (
            ("after imports", later, f"{REACH_MS} ms"),
            ("the first of a process, with its imports", first, ""),
        )
    ]
    missed = "" if later[-1] <= REACH_MS else " The reach is **missed**."
    more = "\n--postgres URL" if arguments.postgres else ""
    return f"""{HEADING}

`python benchmarks/guard/run.py --leaves {arguments.leaves} --rows {arguments.rows}
--samples {arguments.samples}{more}`, on {os.cpu_count()} cores, load average {load:.0f} at the end,
ledger in {"PostgreSQL" if arguments.postgres else "SQLite"}:

| CPU of one task start, ledger of {arguments.leaves:,} leaves | median | most | reach |
|---|---|---|---|
{chr(10).join(rows)}

The gate in front of it, on a batch of {arguments.rows:,} rows and 5 columns: sealing
{costs["seal"]:.2f} s of CPU, judging {costs["gate"]:.2f} s. Building the ledger took
{costs["fill"]:.0f} s of CPU.{missed} With 1,000,000 leaves, on both stores:
[page](page.md#what-it-needs).
"""


def cost() -> float:
    """Return CPU seconds of this process."""
    return time.process_time()


def main() -> None:
    """Build, fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--samples", type=int, default=15)
    parser.add_argument("--postgres", help="URL of a database to make a schema in")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace its last section")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ledger_in(arguments.postgres):
        root = Path(folder)
        costs = install(root, arguments.rows)
        start = cost()
        fill(root, arguments.leaves)
        costs["fill"] = cost() - start
        samples = [sample(root) for _ in range(arguments.samples)]
    first, later = (sorted(column) for column in zip(*samples, strict=True))
    print(f"guard, ledger of {arguments.leaves:,} leaves, {arguments.samples} processes, CPU ms")
    print(f"  after imports     median {statistics.median(later):6.1f}  most {later[-1]:6.1f}")
    print(f"  with all imports  median {statistics.median(first):6.1f}  most {first[-1]:6.1f}")
    print(f"gate, {arguments.rows:,} rows x 5 columns, CPU s")
    print(f"  seal {costs['seal']:.2f}  judge {costs['gate']:.2f}")
    print(f"building the ledger, CPU s {costs['fill']:.0f}")
    if arguments.write is not None:
        before, found, _ = arguments.write.read_text(encoding="utf-8").partition(HEADING)
        assert found, f"the page has no section {HEADING!r}"
        text = before + section(arguments, [first, later], costs)
        arguments.write.write_text(text, encoding="utf-8")


def sample(root: Path) -> list[float]:
    """Measure one task start in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("task_start.py")), str(root)]
    result = subprocess.run(
        command, env=dict(os.environ), capture_output=True, text=True, check=True
    )
    return [float(value) for value in json.loads(result.stdout.splitlines()[-1])]


if __name__ == "__main__":
    main()

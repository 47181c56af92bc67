"""This checkout beside another one: CPU, wall time and memory of the same commands, as ratios.

    python benchmarks/speed/run.py --against ../other                 a few minutes, printed
    python benchmarks/speed/run.py --against ../other --write PAGE

The other checkout needs an environment of its own in `.venv`, as `make ready` makes it. Each
command is run by one and by the other in turns, each against baselines that it built itself, so
that what else the machine does meets both alike. CPU is user plus system of the whole process.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DATA = HERE.parent / "check" / "data.py"
ROLES = {
    "counts": "{}\n",
    "labels": "label: y\n",
    "text": "label: y\ntext: [text]\n",
    "long": "label: y\ntext: [text]\n",
    "vectors": "label: y\nembedding: [v]\n",
}
KINDS = {"text": "text", "long": "long", "vectors": "vectors"}
"""What data.py makes for roles; others are tables."""
N_BASELINE = 20_000
N_BASELINES = {"labels": 5_000, "long": 400, "vectors": 5_000}
"""Rows of the baseline of a gate, by roles."""
BLOCKED = 1
"""Exit code of a gate that judged and blocked: it did all its work."""


@dataclass(frozen=True)
class Case:
    """One command that both checkouts run.

    Attributes:
        name: What it is, in words.
        command: "check", "gate", "build" or "help"; a gate seals too.
        roles: Key of `ROLES`.
        rows: Rows of the data.
        columns: Columns of the data; documents have their own.
    """

    name: str
    command: str
    roles: str = "labels"
    rows: int = 0
    columns: int = 20


CASES = {
    "check": Case("`check` of 1,000,000 x 20, all signals", "check", rows=1_000_000),
    "counts": Case("`check` of 1,000,000 x 20, no label", "check", "counts", 1_000_000),
    "small": Case("`check` of 1,000 x 20", "check", rows=1_000),
    "help": Case("`--help`", "help"),
    "documents": Case("`check` of 200,000 short documents", "check", "text", 200_000),
    "build": Case("`baseline build`, 30,000 x 17", "build", rows=30_000, columns=17),
    "wide": Case("`baseline build`, 200,000 x 20", "build", rows=200_000),
    "gate": Case("`gate --seal` of 2,000,000 x 20", "gate", rows=2_000_000),
    "gate-long": Case("`gate --seal` of 2,000 documents of 64 KB", "gate", "long", 2_000),
    "gate-wide": Case("`gate --seal` of 2,000 x 500", "gate", rows=2_000, columns=500),
    "gate-vectors": Case(
        "`gate --seal` of 100,000 vectors of 768", "gate", "vectors", 100_000, 768
    ),
    "build-vectors": Case(
        "`baseline build`, 100,000 vectors of 768", "build", "vectors", 100_000, 768
    ),
    "texts": Case("`baseline build`, 5,000 texts", "build", "text", 5_000),
}


@dataclass(frozen=True)
class Cost:
    """What one run took: seconds of CPU and of time, and peak megabytes."""

    cpu_s: float
    wall_s: float
    peak_mb: int


def cost(command: list[str]) -> Cost:
    """Run a command once."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    fine = {0, BLOCKED} if command[1] == "gate" else {0}
    assert process.returncode in fine, f"{command} ended with {process.returncode}"
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss // 1024)


class Bench:
    """Data and baselines in a folder, made when they are first asked for."""

    def __init__(self, folder: Path, checkouts: dict[str, Path]) -> None:
        self.folder, self.checkouts = folder, checkouts

    def command(self, case: Case, who: str) -> list[str]:
        """Return the command of a case for one checkout."""
        sluicegate = str(self.checkouts[who] / ".venv" / "bin" / "sluicegate")
        if case.command == "help":
            return [sluicegate, "--help"]
        data = self.data(case.roles, case.rows, case.columns, 1)
        if case.command == "build":
            return [sluicegate, *self.build(case.roles, data, self.folder / f"built-{who}")]
        if case.command == "gate":
            home, source = self.home(sluicegate, who), f"{case.roles}-{case.columns}"
            baseline = home / "baselines" / source
            if not baseline.exists():
                small = self.data(case.roles, N_BASELINES.get(case.roles, 2_000), case.columns, 2)
                signed = ["--source", source, "--key", str(home / "keys" / "baseline.pem")]
                cost([sluicegate, *self.build(case.roles, small, baseline), *signed])
            return [sluicegate, "gate", source, "--seal", str(data), "--home", str(home)]
        baseline = self.folder / f"{case.roles}-{who}"
        if not baseline.exists():
            small = self.data(case.roles, N_BASELINE, case.columns, 2)
            cost([sluicegate, *self.build(case.roles, small, baseline)])
        out = str(self.folder / f"out-{who}.json")
        return [sluicegate, "check", str(data), "--baseline", str(baseline), "--json", out]

    def home(self, sluicegate: str, who: str) -> Path:
        """Return the home of an installation, made when it is first asked for."""
        home, keys = self.folder / f"home-{who}", self.folder / f"keys-{who}"
        if home.exists():
            return home
        (home / "keys").mkdir(parents=True)
        (home / "keys").chmod(0o700)
        trusted = []
        for role in ("source", "gate", "baseline", "ledger"):
            kind = [] if role == "source" else ["--alg", "ed25519"]
            cost([sluicegate, "keygen", *kind, "--out", str(keys / role)])
            (keys / role / "key.pem").rename(home / "keys" / f"{role}.pem")
            trusted += ["--key", f"{role}={keys / role / 'key.pub.pem'}"]
        cost([sluicegate, "trust", "init", "--out", str(home / "trust.json"), *trusted])
        cost([sluicegate, "policy", "init", str(home / "policy.yaml")])
        cost([sluicegate, "ledger", "init", "--home", str(home)])
        return home

    def build(self, roles: str, data: Path, out: Path) -> list[str]:
        """Return the arguments that build a baseline."""
        schema = self.folder / f"{roles}.yaml"
        schema.write_text(ROLES[roles], encoding="utf-8")
        return ["baseline", "build", str(data), "--schema", str(schema), "--out", str(out)]

    def data(self, roles: str, rows: int, columns: int, seed: int) -> Path:
        """Return a file of rows."""
        kind = KINDS.get(roles, "table")
        path = self.folder / f"{kind}-{rows}-{columns}-{seed}.parquet"
        if not path.exists():
            sizes = map(str, (rows, columns, seed))
            subprocess.run([sys.executable, str(DATA), kind, str(path), *sizes], check=True)
        return path


def measure(bench: Bench, case: Case, rounds: int) -> dict[str, list[Cost]]:
    """Run both in turns."""
    commands = {who: bench.command(case, who) for who in bench.checkouts}
    found: dict[str, list[Cost]] = {who: [] for who in commands}
    for _ in range(rounds):
        for who, command in commands.items():
            found[who].append(cost(command))
    return found


def line(case: Case, found: dict[str, list[Cost]]) -> str:
    """Return a row of the table; a ratio is the median of the ratios of each round."""
    new, old = found["this"], found["other"]

    def middle(costs: list[Cost], what: str) -> float:
        return statistics.median(getattr(c, what) for c in costs)

    def ratio(what: str) -> float:
        pairs = zip(new, old, strict=True)
        return statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs)

    return (
        f"| {case.name} | {middle(old, 'cpu_s'):.2f} | {middle(new, 'cpu_s'):.2f} "
        f"| {ratio('cpu_s'):.2f} | {ratio('wall_s'):.2f} "
        f"| {max(c.peak_mb for c in old)} | {max(c.peak_mb for c in new)} |"
    )


def commit(checkout: Path) -> str:
    """Return the commit of a checkout, short."""
    asked = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, required=True, metavar="CHECKOUT")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    checkouts = {"other": arguments.against.resolve(), "this": ROOT}
    load, lines = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), checkouts)
        for case in (CASES[name] for name in arguments.cases):
            lines.append(line(case, measure(bench, case, arguments.rounds)))
            print(lines[-1], flush=True)
    text = _PAGE.format(
        other=commit(checkouts["other"]),
        rounds=arguments.rounds,
        cores=os.cpu_count(),
        python=platform.python_version(),
        before=load,
        after=os.getloadavg()[0],
        rows="\n".join(lines),
    )
    print(text)
    if arguments.write is not None:
        arguments.write.write_text(text, encoding="utf-8")


_PAGE = """# Speed beside an earlier version

Written by `python benchmarks/speed/run.py --against CHECKOUT --write PAGE`,
where CHECKOUT is commit {other} with an environment of its own.

Median of {rounds} rounds in turns, {cores} cores, Python {python}, load average {before:.1f} at the
start and {after:.1f} at the end. CPU is user plus system of the whole process, imports included. A
load above the number of cores says that the ratio of wall times measures the others too.

| what | CPU s then | CPU s now | CPU ratio | wall ratio | MB then | MB now |
|---|---|---|---|---|---|---|
{rows}

What bounds it:

- **A check** of 1,000,000 rows is a fifth start-up and a tenth decoding. Of the rest a third is
  what the label model says of each row, with all columns and without each telling one, which the
  earlier version did not ask; a sixth is the table of pairs of columns, which numpy counts at
  1.5 ns a row and pair. Trees are added up in one order: tables of several trees at once would be
  faster, and round differently.
- **Start-up**: numpy and pyarrow alone take 0.2 CPU s to import.
- **A baseline** fits the label model six times, on at most 40,000 rows; that is half of the time.
  It also measures blocks of hours, days and values, and rehearses itself, which the earlier
  version did not.
- **Threads**: the next record batch is prepared while this one is counted; counting is one
  thread's, so that findings are the same with any number of them (`SLUICEGATE_THREADS`).
"""

if __name__ == "__main__":
    main()

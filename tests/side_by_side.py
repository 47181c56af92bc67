"""Runs tests in two processes beside each other: on two cores that takes half the time.

    python tests/side_by_side.py          every test
    python tests/side_by_side.py quick    the unit tests that are not marked slow

One process takes the paths named here, the other one everything else: a new directory runs
without being named. They share no port, database, schema or directory: each test makes its own.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

REPO = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, what of it the first process takes, and more arguments for both."""

    whole: str
    first: tuple[str, ...]
    options: tuple[str, ...] = ()

    def arguments(self) -> tuple[list[str], list[str]]:
        """Return pytest's arguments for each process; together they are the whole."""
        rest = [self.whole, *(f"--ignore={path}" for path in self.first)]
        return [*self.first, *self.options], [*rest, *self.options]


ALL = Plan("tests", ("tests/airflow", "tests/e2e"))
QUICK = Plan(
    "tests/unit",
    ("tests/unit/workflow", "tests/unit/orchestration"),
    (
        *("-m", "not slow", "--hypothesis-profile=quick"),
        *("--durations=5", "--durations-min=1"),  # whoever makes a test slow sees it here
    ),
)


def say(text: str) -> None:
    """Print one line of ours, before anything that is printed later."""
    sys.stdout.write(f"==> {text}\n")
    sys.stdout.flush()


@dataclass(slots=True)
class Half:
    """One process; its output waits in a file, so that it can be shown in one piece."""

    name: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    @classmethod
    def start(cls, arguments: list[str]) -> Half:
        """Start pytest with these arguments."""
        output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it was shown
        command = [sys.executable, "-m", "pytest", *arguments]
        process = subprocess.Popen(command, cwd=REPO, stdout=output, stderr=subprocess.STDOUT)
        return cls(" ".join(arguments), process, output)

    def show(self) -> int:
        """Print everything that the process wrote, and return its exit code."""
        say(f"pytest {self.name}")
        with self.output:
            self.output.seek(0)
            shutil.copyfileobj(self.output, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        # A process that a signal ended has a negative code, which would hide behind a zero.
        return abs(self.process.returncode)


def stop_with(halves: list[Half]) -> None:
    """Have whoever ends this process end the halves too; they say themselves what they ran."""
    # An interrupt from a keyboard reaches all three by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def forward(*_: object) -> None:
        for half in halves:
            half.process.send_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, forward)


def run(plan: Plan) -> int:
    """Run both halves, show each when it ends, and return the worse exit code."""
    # A shell starts jobs in the background with interrupts ignored, and tests send them.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    running = [Half.start(arguments) for arguments in plan.arguments()]
    stop_with(running)
    worst, started = 0, time.monotonic()
    while running:
        for half in [half for half in running if half.process.poll() is not None]:
            running.remove(half)
            worst = max(worst, half.show())
        time.sleep(0.2)
    say(f"both: {time.monotonic() - started:.0f} s")
    return worst


if __name__ == "__main__":
    sys.exit(run(QUICK if sys.argv[1:] == ["quick"] else ALL))

"""What a task costs that a worker forks, alone and with `[sluicegate] preload`, in CPU ms.

    python benchmarks/guard/forked.py --rows 1000 --samples 5

A process starts as a worker of Airflow does: with Airflow's settings, our policy and the code that
runs tasks. Then it forks children one after another, as LocalExecutor and Celery do, and each
builds an operator and executes it. CPU is of the child alone: what is measured is what each
instance of a mapped gate costs beside Airflow's own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SOURCE = "measured"
SUITE = Path(__file__).parents[2] / "expectations" / "tabular.json"
PRELOADS = {"gate": "gate", "gate with a suite": "gate,suite", "guarded start": "guard"}


class TaskInstance:
    """One instance of a mapped task."""

    dag_id, task_id, run_id, try_number = "gates", "gate", "measured", 1

    def __init__(self, map_index: int) -> None:
        self.map_index = map_index

    def xcom_push(self, key: str, value: object) -> None:
        """Take a note."""
        assert value, key


def gate(map_index: int, suite: Path | None = None) -> None:
    """Judge the newest batch."""
    from airflow.sdk import DAG  # noqa: PLC0415 - a worker has not loaded it for us

    from sluicegate.orchestration.operators import TrainingGateOperator  # noqa: PLC0415

    with DAG("gates", schedule=None):
        task = TrainingGateOperator(
            task_id="gate", source=SOURCE, announce=False, suite=suite and str(suite)
        )
    task.execute({"ti": TaskInstance(map_index)})


def guarded(map_index: int) -> None:
    """Ask whether a training task may start."""
    from sluicegate.orchestration.guard import GuardHook, settings  # noqa: PLC0415
    from sluicegate.orchestration.protecting.protection import Protection  # noqa: PLC0415

    hook = GuardHook(settings(), Protection(reason="measured", sources=(SOURCE,)))
    hook({"ti": TaskInstance(map_index)})


TASKS: dict[str, Any] = {
    "gate": gate,
    "gate with a suite": lambda index: gate(index, SUITE),
    "guarded start": guarded,
}


def worker(task: str, samples: int) -> None:
    """Start as a worker, fork children, and print what each of them and the start took."""
    import airflow.sdk.execution_time.task_runner  # noqa: F401, PLC0415

    from airflow import settings  # noqa: PLC0415

    settings.initialize()
    import sluicegate.orchestration.guard  # noqa: F401, PLC0415 - as the policy, if not installed

    started, spent = time.process_time(), []
    for index in range(samples):
        pid = os.fork()
        if pid == 0:
            child(task, index)
        _, status, usage = os.wait4(pid, 0)
        assert status == 0, f"{task} ended with {status}"
        spent.append(1000 * (usage.ru_utime + usage.ru_stime))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    found = {"start": 1000 * started, "peak_mb": peak, "task": statistics.median(spent)}
    sys.stdout.write("\n" + json.dumps(found) + "\n")


def child(task: str, index: int) -> None:
    """Run one task, and end the process whatever happens."""
    code = 1
    try:
        TASKS[task](index)
        code = 0
    finally:
        os._exit(code)


def measured(home: Path, task: str, preload: str, samples: int) -> dict[str, float]:
    """Measure in a worker of its own."""
    environ = {
        **os.environ,
        "AIRFLOW_HOME": str(home.parent / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__SLUICEGATE__PRELOAD": preload,
        "SLUICEGATE_HOME": str(home),
    }
    command = [sys.executable, __file__, "--worker", task, "--samples", str(samples)]
    done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Build an installation, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--worker", choices=TASKS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker, arguments.samples)
        return
    from run import install  # noqa: PLC0415 - numpy would be in the worker too

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        install(home, arguments.rows)
        print("| task | CPU ms alone | preloaded | ratio | worker's start, more ms | MB more |")
        print("|---|---|---|---|---|---|")
        for task in arguments.tasks:
            alone = measured(home, task, "", arguments.samples)
            warm = measured(home, task, PRELOADS[task], arguments.samples)
            print(
                f"| {task}, {arguments.rows:,} rows | {alone['task']:.0f} | {warm['task']:.0f} "
                f"| {warm['task'] / alone['task']:.2f} | {warm['start'] - alone['start']:.0f} "
                f"| {warm['peak_mb'] - alone['peak_mb']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

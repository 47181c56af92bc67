"""Runs inside a layout: plays each DAG, and reports how each task ended and why it failed."""

import os
import sys
from pathlib import Path

from airflow.listeners import hookimpl
from probing import loaded_dags, prepare_database, report

FAILURES = {}


@hookimpl
def on_task_instance_failed(previous_state, task_instance, error):
    FAILURES[task_instance.task_id] = f"{type(error).__name__}: {error}"


def main():
    from airflow.sdk.listener import get_listener_manager

    prepare_database()
    get_listener_manager().add_listener(sys.modules[__name__])
    bag = loaded_dags()
    # What an alias stands for is known only after a task has said so.
    played = [
        bag.dags[dag_id].test() for dag_id in sorted(bag.dags, key=lambda name: name != "tie")
    ]
    found = {
        "import_errors": bag.import_errors,
        "states": {ti.task_id: str(ti.state) for run in played for ti in run.get_task_instances()},
        "failures": FAILURES,
        "ran": Path(os.environ["RAN"]).read_text().splitlines(),
    }
    report(found)


main()

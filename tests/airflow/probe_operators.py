"""Runs inside a layout: play each scene of a JSON list and report all that Airflow kept of it."""

import inspect
import os
import shutil
import sys
from pathlib import Path

from probing import kept, loaded_dags, log_to, played, prepare_database, report, scenes_and_log

TOUCHES = ("open", "os.", "socket.", "sqlite3.", "subprocess.", "shutil.", "glob.")


def touched_by_constructors():
    """Return what constructing the operators asks of the operating system."""
    from sluicegate.errors import ConfigError
    from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

    events = []
    watched = [False]

    def watch(event, arguments):
        if watched[0] and event.startswith(TOUCHES):
            events.append([event, repr(arguments)[:200]])

    def construct():
        SealSourceOperator(task_id="seal", source="src", path="/nowhere")
        TrainingGateOperator(task_id="gate", source="src", suite="/nowhere.json")

    sys.addaudithook(watch)
    construct()  # the first time pays for Airflow's own lazy imports
    watched[0] = True
    construct()
    touched = list(events)
    Path(__file__).read_bytes()
    watched[0] = False
    refused = []
    for source in ("", "a/b", "../x", "a b"):
        try:
            TrainingGateOperator(task_id="gate", source=source)
        except ConfigError as error:
            refused.append(str(error))
    return {"touched": touched, "watch_works": len(events) > len(touched), "refused": refused}


def lines_of_classes():
    from sluicegate.orchestration import operators

    return {
        name: len(inspect.getsource(cls).splitlines())
        for name, cls in inspect.getmembers(operators, inspect.isclass)
        if cls.__module__ == operators.__name__
    }


def play(dag, scene, log):
    """Run one DAG in an installation of its own and return what it left behind."""
    os.environ["SLUICEGATE_HOME"] = scene["home"]
    conf = {name: scene[name] for name in ("path", "later") if name in scene}
    heavy = "great_expectations" in sys.modules
    run, printed = played(dag, log, run_conf=conf)
    return {
        "states": {
            ti.task_id + (f"[{ti.map_index}]" if ti.map_index >= 0 else ""): [
                str(ti.state),
                ti.try_number,
            ]
            for ti in run.get_task_instances()
        },
        "log": printed,
        "gx_imported": not heavy and "great_expectations" in sys.modules,
        **kept(run.run_id),
    }


def main():
    scenes, log = scenes_and_log()
    out = log_to(log)
    prepare_database()
    bag = loaded_dags()
    found = {
        "import_errors": bag.import_errors,
        "constructors": touched_by_constructors(),
        "lines": lines_of_classes(),
        "gx_at_parse": "great_expectations" in sys.modules,
        "scenes": {
            name: play(bag.dags[scene["dag"]], scene, log) for name, scene in scenes.items()
        },
    }
    database = Path(os.environ["AIRFLOW_HOME"], "airflow.db")
    shutil.copy(database, log.with_name("airflow.db"))
    report(found, out)


main()

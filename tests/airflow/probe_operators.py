"""Runs inside a layout: play each scene of a JSON list and report all that Airflow kept of it."""

import inspect
import json
import os
import shutil
import sys
from pathlib import Path

HOME = "SLUICEGATE_HOME"
TOUCHES = ("open", "os.", "socket.", "sqlite3.", "subprocess.", "shutil.", "glob.")


def log_to(path):
    """Send everything this process prints from now on to a file; return the real output."""
    real = os.fdopen(os.dup(1), "w")
    log = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    return real


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
    os.environ[HOME] = scene["home"]
    start = log.stat().st_size
    conf = {name: scene[name] for name in ("path", "later") if name in scene}
    heavy = "great_expectations" in sys.modules
    run = dag.test(run_conf=conf)
    return {
        "states": {
            ti.task_id + (f"[{ti.map_index}]" if ti.map_index >= 0 else ""): [
                str(ti.state),
                ti.try_number,
            ]
            for ti in run.get_task_instances()
        },
        "log": log.read_bytes()[start:].decode(),
        "gx_imported": not heavy and "great_expectations" in sys.modules,
        **kept(run.run_id),
    }


def kept(run_id):
    """Return asset events, XComs and rendered templates that the database holds of a run."""
    from airflow.models.asset import AssetEvent
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        events = session.query(AssetEvent).filter_by(source_run_id=run_id)
        xcoms = session.query(XComModel).filter_by(run_id=run_id)
        rendered = session.query(RenderedTaskInstanceFields).filter_by(run_id=run_id)
        return {
            "events": [[event.asset.uri, event.extra] for event in events],
            "xcoms": {
                f"{row.task_id}.{row.key}": XComModel.deserialize_value(row) for row in xcoms
            },
            "rendered": {row.task_id: row.rendered_fields for row in rendered},
        }


def main():
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    scenes = json.loads(Path(sys.argv[1]).read_text())
    log = Path(sys.argv[1]).with_name("log.txt")
    out = log_to(log)
    initdb()
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], bundle_name="dags-folder")
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
    out.write(json.dumps(found) + "\n")
    out.flush()


if __name__ == "__main__":
    main()

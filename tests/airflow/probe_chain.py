"""Runs inside a layout: play DAGs of sealed tasks and report what Airflow kept of them."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from probe_operators import HOME, kept, log_to


def play(dag, scene, log):
    os.environ[HOME] = scene["home"]
    start = log.stat().st_size
    run = dag.test(run_conf=scene["conf"])
    instances = run.get_task_instances()
    return {
        "run_id": run.run_id,
        "states": {ti.task_id: str(ti.state) for ti in instances},
        "tries": {ti.task_id: ti.try_number for ti in instances},
        "log": log.read_bytes()[start:].decode(),
        "xcoms": kept(run.run_id)["xcoms"],
        "assets": {
            task.task_id: [[asset.uri for asset in task.inlets], [o.uri for o in task.outlets]]
            for task in dag.tasks
            if task.task_id in ("build", "report")
        },
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
        "scenes": {
            name: play(bag.dags[scene["dag"]], scene, log) for name, scene in scenes.items()
        },
    }
    out.write(json.dumps(found) + "\n")
    out.flush()


main()

"""Runs inside a layout: play example DAGs one after the other and report what became of each."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from probe_operators import kept, log_to


def play(dag, scene, log):
    start = log.stat().st_size
    options = {"run_conf": scene.get("conf", {})}
    if "day" in scene:
        from airflow.sdk import timezone

        options["logical_date"] = timezone.parse(scene["day"])
    run = dag.test(**options)
    states = {}
    for ti in run.get_task_instances():
        states.setdefault(ti.task_id, []).append(str(ti.state))
    return {
        "states": {name: sorted(found) for name, found in states.items()},
        "log": log.read_bytes()[start:].decode(),
        "events": kept(run.run_id)["events"],
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
        "dags": sorted(bag.dags),
        "scenes": [play(bag.dags[scene["dag"]], scene, log) for scene in scenes],
    }
    out.write(json.dumps(found) + "\n")
    out.flush()


main()

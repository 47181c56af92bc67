"""Runs inside a layout: play DAGs of sealed tasks and report what Airflow kept of them."""

import os

from probing import kept, loaded_dags, log_to, played, prepare_database, report, scenes_and_log


def play(dag, scene, log):
    os.environ["SLUICEGATE_HOME"] = scene["home"]
    run, printed = played(dag, log, run_conf=scene["conf"])
    instances = run.get_task_instances()
    return {
        "run_id": run.run_id,
        "states": {ti.task_id: str(ti.state) for ti in instances},
        "tries": {ti.task_id: ti.try_number for ti in instances},
        "log": printed,
        "xcoms": kept(run.run_id)["xcoms"],
        "assets": {
            task.task_id: [[asset.uri for asset in task.inlets], [o.uri for o in task.outlets]]
            for task in dag.tasks
            if task.task_id in ("build", "report")
        },
    }


def main():
    scenes, log = scenes_and_log()
    out = log_to(log)
    prepare_database()
    bag = loaded_dags()
    plays = {name: play(bag.dags[scene["dag"]], scene, log) for name, scene in scenes.items()}
    report({"import_errors": bag.import_errors, "scenes": plays}, out)


main()

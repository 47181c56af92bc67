"""Runs inside a layout: play example DAGs one after the other and report what became of each."""

from probing import kept, loaded_dags, log_to, played, prepare_database, report, scenes_and_log


def play(dag, scene, log):
    options = {"run_conf": scene.get("conf", {})}
    if "day" in scene:
        from airflow.sdk import timezone

        options["logical_date"] = timezone.parse(scene["day"])
    run, printed = played(dag, log, **options)
    states = {}
    for ti in run.get_task_instances():
        states.setdefault(ti.task_id, []).append(str(ti.state))
    return {
        "states": {name: sorted(found) for name, found in states.items()},
        "log": printed,
        "events": kept(run.run_id)["events"],
    }


def main():
    scenes, log = scenes_and_log()
    out = log_to(log)
    prepare_database()
    bag = loaded_dags()
    found = {
        "import_errors": bag.import_errors,
        "dags": sorted(bag.dags),
        "scenes": [play(bag.dags[scene["dag"]], scene, log) for scene in scenes],
    }
    report(found, out)


main()

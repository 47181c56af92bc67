"""Runs inside a layout: play the DAG of pasted secrets, and report what Airflow wrote of it."""

import logging
import sys
from pathlib import Path

from probing import kept, loaded_dags, log_to, prepare_database, report


def main():
    out = log_to(Path(sys.argv[1]))
    prepare_database()
    # Our own loggers at their lowest level, causes included. Not those of Airflow: 3.3.2 then logs
    # each connection that it reads, with its password.
    ours = logging.getLogger("sluicegate")
    ours.setLevel(logging.DEBUG)
    ours.addHandler(logging.StreamHandler())
    bag = loaded_dags()
    run = bag.dags["pasted_secrets"].test()
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    report({"import_errors": bag.import_errors, "states": states, **kept(run.run_id)}, out)


main()

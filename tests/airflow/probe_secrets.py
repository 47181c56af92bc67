"""Runs inside a layout: play the DAG of pasted secrets, and report what Airflow wrote of it."""

import json
import logging
import os
import sys
from pathlib import Path

from probe_operators import kept, log_to


def main():
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    log = Path(sys.argv[1])
    out = log_to(log)
    initdb()
    # Our own loggers at their lowest level, causes included. Not those of Airflow: 3.3.2 then logs
    # each connection that it reads, with its password.
    ours = logging.getLogger("sluicegate")
    ours.setLevel(logging.DEBUG)
    ours.addHandler(logging.StreamHandler())
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], bundle_name="dags-folder")
    run = bag.dags["pasted_secrets"].test()
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    found = {"import_errors": bag.import_errors, "states": states, **kept(run.run_id)}
    out.write(json.dumps(found) + "\n")
    out.flush()


if __name__ == "__main__":
    main()

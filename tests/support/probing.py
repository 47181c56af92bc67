"""What the probes of tests/airflow share: each runs in a process and an Airflow of its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def log_to(path):
    """Send everything this process prints from now on to a file; return the real output."""
    real = os.fdopen(os.dup(1), "w")
    log = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    return real


def prepare_database():
    """Make the database of this layout; it sets logging up anew, so it comes before ours."""
    from airflow.utils.db import initdb

    initdb()


def loaded_dags():
    """Load the DAGs of this layout as Airflow does."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], bundle_name="dags-folder")


def scenes_and_log():
    """Read the scenes that the test asks for, and name the log beside their file."""
    path = Path(sys.argv[1])
    return json.loads(path.read_text()), path.with_name("log.txt")


def played(dag, log, **options):
    """Run one DAG; return its run and what was logged meanwhile."""
    start = log.stat().st_size
    run = dag.test(**options)
    return run, log.read_bytes()[start:].decode()


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


def report(found, out=None):
    """Write one line of JSON, the last of the output: what `Layout.run` returns."""
    out = out or sys.stdout
    out.write("\n" + json.dumps(found) + "\n")
    out.flush()

"""Training tasks that must never run: a DAG with one task for each queue of workers.

``sluicegate doctor --canary`` starts them through the scheduler. Their source has no evidence, so a
worker with a guard refuses the task and says so. A worker that runs it has no guard. The file needs
nothing but Airflow: a worker without Sluicegate must be able to run it, so that it is found.

The queues are those of ``[sluicegate] canary_queues``, a comma list, and the default queue.
"""

from __future__ import annotations

import re

from airflow.sdk import DAG, Asset, task
from airflow.sdk.configuration import conf

DEFAULT_QUEUE = conf.get("operators", "default_queue")
LISTED = conf.get("sluicegate", "canary_queues", fallback="") or ""
QUEUES = sorted({DEFAULT_QUEUE, *filter(None, map(str.strip, LISTED.split(",")))})

for queue in QUEUES:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", queue)
    with DAG(
        f"sluicegate_canary.{name}",
        schedule=None,
        is_paused_upon_creation=False,
        tags=["sluicegate-canary"],
        default_args={"retries": 0},
        doc_md=__doc__,
    ):

        @task(queue=queue, inlets=[Asset("sluicegate://sluicegate-canary")])
        def sing() -> str:
            """Say what must not be heard."""
            return "no guard stopped this task"

        sing()

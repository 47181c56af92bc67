"""Judge a month of flights by its partitions, in parallel, and the month as a whole.

Trigger it with the directory of a month that holds a directory for each partition:

    airflow dags trigger flights_partitions --conf '{"path": "/data/flights/month=04"}'

Each partition is a batch of the source ``flights.part`` with its own verdict; the mapped gate does
not announce it. The last task gives the joint verdict on the month. Its signals see all rows. It
also checks the verdicts of the partitions, and that together they are the month, file by file. That
gate runs whatever became of the mapped ones, because the ledger knows of a blocked partition.
"""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG, Param, task

from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

with DAG(
    "flights_partitions",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={"path": Param(type="string", minLength=1, description="directory of partitions")},
    doc_md=__doc__,
):

    @task
    def partitions(params: dict[str, str] | None = None) -> list[str]:
        """Return the directory of each partition."""
        assert params is not None  # noqa: S101 - Airflow passes the params
        return sorted(str(place) for place in Path(params["path"]).iterdir() if place.is_dir())

    parts = SealSourceOperator.partial(task_id="seal_part", source="flights.part").expand(
        path=partitions()
    )
    gates = TrainingGateOperator.partial(
        task_id="gate_part", source="flights.part", announce=False
    ).expand(batch=parts.output)
    seal = SealSourceOperator(task_id="seal", source="flights", path="{{ params.path }}")
    gates >> TrainingGateOperator(
        task_id="gate",
        source="flights",
        batch=seal.output,
        parts=parts.output,
        trigger_rule="all_done",
    )

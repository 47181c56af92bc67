"""Go back to the last batch of flights that was trusted, and train on it.

Trigger it by hand when a newer batch turned out to be bad. ``to`` names a batch by its digest;
without it, the last trusted batch is taken:

    airflow dags trigger flights_rollback

The asset event starts the DAG ``flights_training``.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from sluicegate.orchestration.operators_rollback import RollbackOperator

with DAG(
    "flights_rollback",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={"to": Param("", type="string", description="dirHash1 digest, or empty")},
    doc_md=__doc__,
):
    RollbackOperator(task_id="rollback", source="flights", to="{{ params.to }}")

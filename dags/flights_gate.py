"""Seal a batch of flights, judge it, and announce it to training only if it may be used.

Trigger it with the batch to judge:

    airflow dags trigger flights_gate --conf '{"path": "/data/flights/month=04"}'

On a PASSED verdict the asset event starts the DAG ``flights_training``.
"""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG, Param

from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

SUITE = Path(__file__).parent.parent / "expectations" / "flights.json"

with DAG(
    "flights_gate",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={"path": Param(type="string", minLength=1, description="file or directory to judge")},
    doc_md=__doc__,
):
    seal = SealSourceOperator(task_id="seal", source="flights", path="{{ params.path }}")
    gate = TrainingGateOperator(task_id="gate", source="flights", suite=str(SUITE))
    seal >> gate

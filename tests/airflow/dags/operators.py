"""The two operators as a user writes them, without and with a Great Expectations suite."""

import os
from datetime import timedelta

from airflow.sdk import DAG, Param

from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

RETRIES = {"retries": 3, "retry_delay": timedelta(0)}

VARIANTS = (
    ("direct", None, "sha256"),
    ("with_suite", os.environ["SUITE"], "sha256"),
    ("blake3", None, "blake3"),
)

for dag_id, suite, kind in VARIANTS:
    with DAG(dag_id, schedule=None, default_args=RETRIES, params={"path": Param(type="string")}):
        seal = SealSourceOperator(
            task_id="seal", source="src", path="{{ params.path }}", hash_type=kind
        )
        seal >> TrainingGateOperator(task_id="gate", source="src", suite=suite)

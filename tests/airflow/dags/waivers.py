"""For each blocked source: ask two people, then train. And one source to roll back."""

import os
from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.operators_rollback import RollbackOperator
from sluicegate.orchestration.operators_waiver import waiver

RETRIES = {"retries": 2, "retry_delay": timedelta(0)}
RAN = "echo {{ ti.dag_id }} {{ ti.task_id }} {{ ti.map_index }} >> $RAN"
PATIENCE = {"silent": timedelta(seconds=10)}

for source in os.environ["WAIVER_SOURCES"].split(","):
    with DAG(f"waive_{source}", schedule=None, tags=["training"], default_args=RETRIES):
        asked = waiver(source, response_timeout=PATIENCE.get(source, timedelta(hours=1)))
        asked >> BashOperator(
            task_id="train",
            bash_command=RAN,
            inlets=[verified_asset(source)],
        )

with DAG("roll_back", schedule=None, default_args=RETRIES):
    RollbackOperator(task_id="rollback", source="rolled")

with DAG("retrain", schedule=[verified_asset("rolled")], default_args=RETRIES):
    BashOperator(task_id="train", bash_command=RAN)

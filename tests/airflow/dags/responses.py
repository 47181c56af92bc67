"""What the page acts by, for each source that it acts on, and what trains on that."""

import os
from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.responding.response import response

RAN = "echo {{ ti.dag_id }} {{ ti.task_id }} {{ ti.map_index }} >> $RAN"

for source in os.environ["ACTED_SOURCES"].split(","):
    globals()[f"respond_{source}"] = response(
        source, promotes=source == "parted", retries=2, retry_delay=timedelta(0)
    )
    with DAG(f"train_on_{source}", schedule=[verified_asset(source)], tags=["training"]):
        BashOperator(task_id="train", bash_command=RAN)

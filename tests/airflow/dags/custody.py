"""Set a batch aside and let it back, promote a baseline, and train on what that left."""

from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param

from sluicegate.orchestration.assets import verified_asset

RETRIES = {"retries": 2, "retry_delay": timedelta(0)}
RAN = "echo {{ ti.dag_id }} {{ ti.task_id }} {{ ti.map_index }} >> $RAN"
PROMOTE = "sluicegate baseline promote grown --last 1 --key $SLUICEGATE_HOME/keys/baseline.pem"

with DAG("custody", schedule=None, params={"action": Param("", type="string")}):
    BashOperator(
        task_id="change",
        bash_command='sluicegate "$ACTION" kept --reason "a story"',
        env={"ACTION": "{{ params.action }}"},
        append_env=True,
    )

with DAG("promotion", schedule=None):
    BashOperator(task_id="promote", bash_command=PROMOTE)

for source in ("kept", "grown"):
    with DAG(f"train_{source}", schedule=None, tags=["training"], default_args=RETRIES):
        BashOperator(task_id="train", bash_command=RAN, inlets=[verified_asset(source)])

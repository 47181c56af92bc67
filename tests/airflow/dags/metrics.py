"""Seal, gate and a protected task: everything that emits, in one run."""

from airflow.sdk import DAG, Param, task

from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

with DAG("metrics", schedule=None, params={"path": Param(type="string")}):
    seal = SealSourceOperator(task_id="seal", source="src", path="{{ params.path }}")
    gate = TrainingGateOperator(task_id="gate", source="src")

    @task(inlets=[verified_asset("src")], trigger_rule="all_done")
    def train():
        return 1

    seal >> gate >> train()

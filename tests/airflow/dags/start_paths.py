"""One DAG for each way a task can be started; in each, one training task a faulty source.

A task that starts leaves its name in the file $RAN. `bystander` needs no verdict.
"""

import os
from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Asset

from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.operators import TrainingGateOperator

SOURCES = os.environ["MATRIX_SOURCES"].split(",")
RETRIES = {"retries": 2, "retry_delay": timedelta(0)}
RAN = "echo {{ ti.dag_id }} {{ ti.task_id }} {{ ti.map_index }} >> $RAN"


def train(source, **options):
    return BashOperator(
        task_id=source, bash_command=RAN, inlets=[verified_asset(source)], **options
    )


def train_mapped(source):
    return BashOperator.partial(task_id=source, inlets=[verified_asset(source)]).expand(
        bash_command=[RAN]
    )


def paths(dag_id, schedule=None, make=train, **options):
    with DAG(dag_id, schedule=schedule, default_args=RETRIES, catchup=False, **options):
        for source in SOURCES:
            make(source)
        BashOperator(task_id="bystander", bash_command=RAN)


paths("by_hand")
paths("scheduled", "@daily", start_date=datetime(2026, 1, 1))  # noqa: DTZ001 - UTC is Airflow's default
paths("by_asset", [Asset("new_batch")])
paths("mapped", make=train_mapped)
paths("called")
paths("tested")

with DAG("caller", schedule=None):
    TriggerDagRunOperator(task_id="call", trigger_dag_id="called")

with DAG("by_event", schedule=[verified_asset("good")], default_args=RETRIES):
    BashOperator(task_id="fit", bash_command=RAN)

with DAG("only_good", schedule=None, default_args=RETRIES):
    train("good")

with DAG("unjudged", schedule=None):
    for unjudged in os.environ["UNJUDGED_SOURCES"].split(","):
        gate = TrainingGateOperator(task_id=f"gate_{unjudged}", source=unjudged)
        gate >> train(unjudged, trigger_rule="all_done")

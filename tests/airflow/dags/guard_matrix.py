"""Every way a training task can be written; each writes its name to the file $RAN."""

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG, Asset, AssetAlias, Metadata, task
from airflow.timetables.trigger import CronTriggerTimetable

from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

RETRIES = {"retries": 3, "retry_delay": timedelta(0)}
BAD = [verified_asset("bad")]
GOOD = [verified_asset("good")]
NOTE = Asset("note")


def ran(name):
    with Path(os.environ["RAN"]).open("a") as file:
        file.write(name + "\n")


def author_hook(context):
    ran(f"hook:{context['task'].task_id}")


def author_generator_hook(context):
    ran("hook:generator")
    yield Metadata(NOTE, {"from": "hook"})


def shell(name):
    return f"echo {name} >> $RAN"


with DAG("refused", schedule=None, tags=["nightly", "training"], default_args=RETRIES):

    @task(inlets=BAD)
    def decorated():
        ran("decorated")

    @task(inlets=BAD)
    def mapped_decorated(x):
        ran(f"mapped_decorated{x}")

    decorated()
    mapped_decorated.expand(x=[1, 2])
    BashOperator(task_id="bash", bash_command=shell("bash"), inlets=BAD)
    EmptyOperator(task_id="empty", inlets=BAD)
    BashOperator(task_id="without_source", bash_command=shell("without_source"))
    BashOperator(task_id="guard_crashes", bash_command="true", inlets=[verified_asset("crash")])
    BashOperator(task_id="unreadable", bash_command="true", inlets=[Asset("sluicegate://a/b")])
    BashOperator.partial(task_id="mapped", inlets=BAD).expand(bash_command=[shell("mapped")])
    PythonOperator(
        task_id="hooked",
        python_callable=ran,
        op_args=["hooked"],
        pre_execute=author_hook,
        inlets=BAD,
    )

with DAG("admitted", schedule=None, tags=["training"], default_args=RETRIES):

    @task(inlets=GOOD, pre_execute=author_hook)
    def admitted_task():
        sources = json.loads(os.environ["SLUICEGATE_ADMITTED"])["sources"]
        ran("admitted " + json.dumps(sources) + os.environ["SLUICEGATE_HOME"])

    @task(inlets=GOOD, outlets=[NOTE], pre_execute=author_generator_hook)
    def generator_hooked():
        ran("generator_hooked")

    admitted_task() >> generator_hooked()

with DAG("scheduled", schedule=(verified_asset("bad") | Asset("x")) & Asset("y")):
    BashOperator(task_id="consume", bash_command=shell("consume"), **RETRIES)

with DAG("by_name", schedule=Asset.ref(name="sluicegate://bad")):
    BashOperator(task_id="consume", bash_command=shell("consume"), **RETRIES)

with DAG("by_alias", schedule=[AssetAlias("somewhere")]):
    BashOperator(task_id="consume", bash_command=shell("by_alias"), **RETRIES)

with DAG("cron", schedule=CronTriggerTimetable("@daily", timezone="UTC")):
    BashOperator(task_id="report", bash_command=shell("cron"))

with DAG("harmless", schedule=None, tags=["nightly"]):
    BashOperator(task_id="report", bash_command=shell("report"))
    BashOperator(
        task_id="fails_twice",
        bash_command=shell("fails") + "; exit 1",
        retries=1,
        retry_delay=timedelta(0),
    )


class Gate(TrainingGateOperator):
    """A subclass may do anything, so it is not ours."""


with DAG("ours", schedule=None, tags=["training"]):
    SealSourceOperator(task_id="seal", source="bad", path="nowhere")
    TrainingGateOperator(task_id="gate", source="bad")
    SealSourceOperator.partial(task_id="mapped_seal", source="bad").expand(path=["a", "b"])
    Gate(task_id="subclass", source="bad")
    TrainingGateOperator(task_id="hooked_gate", source="bad", pre_execute=author_hook)
    PythonOperator.partial(task_id="overridden", python_callable=ran, inlets=BAD).expand_kwargs(
        [{"op_args": ["overridden"], "pre_execute": None}]
    )
    DateTimeSensorAsync(
        task_id="triggerer", target_time="2099-01-01T00:00:00+00:00", start_from_trigger=True
    )

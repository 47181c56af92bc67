"""Serialized DAGs are judged by the guard's own rule, and notes and counts are read as data."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset
from airflow.serialization.serialized_objects import DagSerialization

from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator
from sluicegate.orchestration.operators_audit import LedgerAuditOperator
from sluicegate.orchestration.page.records import Dags, _counts
from sluicegate.orchestration.settings import Settings


def read(dag, settings=Settings.from_airflow):
    kept = DagSerialization.to_dict(dag)
    row = SimpleNamespace(dag_id=dag.dag_id, dag=DagSerialization.from_dict(kept))
    return Dags(lambda: settings({}))._declared(row)


def test_what_the_guard_protects_is_protected_after_serialization():
    with DAG("training_dag", schedule=[verified_asset("starts")]) as dag:
        SealSourceOperator(task_id="seal", source="made", path="/data")
        TrainingGateOperator(task_id="gate", source="made")
        BashOperator(task_id="fit", bash_command="true", inlets=[verified_asset("read")])
        BashOperator.partial(task_id="each", queue="gpu", inlets=[verified_asset("more")]).expand(
            bash_command=["true"]
        )
    found = read(dag)
    assert {one.task: (one.sources, one.queue) for one in found.tasks} == {
        "fit": (("read", "starts"), "default"),
        "each": (("more", "starts"), "gpu"),
    }
    assert found.sources == {"starts", "made", "read", "more"}


def test_a_tag_protects_and_an_audit_is_found():
    with DAG("tagged", schedule=None, tags=["Training "]) as dag:
        BashOperator(task_id="fit", bash_command="true")
    (task,) = read(dag).tasks
    assert (task.sources, task.certain) == ((), True)
    with DAG("nightly", schedule=None) as nightly:
        LedgerAuditOperator(task_id="audit", memory="/mnt/auditor/memory")
        BashOperator(task_id="free", bash_command="true", inlets=[Asset("s3://bucket/free")])
    assert read(nightly).audits == ("audit",)
    assert read(nightly).tasks == ()


def test_what_the_guard_cannot_judge_is_told_with_its_reason():
    with DAG("wrong", schedule=None) as dag:
        BashOperator(task_id="fit", bash_command="true", inlets=[Asset("sluicegate:/bad")])
    (task,) = read(dag).tasks
    assert task.refusal.code == "CONFIG"


def test_a_dag_or_setting_that_cannot_be_read_hides_nothing():
    with DAG("any", schedule=None) as dag:
        BashOperator(task_id="fit", bash_command="true")

    def broken(_environ):
        raise RuntimeError("password=hunter2")

    (task,) = read(dag, broken).tasks
    assert task.refusal.code == "INTERNAL"
    assert "hunter2" not in str(task.refusal)


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        ({"DATA_CHANGED": 2}, {"DATA_CHANGED": 2}),
        ('{"DATA_CHANGED": 2}', {"DATA_CHANGED": 2}),
        ({"X": "<b>"}, {}),
        ("not json", {}),
        ([1], {}),
        (None, {}),
    ],
)
def test_counts_of_findings_are_numbers_whatever_was_put_there(value, counts):
    assert _counts(value) == counts

"""The examples on the Airflow page are DAGs that a real Airflow takes, and name what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("airflow")
pytestmark = pytest.mark.airflow

REPO = Path(__file__).resolve().parents[2]
PAGE = (REPO / "docs" / "airflow.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run(word):
    """Run the one example that holds a word as the dag-processor would, and return its names."""
    (example,) = [found for found in EXAMPLES if word in found]
    names = {}
    exec(compile(example, "docs/airflow.md", "exec"), names)
    return names


def dags_of(word):
    """Return the DAGs of the one example that holds a word."""
    from airflow.sdk import BaseOperator

    names = run(word)
    dags = [value.dag for value in names.values() if isinstance(value, BaseOperator)]
    return {dag.dag_id: dag for dag in dags}


def test_first_example_seals_judges_and_trains():
    dags = dags_of('DAG("gate"')
    assert set(dags["gate"].task_dict) == {"seal", "gate"}
    assert dags["gate"].task_dict["gate"].upstream_task_ids == {"seal"}
    (announced,) = dags["gate"].task_dict["gate"].outlets
    assert announced.uri == "sluicegate://flights/"


def test_partitions_are_mapped_and_the_joint_gate_waits_for_all():
    dag = dags_of('DAG("partitions"')["partitions"]
    assert dag.task_dict["gate_part"].is_mapped
    joint = dag.task_dict["gate"]
    assert joint.upstream_task_ids == {"gate_part", "seal", "seal_part"}
    assert joint.trigger_rule == "all_done"


def test_training_by_the_clock_waits_before_it_trains():
    dag = dags_of('DAG("nightly"')["nightly"]
    assert dag.task_dict["train"].upstream_task_ids == {"wait"}


def test_notifier_of_a_provider_that_is_not_installed_costs_nothing_at_parse():
    assert run("tell = ")["tell"].source == "flights"


def test_training_in_pieces_waits_for_the_verdict():
    assert set(run("stream_verified")["dag"].task_dict) == {"train"}


def test_page_names_every_example_dag():
    ungated = {"ungated_training"}
    names = {path.stem for path in (REPO / "dags").glob("*.py")} - ungated
    assert {name for name in names if f"../dags/{name}.py" not in PAGE} == set()


@pytest.mark.parametrize("name", ["guarded", "sealed"])
def test_decorator_is_registered_with_airflow(name):
    from airflow.sdk import task

    from sluicegate.orchestration import guarded, lineage

    ours = {"guarded": guarded.guarded_task, "sealed": lineage.sealed_task}
    assert getattr(task, name) is ours[name]

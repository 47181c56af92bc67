"""A DAG file is parsed every few seconds: our modules must cost it next to nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.airflow

HEAVY = {
    "cryptography",
    "great_expectations",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "sqlalchemy",
}

PLAIN = """
from airflow.sdk import DAG, Asset, BaseOperator, task
from airflow.providers.standard.operators.bash import BashOperator

with DAG("plain", schedule=[Asset("x://y")]):
    BashOperator(task_id="fit", bash_command="true", inlets=[Asset("x://z")])
"""

OURS = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator
from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

with DAG("ours", tags=["training"], schedule=[verified_asset("flights")]):
    SealSourceOperator(task_id="seal", source="flights", path="/data")
    TrainingGateOperator(task_id="gate", source="flights")
    BashOperator(task_id="fit", bash_command="true", inlets=[verified_asset("flights")])
"""


def test_a_dag_file_with_our_operators_adds_little(installed):
    plain, ours = installed.home / "plain.py", installed.home / "ours.py"
    plain.write_text(PLAIN)
    ours.write_text(OURS)
    probe = Path(__file__).parent / "probe_parse.py"
    installed.run(probe, str(plain), str(ours))  # compiles our modules once
    found = installed.run(probe, str(plain), str(ours))
    added = {name.partition(".")[0] for name in found["added"]}
    assert not added & HEAVY, sorted(added & HEAVY)
    # 19 modules and the empty __init__ of five rooms
    assert sum(name.startswith("sluicegate.") for name in found["added"]) <= 24, found["added"]
    assert found["package_alone"] == [], "importing the package imports none of its modules"
    assert "sluicegate.orchestration.guard" in found["added"], "the guard is part of the price"
    # 50 ms of CPU on an idle machine; as a share of what starting Airflow takes it holds on any.
    ours_s = found["package_alone_s"] + found["guard_s"] + found["added_s"]
    assert ours_s <= 0.02 * found["airflow_s"], found


def test_a_process_that_is_asked_to_preload_has_it_before_it_parses(installed):
    plain = installed.home / "plain.py"
    plain.write_text(PLAIN)
    asked = replace(installed, env={**installed.env, "AIRFLOW__SLUICEGATE__PRELOAD": "guard"})
    found = asked.run(Path(__file__).parent / "probe_parse.py", str(plain), str(plain))
    assert "sluicegate.workflow.admission.admit" in found["added"]

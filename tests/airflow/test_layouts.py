"""Dropped in, installed, or both: one plugin, one guard, no stray module."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.airflow

PROBE = Path(__file__).parent / "probe_layout.py"

DAG = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator

with DAG("trains", tags=["training"]):
    BashOperator(task_id="fit", bash_command="true")
with DAG("other"):
    BashOperator(task_id="report", bash_command="true")
"""


def probe(layout):
    dag_file = layout.home / "dags" / "trains.py"
    dag_file.write_text(DAG)
    found = layout.run(PROBE, str(dag_file))
    assert found["import_errors"] == {}
    return found


def test_dropped_in_folder_registers_plugin_and_guard_once(dropped_in):
    found = probe(dropped_in)
    assert found["plugins"] == ["$PLUGINS_FOLDER/sluicegate_plugin.py"]
    assert found["errors"] == {}
    assert len(found["policies"]) == 1
    assert found["guarded"] == ["trains.fit"]
    assert found["by_bare_stem"] == [], "the loader ran modules of the package by bare stem"
    assert found["package"].startswith(str(dropped_in.home))


def test_installed_distribution_registers_plugin_and_guard_once(installed):
    found = probe(installed)
    assert len(found["plugins"]) == 1
    assert found["plugins"][0].startswith("sluicegate==")
    assert found["policies"] == ["sluicegate"]
    assert found["guarded"] == ["trains.fit"]
    assert found["by_bare_stem"] == []


def test_folder_and_distribution_together_register_once_and_guard_once(both):
    found = probe(both)
    assert len(found["plugins"]) == 1, "the folder's entry file gives way to the entry point"
    assert found["errors"] == {}
    assert found["guarded"] == ["trains.fit"]
    assert found["nested"] == [], "two policies must not stack two guards"
    assert found["by_bare_stem"] == []


def test_settings_come_from_airflow_cfg_and_no_dag_file_can_change_them(installed):
    (installed.home / "airflow.cfg").write_text("[sluicegate]\nprotect_tags = finetuning, other\n")
    dag_file = installed.home / "dags" / "sneaky.py"
    sneaky = "import os\nos.environ['AIRFLOW__SLUICEGATE__PROTECT_TAGS'] = 'nothing'\n"
    dag_file.write_text(sneaky + DAG.replace('"training"', '"finetuning"'))
    assert installed.run(PROBE, str(dag_file))["guarded"] == ["trains.fit"]

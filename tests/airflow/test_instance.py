"""The private Airflow of the demo: the guard through a real scheduler, and a clean end."""

import pytest

from sluicegate.cli.demo.airflow_instance import AirflowInstance

pytestmark = pytest.mark.airflow

DAGS = """
from datetime import timedelta
from airflow.sdk import DAG, task
from airflow.providers.standard.operators.bash import BashOperator
from sluicegate.orchestration.assets import verified_asset

RETRIES = {"retries": 3, "retry_delay": timedelta(0)}

with DAG("harmless", schedule=None):
    BashOperator(task_id="report", bash_command="echo reported $SLUICEGATE_HOME")
with DAG("by_hand", schedule=None, tags=["training"], default_args=RETRIES):
    BashOperator(task_id="fit", bash_command="echo fitted")
with DAG("scheduled", schedule=[verified_asset("flights")], default_args=RETRIES):
    @task
    def fit():
        print("fitted")
    fit()
with DAG("long", schedule=None):
    BashOperator(task_id="sleep", bash_command="sleep 600")
"""

FORGED = {"source": "flights", "digest": "dirHash1:" + "0" * 64, "verdict": "sha256:" + "0" * 64}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    root = tmp_path_factory.mktemp("instance")
    (root / "dags").mkdir()
    (root / "dags" / "dags.py").write_text(DAGS)
    env = {"SLUICEGATE_HOME": str(root / "sluicegate")}
    with AirflowInstance(root / "airflow", root / "dags", env=env) as instance:
        yield instance
        sessions = list(instance._sessions.values())
    assert [session.members() for session in sessions] == [[], [], []], "processes stayed behind"


def refusal(airflow, dag_id, run_id):
    assert airflow.wait_run(dag_id, run_id, 90) == "failed"
    (ti,) = airflow.task_instances(dag_id, run_id)
    assert (ti["state"], ti["try_number"]) == ("failed", 1)
    log = airflow.log_text(dag_id, run_id, ti["task_id"])
    assert "fitted" not in log
    return log


def test_an_unprotected_task_runs_and_its_log_can_be_read(airflow):
    run_id = airflow.trigger("harmless")
    assert airflow.wait_run("harmless", run_id, 90) == "success"
    assert "reported" in airflow.log_text("harmless", run_id, "report")
    assert run_id in [run["dag_run_id"] for run in airflow.runs("harmless")]


def test_a_dag_without_a_gate_started_by_hand_fails_at_its_first_try(airflow):
    log = refusal(airflow, "by_hand", airflow.trigger("by_hand"))
    assert "Sluicegate refused to start this task" in log
    assert "verified_asset" in log


def test_a_forged_asset_event_starts_a_run_that_trains_nothing(airflow):
    airflow.wait_dag("scheduled")
    known = [run["dag_run_id"] for run in airflow.runs("scheduled")]
    airflow.post_asset_event("sluicegate://flights", FORGED)
    run_id = airflow.wait_new_run("scheduled", known, 60)
    assert "Sluicegate refused to start this task" in refusal(airflow, "scheduled", run_id)


def test_a_killed_scheduler_takes_its_tasks_along_and_a_new_one_works(airflow):
    long_run = airflow.trigger("long")
    wait_for_task(airflow, "long", long_run, "running")
    scheduler = airflow._sessions["scheduler"]
    airflow.kill_scheduler()
    assert scheduler.members() == []
    airflow.restart_scheduler()
    run_id = airflow.trigger("harmless")
    assert airflow.wait_run("harmless", run_id, 90) == "success"


def wait_for_task(airflow, dag_id, run_id, state):
    from sluicegate.cli.demo.airflow_rest import wait_until

    def look():
        return [ti for ti in airflow.task_instances(dag_id, run_id) if ti["state"] == state] or None

    wait_until(look, timeout_s=60, what=f"state {state}", locator=dag_id)

"""Kill what runs the gate, at the worst moments: nothing trains, and a rerun completes."""

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from sluicegate.cli.demo.airflow_instance import AirflowInstance
from sluicegate.cli.demo.airflow_rest import wait_until
from sluicegate.cli.demo.installation import DemoPlaces, examples, install
from sluicegate.cli.options import now
from sluicegate.errors import SluicegateError
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.signals.registry import expected_codes
from sluicegate.workflow.baselines.unsigned import read_baseline
from sluicegate.workflow.evidence.home import ENV_AIRFLOW_HOME_SETTING
from sluicegate.workflow.evidence.opening import open_evidence

pytestmark = [pytest.mark.airflow, pytest.mark.demo]

RUN_S = 120
QUIET_S = 5

# The same gate, held at a point that a test chooses until the test removes a file.
HELD_GATE = """
import os, time
from pathlib import Path
from airflow.sdk import DAG, Param
from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

def hold(point):
    def hook(context, result=None):
        file = Path(os.environ["HELD"], point)
        if file.exists():
            file.write_text(str(os.getpid()))
            while file.exists():
                time.sleep(0.05)
    return hook

with DAG("held_gate", schedule=None, params={"path": Param(type="string")}):
    seal = SealSourceOperator(task_id="seal", source="flights", path="{{ params.path }}")
    seal >> TrainingGateOperator(
        task_id="gate",
        source="flights",
        pre_execute=hold("before"),
        post_execute=hold("after"),
    )
"""


def warn_only(places):
    """Let no clean month fail: what is tested here is the killing, not the judging."""
    baseline, _ = read_baseline(places.home.baseline_dir("flights"))
    head = DEFAULT_POLICY.partition("signals:")[0]
    rules = [f"  {code}: {{severity: warn}}\n" for code in sorted(expected_codes(baseline))]
    places.home.policy.write_text(head + "signals:\n" + "".join(rules))


class Site:
    """One Airflow with the demo's installation, and what the tests ask of it."""

    def __init__(self, root):
        self.places = DemoPlaces(root)
        self.held = root / "held"
        self.held.mkdir(parents=True)
        dags = root / "examples" / "dags"
        for name in ("dags", "expectations"):
            shutil.copytree(examples() / name, dags.with_name(name))
        (dags / "held_gate.py").write_text(HELD_GATE)
        env = {
            ENV_AIRFLOW_HOME_SETTING: str(self.places.home.root),
            "FLIGHTS_MODELS": str(self.places.models),
            "HELD": str(self.held),
            # Production waits for minutes before it gives up a task that stopped reporting.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
        }
        self.airflow = AirflowInstance(root / "airflow", dags, env=env)

    def trained(self):
        return {path.parent.name for path in self.places.models.glob("*/card.json")}

    def training_runs(self):
        return [run["dag_run_id"] for run in self.airflow.runs("flights_training")]

    def kinds(self):
        ledger = open_evidence(self.places.home, at=now()).ledger
        found = [record.entry.kind for record in ledger.find(newest_first=False)]
        assert ledger.audit().size == len(found)
        return found

    def wait_running(self, dag_id, run_id):
        def running():
            tasks = self.airflow.task_instances(dag_id, run_id)
            return [
                ti for ti in tasks if (ti["task_id"], ti["state"]) == ("gate", "running")
            ] or None

        wait_until(running, timeout_s=RUN_S, what="start of the gate task")

    def hold(self, point):
        (self.held / point).touch()

    def wait_held(self, point):
        """Return the id of the task process that waits there."""
        look = (self.held / point).read_text
        return int(wait_until(lambda: look() or None, timeout_s=RUN_S, what=f"hold {point}"))

    def finish(self, dag_id, run_id):
        """Wait for the end of a run; clear it, as a person would, if it failed."""
        if self.airflow.wait_run(dag_id, run_id, RUN_S) == "failed":
            body = {"dry_run": False, "dag_run_id": run_id, "reset_dag_runs": True}
            self.airflow.rest.call("POST", f"/dags/{dag_id}/clearTaskInstances", body)
        assert self.airflow.wait_run(dag_id, run_id, RUN_S) == "success"

    def expect_one_training(self, before):
        run_id = self.airflow.wait_new_run("flights_training", before, RUN_S)
        assert self.airflow.wait_run("flights_training", run_id, RUN_S) == "success"
        self.expect_no_training([*before, run_id])

    def expect_no_training(self, before):
        """For several loops of the scheduler."""
        with suppress(SluicegateError):
            run_id = self.airflow.wait_new_run("flights_training", before, QUIET_S)
            pytest.fail(f"training started: {run_id}")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("killed"))
    try:
        with ThreadPoolExecutor(1) as pool:
            installed = pool.submit(install, site.places)
            site.airflow.start()
        installed.result()
        warn_only(site.places)
        for dag_id in ("flights_gate", "held_gate", "flights_training"):
            site.airflow.wait_dag(dag_id)
        yield site
    finally:
        site.airflow.stop()


@pytest.fixture
def earlier(site):
    """Runs and models there were before the test, which must train exactly one more."""
    runs, models = site.training_runs(), site.trained()
    yield runs
    assert len(site.trained()) == len(models) + 1
    assert len(site.training_runs()) == len(runs) + 1


def test_scheduler_killed_while_the_gate_runs_trains_nothing_until_a_rerun_passed(site, earlier):
    run_id = site.airflow.trigger("flights_gate", {"path": str(site.places.month(4))})
    site.wait_running("flights_gate", run_id)
    site.airflow.kill_scheduler()
    models = site.trained()
    time.sleep(1)
    assert site.training_runs() == earlier
    site.kinds()
    site.airflow.restart_scheduler()
    site.finish("flights_gate", run_id)
    site.expect_one_training(earlier)
    assert len(site.trained() - models) == 1
    assert "verdict" in site.kinds()


def test_gate_task_killed_after_its_verdict_was_logged_emits_no_event(site, earlier):
    """The narrowest gap: the ledger says PASSED, and Airflow was not told yet."""
    site.hold("after")
    verdicts = site.kinds().count("verdict")
    run_id = site.airflow.trigger("held_gate", {"path": str(site.places.month(5))})
    process = site.wait_held("after")
    assert site.kinds().count("verdict") == verdicts + 1
    os.kill(process, signal.SIGKILL)
    assert site.airflow.wait_run("held_gate", run_id, RUN_S) == "failed"
    site.expect_no_training(earlier)
    (site.held / "after").unlink()
    site.finish("held_gate", run_id)
    site.expect_one_training(earlier)


def test_gate_task_killed_before_it_judged_leaves_the_ledger_as_it_was(site, earlier):
    site.hold("before")
    run_id = site.airflow.trigger("held_gate", {"path": str(site.places.month(6))})
    process = site.wait_held("before")
    recorded = site.kinds()
    os.kill(process, signal.SIGKILL)
    assert site.airflow.wait_run("held_gate", run_id, RUN_S) == "failed"
    assert site.kinds() == recorded
    site.expect_no_training(earlier)
    (site.held / "before").unlink()
    site.finish("held_gate", run_id)
    site.expect_one_training(earlier)

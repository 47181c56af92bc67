"""`sluicegate doctor --canary` asks the workers themselves, through a real scheduler."""

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.airflow.test_audit_bypasses import NO_GUARD
from tests.unit.workflow.conftest import Site

from sluicegate.cli.demo.airflow_instance import AirflowInstance
from sluicegate.cli.main import main

pytestmark = pytest.mark.demo

CANARY = Path(__file__).parents[2] / "dags" / "sluicegate_canary.py"
QUEUES = ["default", "gpu"]
"""LocalExecutor takes tasks of every queue; what matters here is what each task is told."""


@pytest.fixture(scope="module")
def airflow(built_site, tmp_path_factory):
    root = tmp_path_factory.mktemp("canary")
    site = Site(root / "site")
    shutil.copytree(built_site, site.root)
    (root / "dags").mkdir()
    shutil.copy(CANARY, root / "dags")
    env = {"SLUICEGATE_HOME": str(site.home.root), "AIRFLOW__SLUICEGATE__CANARY_QUEUES": "gpu"}
    with AirflowInstance(root / "airflow", root / "dags", env=env) as instance:
        for queue in QUEUES:
            instance.wait_dag(f"sluicegate_canary.{queue}")
        yield instance, root


def take_the_guard_away(airflow, root):
    (root / "shim").mkdir()
    (root / "shim" / "sitecustomize.py").write_text(NO_GUARD)
    path = filter(None, (str(root / "shim"), airflow._env.get("PYTHONPATH", "")))
    airflow._env["PYTHONPATH"] = os.pathsep.join(path)
    airflow.restart_scheduler()


@pytest.fixture(scope="module")
def answers(airflow):
    """What doctor says: of armed workers, of a broken installation, and without the guard."""
    instance, root = airflow
    found = {"armed": doctor(instance, "--times", "2"), "one": doctor(instance, "--queue", "gpu")}
    trust = root / "site" / "sluice" / "trust.json"
    trust.rename(trust.with_suffix(".kept"))
    found["broken"] = doctor(instance, "--queue", "gpu")
    trust.with_suffix(".kept").rename(trust)
    take_the_guard_away(instance, root)
    found["unarmed"] = doctor(instance)
    found["unknown"] = doctor(instance, "--queue", "nowhere")
    return found


def doctor(instance, *more):
    """Run the command as an operator would; returns its exit code, canaries and other output."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICEGATE_AIRFLOW_PASSWORD", instance.rest.password)
        patch.delenv("SLUICEGATE_HOME", raising=False)
        login = ["--airflow-url", instance.url, "--airflow-user", instance.rest.username]
        said = []
        patch.setattr("builtins.print", lambda *text, **_: said.append(" ".join(map(str, text))))
        code = main(["doctor", "--canary", "--json", *login, *more])
    reports = [json.loads(line) for line in said if line.startswith("{")]
    checks = reports[0].get("checks", []) if reports else []
    return code, [c for c in checks if c["check"].startswith("canary")], "\n".join(said)


def test_an_armed_worker_is_live_on_every_queue_and_named(answers):
    code, canaries, said = answers["armed"]
    assert {one["check"] for one in canaries} == {f"canary {queue}" for queue in QUEUES}
    assert {one["state"] for one in canaries} == {"ok"}
    assert all(one["detail"].startswith("on ") and ": guard " in one["detail"] for one in canaries)
    assert "started 4 canaries: default, gpu" in said
    assert code == 0


def test_only_the_queue_that_was_asked_for_is_asked(answers):
    code, canaries, _ = answers["one"]
    assert (code, [one["check"] for one in canaries]) == (0, ["canary gpu"])


def test_a_worker_that_cannot_read_its_evidence_is_live_and_unusable(answers):
    code, (canary,), _ = answers["broken"]
    assert (code, canary["state"]) == (2, "unusable")
    assert "refuses everything there, by [" in canary["detail"]


def test_a_worker_without_the_guard_runs_it_and_is_named(answers):
    code, canaries, _ = answers["unarmed"]
    assert {one["state"] for one in canaries} == {"unarmed"}
    assert all("the task ran: this worker has no guard" in one["detail"] for one in canaries)
    assert code == 1


def test_a_queue_without_a_canary_is_called_wrongly_and_says_how_to_get_one(answers):
    code, _, said = answers["unknown"]
    assert code == 64
    assert "canary_queues" in said

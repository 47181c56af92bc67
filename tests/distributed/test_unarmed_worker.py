"""A worker without Sluicegate takes a queue: what names it, and what is kept from it."""

import json

import pytest
from tests.airflow.conftest import python_without_sluicegate
from tests.distributed.conftest import TRAIN, UNGUARDED

pytestmark = pytest.mark.demo

BARE = "bare.example.com"


@pytest.fixture
def bare_worker(cluster, tmp_path):
    """In the place of the guarded one: the same queue, an environment without Sluicegate."""
    python = python_without_sluicegate(tmp_path / "python")
    cluster.workers["train"].kill()
    worker = cluster.add_worker("bare", "train", UNGUARDED, python=python)
    worker.start()
    yield worker
    worker.kill()
    cluster.workers["train"].start()


def asked(office, cluster, *command):
    """Run a command that reads Airflow's records; returns its exit code and answer."""
    login = ("--airflow-url", cluster.url, "--airflow-user", cluster.rest.username)
    done = office.run(*command, "--json", *login, password=cluster.rest.password)
    return done.returncode, json.loads(done.stdout[done.stdout.index("{") :])


def canary(office, cluster):
    """Ask who takes tasks of the queue."""
    command = ("doctor", "--canary", "--queue", "train")
    return [
        (check["state"], check["detail"])
        for check in asked(office, cluster, *command)[1]["checks"]
        if check["check"] == "canary train"
    ]


def test_a_guarded_worker_is_live_and_a_stray_task_comes_to_it(cluster, office):
    ((state, said),) = canary(office, cluster)
    assert (state, said.startswith(f"on {TRAIN}: guard ")) == ("ok", True)
    run_id, state = cluster.ended("strayed")
    task = cluster.task("strayed", run_id, "fit_elsewhere")
    assert (state, task["queue"], task["hostname"]) == ("failed", "train", TRAIN)
    log = cluster.workers["train"].log_text("strayed", run_id, "fit_elsewhere")
    assert "Sluicegate refused to start this task" in log


def test_a_worker_without_sluicegate_trains_and_is_named(cluster, office, bare_worker):
    run_id, state = cluster.ended("bypassed")
    assert (state, cluster.output("bypassed", run_id, "fit")) == ("success", "trained")
    ((state, said),) = canary(office, cluster)
    assert (state, said.startswith(f"on {BARE}: the task ran")) == ("unarmed", True)
    code, audited = asked(office, cluster, "audit")
    found = {(one["code"], one["locator"].split("/")[0]) for one in audited["findings"]}
    unguarded = {"TRAINED_UNGUARDED", "TRAINED_WITHOUT_VERDICT"}
    dags = ("bypassed", "sluicegate_canary.train")
    assert code == 1
    assert found == {(name, dag_id) for name in unguarded for dag_id in dags} | {
        ("HOST_NOT_ARMED", f"{BARE}, e.g. bypassed")
    }

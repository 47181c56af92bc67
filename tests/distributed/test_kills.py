"""A worker and all its processes are killed in the middle of a seal, a gate and a training."""

import pytest
from tests.distributed.conftest import (
    entries,
    held_ledger,
    redeliver,
    tries,
    unacknowledged,
    verdicts,
    waiting,
)

pytestmark = pytest.mark.demo

SEALED = ["provenance", "seal"]


def killed_while_it_appends(cluster, office, dag_id):
    """Kill the worker while it appends; what it had written must be gone. Returns the run."""
    before = entries(office, "killed")
    with held_ledger(office):
        run_id = cluster.trigger(dag_id)
        cluster.wait_for(lambda: waiting(office), f"an append of {dag_id}")
        (backend,) = waiting(office)
        cluster.workers["seal"].kill()
    cluster.wait_for(lambda: backend not in waiting(office, any_state=True), "the server's notice")
    assert entries(office, "killed") == before
    assert refused_meanwhile(cluster) == "failed"
    cluster.workers["seal"].start()
    return run_id


def refused_meanwhile(cluster):
    """Nothing trains on half of the evidence."""
    run_id, state = cluster.ended("train_killed")
    log = cluster.workers["train"].log_text("train_killed", run_id, "train")
    assert "EVIDENCE_MISSING" in log
    assert not (cluster.workers["train"].home / "killed.begun").exists()
    return state


def killed_while_it_trains(cluster, known):
    """Kill the worker when it has read the batch; returns the run that the gate's event began."""
    here = cluster.workers["train"]
    run_id = cluster.wait_new_run("train_killed", known, 60)
    cluster.wait_for((here.home / "killed.begun").exists, "training")
    here.kill()
    for mark in ("killed.hold", "killed.begun"):
        (here.home / mark).unlink()
    here.start()
    return run_id


def test_what_a_killed_worker_began_is_done_once_by_the_next_try(cluster, office, broker):
    sealing = killed_while_it_appends(cluster, office, "seal_killed")
    assert cluster.ended("seal_killed", sealing) == (sealing, "success")
    assert cluster.task("seal_killed", sealing, "seal")["try_number"] == 2
    assert sorted(kind for kind, _ in entries(office, "killed")) == SEALED

    gating = killed_while_it_appends(cluster, office, "gate_killed")
    known = [run["dag_run_id"] for run in cluster.rest.runs("train_killed")]
    (cluster.workers["train"].home / "killed.hold").touch()
    assert cluster.ended("gate_killed", gating) == (gating, "success")
    assert cluster.task("gate_killed", gating, "gate")["try_number"] == 2
    # The next writer appends what a killed one had handed in, and before its own.
    assert tries(office, "killed") == ["1", "2"]

    training = killed_while_it_trains(cluster, known)
    assert cluster.ended("train_killed", training) == (training, "success")
    assert cluster.task("train_killed", training, "train")["try_number"] == 2
    assert cluster.output("train_killed", training, "train")["rows"] == 3000
    assert cluster.admitted("train_killed", training) == {"killed": verdicts(office, "killed")[-1]}
    runs = [run["dag_run_id"] for run in cluster.rest.runs("train_killed")]
    assert sorted(runs) == sorted([*known, training])

    # The broker still holds what the killed worker had not acknowledged.
    whole = entries(office, "killed")
    redeliver(cluster, broker, unacknowledged(broker, "seal_killed"), "ServerResponseError")
    assert entries(office, "killed") == whole
    office.required("ledger", "verify")

"""Sealed and judged on one machine, trained on another: by event, after poison, and by hand."""

import pytest
from tests.distributed.conftest import SEAL, TRAIN, verdicts

pytestmark = pytest.mark.demo


def test_clean_batch_is_judged_on_one_machine_and_trained_on_another(cluster, office):
    run_id, state = cluster.ended("gated_clean")
    assert state == "success", cluster.workers["seal"].log_text("gated_clean", run_id, "seal")
    tasks = cluster.task_instances("gated_clean", run_id)
    assert {one["task_id"]: one["hostname"] for one in tasks} == {"seal": SEAL, "gate": SEAL}
    train_id, state = cluster.started_by_event("train_clean")
    log = cluster.workers["train"].log_text("train_clean", train_id, "train")
    assert state == "success", log
    assert cluster.task("train_clean", train_id, "train")["hostname"] == TRAIN
    found = cluster.output("train_clean", train_id, "train")
    # The gate's machine has every key; this one has none, and its account may not write.
    assert found == {"rows": 3000, "keys": [], "write": "42501"}
    (verdict,) = verdicts(office, "clean")
    assert cluster.admitted("train_clean", train_id) == {"clean": verdict}


def test_poisoned_batch_is_blocked_and_nothing_trains_on_it(cluster, office):
    run_id, state = cluster.ended("gated_poisoned")
    gate = cluster.task("gated_poisoned", run_id, "gate")
    assert (state, gate["state"], gate["try_number"]) == ("failed", "failed", 1)
    log = cluster.workers["seal"].log_text("gated_poisoned", run_id, "gate")
    assert "GATE_BLOCKED" in log
    assert "LABEL_FLIPS" in log
    assert len(verdicts(office, "poisoned")) == 1
    assert cluster.rest.runs("train_poisoned") == []
    by_hand, log = refused(cluster, "train_poisoned")
    assert "GATE_BLOCKED" in log
    assert [run["dag_run_id"] for run in cluster.rest.runs("train_poisoned")] == [by_hand]


def test_training_without_a_gate_is_refused_on_the_machine_that_trains(cluster, office):
    _, log = refused(cluster, "train_ungated")
    assert "EVIDENCE_MISSING" in log
    assert verdicts(office, "ungated") == []


def refused(cluster, dag_id):
    """Start a training by hand; returns its run, and the log of the worker that refused it."""
    run_id, state = cluster.ended(dag_id)
    task = cluster.task(dag_id, run_id, "train")
    assert (state, task["state"], task["try_number"]) == ("failed", "failed", 1)
    assert task["hostname"] == TRAIN
    source = dag_id.removeprefix("train_")
    assert not (cluster.workers["train"].home / f"{source}.begun").exists()
    return run_id, cluster.workers["train"].log_text(dag_id, run_id, "train")

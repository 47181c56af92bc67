"""Connections to database and broker are cut in the middle, and messages come twice."""

import pytest
from tests.distributed.conftest import (
    entries,
    held_ledger,
    redeliver,
    unacknowledged,
    verdicts,
    waiting,
)

pytestmark = pytest.mark.demo


def cut_broker(broker):
    """Cut every connection to our database of the broker but the one that cuts."""
    url, client = broker
    number, own = url.rpartition("/")[2], client.client_id()
    cut = [one["id"] for one in client.client_list() if one["db"] == number]
    for connection in cut:
        if int(connection) != own:
            client.client_kill_filter(_id=connection)
    return len(cut) - 1


def cut_ledger(office):
    """Cut every connection to the ledger's database that waits to append."""
    for backend in waiting(office):
        office.server.execute(f"SELECT pg_terminate_backend({backend})")


def test_what_was_cut_is_tried_again_and_what_comes_twice_is_done_once(cluster, office, broker):
    with held_ledger(office):
        sealing = cluster.trigger("seal_cut")
        cluster.wait_for(lambda: waiting(office), "an append")
        assert cut_broker(broker) > 3
        cut_ledger(office)
        cluster.wait_for(
            lambda: "LEDGER" in cluster.workers["seal"].log_text("seal_cut", sealing, "seal"),
            "the task's notice",
        )
        assert entries(office, "cut") == []
    assert cluster.ended("seal_cut", sealing) == (sealing, "success")
    assert cluster.task("seal_cut", sealing, "seal")["try_number"] == 2
    assert sorted(kind for kind, _ in entries(office, "cut")) == ["provenance", "seal"]

    with held_ledger(office):
        gating = cluster.trigger("gate_cut")
        cluster.wait_for(lambda: waiting(office), "an append")
        message = unacknowledged(broker, "gate_cut")
        redeliver(cluster, broker, message, "already running elsewhere")
    assert cluster.ended("gate_cut", gating) == (gating, "success")
    redeliver(cluster, broker, message, "ServerResponseError")
    assert cluster.task("gate_cut", gating, "gate")["try_number"] == 1
    assert len(verdicts(office, "cut")) == 1

    training, state = cluster.started_by_event("train_cut")
    assert state == "success"
    assert cluster.admitted("train_cut", training) == {"cut": verdicts(office, "cut")[0]}
    assert len(cluster.rest.runs("train_cut")) == 1
    office.required("ledger", "verify")

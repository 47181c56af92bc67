"""Quarantine, release and promotion in a real Airflow, as users of its four roles do them.

Airflow's role `user` may start any DAG, so these DAGs are for people who may; what they did is
signed, with the run that did it, and the audit sees who went around it.
"""

from datetime import UTC, datetime

import pytest
from tests.support.audit_view import codes_of, findings_of
from tests.support.real_airflow import wait_refused

from sluicegate.attest import dsse
from sluicegate.attest.statement import Statement
from sluicegate.gate.promotion import Lane
from sluicegate.workflow.baselines.in_force import baselines_in_force

pytestmark = pytest.mark.airflow

RUN_S = 300


class People:
    """Who starts what, and what became of it."""

    def __init__(self, real_airflow):
        self.airflow, self.site, self._ran = real_airflow

    def start(self, person, dag_id, **conf):
        """Start a run as a person and return its id and how it ended."""
        self.airflow.wait_dag(dag_id)
        run_id = self.airflow.as_person(person).trigger(dag_id, conf)
        return run_id, self.airflow.wait_run(dag_id, run_id, RUN_S)

    def may_not(self, person, dag_id, **conf):
        self.airflow.wait_dag(dag_id)
        client = self.airflow.as_person(person)
        wait_refused(lambda: client.trigger(dag_id, conf), 403, f"a run by {person}")

    def log(self, dag_id, run_id, task_id):
        (ti,) = self.airflow.task_instances(dag_id, run_id)
        return self.airflow.log_text(dag_id, run_id, task_id, ti["try_number"])

    def said(self, kind, source):
        """Return the newest signed statement of a kind."""
        ledger = self.site.evidence().ledger
        record = ledger.get_verified(next(ledger.find(kind, source)).index)
        return Statement.from_bytes(dsse.Envelope.from_bytes(record.envelope).payload).predicate

    def audited(self, *runs):
        return [codes_of(self.airflow, self.site, run_id) for run_id in runs]


@pytest.fixture
def people(real_airflow):
    return People(real_airflow)


def test_batch_set_aside_trains_nobody_until_it_is_released(people):
    people.may_not("vera", "custody", action="quarantine")
    before, state = people.start("ursula", "train_kept")
    assert state == "success"
    aside, state = people.start("alice", "custody", action="quarantine")
    assert state == "success", people.log("custody", aside, "change")
    signed = people.said("quarantine", "kept")["sluicegateCustody"]
    assert signed["run"]["run_id"] == aside
    assert "a story" in signed["reasons"]

    refused, state = people.start("admin", "train_kept")
    assert state == "failed"
    said = people.log("train_kept", refused, "train")
    assert "[QUARANTINED]" in said
    assert "in quarantine" in said
    marked, state = people.start("ursula", "train_kept")
    assert state == "failed"
    path = f"/dags/train_kept/dagRuns/{marked}/taskInstances/train"
    people.airflow.as_person("ursula").call("PATCH", path, {"new_state": "success"})

    people.may_not("vera", "custody", action="release")
    back, state = people.start("bob", "custody", action="release")
    assert state == "success", people.log("custody", back, "change")
    assert people.said("release", "kept")["sluicegateCustody"]["run"]["run_id"] == back
    after, state = people.start("ursula", "train_kept")
    assert state == "success"

    assert people.audited(before, aside, refused, back, after) == [[], [], [], [], []]
    ((code, _, said),) = findings_of(people.airflow, people.site, marked)
    assert (code, "ursula" in said) == ("TASK_MARKED_SUCCESS", True)


def test_promotion_is_signed_by_its_role_and_no_batch_judges_itself(people):
    people.may_not("vera", "promotion")
    promoted, state = people.start("alice", "promotion")
    assert state == "success", people.log("promotion", promoted, "promote")
    assert people.said("promotion", "grown")["run"]["run_id"] == promoted
    site, now = people.site, datetime.now(UTC).replace(microsecond=0)
    in_force = baselines_in_force(site.home, site.evidence(now), "grown", at=now)
    assert in_force[Lane.ROLLING].promoted
    batch = site.evidence(now).latest_seal("grown", at=now)
    assert str(batch.digest) in in_force[Lane.ROLLING].inputs
    trained, state = people.start("ursula", "train_grown")
    assert state == "success", "the verdict it was promoted for is in force"
    assert people.audited(promoted, trained) == [[], []]

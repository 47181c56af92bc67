"""What becomes of a canary, as Airflow's answers tell it."""

import pytest

from sluicegate.adapters.airflow_rest import AirflowApiError
from sluicegate.errors import ConfigError
from sluicegate.workflow.auditing.canary import fire

NOTE = {"sources": {}, "refused": "EVIDENCE_MISSING", "guard": {"version": "1", "settings": "ab"}}


class Airflow:
    """One queue with a canary, and one run that ends as told."""

    def __init__(self, state="failed", note=NOTE, *, pid=7, paused=False, queues=("default",)):
        self.task = {"task_id": "sing", "state": state, "hostname": "w1" if pid else "", "pid": pid}
        self.note = note
        self.paused = paused
        self.queues = queues
        self.started = []

    def pages(self, path, key, **query):
        assert (path, key, query["tags"]) == ("/dags", "dags", "sluicegate-canary")
        return [{"dag_id": f"canary.{name}", "is_paused": self.paused} for name in self.queues]

    def call(self, method, path, body=None):
        if path.endswith("/tasks"):
            return {"tasks": [{"queue": path.split("/")[2].partition(".")[2]}]}
        if method == "POST":
            self.started.append(path)
            return {"dag_run_id": f"run{len(self.started)}"}
        if path.endswith("/taskInstances"):
            return {"task_instances": [self.task]}
        if self.note is None:
            raise AirflowApiError("not found", locator=path, got="404")
        return {"value": self.note}


def fired(airflow, *queues, times=1, patience=0):
    waits, told = [], []
    options = {"pause": waits.append, "tell": told.append}
    found = fire(airflow, queues, times=times, deadline=lambda: len(waits) >= patience, **options)
    return found, waits, told


@pytest.mark.parametrize(
    ("airflow", "state", "words"),
    [
        (Airflow(), "ok", "guard 1, settings ab"),
        (Airflow("success", None), "unarmed", "has no guard"),
        (Airflow("failed", None), "unarmed", "no guard spoke"),
        (Airflow("failed", None, pid=None), "unusable", "before any worker had it"),
        (Airflow(note={**NOTE, "refused": "LEDGER_CORRUPT"}), "unusable", "[LEDGER_CORRUPT]"),
        (Airflow(note={**NOTE, "guard": {}}), "ok", "settings unreadable"),
        (Airflow("success", {**NOTE, "refused": ""}), "unusable", "somebody sealed"),
        (Airflow("success"), "unusable", "refuses everything"),
        (Airflow("queued"), "unusable", "not over in time: canary.default/run1"),
        (Airflow(None), "unusable", "does a worker listen"),
    ],
)
def test_each_end_has_its_own_answer(airflow, state, words):
    ((canary,), _, told) = fired(airflow)
    assert (canary.queue, canary.state.value) == ("default", state)
    assert words in canary.detail
    assert canary.host == (
        "w1" if airflow.task["state"] in {"failed", "success"} and airflow.task["pid"] else ""
    )
    assert told[0] == "started 1 canaries: default"


def test_it_waits_until_the_task_is_over():
    airflow = Airflow("running")

    def pause(_seconds):
        airflow.task["state"] = "failed"

    (canary,) = fire(
        airflow, (), times=1, deadline=lambda: False, pause=pause, tell=lambda _line: None
    )
    assert canary.state.value == "ok"


def test_each_queue_gets_as_many_as_asked_for():
    airflow = Airflow(queues=("default", "gpu"))
    found, _, _ = fired(airflow, times=3)
    assert [one.queue for one in found] == ["default"] * 3 + ["gpu"] * 3
    assert len(airflow.started) == 6
    found, _, _ = fired(airflow, "gpu")
    assert [one.queue for one in found] == ["gpu"]


@pytest.mark.parametrize(
    ("airflow", "queues", "words"),
    [
        (Airflow(), ("gpu",), "gpu: no canary for this queue: expected one of default"),
        (Airflow(queues=()), (), "no canary for this queue: expected one of none"),
        (Airflow(paused=True), (), "canary.default: the canary's DAG is paused"),
    ],
)
def test_what_cannot_be_started_is_called_wrongly_and_starts_nothing(airflow, queues, words):
    with pytest.raises(ConfigError, match=words):
        fired(airflow, *queues)
    assert airflow.started == []


def test_an_airflow_that_does_not_answer_is_no_answer():
    airflow = Airflow()
    airflow.note = None
    airflow.call = lambda *_: (_ for _ in ()).throw(AirflowApiError("boom", got="500"))
    with pytest.raises(AirflowApiError, match="boom"):
        fired(airflow)

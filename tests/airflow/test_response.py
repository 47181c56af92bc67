"""A blocked batch, put to people and rolled back: acted out by REST, as users of four roles."""

import contextlib
from datetime import UTC, datetime

import pytest
from tests.support.audit_view import codes_of, findings_of
from tests.support.real_airflow import ENDED, wait_refused

from sluicegate.attest import dsse
from sluicegate.attest.statement import Statement
from sluicegate.cli.demo.airflow_rest import AirflowApiError, wait_until
from sluicegate.orchestration.answers import READING_S

pytestmark = pytest.mark.airflow

REQUEST, CONFIRM = "waiver.request", "waiver.confirm"
RUN_S = 300


class Story:
    """One run of one source's DAG, and what people do to it."""

    def __init__(self, real_airflow, source):
        self.airflow, self.site, self._ran = real_airflow
        self.source = source
        self.dag_id = f"waive_{source}"
        self.run_id = self.airflow.trigger(self.dag_id)

    def form(self, task_id):
        """Wait until a question is open, and return it."""
        self.airflow.wait_task(self.dag_id, self.run_id, task_id, "awaiting_input", RUN_S)
        return self.airflow.rest.call("GET", self.path(task_id))

    def read(self, task_id):
        """Wait until a question is open and could have been read; return its fields."""
        form = self.form(task_id)
        seen = datetime.now(UTC)  # it was asked before

        def read():
            return (datetime.now(UTC) - seen).total_seconds() > READING_S or None

        wait_until(read, timeout_s=60, what="time to read")
        return {name: field["value"] for name, field in form["params"].items()}

    def answer(self, task_id, person, fields, option="Approve"):
        body = {"chosen_options": [option], "params_input": fields}
        return self.airflow.as_person(person).call("PATCH", self.path(task_id), body)

    def say(self, task_id, person, fields):
        """Answer once; a busy SQLite refuses that for a while."""

        def accepted():
            return self.answer(task_id, person, fields) or True

        wait_until(accepted, timeout_s=60, what=f"an answer of {person}", locator=task_id)

    def decide(self, task_id, person, option="Approve", **entries):
        """Answer until the task has ended: a busy Airflow may lose the try, and asks again."""

        def ended():
            state = self.task(task_id)["state"]
            if state == "awaiting_input" and not self.form(task_id)["responded_at"]:
                self.answer(task_id, person, self.read(task_id) | entries, option)
            return state if state in ENDED else None

        return wait_until(ended, timeout_s=RUN_S, what="a decision", locator=task_id)

    def answer_until(self, task_id, person, words):
        """Answer as the form stands until the task says something: Airflow may lose the try."""

        def said():
            if words in self.log(task_id):
                return True
            if self.task(task_id)["state"] == "awaiting_input":
                form = self.form(task_id)
                if not form["responded_at"]:
                    self.answer(task_id, person, self.read(task_id))
            return None

        wait_until(said, timeout_s=RUN_S, what=words, locator=task_id)

    def refused(self, task_id, person, fields, status):
        wait_refused(lambda: self.answer(task_id, person, fields), status, f"an answer of {person}")

    def mark_success(self, task_id, person):
        path = f"/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/{task_id}"
        self.airflow.as_person(person).call("PATCH", path, {"new_state": "success"})

    def wait(self, task_id, state):
        self.airflow.wait_task(self.dag_id, self.run_id, task_id, state, RUN_S)

    def log(self, task_id):
        """Return the log of the newest try; a busy machine may have lost one before."""
        number = self.task(task_id)["try_number"]
        return self.airflow.log_text(self.dag_id, self.run_id, task_id, number)

    def task(self, task_id):
        tis = self.airflow.task_instances(self.dag_id, self.run_id)
        return next(ti for ti in tis if ti["task_id"] == task_id)

    def ended(self):
        return self.airflow.wait_run(self.dag_id, self.run_id, RUN_S)

    def trained(self):
        return any(
            line.startswith(f"{self.dag_id} ") for line in self._ran.read_text().splitlines()
        )

    def waivers(self):
        ledger = self.site.evidence().ledger
        found = [ledger.get_verified(item.index) for item in ledger.find("waiver", self.source)]
        payloads = [dsse.Envelope.from_bytes(record.envelope).payload for record in found]
        return [Statement.from_bytes(payload).predicate for payload in payloads]

    def audited(self):
        """Return the codes of what an audit finds about this run."""
        return codes_of(self.airflow, self.site, self.run_id)

    def path(self, task_id):
        """Where the question of a task is, and takes its answer."""
        run = f"/dags/{self.dag_id}/dagRuns/{self.run_id}"
        return f"{run}/taskInstances/{task_id}/-1/hitlDetails"


@pytest.fixture(scope="module")
def stories(real_airflow):
    """All start at once: people take their time, and Airflow waits for each."""
    sources = ("granted", "marked", "stale", "refused", "silent")
    return {source: Story(real_airflow, source) for source in sources}


def test_two_people_let_a_blocked_batch_train_and_nobody_else_can(stories):
    story = stories["granted"]
    fields = story.read(REQUEST)
    assert "LABEL_FLIPS" in story.form(REQUEST)["subject"]
    good = fields | {"reason": "carrier UA corrected its clocks"}
    for person in ("vera", "ursula", "admin"):
        story.refused(REQUEST, person, good, 403)
    assert story.decide(REQUEST, "alice", reason=good["reason"]) == "success"
    fields = story.read(CONFIRM)
    body = story.form(CONFIRM)["body"]
    assert "alice asks for it" in body
    assert "corrected its clocks" in body
    story.airflow.restart()  # while a task is parked
    for person in ("alice", "vera", "admin"):
        story.refused(CONFIRM, person, fields, 403)
    assert story.decide(CONFIRM, "bob") == "success"
    assert story.ended() == "success"
    assert story.trained()
    (waiver,) = story.waivers()
    assert waiver["requestedBy"] == "alice"
    assert "LABEL_FLIPS" in waiver["signals"]
    assert waiver["reason"] == "carrier UA corrected its clocks"
    assert story.audited() == []


def test_marking_both_steps_successful_waives_nothing(stories):
    story = stories["marked"]
    story.form(REQUEST)
    story.mark_success(REQUEST, "ursula")
    story.wait(CONFIRM, "failed")
    assert "nobody asked for a waiver" in story.log(CONFIRM)
    story.mark_success(CONFIRM, "ursula")
    story.airflow.clear(story.dag_id, story.run_id, task_ids=["train"], only_failed=False)
    story.wait("train", "failed")
    assert "[GATE_BLOCKED]" in story.log("train")
    assert (story.trained(), story.waivers()) == (False, [])
    found = findings_of(story.airflow, story.site, story.run_id)
    marks = {(code, "ursula" in said) for code, _, said in found if code.endswith("MARKED_SUCCESS")}
    assert marks == {("TASK_MARKED_SUCCESS", True), ("GATE_MARKED_SUCCESS", True)}
    assert not [code for code, _, _ in found if code.startswith("TRAINED")]


def test_the_earliest_answer_that_airflow_takes_waives_nothing_alone(real_airflow):
    """It may count or not, by when it came; test_answers tells. Airflow may lose the try."""
    story = Story(real_airflow, "early")
    story.refused(REQUEST, "alice", {}, 404)

    def asked():
        with contextlib.suppress(AirflowApiError):
            return story.airflow.rest.call("GET", story.path(REQUEST))
        return None

    form = wait_until(asked, timeout_s=RUN_S, what="a question")
    answer = {name: field["value"] for name, field in form["params"].items()}
    story.say(REQUEST, "alice", answer | {"reason": "yes"})

    def settled():
        ti = story.task(REQUEST)
        return ti["state"] in {"failed", "success", "up_for_retry"} or ti["try_number"] > 1 or None

    wait_until(settled, timeout_s=RUN_S, what="an end of the first try")
    assert (story.trained(), story.waivers(), story.audited()) == (False, [], [])


def test_an_answer_to_another_question_does_not_count_and_an_empty_one_is_asked_again(stories):
    story = stories["stale"]
    story.answer_until(REQUEST, "alice", "asking again")  # no reason
    about = "sha256:" + "0" * 64
    assert story.decide(REQUEST, "alice", reason="yes", about=about) == "failed"
    assert "about something else" in story.log(REQUEST)
    assert (story.trained(), story.waivers(), story.audited()) == (False, [], [])


def test_no_means_no(stories):
    story = stories["refused"]
    assert story.decide(REQUEST, "bob", option="Reject") == "failed"
    assert story.ended() == "failed"
    assert "bob rejected the waiver" in story.log(REQUEST)
    assert (story.trained(), story.waivers(), story.audited()) == (False, [], [])


def test_silence_means_no(stories):
    story = stories["silent"]
    assert story.ended() == "failed"
    assert (story.trained(), story.waivers(), story.audited()) == (False, [], [])


def test_rolling_back_trains_again_on_the_last_trusted_batch(real_airflow):
    airflow, site, ran = real_airflow
    before = site.evidence().latest_seal("rolled", at=datetime.now(UTC))
    airflow.wait_dag("roll_back")
    wait_refused(lambda: airflow.as_person("vera").trigger("roll_back"), 403, "a run by vera")
    back = airflow.as_person("alice").trigger("roll_back")
    run_id = airflow.wait_new_run("retrain", [], RUN_S)
    assert airflow.wait_run("retrain", run_id, RUN_S) == "success"
    after = site.evidence().latest_seal("rolled", at=datetime.now(UTC))
    assert (before.version, after.version) == (2, 3)
    assert after.digest != before.digest
    assert "retrain train" in ran.read_text()
    assert [codes_of(airflow, site, run) for run in (back, run_id)] == [[], []]

"""The two steps of a waiver as Airflow calls them, without an Airflow around them."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from tests.support.waiver_site import name_approvers
from tests.unit.workflow.conftest import AT, built_site, site  # noqa: F401 - fixtures

from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.workflow.admission.admit import admit_training

pytestmark = pytest.mark.airflow
pytest.importorskip("airflow")


class People:
    """What Airflow does between a question and an answer."""

    def __init__(self, site, forms):  # noqa: F811 - a value
        self.site, self.forms = site, forms
        self.events = defaultdict(SimpleNamespace)
        self.context = {"ti": SimpleNamespace(id="1"), "outlet_events": self.events}

    def ask(self, operator):
        from airflow.sdk.exceptions import TaskAwaitingInput

        with pytest.raises(TaskAwaitingInput) as parked:
            operator.execute(self.context)
        asked = parked.value.kwargs["asked"]
        asked["at"] = (datetime.fromisoformat(asked["at"]) - timedelta(minutes=1)).isoformat()
        return asked

    def answer(self, operator, asked, person, option="Approve", **fields):
        event = {
            "chosen_options": [option],
            "params_input": {"about": asked["about"], **fields},
            "responded_at": datetime.now(UTC),
            "responded_by_user": {"id": person, "name": person},
        }
        return operator.answered(self.context, event=event, asked=asked)

    def request(self, person="alice", **fields):
        operator = self.operator("Request")
        fields = {"reason": "relabelled on purpose", "hours": 2} | fields
        return self.answer(operator, self.ask(operator), person, **fields)

    def confirming(self, request):
        return self.operator("Confirm", request=request)

    def operator(self, step, **options):
        from sluicegate.orchestration import operators_waiver

        return getattr(operators_waiver, f"{step}WaiverOperator")(
            task_id=step.lower(), source="src", **options
        )


@pytest.fixture
def people(site, monkeypatch):  # noqa: F811 - the fixture
    from airflow.sdk.execution_time import hitl

    forms = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **form: forms.append(form))
    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(site.home.root))
    site.once(_block)
    return People(site, forms)


def _block(site):  # noqa: F811 - a value, not the fixture
    name_approvers(site, "alice", "bob")
    site.seal(site.poisoned)
    site.gate()


def admitted(people):
    return admit_training(people.site.home, ["src"], at=datetime.now(UTC))["src"]


def fails(match):
    from airflow.sdk.exceptions import AirflowFailException

    return pytest.raises(AirflowFailException, match=match)


def test_two_answers_become_a_waiver_and_the_batch_is_announced(people):
    from sluicegate.orchestration.assets import verified_asset

    confirm = people.confirming(people.request())
    pointer = people.answer(confirm, people.ask(confirm), "bob")
    assert pointer == admitted(people).pointer
    assert people.events[verified_asset("src")].extra == pointer


def test_each_form_asks_those_who_may_answer_and_has_no_default(people):
    confirm = people.confirming(people.request())
    people.ask(confirm)
    first, second = people.forms
    assert [user["id"] for user in first["assigned_users"]] == ["alice", "bob"]
    assert [user["id"] for user in second["assigned_users"]] == ["bob"]
    assert all("defaults" not in form for form in people.forms)
    assert "relabelled on purpose" in second["body"]


def test_the_first_person_cannot_confirm_even_if_airflow_let_them(people):
    confirm = people.confirming(people.request())
    with fails("their own waiver"):
        people.answer(confirm, people.ask(confirm), "alice")
    with pytest.raises(Exception, match="GATE_BLOCKED"):
        admitted(people)


def test_an_answer_after_a_new_verdict_is_stale(people):
    operator = people.operator("Request")
    asked = people.ask(operator)
    people.site.gate(at=AT + timedelta(seconds=1))
    with fails("no longer the newest"):
        people.answer(operator, asked, "alice", reason="yes", hours=1)


def test_a_request_for_an_older_verdict_is_not_confirmed(people):
    confirm = people.confirming(people.request())
    asked = people.ask(confirm)
    people.site.gate(at=AT + timedelta(seconds=1))
    with fails("answers another verdict"):
        people.answer(confirm, asked, "bob")


def test_a_request_that_was_changed_on_its_way_is_refused(people):
    request = people.request()
    changed = request | {"request": request["request"].replace("a", "b", 1)}
    with fails(r"\["):
        people.confirming(changed).execute(people.context)


@pytest.mark.parametrize("request_", [None, "", [], {"request": "{}"}])
def test_nothing_to_confirm_fails(people, request_):
    with fails(r"\["):
        people.confirming(request_).execute(people.context)


def test_a_slip_in_the_form_asks_again(people):
    from airflow.sdk.exceptions import TaskAwaitingInput

    with pytest.raises(TaskAwaitingInput):
        people.request(reason=" ")
    with pytest.raises(TaskAwaitingInput):
        people.request(hours=49)


def test_a_key_that_is_not_this_persons_signs_nothing(people):
    home = people.site.home
    home.key("waiver_alice").write_bytes(home.key("waiver_bob").read_bytes())
    with fails("not this person's"):
        people.request()


def test_a_gate_that_let_the_batch_through_leaves_nothing_to_ask(people):
    from airflow.sdk.exceptions import AirflowSkipException

    people.site.seal(people.site.clean)
    people.site.gate()
    with pytest.raises(AirflowSkipException):
        people.operator("Request").execute(people.context)


def test_what_people_waived_by_other_means_is_announced_without_a_question(people):
    confirm = people.confirming(people.request())
    people.answer(confirm, people.ask(confirm), "bob")
    found = people.operator("Request").execute(people.context)
    assert "request" not in found
    assert people.confirming(found).execute(people.context) == admitted(people).pointer


@pytest.mark.parametrize(
    "section",
    [
        "",
        "waiver: {allow: [LABEL_FLIPS], max_hours: 1}\n",
        "waiver: {allow: [DRIFT_NUMERIC], max_hours: 1, persons: {alice: [ab], bob: [cd]}}\n",
    ],
)
def test_what_the_policy_lets_nobody_waive_is_not_asked(people, section):
    people.site.home.policy.write_text(DEFAULT_POLICY + section)
    people.site.gate(at=AT + timedelta(seconds=1))
    with fails("lets nobody waive"):
        people.operator("Request").execute(people.context)


def test_a_batch_that_was_never_judged_cannot_be_waived(people):
    from airflow.sdk.exceptions import AirflowException

    people.site.seal(people.site.clean)
    with pytest.raises(AirflowException, match="EVIDENCE_MISSING"):
        people.operator("Request").execute(people.context)


def test_reason_in_the_form_is_no_markup(people):
    """Airflow renders the body as Markdown; who asks must not send who confirms to a page."""
    reason = "see [the report](https://example.com) \n# APPROVED \x1b[2J"
    people.ask(people.confirming(people.request(reason=reason)))
    (line,) = [line for line in people.forms[-1]["body"].split("\n") if "the report" in line]
    assert line == "    see [the report](https://example.com) \\n# APPROVED \\x1b[2J"

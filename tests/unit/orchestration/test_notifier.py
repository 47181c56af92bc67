"""One message when an incident begins, one when it is over, none in between."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from tests.support.mail_server import mail_server, smtp_connection, web_hook
from tests.unit.workflow.conftest import AT, built_site, site  # noqa: F401 - fixtures

from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly

pytestmark = pytest.mark.airflow
pytest.importorskip("airflow")

RUN = {
    "orchestrator": "airflow",
    "dag_id": "d",
    "task_id": "gate",
    "map_index": "-1",
    "try_number": "1",
}
DAY = AT - timedelta(days=400)


@pytest.fixture
def story(site, monkeypatch):  # noqa: F811 - the fixture
    """Judge a batch in a run of its own, call back as Airflow would, return what was sent."""
    from airflow.sdk.bases.notifier import BaseNotifier

    from sluicegate.orchestration.notifier import IncidentNotifier

    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(site.home.root))
    sent = []

    class Sender(BaseNotifier):
        def __init__(self, subject, text):
            super().__init__()
            self.message = (subject, text)

        def notify(self, context):
            sent.append(self.message)

    tell = IncidentNotifier(source="src", send=Sender)
    runs = iter(range(100))

    def judge(batch, as_of=None, **changes):
        run = {**RUN, "run_id": f"r{next(runs)}", **changes}
        site.seal(batch)
        signers = GateSigners(site.signer("gate"), site.signer("ledger"))
        at = AT - timedelta(minutes=10)
        how = {"signers": signers, "at": at, "run": run, "runner": evaluate_directly}
        gate_source(site.home, "src", as_of=as_of, **how)
        return run

    def tell_of(run, error=None):
        sent.clear()
        tell.notify({"ti": SimpleNamespace(**run), "exception": error})
        return list(sent)

    def call_back(batch=None, error=None, **how):
        run = {**RUN, "run_id": f"r{next(runs)}"} if batch is None else judge(batch, **how)
        return tell_of(run, error)

    call_back.site, call_back.judge, call_back.tell_of = site, judge, tell_of
    return call_back


@pytest.mark.slow
def test_blocked_batches_in_a_row_are_one_message_and_one_recovery(story):
    site = story.site  # noqa: F811 - its own installation
    assert story(site.clean) == []
    ((subject, text),) = story(site.poisoned, error="blocked")
    assert subject.startswith("src: training is blocked by")
    assert "LABEL_FLIPS" in subject
    assert "c1" in text
    assert story(site.poisoned, error="blocked") == []
    ((subject, text),) = story(site.clean)
    assert subject == "src: recovered, training may go on"
    assert "after 2 blocked verdicts" in text
    assert story(site.clean) == []


def test_a_first_verdict_that_blocks_is_news(story):
    assert len(story(story.site.poisoned, error="blocked")) == 1


def test_a_gate_that_could_not_judge_says_so_each_time(story):
    story(story.site.poisoned, error="blocked")
    for _ in range(2):
        ((subject, text),) = story(error="[LEDGER] no answer")
        assert (subject, text) == ("src: the gate could not judge", "[LEDGER] no answer")


@pytest.mark.slow
def test_partitions_judged_at_once_are_told_once_although_another_was_last(story):
    """Each calls back after all have judged, in any order."""
    runs = [story.judge(story.site.poisoned, run_id="m", map_index=str(n)) for n in range(3)]
    said = [story.tell_of(run, error="[GATE_BLOCKED]") for run in reversed(runs)]
    assert [len(messages) for messages in said] == [0, 0, 1]


@pytest.mark.slow
def test_gate_that_blocked_while_another_passed_is_still_told(story):
    blocked = story.judge(story.site.poisoned)
    story.judge(story.site.clean)
    ((subject, _),) = story.tell_of(blocked, error="[GATE_BLOCKED]")
    assert subject.startswith("src: training is blocked by")


def test_rerun_whose_verdict_stands_is_not_told_twice_and_one_that_cannot_judge_is(story):
    run = story.judge(story.site.poisoned)
    assert len(story.tell_of(run, error="[GATE_BLOCKED] x")) == 1
    again = {**run, "try_number": "2"}
    assert story.tell_of(again, error="[GATE_BLOCKED] x") == []
    ((subject, _),) = story.tell_of(again, error="[LEDGER] no answer")
    assert subject == "src: the gate could not judge"


@pytest.mark.slow
def test_backfill_is_one_message_however_its_days_alternate(story):
    bad, good = story.site.poisoned, story.site.clean
    said = [
        story(batch, as_of=DAY + timedelta(days=n))
        for n, batch in enumerate((good, bad, good, bad, good))
    ]
    assert [len(messages) for messages in said] == [0, 1, 0, 0, 0]
    ((subject, text),) = story(good)
    assert subject == "src: recovered, training may go on"
    assert "after 2 blocked verdicts" in text


@pytest.mark.slow
def test_backfilled_day_that_passes_does_not_end_what_blocks_today(story):
    assert len(story(story.site.poisoned)) == 1
    assert story(story.site.clean, as_of=DAY) == []
    assert story(story.site.poisoned) == []


def test_html_is_escaped_and_keeps_its_lines(story):
    from airflow.sdk.bases.notifier import BaseNotifier

    from sluicegate.orchestration.notifier import IncidentNotifier

    sent = []

    class Sender(BaseNotifier):
        def notify(self, context):
            pass

    def send(subject, text):
        sent.append(text)
        return Sender()

    ti = SimpleNamespace(**RUN, run_id="r")
    tell = IncidentNotifier(source="src", send=send, as_html=True)
    tell.notify({"ti": ti, "exception": "<b>\n"})
    assert sent == ["<pre>&lt;b&gt;\n</pre>"]


def told(site, monkeypatch, send):  # noqa: F811 - a value, not the fixture
    """Judge a blocked batch and then one that passes, twice each, and call back."""
    from sluicegate.orchestration.notifier import IncidentNotifier

    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(site.home.root))
    tell = IncidentNotifier(source="src", send=send)
    for number, batch in enumerate((site.poisoned, site.poisoned, site.clean, site.clean)):
        run = {**RUN, "run_id": f"r{number}"}
        site.seal(batch)
        signers = GateSigners(site.signer("gate"), site.signer("ledger"))
        gate_source(site.home, "src", signers=signers, at=AT, run=run, runner=evaluate_directly)
        tell({"ti": SimpleNamespace(**run), "dag": None, "exception": None})


@pytest.mark.slow
def test_mail_server_gets_one_message_for_the_incident_and_one_for_its_end(site, monkeypatch):  # noqa: F811
    smtp = pytest.importorskip("airflow.providers.smtp.notifications.smtp")

    def mail(subject, text):
        addresses = {"from_email": "a@example.com", "to": "b@example.com"}
        return smtp.SmtpNotifier(**addresses, subject=subject, html_content=text)

    with mail_server() as (port, mails):
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", smtp_connection(port))
        told(site, monkeypatch, mail)
    assert [mail["Subject"].partition(" by ")[0] for mail in mails] == [
        "src: training is blocked",
        "src: recovered, training may go on",
    ]
    assert "LABEL_FLIPS" in mails[0].as_string()


@pytest.mark.slow
def test_web_hook_gets_the_same_through_a_notifier_of_ones_own(site, monkeypatch):  # noqa: F811
    import httpx
    from airflow.sdk.bases.notifier import BaseNotifier

    with web_hook() as (port, bodies):

        class Hook(BaseNotifier):
            def __init__(self, subject, text):
                super().__init__()
                self.body = {"text": f"{subject}\n{text}"}

            def notify(self, context):
                httpx.post(f"http://127.0.0.1:{port}/", json=self.body).raise_for_status()

        told(site, monkeypatch, Hook)
    assert [body["text"].splitlines()[0].partition(" by ")[0] for body in bodies] == [
        "src: training is blocked",
        "src: recovered, training may go on",
    ]

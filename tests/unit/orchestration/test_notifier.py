"""One message when an incident begins, one when it is over, none in between."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from tests.unit.workflow.conftest import AT, built_site, site  # noqa: F401 - fixtures

from sluicegate.workflow.gate import GateSigners, gate_source
from sluicegate.workflow.runners import evaluate_directly

pytestmark = pytest.mark.airflow
pytest.importorskip("airflow")


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

    def call_back(batch=None, error=None):
        run = {"dag_id": "d", "run_id": f"r{next(runs)}", "task_id": "gate"}
        if batch is not None:
            site.seal(batch)
            signers = GateSigners(site.signer("gate"), site.signer("ledger"))
            at = AT - timedelta(minutes=10)
            gate_source(site.home, "src", signers=signers, at=at, run=run, runner=evaluate_directly)
        sent.clear()
        tell.notify({"ti": SimpleNamespace(**run), "exception": error})
        return list(sent)

    call_back.site = site
    return call_back


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

    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t")
    tell = IncidentNotifier(source="src", send=send, as_html=True)
    tell.notify({"ti": ti, "exception": "<b>\n"})
    assert sent == ["<pre>&lt;b&gt;\n</pre>"]

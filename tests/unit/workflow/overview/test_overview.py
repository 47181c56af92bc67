"""Answers are kept as long as nothing changed, and not longer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT, RUN, judge_clean, site  # noqa: F401 - a fixture
from tests.unit.workflow.test_remembered import restore, saved_ledger

from sluicegate.errors import LedgerError, Rollback, SluicegateError
from sluicegate.workflow.overview import overview as module
from sluicegate.workflow.overview.overview import FRESH, Overview
from sluicegate.workflow.overview.source_state import State
from sluicegate.workflow.response.quarantine import quarantine_batch


@pytest.fixture
def judged(site):  # noqa: F811
    site.once(judge_clean)
    return site


@pytest.fixture
def asked(monkeypatch):
    """Sources whose state was really asked for."""
    names = []
    state_of = module.state_of

    def counted(evidence, policy, source, *, at):
        names.append(source)
        return state_of(evidence, policy, source, at=at)

    monkeypatch.setattr(module, "state_of", counted)
    return names


class Clock:
    def __init__(self) -> None:
        self.now = AT

    def __call__(self):
        return self.now


def told(overview, source="src"):
    with overview.question() as question:
        return question.state(source)


def test_sources_are_those_of_the_ledger(judged):
    with Overview(lambda: judged.home, Clock()).question() as question:
        assert question.sources() == ["src"]
        assert question.head.size == len(question.evidence.ledger.leaves())


def test_an_answer_is_given_again_until_it_is_too_old(judged, asked):
    clock = Clock()
    overview = Overview(lambda: judged.home, clock)
    for after in (timedelta(0), FRESH, FRESH + timedelta(seconds=1)):
        clock.now = AT + after
        assert told(overview).state is State.TRUSTED
    assert asked == ["src", "src"]


def test_a_verdict_that_ends_is_told_however_new_the_answer_is(judged):
    clock = Clock()
    overview = Overview(lambda: judged.home, clock)
    expires = told(overview).admission.issued.verdict.expires
    clock.now = expires - timedelta(seconds=1)
    assert told(overview).state is State.TRUSTED
    clock.now = expires
    assert told(overview).state is State.STALE


def test_a_new_leaf_renews_its_source_alone(judged, asked):
    overview = Overview(lambda: judged.home, Clock())
    told(overview), told(overview, "other")
    judged.seal(judged.poisoned)
    assert told(overview).state is State.NOT_JUDGED
    assert told(overview, "other").state is State.NOT_SEALED
    judged.gate()
    assert told(overview).state is State.BLOCKED
    assert asked == ["src", "other", "src", "src"]


def test_a_batch_set_aside_renews_every_source(judged, asked):
    overview = Overview(lambda: judged.home, Clock())
    told(overview), told(overview, "other")
    evidence = judged.evidence()
    batch = evidence.latest_seal("src", at=AT)
    quarantine_batch(
        judged.home, evidence, batch, reason="test", signer=judged.signer("gate"), run=RUN, at=AT
    )
    assert told(overview).state is State.QUARANTINED
    told(overview, "other")
    assert asked == ["src", "other", "src", "other"]


def test_another_policy_renews_every_source(judged):
    overview = Overview(lambda: judged.home, Clock())
    assert told(overview).state is State.TRUSTED
    with judged.home.policy.open("a", encoding="utf-8") as policy:
        policy.write("# another policy\n")
    assert told(overview).state is State.BLOCKED


def test_a_failed_verdict_in_shadow_mode_is_let_through_and_not_called_trusted(site):  # noqa: F811
    text = site.home.policy.read_text(encoding="utf-8")
    site.home.policy.write_text(text.replace("mode: enforce", "mode: shadow"), encoding="utf-8")
    site.seal(site.poisoned)
    site.gate()
    assert told(Overview(lambda: site.home, Clock())).state is State.LET_THROUGH


def test_a_ledger_that_went_back_answers_nothing(judged):
    overview = Overview(lambda: judged.home, Clock())
    before = saved_ledger(judged)
    judged.seal(judged.poisoned)
    told(overview)
    restore(judged, before)
    with pytest.raises(Rollback):
        told(overview)


def test_an_installation_that_is_not_there_answers_nothing(judged):
    overview = Overview(lambda: judged.home, Clock())
    judged.home.policy.unlink()
    with pytest.raises(SluicegateError, match=r"policy\.yaml"):
        told(overview)


def test_a_source_that_cannot_be_read_hides_no_other(judged, monkeypatch):
    def broken(*_arguments, **_more):
        raise LedgerError("disk trouble")

    overview = Overview(lambda: judged.home, Clock())
    with overview.question() as question:
        monkeypatch.setattr(type(question.evidence), "latest_seal", broken)
        found = question.state("src")
    assert (found.state, found.refusal.code) == (State.NOT_VERIFIED, "LEDGER")

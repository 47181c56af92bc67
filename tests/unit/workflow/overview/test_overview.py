"""Answers are kept as long as nothing changed, and not longer."""

from __future__ import annotations

import sqlite3
import time
from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT, RUN, judge_clean, site  # noqa: F401 - a fixture
from tests.unit.workflow.test_remembered import restore, saved_ledger

from sluicegate.errors import LedgerError, Rollback, SluicegateError
from sluicegate.workflow.overview import overview as module
from sluicegate.workflow.overview.overview import BUDGET_S, FRESH, PORTION, Overview
from sluicegate.workflow.overview.past import Past
from sluicegate.workflow.overview.source_state import TROUBLE, State
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


NAMES = [f"source-{number:02}" for number in range(40)]


class Spent:
    """CPU as a test counts it: each source that is asked for takes some."""

    def __init__(self, asked, each):
        self.asked, self.each = asked, each

    def __call__(self):
        return self.each * len(self.asked)


def test_a_question_asks_for_what_it_has_time_for_and_leaves_out_the_rest(judged, asked):
    overview = Overview(lambda: judged.home, Clock(), Spent(asked, BUDGET_S / PORTION / 2))
    known = []
    while len(known) < len(NAMES):
        with overview.question() as question:
            told = [state.source for state in question.states(NAMES)]
        assert told == asked, "an answer that nobody asked for, or one that was lost"
        assert 0 < len(told) - len(known) <= 2 * PORTION
        known = told
    assert asked == NAMES, "each once, the first first"


def test_a_single_source_is_always_answered(judged, asked):
    overview = Overview(lambda: judged.home, Clock(), Spent(asked, BUDGET_S))
    with overview.question() as question:
        question.states(NAMES)
        assert question.state("src").state is State.TRUSTED
        assert question.state("src").state is State.TRUSTED
    assert asked == [*NAMES[:PORTION], "src"]


def test_a_question_without_any_time_asks_for_one_portion(judged, asked):
    overview = Overview(lambda: judged.home, Clock(), Spent(asked, BUDGET_S))
    for n_asked in (PORTION, 2 * PORTION):
        with overview.question() as question:
            assert len(question.states(NAMES)) == len(asked) == n_asked


def test_answers_are_renewed_before_they_are_too_old_as_time_allows(judged, asked):
    clock = Clock()
    spent = Spent(asked, 0.0)
    overview = Overview(lambda: judged.home, clock, spent)

    def states(after):
        asked.clear()
        clock.now = AT + after
        with overview.question() as question:
            return question.states(NAMES[:20])

    assert len(states(timedelta(0))) == len(asked) == 20
    assert len(states(FRESH / 2)) == 20
    assert asked == []
    spent.each = BUDGET_S / PORTION
    assert len(states(FRESH * 0.6)) == 20
    assert asked == NAMES[:PORTION], "as many as there is time for; the others still hold"
    assert len(states(FRESH * 0.7)) == 20
    assert asked == NAMES[PORTION : 2 * PORTION], "the oldest first"
    assert len(states(FRESH * 1.1)) == 20
    assert asked == NAMES[2 * PORTION : 20], "what is too old is asked for first of all"


def test_a_baseline_or_promotion_of_another_source_renews_nobody(judged, asked):
    overview = Overview(lambda: judged.home, Clock())
    told(overview), told(overview, "other")
    evidence = judged.evidence()
    batch = evidence.latest_seal("src", at=AT)
    evidence.append("other", batch.digest, [("baseline", b"{}"), ("promotion", b"{ }")])
    assert told(overview).state is State.TRUSTED
    told(overview, "other")
    assert asked == ["src", "other", "other"]


def test_trouble_is_not_told_again_when_it_is_over(judged, monkeypatch):
    clock = Clock()
    overview = Overview(lambda: judged.home, clock)
    with monkeypatch.context() as broken, overview.question() as question:

        def trouble(*_arguments, **_more):
            raise LedgerError("the network is down")

        broken.setattr(type(question.evidence), "latest_seal", trouble)
        assert question.state("src").state is State.NOT_VERIFIED
    clock.now = AT + TROUBLE
    assert told(overview).state is State.NOT_VERIFIED, "or trouble of many would starve the others"
    clock.now = AT + TROUBLE + timedelta(seconds=1)
    assert told(overview).state is State.TRUSTED


def test_strips_are_read_once_until_their_source_has_a_new_leaf(judged, monkeypatch):
    read = []
    newest = Past.newest
    monkeypatch.setattr(
        Past, "newest", lambda self, *a, **more: read.append(a[1]) or newest(self, *a, **more)
    )
    overview = Overview(lambda: judged.home, Clock())

    def strip(*names):
        with overview.question() as question:
            return question.strips(names, limit=9)

    first = strip("src", "other")
    assert [one.issued.verdict.source for one in first["src"]] == ["src"]
    assert (strip("src", "other"), read) == (first, ["src", "other"])
    judged.seal(judged.poisoned)
    judged.gate()
    assert len(strip("src", "other")["src"]) == 2
    assert read == ["src", "other", "src"]


def test_one_more_strip_is_read_however_little_time_there_is(judged):
    taken = iter(range(10**6))
    overview = Overview(lambda: judged.home, Clock(), lambda: float(next(taken)))
    for n_known in (1, 2):
        with overview.question() as question:
            assert len(question.strips(["src", "other"], limit=9)) == n_known


def test_a_ledger_that_somebody_holds_is_told_in_seconds(judged, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_MS", 50)
    other = sqlite3.connect(judged.home.ledger, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(LedgerError, match="another process holds the ledger"):
        told(Overview(lambda: judged.home, Clock()))
    assert time.monotonic() - started < 10, "as long as a writer waits"
    other.close()
    assert told(Overview(lambda: judged.home, Clock())).state is State.TRUSTED


def test_a_source_that_cannot_be_read_hides_no_other(judged, monkeypatch):
    def broken(*_arguments, **_more):
        raise LedgerError("disk trouble")

    overview = Overview(lambda: judged.home, Clock())
    with overview.question() as question:
        monkeypatch.setattr(type(question.evidence), "latest_seal", broken)
        found = question.state("src")
    assert (found.state, found.refusal.code) == (State.NOT_VERIFIED, "LEDGER")

"""A note of the guard is believed as far as the ledger holds the verdict that it names."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT, RUN, judge_clean, site  # noqa: F401 - a fixture

from sluicegate.workflow.overview.decided import issued_by, pointed
from sluicegate.workflow.overview.past import Past

LATER = AT + timedelta(minutes=5)


@pytest.fixture
def judged(site):  # noqa: F811
    site.once(judge_clean)
    return site


@pytest.fixture
def newest(judged):
    return Past().newest(judged.evidence(LATER), "src", limit=9, at=LATER)[0]


def ask(site, source, envelope):  # noqa: F811
    return pointed(site.evidence(LATER), Past(), source, envelope, at=LATER)


def test_a_note_with_the_verdict_of_its_source_is_believed(judged, newest):
    found = ask(judged, "src", newest.envelope)
    assert (found.verdict, found.refusal) == (newest, None)


@pytest.mark.parametrize("envelope", ["sha256:" + "0" * 64, "sha256:", "", "🦆", "x" * 128])
def test_a_note_with_an_invented_verdict_is_refused(judged, envelope):
    found = ask(judged, "src", envelope)
    assert found.verdict is None
    assert found.refusal.code in {"UNTRUSTED_KEY", "MALFORMED"}


def test_a_note_that_borrows_the_verdict_of_another_source_is_refused(judged, newest):
    found = ask(judged, "other", newest.envelope)
    assert (found.verdict, found.refusal.code) == (None, "UNTRUSTED_KEY")


def test_a_note_that_names_a_seal_as_its_verdict_is_refused(judged):
    seal = next(judged.evidence().ledger.find("seal", "src"))
    assert ask(judged, "src", seal.entry.envelope).refusal.code == "EVIDENCE_MISSING"


def test_verdicts_of_a_run_are_those_that_name_it(newest):
    assert issued_by([newest], "dag", "run") == []
    run = {**RUN, "dag_id": "dag", "run_id": "run", "task_id": "gate"}
    verdict = replace(newest.issued.verdict, run=run)
    past = [replace(newest, issued=replace(newest.issued, verdict=verdict))]
    broken = replace(newest, issued=None)
    assert issued_by([*past, broken], "dag", "run") == issued_by(past, "dag", "") == past
    assert issued_by(past, "dag", "run", "gate") == past
    for other in (("dag", "another"), ("another", "run"), ("dag", "run", "another")):
        assert issued_by(past, *other) == []

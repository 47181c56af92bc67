"""Verdicts of the past are verified once, and one that does not hold is shown as that."""

from __future__ import annotations

import pytest
from tests.unit.workflow.conftest import AT, judge_clean, site  # noqa: F401 - a fixture

from sluicegate.errors import EvidenceMissing
from sluicegate.ledger.entry import Kind
from sluicegate.ledger.log import Ledger
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.overview.overview import Overview
from sluicegate.workflow.overview.past import Past


@pytest.fixture
def judged(site):  # noqa: F811
    site.once(judge_clean)
    site.seal(site.poisoned)
    site.gate()
    return site


def indexes(site, kind):  # noqa: F811
    return [record.index for record in site.evidence().ledger.find(kind, "src")]


def test_verdicts_come_newest_first_and_as_many_as_are_wanted(judged):
    past = Past().newest(judged.evidence(), "src", limit=9, at=AT)
    assert [one.index for one in past] == indexes(judged, Kind.VERDICT)
    assert [one.issued.verdict.result for one in past] == [Status.FAILED, Status.PASSED]
    assert Past().newest(judged.evidence(), "src", limit=1, at=AT) == past[:1]


def test_each_verdict_is_verified_once(judged, monkeypatch):
    verified = []
    get_verified = Ledger.get_verified
    monkeypatch.setattr(
        Ledger,
        "get_verified",
        lambda self, index: verified.append(index) or get_verified(self, index),
    )
    past, evidence = Past(), judged.evidence()
    first = past.newest(evidence, "src", limit=9, at=AT)
    assert past.newest(evidence, "src", limit=9, at=AT) == first
    assert sorted(verified) == sorted(indexes(judged, Kind.VERDICT))


def test_an_envelope_that_was_exchanged_is_no_verdict_and_hides_no_other(judged):
    newest, older = Past().newest(judged.evidence(), "src", limit=9, at=AT)
    with judged.evidence().ledger._store.writing() as store:
        store._connection.exec_driver_sql(
            "UPDATE envelope SET body = (SELECT body FROM envelope WHERE idx = ?) WHERE idx = ?",
            (older.index, newest.index),
        )
    bad, good = Past().newest(judged.evidence(), "src", limit=9, at=AT)
    assert (bad.index, bad.issued, bad.refusal.code) == (newest.index, None, "LEDGER_CORRUPT")
    assert good == older


def test_an_entry_that_is_no_verdict_is_refused(judged):
    evidence = judged.evidence()
    with pytest.raises(EvidenceMissing, match="is no verdict: got seal"):
        Past().one(evidence, indexes(judged, Kind.SEAL)[0], at=AT)
    with pytest.raises(EvidenceMissing, match="no such leaf"):
        Past().one(evidence, 10_000, at=AT)


def test_findings_are_those_behind_the_verdict(judged):
    with Overview(lambda: judged.home, lambda: AT).question() as question:
        failed, passed = question.past.newest(question.evidence, "src", limit=9, at=AT)
        fired = {r.code for r in question.findings(failed) if r.status is Status.FAILED}
        assert "LABEL_FLIPS" in fired
        assert {r.status for r in question.findings(passed)} == {Status.PASSED}

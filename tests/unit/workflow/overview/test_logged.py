"""The newest leaves are proven one by one, and witnesses are told as the audit tells them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.workflow.auditing.test_audit import cosigned_by, with_witnesses
from tests.unit.workflow.conftest import AT, judge_clean, site  # noqa: F401 - a fixture

from sluicegate.errors import LedgerCorrupt
from sluicegate.workflow.overview import logged
from sluicegate.workflow.overview.logged import newest_leaves, witnessed


@pytest.fixture
def judged(site):  # noqa: F811
    site.once(judge_clean)
    return site


def leaves(site, **asked):  # noqa: F811
    with site.evidence().snapshot() as evidence:
        return newest_leaves(evidence, evidence.ledger.size(), **asked)


def test_pages_of_leaves_are_the_whole_log_and_nothing_twice(judged):
    whole = [record.index for record in judged.evidence().ledger.find()]
    assert [one.index for one in leaves(judged, before=None, limit=100)] == whole
    first = leaves(judged, before=None, limit=2)
    rest = leaves(judged, before=first[-1].index, limit=100)
    assert [one.index for one in (*first, *rest)] == whole
    assert leaves(judged, before=0, limit=5) == []
    assert [one.index for one in leaves(judged, before=2**63 - 1, limit=100)] == whole


def test_a_leaf_is_told_with_the_time_that_its_statement_gives(judged):
    verdict = next(
        one for one in leaves(judged, before=None, limit=9) if one.leaf.kind == "verdict"
    )
    assert (verdict.leaf.source, verdict.claimed) == ("src", AT)


def test_a_long_envelope_is_not_parsed_for_its_time(judged, monkeypatch):
    monkeypatch.setattr(logged, "LONGEST_READ", 10)
    assert {one.claimed for one in leaves(judged, before=None, limit=9)} == {None}


def test_a_leaf_that_was_exchanged_is_no_answer(judged):
    newest = leaves(judged, before=None, limit=1)[0].index
    with judged.evidence().ledger._store.writing() as store:
        store._connection.exec_driver_sql(
            "UPDATE envelope SET body = (SELECT body FROM envelope WHERE idx = 0) WHERE idx = ?",
            (newest,),
        )
    with pytest.raises(LedgerCorrupt):
        leaves(judged, before=None, limit=9)


def test_without_witnesses_in_the_policy_nothing_is_asked_of_them(judged):
    found = witnessed(judged.evidence(), judged.home.cosigned, at=AT)
    assert (found.needed, found.finding) == (0, "")


def test_witnesses_are_told_with_their_times_and_what_they_lack(judged):
    witness, _ = with_witnesses(judged)
    missing = witnessed(judged.evidence(), judged.home.cosigned, at=AT)
    assert (missing.needed, missing.size, missing.times) == (1, None, ())
    assert "no cosigned checkpoint" in missing.finding
    judged.home.cosigned.write_bytes(cosigned_by(judged, witness))
    found = witnessed(judged.evidence(), judged.home.cosigned, at=AT)
    assert (found.size, found.times, found.finding) == (judged.evidence().ledger.size(), (AT,), "")
    judged.seal(judged.poisoned)
    late = witnessed(judged.evidence(), judged.home.cosigned, at=AT + timedelta(hours=25))
    assert "added since" in late.finding


def test_a_note_that_is_no_checkpoint_is_no_witness(judged):
    with_witnesses(judged)
    judged.home.cosigned.write_bytes(b"not a note")
    found = witnessed(judged.evidence(), judged.home.cosigned, at=AT)
    assert (found.size, found.times) == (None, ())
    assert found.finding

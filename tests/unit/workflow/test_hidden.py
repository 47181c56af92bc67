"""Whoever can write to the ledger's database cannot take away what speaks against a batch."""

from __future__ import annotations

import sqlite3

import pytest
from tests.unit.workflow.conftest import AT, rows, write
from tests.unit.workflow.response.test_quarantine import aside

from sluicegate.errors import GateBlocked, LedgerCorrupt
from sluicegate.workflow.admission.admit import admit_training

pytestmark = pytest.mark.slow  # each test starts from ten batches


def others(site, n_leaves):
    """Append leaves of another source, so that no proof of ours passes by what is hidden."""
    evidence = site.evidence()
    subject = evidence.latest_seal("src", at=AT).digest
    size = evidence.ledger.size()
    leaves = [("verdict", b"%d" % (size + number)) for number in range(n_leaves)]
    evidence.append("other", subject, leaves)


def admit(site):
    return admit_training(site.home, ["src"], at=AT)


def edit(site, *statements):
    connection = sqlite3.connect(site.home.ledger)
    with connection:
        for statement, values in statements:
            connection.execute(statement, values)
    connection.close()


def newest(site, kind):
    return next(site.evidence().ledger.find(kind, "src")).index


def delete(site, index):
    edit(
        site,
        ("DELETE FROM leaf WHERE idx = ?", (index,)),
        ("DELETE FROM envelope WHERE idx = ?", (index,)),
    )


@pytest.fixture
def judged(site):
    """A batch that passed, far to the left of what comes after it."""
    batch = site.seal(site.clean)
    site.gate()
    others(site, 9)
    assert admit(site)
    return site, batch


def test_deleted_quarantine_does_not_let_its_batch_back(judged):
    site, batch = judged
    aside(site, batch)
    others(site, 20)
    delete(site, newest(site, "quarantine"))
    with pytest.raises(LedgerCorrupt, match="a quarantine is in the log and its index does not"):
        admit(site)


def test_deleted_quarantine_of_a_batch_behind_the_baseline_is_missed(site):
    """Gate and guard look for such a batch by its source: the store alone must not answer."""
    trusted = site.seal(site.root / "trusted")
    site.seal(site.clean)
    site.gate()
    others(site, 9)
    aside(site, trusted)
    others(site, 9)
    with pytest.raises(GateBlocked, match="behind the anchored baseline"):
        admit(site)
    delete(site, newest(site, "quarantine"))
    with pytest.raises(LedgerCorrupt, match="a quarantine is in the log"):
        admit(site)
    with pytest.raises(LedgerCorrupt, match="a quarantine is in the log"):
        site.gate()


def test_quarantine_deleted_before_this_machine_saw_it_is_a_leaf_that_is_missing(judged):
    site, batch = judged
    before = site.home.memory.read_bytes()
    aside(site, batch)
    others(site, 20)
    delete(site, newest(site, "quarantine"))
    site.home.memory.write_bytes(before)
    with pytest.raises(LedgerCorrupt, match="a leaf is missing"):
        admit(site)


def test_deleted_verdict_does_not_uncover_the_one_before(judged):
    site, _ = judged
    policy = site.home.policy
    lenient = policy.read_bytes()
    policy.write_bytes(lenient + b"contributors: {max_share: 0.05}\n")
    site.gate()
    policy.write_bytes(lenient)
    others(site, 20)
    delete(site, newest(site, "verdict"))
    with pytest.raises(LedgerCorrupt):
        admit(site)


def test_deleted_seal_of_a_newer_batch_does_not_make_the_older_one_newest(judged):
    site, _ = judged
    site.seal(write(rows(9), site.root / "newer"))
    others(site, 20)
    delete(site, newest(site, "provenance"))
    with pytest.raises(LedgerCorrupt):
        admit(site)


def test_leaf_filed_under_another_kind_is_found_by_the_root(judged):
    site, batch = judged
    before = site.home.memory.read_bytes()
    aside(site, batch)
    others(site, 20)
    index = newest(site, "quarantine")
    site.home.memory.write_bytes(before)
    to = "SELECT id FROM stream WHERE source = 'other' AND kind = 'verdict'"
    edit(site, (f"UPDATE leaf SET stream = ({to}) WHERE idx = ?", (index,)))
    with pytest.raises(LedgerCorrupt, match="not those that were signed"):
        admit(site)


def test_index_that_does_not_find_a_leaf_is_found_by_the_leaf(judged, monkeypatch):
    site, batch = judged
    aside(site, batch)
    from sluicegate.ledger.log import Ledger

    find = Ledger.find

    def damaged(self, kind=None, *arguments, **options):
        return iter(()) if kind == "quarantine" else find(self, kind, *arguments, **options)

    monkeypatch.setattr(Ledger, "find", damaged)
    with pytest.raises(LedgerCorrupt, match="a quarantine is in the log and its index does not"):
        admit(site)


def test_what_is_older_than_any_window_is_found_too(judged):
    """What an admission read once is remembered, however many leaves follow."""
    site, batch = judged
    aside(site, batch)
    held = newest(site, "quarantine")
    others(site, 1100)
    delete(site, held)
    with pytest.raises(LedgerCorrupt, match="a quarantine is in the log and its index does not"):
        admit(site)
    assert site.evidence().ledger.examine().findings

"""What is read ahead changes no answer, however the evidence was damaged, and saves statements."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from tests.unit.workflow.baselines.test_promotion import promote
from tests.unit.workflow.conftest import (
    AT,
    RUN,
    judge_clean,
    rows,
    site,  # noqa: F401 - a fixture
    write,
)
from tests.unit.workflow.response.test_quarantine import aside

from sluicegate.adapters.ledgers.sqlite import SqliteSnapshot
from sluicegate.adapters.policy_file import read_policy
from sluicegate.errors import SluicegateError
from sluicegate.workflow.admission.admit import admit, admit_training
from sluicegate.workflow.admission.ahead import read_ahead
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.sealing.seal import seal_into_ledger

SOURCES = ("src", "second", "none")


def seal_second(site, at=AT):  # noqa: F811
    """Another source, which nobody judged."""
    evidence, signer = site.evidence(at), site.signer("source")
    seal_into_ledger(site.clean, "second", evidence=evidence, signer=signer, at=at, run=RUN)


def judged_and_sealed(site):  # noqa: F811
    judge_clean(site)
    seal_second(site)


@pytest.fixture
def judged(site):  # noqa: F811
    site.once(judged_and_sealed)
    return site


def answers(site, *, ahead, hint=""):  # noqa: F811
    """What every source is told: an admission, or an error with all its words."""
    policy = read_policy(site.home.policy)
    evidence = open_evidence(site.home, at=AT)
    found = {}
    with closing(evidence.ledger), evidence.snapshot() as still:
        if ahead:
            read_ahead(still, SOURCES, [hint])
        for name in SOURCES:
            asked = still if ahead else evidence
            try:
                found[name] = admit(asked, policy, name, hint, at=AT)
            except SluicegateError as error:
                found[name] = (type(error), str(error))
    return found


def edit(site, statement, *values):  # noqa: F811
    connection = sqlite3.connect(site.home.ledger)
    with connection:
        changed = connection.execute(statement, values).rowcount
    connection.close()
    return changed


PROVENANCE = "(SELECT id FROM stream WHERE kind = 'provenance' AND source = 'second')"
EDITS = (
    "UPDATE envelope SET body = X'7B7D' WHERE idx = ?",
    "UPDATE leaf SET subject = (SELECT min(subject) || X'00' FROM leaf) WHERE idx = ?",
    "DELETE FROM leaf WHERE idx = ?",
    "DELETE FROM envelope WHERE idx = ?",
    f"UPDATE leaf SET stream = {PROVENANCE} WHERE idx = ?",
)


@pytest.mark.parametrize("statement", EDITS)
def test_every_edited_leaf_is_met_with_the_same_words(judged, statement, tmp_path):
    sound, size, met = answers(judged, ahead=False), judged.evidence().ledger.size(), 0
    kept = shutil.copytree(judged.home.root, tmp_path / "kept")
    for index in range(size):
        assert edit(judged, statement, index) == 1
        one_by_one = answers(judged, ahead=False)
        assert answers(judged, ahead=True) == one_by_one, index
        met += one_by_one != sound
        shutil.rmtree(judged.home.root)
        shutil.copytree(kept, judged.home.root)
    assert met, "nothing that was edited was ever looked at"


def test_a_sound_ledger_is_told_alike(judged):
    one_by_one = answers(judged, ahead=False)
    assert answers(judged, ahead=True) == one_by_one
    assert one_by_one["src"].batch.source == "src"
    verdict = str(one_by_one["src"].verdict)
    for hint in (verdict, "sha256:" + "0" * 64, "no digest"):
        assert answers(judged, ahead=True, hint=hint) == answers(judged, ahead=False, hint=hint)


def test_a_batch_set_aside_and_let_go_is_told_alike(judged):
    aside(judged, judged.evidence().latest_seal("src", at=AT))
    one_by_one = answers(judged, ahead=False)
    assert "quarantine" in one_by_one["src"][1]
    assert answers(judged, ahead=True) == one_by_one


def test_a_blocked_batch_is_told_alike(judged):
    judged.seal(judged.poisoned)
    judged.gate()
    one_by_one = answers(judged, ahead=False)
    assert "LABEL_FLIPS" in one_by_one["src"][1]
    assert answers(judged, ahead=True) == one_by_one


def test_batches_behind_a_promoted_baseline_are_told_alike(judged):
    first = judged.evidence().latest_seal("src", at=AT)
    promote(judged, first.digest)
    judged.seal(write(rows(9), judged.root / "newer"))
    judged.gate()
    one_by_one = answers(judged, ahead=False)
    assert one_by_one["src"].issued.verdict.rolling is not None
    assert answers(judged, ahead=True) == one_by_one
    aside(judged, first)
    one_by_one = answers(judged, ahead=False)
    assert "a batch behind the rolling baseline no longer counts" in one_by_one["src"][1]
    assert answers(judged, ahead=True) == one_by_one


@pytest.fixture
def statements(monkeypatch):
    """Statements that look something up in the ledger."""
    counted = Counter()
    for name in ("_read", "_where_in"):
        original = getattr(SqliteSnapshot, name)

        def counting(self, *arguments, original=original, name=name):
            counted[name] += 1
            return original(self, *arguments)

        monkeypatch.setattr(SqliteSnapshot, name, counting)
    return counted


def test_an_admission_takes_few_statements(judged, statements):
    evidence, policy = open_evidence(judged.home, at=AT), read_policy(judged.home.policy)
    statements.clear()
    admit(evidence, policy, "src", at=AT)
    one_by_one = statements.total()
    with evidence.snapshot() as still:
        statements.clear()
        read_ahead(still, ["src"])
        ahead = statements.total()
        admit(still, policy, "src", at=AT)
        assert statements.total() == ahead, "the admission asked the store for more"
    assert ahead <= 16
    assert one_by_one >= 30


def test_the_guard_admits_in_one_state_of_the_ledger(judged, monkeypatch):
    """A verdict that comes while it reads is not half of what it decides by."""
    from sluicegate.adapters.ledgers.sqlite import SqliteStore

    opened = []
    reading = SqliteStore.reading
    monkeypatch.setattr(SqliteStore, "reading", lambda self: opened.append(1) or reading(self))
    assert admit_training(judged.home, ["src"], at=AT)
    assert len(opened) == 2, "one to compare with what is remembered, one to decide"

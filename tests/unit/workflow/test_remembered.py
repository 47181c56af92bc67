"""A consumer that remembers one checkpoint notices rollback, fork and hidden batches."""

from __future__ import annotations

import dataclasses
import sqlite3

import pytest
from tests.unit.workflow.conftest import AT

from sluicegate.adapters.remembered import Memory, read_memory, remember
from sluicegate.errors import LedgerError, MalformedEnvelope, Rollback, UntrustedKey
from sluicegate.workflow.admit import admit_training
from sluicegate.workflow.evidence import open_evidence


@pytest.fixture
def judged(site, tmp_path):
    """A judged batch, and a home that remembers outside of itself."""
    site.seal(site.clean)
    site.gate()
    place = tmp_path / "memory"
    place.mkdir()
    return dataclasses.replace(site.home, remembered_at=place / "flights")


def admit(home):
    return admit_training(home, ["src"], at=AT)["src"]


def test_first_admission_is_remembered_and_later_ones_extend_it(judged, site):
    admit(judged)
    first = read_memory(judged.remembered_at)
    assert first.sources == {"src": 1}
    admit(judged)
    assert read_memory(judged.remembered_at) == first
    with open_evidence(judged, at=AT).ledger as ledger:
        assert ledger.checkpoint() == first.checkpoint


def test_yesterdays_ledger_is_refused_by_whoever_remembers(judged, site, tmp_path):
    with (
        sqlite3.connect(site.home.ledger) as source,
        sqlite3.connect(tmp_path / "yesterday.db") as backup,
    ):
        source.backup(backup)
    source.close()
    backup.close()
    site.seal(site.poisoned)
    site.gate()
    with open_evidence(judged, at=AT).ledger as ledger:
        remember(judged.remembered_at, ledger, ledger.checkpoint(), {})
    for suffix in ("-wal", "-shm"):
        site.home.ledger.with_name(site.home.ledger.name + suffix).unlink(missing_ok=True)
    (tmp_path / "yesterday.db").replace(site.home.ledger)
    admit(site.home)  # nothing remembered: yesterday's store looks well
    with pytest.raises(Rollback, match=r"smaller than it was"):
        admit(judged)


def test_hidden_newest_batch_is_refused(judged):
    admit(judged)
    memory = read_memory(judged.remembered_at)
    with open_evidence(judged, at=AT).ledger as ledger:
        remember(judged.remembered_at, ledger, memory.checkpoint, {"src": 2})
    with pytest.raises(Rollback, match=r"newer batch.*version 2"):
        admit(judged)


def test_what_was_refused_is_not_remembered(judged):
    admit(judged)
    before = judged.remembered_at.read_bytes()
    with pytest.raises(Exception, match="never sealed"):
        admit_training(judged, ["src", "other"], at=AT)
    assert judged.remembered_at.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"checkpoint":1,"sources":{},"v":1}'])
def test_damaged_memory_refuses(judged, content):
    judged.remembered_at.write_bytes(content)
    with pytest.raises(MalformedEnvelope):
        admit(judged)


def test_edited_memory_refuses(judged):
    admit(judged)
    data = judged.remembered_at.read_bytes()
    judged.remembered_at.write_bytes(data.replace(b"sluicegate.dev", b"sluicegate.com"))
    with pytest.raises(UntrustedKey):
        admit(judged)


def test_memory_without_a_directory_refuses(judged, tmp_path):
    with pytest.raises(LedgerError, match=r"cannot be written.*\[sluicegate\] remembered"):
        admit(dataclasses.replace(judged, remembered_at=tmp_path / "absent" / "file"))


def test_older_checkpoint_never_replaces_a_newer_one(judged, site):
    with open_evidence(judged, at=AT).ledger as ledger:
        older = ledger.checkpoint()
    site.seal(site.poisoned)
    with open_evidence(judged, at=AT).ledger as ledger:
        newer = ledger.checkpoint()
        remember(judged.remembered_at, ledger, newer, {"src": 2})
        remember(judged.remembered_at, ledger, older, {"src": 1})
    assert read_memory(judged.remembered_at) == Memory(newer, {"src": 2})

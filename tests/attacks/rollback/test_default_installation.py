"""Yesterday's ledger, a fork, a lost memory and yesterday's trust, against what `init` makes.

No setting names a memory here: this is the installation that the commands make by default.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from tests.attacks.rollback.conftest import FileStore
from tests.unit.workflow.conftest import AT, rows, write

from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.attest.trust_file import TrustFile
from sluicegate.errors import Outcome
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.evidence import opening as evidence
from sluicegate.workflow.evidence.opening import read_trust

BAD, UNCHECKED = Outcome.CHECKED_AND_BAD.value, Outcome.COULD_NOT_CHECK.value


def test_yesterdays_ledger_is_refused_by_everything_that_decides(stage):
    yesterday = stage.store.save()
    stage.gated(write(rows(9), stage.root / "newer"))
    stage.store.restore(yesterday)
    stage.require_refused("ROLLBACK")
    for command in (("ledger", "list"), ("history", "src"), ("ledger", "verify")):
        assert stage.run(*command) == BAD, command


def test_ledger_without_a_leaf_is_refused(stage, capsys):
    """Truncated to nothing: a ledger that was made anew with the very same key."""
    empty = stage.root / "empty"
    shutil.copytree(stage.home.root, empty / "sluice")
    fresh = replace(stage, root=empty)
    for left in fresh.home.root.glob("ledger.db*"):
        left.unlink()
    if stage.ledger_url:
        object.__setattr__(fresh, "ledger_url", stage.ledger_url)
        stage.store.server.execute(f"DROP SCHEMA {stage.store.schema} CASCADE", schema="public")
    assert fresh.run("ledger", "init") == 0
    if not stage.ledger_url:
        stage.store.restore(FileStore(fresh).save())
    stage.require_refused("ROLLBACK")


def test_fork_with_the_very_same_key_is_refused(stage):
    yesterday = stage.store.save()
    stage.gated(write(rows(9), stage.root / "newer"))
    today = stage.store.save()
    size = stage.evidence().ledger.size()
    stage.store.restore(yesterday)
    ledger = open_evidence_of_a_thief(stage)
    ledger.append_many([thiefs_leaf(number) for number in range(size + 5 - ledger.size())])
    stage.require_refused("BAD_PROOF")
    assert stage.run("ledger", "verify") == BAD
    stage.store.restore(today)
    assert admit_training(stage.home, ["src"], at=AT)


def open_evidence_of_a_thief(stage):
    """The ledger as somebody with its key opens it, who asks no memory."""
    signer = stage.signer("ledger")
    return evidence._open_ledger(stage.home, signer.public_key, signer)


def thiefs_leaf(number):
    from sluicegate.ledger.entry import Entry

    envelope = b"another history %d" % number
    return Entry.of("verdict", "other", "dirHash1:" + "ab" * 32, envelope), envelope


def test_rollback_to_just_before_a_quarantine_is_refused(stage):
    before = stage.store.save()
    stage.set_aside()
    stage.store.restore(before)
    stage.require_refused("ROLLBACK")


def test_rollback_to_just_before_a_failed_verdict_is_refused(stage):
    before = stage.store.save()
    stage.home.policy.write_bytes(
        stage.home.policy.read_bytes() + b"contributors: {max_share: 0.05}\n"
    )
    assert stage.gate()[0].verdict.result == "FAILED"
    stage.store.restore(before)
    stage.require_refused("ROLLBACK")


def test_rollback_to_just_before_a_newer_seal_is_refused(stage):
    before = stage.store.save()
    stage.seal(stage.poisoned)
    stage.store.restore(before)
    stage.require_refused("ROLLBACK")


def test_what_only_the_guard_saw_and_refused_is_remembered(stage):
    """The quarantine came from another machine, whose memory is not ours."""
    before = stage.store.save()
    elsewhere = stage.root / "elsewhere"
    shutil.copytree(stage.home.root, elsewhere / "sluice")
    memory = stage.home.memory.parent
    shutil.copytree(memory, elsewhere / memory.name)
    there = replace(stage, root=elsewhere)
    object.__setattr__(there, "ledger_url", stage.ledger_url)
    if not stage.ledger_url:
        there.set_aside()
        stage.store.restore(FileStore(there).save())
    else:
        there.set_aside()
    stage.require_refused("QUARANTINED", among=["guard"])
    stage.store.restore(before)
    stage.require_refused("ROLLBACK")


def test_deleted_memory_never_admits_again(stage, capsys):
    stage.home.memory.unlink()
    said = stage.require_refused("EVIDENCE_MISSING")
    assert all("sluicegate ledger remember" in str(error) for error in said.values())
    assert all(str(stage.home.memory) in str(error) for error in said.values())
    stage.require_refused("EVIDENCE_MISSING")  # looking makes nothing
    assert stage.run("gate", "src") == UNCHECKED
    assert stage.run("ledger", "remember") == 0
    assert admit_training(stage.home, ["src"], at=AT)


def test_deleted_directory_of_the_memory_never_admits_again(stage):
    shutil.rmtree(stage.home.memory.parent)
    stage.require_refused("EVIDENCE_MISSING")
    assert stage.run("ledger", "remember") == 0
    assert admit_training(stage.home, ["src"], at=AT)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\x00" * 64, b'{"v":2}'])
def test_memory_edited_to_garbage_is_refused(stage, content):
    stage.home.memory.write_bytes(content)
    stage.require_refused("MALFORMED")
    assert stage.run("ledger", "remember") == BAD


def test_old_quarantine_that_is_deleted_does_not_let_its_batch_back(stage):
    """Older than any window: hidden behind more leaves than the guard ever read at once."""
    stage.set_aside()
    held = next(stage.evidence().ledger.find("quarantine", "src")).index
    for _ in range(4):
        stage.others(300)
    stage.store.delete(held)
    stage.require_refused("LEDGER_CORRUPT", among=["guard", "read"])


def test_old_verdict_that_is_deleted_does_not_uncover_the_one_before(stage):
    lenient = stage.home.policy.read_bytes()
    stage.home.policy.write_bytes(lenient + b"contributors: {max_share: 0.05}\n")
    stage.gate()
    stage.home.policy.write_bytes(lenient)
    failed = next(stage.evidence().ledger.find("verdict", "src")).index
    for _ in range(4):
        stage.others(300)
    stage.store.delete(failed)
    stage.require_refused("LEDGER_CORRUPT", among=["guard", "read"])


def test_old_seal_that_is_deleted_does_not_make_the_older_batch_newest(stage):
    stage.seal(stage.poisoned)
    sealed = next(stage.evidence().ledger.find("provenance", "src")).index
    for _ in range(4):
        stage.others(300)
    stage.store.delete(sealed)
    stage.require_refused("LEDGER_CORRUPT", among=["guard", "read"])


def trust_of(stage, version, *, root=None, more=()):
    roles = (Role.SOURCE, Role.GATE, Role.BASELINE, Role.LEDGER)
    public = {role: [stage.signer(role.value).public_key] for role in roles}
    for role, key in more:
        public[role] = [*public[role], key]
    if root is not None:
        public[Role.ROOT] = [root.public_key]
    expires = read_trust(stage.home.trust).expires
    file = TrustFile(trust_policy(public, version=version, expires=expires))
    return (file if root is None else file.signed_by(root)).to_bytes()


def test_trust_version_that_was_replaced_is_refused(stage):
    """Version 1 named a key that version 2 has removed."""
    thief = generate(Algorithm.ED25519).public_key
    first = trust_of(stage, 1, more=[(Role.GATE, thief)])
    stage.home.trust.write_bytes(first)
    assert admit_training(stage.home, ["src"], at=AT)
    stage.home.trust.write_bytes(trust_of(stage, 2))
    assert admit_training(stage.home, ["src"], at=AT)
    stage.home.trust.write_bytes(first)
    said = stage.require_refused("ROLLBACK")
    assert "version 2 or later" in str(said["guard"])


def test_unsigned_trust_in_place_of_the_signed_one_is_refused(stage):
    root = generate(Algorithm.ED25519)
    stage.home.trust.write_bytes(trust_of(stage, 2, root=root))
    assert admit_training(stage.home, ["src"], at=AT)
    for version in (2, 3):
        stage.home.trust.write_bytes(trust_of(stage, version))
        stage.require_refused("UNTRUSTED_KEY")


def test_trust_signed_by_another_root_is_refused(stage):
    root, thief = generate(Algorithm.ED25519), generate(Algorithm.ED25519)
    stage.home.trust.write_bytes(trust_of(stage, 2, root=root))
    assert admit_training(stage.home, ["src"], at=AT)
    stage.home.trust.write_bytes(trust_of(stage, 3, root=thief))
    stage.require_refused("UNTRUSTED_KEY")
    stage.home.trust.write_bytes(trust_of(stage, 3, root=root))
    assert admit_training(stage.home, ["src"], at=AT)

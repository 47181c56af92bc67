"""Training starts only on the newest sealed batch with a valid, accepting verdict."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT, rows, write

from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import (
    BadProof,
    ConfigError,
    EvidenceMissing,
    Expired,
    GateBlocked,
    LedgerCorrupt,
    Rollback,
    UntrustedKey,
    VerificationError,
)
from sluicegate.workflow.admission.admit import admit_training


def admit(site, verdict: str | None = None, at=AT):
    pointers = {} if verdict is None else {"src": {"verdict": verdict}}
    return admit_training(site.home, ["src"], pointers, at=at)["src"]


def test_clean_batch_is_admitted_with_a_pointer_to_its_verdict(site):
    batch = site.seal(site.clean)
    issued, _ = site.gate()
    admission = admit(site)
    assert admission.batch.digest == batch.digest
    assert admission.verdict == issued.envelope
    assert admit(site, str(issued.envelope)).pointer["digest"] == str(batch.digest)


def test_flipped_batch_is_blocked_naming_signal_and_contributor(site):
    site.seal(site.poisoned)
    site.gate()
    with pytest.raises(GateBlocked, match=r"LABEL_FLIPS.*contributor c1"):
        admit(site)


def test_source_that_was_never_sealed_is_not_admitted(site):
    with pytest.raises(EvidenceMissing, match="never sealed"):
        admit(site)


def test_sealed_batch_without_verdict_is_not_admitted(site):
    site.seal(site.clean)
    with pytest.raises(EvidenceMissing, match="no verdict"):
        admit(site)


def test_invented_verdict_pointer_is_rejected_as_forged(site):
    site.seal(site.clean)
    site.gate()
    with pytest.raises(BadProof, match="not in the ledger"):
        admit(site, "sha256:" + "f" * 64)


def test_pointer_to_another_kind_of_entry_is_rejected(site):
    site.seal(site.clean)
    site.gate()
    seal = next(site.evidence().ledger.find("seal", "src"))
    with pytest.raises(BadProof, match="not in the ledger"):
        admit(site, seal.entry.envelope)


@pytest.mark.parametrize("pointer", ["", "nonsense", "sha256:xyz", "md5:" + "0" * 32])
def test_unreadable_pointer_never_admits_another_batch(site, pointer):
    site.seal(site.poisoned)
    site.gate()
    with pytest.raises((VerificationError, GateBlocked)):
        admit(site, pointer)


def test_verdict_on_a_batch_that_is_no_longer_newest_is_a_rollback(site):
    site.seal(site.clean)
    old, _ = site.gate()
    site.seal(write(rows(4), site.root / "next"))
    site.gate()
    with pytest.raises(Rollback, match="no longer the newest"):
        admit(site, str(old.envelope))


def test_newest_seal_without_verdict_blocks_although_an_older_batch_passed(site):
    site.seal(site.clean)
    site.gate()
    site.seal(write(rows(4), site.root / "next"))
    with pytest.raises(EvidenceMissing):
        admit(site)


def test_expired_verdict_is_not_admitted(site):
    site.seal(site.clean)
    site.gate()
    with pytest.raises(Expired):
        admit(site, at=AT + timedelta(hours=169))


def test_changed_policy_needs_a_new_verdict(site):
    site.seal(site.clean)
    site.gate()
    with site.home.policy.open("a") as file:
        file.write("# weaker\n")
    with pytest.raises(GateBlocked, match="policy in force"):
        admit(site)


def test_verdict_signed_by_a_key_outside_the_gate_role_is_rejected(site):
    site.seal(site.clean)
    site.gate()
    evidence = site.evidence()
    genuine = next(evidence.ledger.find("verdict", "src"))
    payload = dsse.Envelope.from_bytes(genuine.envelope).payload
    forged = dsse.sign(payload, generate(Algorithm.ED25519)).to_bytes()
    evidence.append("src", evidence.latest_seal("src", at=AT).digest, [("verdict", forged)])
    with pytest.raises(UntrustedKey):
        admit(site, str(sha256_bytes(forged)))


def test_source_key_cannot_issue_verdicts(site):
    site.seal(site.clean)
    site.gate()
    evidence = site.evidence()
    payload = dsse.Envelope.from_bytes(
        next(evidence.ledger.find("verdict", "src")).envelope
    ).payload
    forged = dsse.sign(payload, site.signer("source")).to_bytes()
    evidence.append("src", evidence.latest_seal("src", at=AT).digest, [("verdict", forged)])
    with pytest.raises(UntrustedKey):
        admit(site)


def test_verdict_of_another_batch_filed_under_this_one_is_rejected(site):
    site.seal(site.clean)
    passed, _ = site.gate()
    batch = site.seal(site.poisoned)
    evidence = site.evidence()
    envelope = evidence.ledger.by_envelope(passed.envelope).envelope
    evidence.append("src", batch.digest, [("verdict", envelope)])
    with pytest.raises(BadProof, match="another batch"):
        admit(site)


@pytest.mark.parametrize("lost", ["trust", "policy"])
def test_missing_configuration_blocks(site, lost):
    site.seal(site.clean)
    site.gate()
    getattr(site.home, lost).unlink()
    with pytest.raises(ConfigError):
        admit(site)


def test_missing_ledger_blocks_and_is_not_recreated(site):
    site.seal(site.clean)
    site.gate()
    for file in site.home.root.glob("ledger.db*"):
        file.unlink()
    with pytest.raises(EvidenceMissing):
        admit(site)
    assert not site.home.ledger.exists()


def test_corrupt_ledger_blocks_as_corrupt(site):
    site.seal(site.clean)
    site.gate()
    for file in site.home.root.glob("ledger.db-*"):
        file.unlink()
    site.home.ledger.write_bytes(b"not a database" * 1000)
    with pytest.raises(LedgerCorrupt):
        admit(site)


def test_ledger_of_another_installation_is_not_believed(site):
    site.seal(site.clean)
    site.gate()
    keys = {role: [generate(Algorithm.ED25519).public_key] for role in (Role.LEDGER, Role.GATE)}
    keys[Role.SOURCE] = [site.signer("source").public_key]
    trust = trust_policy(keys, version=1, expires=AT + timedelta(days=1))
    site.home.trust.write_bytes(trust.to_bytes())
    with pytest.raises((UntrustedKey, ConfigError, BadProof)):
        admit(site)

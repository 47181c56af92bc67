"""An auditor with public keys finds every edit of an evidence folder."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT

from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.errors import ConfigError, EvidenceMissing
from sluicegate.workflow.evidence.folder import (
    ENVELOPES_FILE,
    PROOFS_DIRECTORY,
    SEAL_FILE,
    export_folder,
)
from sluicegate.workflow.evidence.opening import read_trust
from sluicegate.workflow.verification.verify import verify_folder


@pytest.fixture
def exported(site):
    site.once(_export)
    return site


def _export(site):
    batch = site.seal(site.clean)
    site.gate()
    export_folder(site.evidence(), batch, site.root / "out")


def report(site, **changes):
    arguments = {"at": AT, "data": site.clean, **changes}
    return verify_folder(site.root / "out", read_trust(site.home.trust), **arguments)


def codes(found) -> set[str]:
    return {finding.to_dict()["code"] for finding in found.findings}


def test_untouched_evidence_and_data_are_valid(exported):
    found = report(exported)
    assert found.exit_code == 0
    assert codes(found) == {"OK"}
    assert len(found.findings) == 8


def test_flipped_byte_in_the_data_is_found(exported):
    path = exported.clean / "part.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert report(exported).exit_code == 1
    assert codes(report(exported)) == {"OK", "MANIFEST_MISMATCH"}


@pytest.mark.parametrize("part", [SEAL_FILE, ENVELOPES_FILE, PROOFS_DIRECTORY])
def test_no_edited_byte_of_the_evidence_goes_unnoticed(exported, part):
    path = exported.root / "out" / part
    for file in sorted(path.glob("*")) if path.is_dir() else [path]:
        original = file.read_bytes()
        for position in range(0, len(original), max(1, len(original) // 23)):
            edited = bytearray(original)
            edited[position] ^= 1
            file.write_bytes(edited)
            assert report(exported, data=None).exit_code != 0, (file.name, position)
        file.write_bytes(original)
    assert report(exported).exit_code == 0


def test_removed_proof_is_reported_as_missing(exported):
    next((exported.root / "out" / PROOFS_DIRECTORY).iterdir()).unlink()
    assert "EVIDENCE_MISSING" in codes(report(exported))


def test_statement_of_another_batch_is_found(exported):
    batch = exported.seal(exported.poisoned)
    exported.gate()
    export_folder(exported.evidence(), batch, exported.root / "other")
    shutil.copy(exported.root / "other" / ENVELOPES_FILE, exported.root / "out" / ENVELOPES_FILE)
    assert "BAD_PROOF" in codes(report(exported))


def test_failed_verdict_is_not_valid_evidence_for_training(site):
    batch = site.seal(site.poisoned)
    site.gate()
    export_folder(site.evidence(), batch, site.root / "out")
    found = report(site, data=site.poisoned)
    assert found.exit_code == 1
    assert codes(found) == {"OK", "GATE_BLOCKED"}


def test_seal_by_an_unknown_key_is_untrusted(exported):
    named = [role for role in Role if role is not Role.ROOT]
    keys = {role: [generate(Algorithm.ED25519).public_key] for role in named}
    trust = trust_policy(keys, version=1, expires=AT + timedelta(days=1))
    exported.home.trust.write_bytes(trust.to_bytes())
    found = report(exported)
    assert found.exit_code == 1
    assert codes(found) == {"UNTRUSTED_KEY"}


def test_expired_trust_policy_proves_nothing(exported):
    assert codes(report(exported, at=AT + timedelta(days=366))) == {"EXPIRED"}


def test_missing_folder_could_not_be_checked(exported):
    shutil.rmtree(exported.root / "out")
    with pytest.raises(EvidenceMissing):
        report(exported)


def test_evidence_is_never_overwritten(exported):
    batch = exported.evidence().latest_seal("src", at=AT)
    with pytest.raises(ConfigError, match="already holds evidence"):
        export_folder(exported.evidence(), batch, exported.root / "out")


def test_report_is_json(exported):
    value = json.loads(json.dumps(report(exported).to_dict()))
    assert value["valid"] is True
    assert value["source"] == "src"

"""A batch sealed with BLAKE3 goes the whole way, and no algorithm passes for the other."""

from __future__ import annotations

import pytest
from tests.unit.workflow.conftest import AT, RUN

from sluicegate import load_verified
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import DigestMismatch
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.evidence.folder import export_folder
from sluicegate.workflow.evidence.opening import read_trust
from sluicegate.workflow.judging.case import _is_among
from sluicegate.workflow.sealing.seal import seal_into_ledger
from sluicegate.workflow.verification.verify import verify_folder


@pytest.fixture
def sealed(site):
    def seal(algorithm):
        return seal_into_ledger(
            site.clean,
            "src",
            evidence=site.evidence(),
            signer=site.signer("source"),
            at=AT,
            run=RUN,
            algorithm=algorithm,
        )

    return seal


@pytest.mark.slow
def test_batch_is_sealed_judged_and_read_and_a_flipped_byte_is_found(site, sealed):
    batch = sealed("blake3")
    assert batch.digest.algorithm == "dirHash1-blake3"
    assert batch.manifest.algorithm == "blake3"
    issued, _ = site.gate()
    assert issued.verdict.result is Status.PASSED
    assert len(load_verified("src", home=site.home, at=AT)) == 3000
    export_folder(site.evidence(), batch, site.root / "out")
    assert audit(site) == {"OK"}
    path = site.clean / "part.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DigestMismatch):
        load_verified("src", home=site.home, at=AT)
    assert audit(site) == {"OK", "MANIFEST_MISMATCH"}


def audit(site):
    trust = read_trust(site.home.trust)
    report = verify_folder(site.root / "out", trust, at=AT, data=site.clean)
    assert "data" in {finding.check for finding in report.findings}
    return {finding.to_dict()["code"] for finding in report.findings}


def test_same_bytes_under_another_algorithm_are_sealed_anew(sealed):
    first, second, third = sealed("sha256"), sealed("blake3"), sealed("blake3")
    assert (first.version, second.version, third.version) == (1, 2, 2)
    assert first.digest != second.digest


def test_batch_of_the_baseline_is_known_under_another_algorithm_too(site, sealed):
    batch = sealed("blake3")
    other = build_manifest(site.clean).digest
    assert _is_among(batch, frozenset({str(other)}), None)
    assert _is_among(batch, frozenset({str(batch.digest)}), None)
    assert not _is_among(batch, frozenset({f"dirHash1:{'0' * 64}"}), None)

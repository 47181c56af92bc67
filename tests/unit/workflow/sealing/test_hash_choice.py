"""A source is sealed by shards where a file is large, and stays so; otherwise nothing changes."""

from __future__ import annotations

import pytest
from tests.unit.workflow.conftest import AT, RUN

from sluicegate import load_verified, open_verified
from sluicegate.adapters.sources.open import open_source
from sluicegate.cli.main import main
from sluicegate.digest.algorithms import AUTO, BY_SHARDS, SHA256, Digest
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import ConfigError, DigestMismatch, UnsafePath
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.evidence.folder import export_folder
from sluicegate.workflow.evidence.opening import read_trust
from sluicegate.workflow.sealing import hash_choice
from sluicegate.workflow.sealing.hash_choice import algorithm_for
from sluicegate.workflow.sealing.seal import seal_into_ledger
from sluicegate.workflow.verification.verify import verify_folder

MIB = 1 << 20


@pytest.fixture
def files(tmp_path):
    root = tmp_path / "files"
    root.mkdir()
    (root / "small").write_bytes(b"x")
    return root


def large(path, size=64 * MIB):
    with path.open("wb") as file:
        file.truncate(size)  # sparse: nothing here reads it


def test_small_files_are_sealed_as_they_always_were(files):
    large(files / "nearly", 64 * MIB - 1)
    assert algorithm_for(open_source(files), AUTO) == SHA256


def test_one_large_file_is_enough_for_shards(files):
    large(files / "large")
    assert algorithm_for(open_source(files), AUTO) == "sha256-shards-1048576"
    assert algorithm_for(open_source(files / "large"), AUTO) == "sha256-shards-1048576"
    assert algorithm_for(open_source(f"{files}/l*"), AUTO) == "sha256-shards-1048576"
    assert algorithm_for(open_source(f"{files}/s*"), AUTO) == SHA256


@pytest.mark.parametrize("asked", [SHA256, "blake3", "sha256-shards-4096"])
def test_what_is_named_is_used(files, asked):
    large(files / "large")
    assert algorithm_for(open_source(files), asked) == asked


def test_a_source_keeps_its_shards(files):
    last = Digest("dirHash1-shards-4096", "0" * 64)
    assert algorithm_for(open_source(files), AUTO, last=last) == "sha256-shards-4096"
    whole = Digest("dirHash1", "0" * 64)
    assert algorithm_for(open_source(files), AUTO, last=whole) == SHA256
    assert algorithm_for(open_source(files), BY_SHARDS, last=whole) == "sha256-shards-1048576"
    large(files / "larger", 1 << 30)
    assert algorithm_for(open_source(files), AUTO, last=last) == "sha256-shards-32768"


def test_a_path_with_a_colon_is_sealed_whole_unless_shards_are_asked_for(files):
    large(files / "large")
    (files / "a:b").write_bytes(b"")
    assert algorithm_for(open_source(files), AUTO) == SHA256
    data = open_source(files)
    with pytest.raises(UnsafePath, match="colon"):
        data.manifest(algorithm_for(data, BY_SHARDS))


def test_rows_and_croissant_have_no_shards(tmp_path, files):
    from sluicegate.adapters.sources.croissant import CroissantFiles

    described = CroissantFiles(tmp_path / "c.json")
    assert algorithm_for(described, AUTO) == SHA256
    with pytest.raises(ConfigError, match="promises SHA-256"):
        described.manifest(algorithm_for(described, BY_SHARDS))


def test_the_digest_that_is_printed_is_that_of_the_seal(files, capsys, monkeypatch):
    monkeypatch.setattr(hash_choice, "SHARD_FROM_BYTES", 1)
    assert main(["digest", str(files)]) == 0
    expected = build_manifest(files, algorithm="sha256-shards-1048576").digest
    assert capsys.readouterr().out.strip() == str(expected)


@pytest.mark.slow
def test_a_batch_in_shards_is_sealed_judged_read_exported_and_a_flipped_byte_is_found(
    site, monkeypatch
):
    monkeypatch.setattr(hash_choice, "SHARD_FROM_BYTES", 1)
    monkeypatch.setattr("sluicegate.digest.shards.SHARD_BYTES", 1000)

    def seal():
        return seal_into_ledger(
            site.clean,
            "src",
            evidence=site.evidence(),
            signer=site.signer("source"),
            at=AT,
            run=RUN,
        )

    batch = seal()
    assert str(batch.digest).startswith("dirHash1-shards-1000:")
    monkeypatch.undo()
    assert seal() == batch, "the source stays as it was sealed last"
    assert site.gate()[0].verdict.result is Status.PASSED
    assert len(load_verified("src", home=site.home, at=AT)) == 3000
    export_folder(site.evidence(), batch, site.root / "out")

    def audit():
        trust = read_trust(site.home.trust)
        report = verify_folder(site.root / "out", trust, at=AT, data=site.clean)
        return {finding.to_dict()["code"] for finding in report.findings}

    assert audit() == {"OK"}
    path = site.clean / "part.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DigestMismatch):
        list(open_verified("src", home=site.home, at=AT))
    assert audit() == {"OK", "MANIFEST_MISMATCH"}

"""A manifest in parts goes the way of every batch, and few of its files need few of its parts."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT, RUN, rows

from sluicegate import load_verified, open_verified
from sluicegate.attest.dsse import Envelope
from sluicegate.attest.seal_form import contents_from_statement
from sluicegate.attest.statement import Statement
from sluicegate.digest import merkle_manifest
from sluicegate.digest.manifest import build_manifest
from sluicegate.digest.merkle_files import MerkleFiles
from sluicegate.errors import (
    BadProof,
    ConfigError,
    DigestMismatch,
    EvidenceMissing,
    ManifestMismatch,
)
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.auditing.data import data_findings
from sluicegate.workflow.evidence import large
from sluicegate.workflow.evidence.folder import export_folder, read_manifest
from sluicegate.workflow.evidence.opening import read_trust
from sluicegate.workflow.response.quarantine import quarantine_batch
from sluicegate.workflow.sealing.seal import RowRecord, seal_into_ledger
from sluicegate.workflow.verification.verify import verify_folder

if TYPE_CHECKING:
    from sluicegate.workflow.evidence.large import PartFolder

N_FILES = 60


@pytest.fixture
def data(site, monkeypatch):
    """Sixty files in parts of eight, sealed in parts because the limit is ten."""
    monkeypatch.setattr(large, "PLAIN_LIMIT", 10)
    monkeypatch.setattr(merkle_manifest, "PART_FILES", 8)
    root, table = site.root / "many", rows(2)
    for number in range(N_FILES):
        path = root / f"d{number % 3}" / f"f{number:02}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.slice(number * 50, 50), path)
    return root


@pytest.fixture
def judged(site, data):
    site.seal(data)
    site.gate()
    return site


def parts_of(site) -> PartFolder:
    files = site.evidence().latest_seal("src", at=AT).contents
    assert isinstance(files, MerkleFiles)
    return files.parts


def audit(site, data, **more):
    report = verify_folder(site.root / "out", read_trust(site.home.trust), at=AT, data=data, **more)
    return {finding.to_dict()["code"] for finding in report.findings}, report


def test_batch_in_parts_goes_the_whole_way(judged, data):
    batch = judged.evidence().latest_seal("src", at=AT)
    assert batch.digest == build_manifest(data).digest == batch.manifest.digest
    assert len(load_verified("src", home=judged.home)) == 3000
    assert len(load_verified("src", home=judged.home, partitions=["d1"])) == 1000
    export_folder(judged.evidence(), batch, judged.root / "out")
    codes, report = audit(judged, data)
    assert codes == {"OK"}
    assert {"seal", "ledger", "data"} <= {finding.check for finding in report.findings}
    assert read_manifest(judged.root / "out").digest == batch.digest
    assert judged.seal(data).version == 1  # nothing new
    assert list(data_findings(judged.evidence(), at=AT)) == []


def test_few_files_are_read_without_the_others(judged, data):
    chosen = ["d0/f00.parquet", "d0/f03.parquet"]
    parts = parts_of(judged)
    for number in range(1, 8):
        (parts.path / f"{number:06}.json").unlink()
    for path in data.rglob("*.parquet"):
        if path.relative_to(data).as_posix() not in chosen:
            path.unlink()
    files = open_verified("src", home=judged.home, files=chosen)
    assert [name for name, _ in files] == chosen
    assert len(load_verified("src", home=judged.home, files=chosen)) == 100
    with pytest.raises(ManifestMismatch, match="is not a sealed file"):
        load_verified("src", home=judged.home, files=["d0/f01.parquet"])
    with pytest.raises(EvidenceMissing, match="part of a manifest"):
        load_verified("src", home=judged.home, files=["d2/f59.parquet"])
    (data / chosen[0]).write_bytes(b"x")
    with pytest.raises(DigestMismatch):
        load_verified("src", home=judged.home, files=chosen)


def test_files_of_a_plain_batch_are_read_alone_too(site):
    site.seal(site.clean)
    site.gate()
    assert len(load_verified("src", home=site.home, files=["part.parquet"])) == 3000
    with pytest.raises(ManifestMismatch):
        load_verified("src", home=site.home, files=["other"])
    with pytest.raises(ConfigError, match="not both"):
        load_verified("src", home=site.home, files=["part.parquet"], partitions=["x"])
    with pytest.raises(ConfigError, match="a text and not a list"):
        load_verified("src", home=site.home, files="part.parquet")


def test_file_added_removed_or_changed_is_named_by_verify(judged, data):
    export_folder(
        judged.evidence(), judged.evidence().latest_seal("src", at=AT), judged.root / "out"
    )
    (data / "d0" / "f00.parquet").rename(data / "d0" / "g00.parquet")
    codes, report = audit(judged, data)
    assert codes == {"OK", "MANIFEST_MISMATCH"}
    assert "g00.parquet" in str(report.gravest)
    assert audit(judged, data, only=["d1/f01.parquet"])[0] == {"OK"}


def test_edited_part_or_index_lets_nothing_through(judged):
    parts = parts_of(judged)
    part = parts.path / "000000.json"
    part.write_bytes(part.read_bytes().replace(b'"size":', b'"size": ', 1))
    with pytest.raises(BadProof, match="part 0"):
        load_verified("src", home=judged.home)
    index = parts.path / large.INDEX_FILE
    index.write_bytes(index.read_bytes().replace(b"f00", b"f01", 1))
    with pytest.raises(BadProof):
        load_verified("src", home=judged.home)
    index.write_bytes(index.read_bytes().replace(b'"files":8', b'"files":7', 1))
    with pytest.raises(BadProof):
        judged.evidence().latest_seal("src", at=AT)


def test_index_of_another_seal_of_the_same_source_is_no_index(judged, data):
    first = parts_of(judged)
    (data / "d0" / "f00.parquet").unlink()
    judged.seal(data)
    second = parts_of(judged)
    shutil.copyfile(first.path / large.INDEX_FILE, second.path / large.INDEX_FILE)
    with pytest.raises(BadProof, match="root was signed"):
        judged.evidence().latest_seal("src", at=AT)


def test_identity_beside_a_true_root_is_checked(judged):
    """The root covers the parts alone: identity and size are checked against the statement."""
    (record,) = judged.evidence().ledger.find(Kind.SEAL, "src")
    honest = Statement.from_bytes(Envelope.from_bytes(record.envelope, locator="x").payload)
    parts = parts_of(judged)
    index = parts.path / large.INDEX_FILE
    index.write_bytes(index.read_bytes().replace(b'"size":', b'"size":1', 1))
    with pytest.raises(BadProof, match="contradicts the signed statement"):
        contents_from_statement(honest, locator="x", parts=lambda _root: parts)


def test_quarantine_and_table_statement_know_parts(site, data):
    batch = seal_into_ledger(
        data, "src", evidence=site.evidence(), signer=site.signer("source"), at=AT, run=RUN,
        rows=RowRecord("id"),
    )  # fmt: skip
    assert len(list(site.evidence().ledger.find(Kind.TABLE, "src"))) == 1
    kept = quarantine_batch(
        site.home, site.evidence(), batch, reason="x", signer=site.signer("gate"), run=RUN, at=AT
    )
    assert len(list((kept / "data").rglob("*.parquet"))) == N_FILES
    assert (kept / "evidence" / large.MANIFEST_DIRECTORY / large.INDEX_FILE).exists()

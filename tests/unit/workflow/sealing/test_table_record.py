"""The table statement in evidence: signed, bound to the sealed bytes, refused if it lies."""

import copy
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.adapters.sources.open import open_source
from sluicegate.attest.statement import Statement
from sluicegate.cli import main as cli
from sluicegate.errors import (
    ChangedDuringRead,
    DigestMismatch,
    EvidenceMissing,
    IntegrityError,
    MalformedEnvelope,
)
from sluicegate.workflow.sealing.table_record import (
    Key,
    read_record,
    record_from_statement,
    record_sealed,
    table_statement,
)


@pytest.fixture
def sealed(tmp_path):
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"id": [1, 2], "y": ["a", "b"]}), tmp_path / "data" / "a.parquet")
    (tmp_path / "data" / "_SUCCESS").write_bytes(b"")
    source = open_source(tmp_path / "data")
    return source, source.manifest()


def statement(sealed, key=Key("id", "y")):  # noqa: B008 - frozen
    source, manifest = sealed
    return table_statement("src", manifest, record_sealed(source, manifest, key=key, changes=40))


@pytest.mark.parametrize("key", [None, Key("id"), Key("id", "y")])
def test_statement_round_trips(sealed, key):
    signed = Statement.from_bytes(statement(sealed, key).to_bytes())
    read = record_from_statement(signed, locator="x")
    assert read.key == key
    assert read.commitment.n_rows == 2
    assert table_statement("src", sealed[1], read).to_bytes() == signed.to_bytes()


def test_table_that_changed_after_the_manifest_is_not_recorded(sealed, tmp_path):
    pq.write_table(pa.table({"id": [1, 3], "y": ["a", "b"]}), tmp_path / "data" / "a.parquet")
    with pytest.raises(IntegrityError) as caught:
        record_sealed(*sealed, key=None, changes=1)
    assert isinstance(caught.value, DigestMismatch | ChangedDuringRead)


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: p.update(rows=3),
        lambda p: p.update(digest="0" * 64),
        lambda p: p.update(buckets=p["buckets"][:-4] + "AAA="),
        lambda p: p.update(buckets="AAAA"),
        lambda p: p.update(buckets="*"),
        lambda p: p.update(columns=[["id", "int"], ["y", "binary"]]),
        lambda p: p.update(extra=1),
        lambda p: p.pop("rows"),
        lambda p: p["sketch"].update(cells=6),
        lambda p: p["sketch"].update(labels={"zz": "a"}),
        lambda p: p["sketch"].update(labels={"00": 1}),
        lambda p: p["sketch"].pop("key"),
        lambda p: p.update(sketch=[]),
    ],
)
def test_statement_that_contradicts_itself_is_malformed(sealed, edit):
    honest = statement(sealed)
    predicate = copy.deepcopy(dict(honest.predicate))
    edit(predicate)
    with pytest.raises(MalformedEnvelope):
        record_from_statement(
            Statement(honest.subjects, honest.predicate_type, predicate), locator="x"
        )


@pytest.fixture
def folder(sealed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    roles = {"source": "ecdsa-p256", "gate": "ed25519", "baseline": "ed25519", "ledger": "ed25519"}
    for role, algorithm in roles.items():
        assert cli.main(["keygen", "--out", role, "--alg", algorithm]) == 0
    keys = [part for role in roles for part in ("--key", f"{role}={role}/key.pub.pem")]
    assert cli.main(["trust", "init", *keys, "--out", "trust.json"]) == 0
    return tmp_path


def seal(*more):
    name = ["--name", "src", "--key", "source/key.pem", "--out", "evidence"]
    return cli.main(["seal", "data", *name, *more])


def test_sealed_record_is_read_from_the_folder(folder, capsys):
    assert seal("--table") == 0
    capsys.readouterr()
    cli.main(["digest", "data", "--table"])
    printed = capsys.readouterr().out.strip()
    assert str(read_record(folder / "evidence").commitment.digest) == printed


def test_seal_without_a_table_keeps_none(folder):
    assert seal() == 0
    with pytest.raises(EvidenceMissing, match="kept no table digest"):
        read_record(folder / "evidence")


def test_manifest_in_parts_keeps_the_same_rows(folder):
    assert seal("--table") == 0
    whole = read_record(folder / "evidence").commitment
    shutil.rmtree(folder / "evidence")
    assert seal("--merkle", "--table") == 0
    assert read_record(folder / "evidence").commitment == whole


def test_sealed_table_verifies_with_its_data(folder):
    assert seal("--table") == 0
    assert cli.main(["verify", "evidence", "data", "--trust", "trust.json"]) == 0

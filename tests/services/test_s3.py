"""A batch in a real S3 server is the batch on disk, and is guarded like it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.locators import csv, lines, of
from tests.unit.workflow.conftest import (  # noqa: F401
    AT,
    RUN,
    SCHEMA,
    built_site,
    flipped,
    rows,
    site,
    write,
)

from sluicegate import load_verified, open_verified
from sluicegate.adapters.sources.open import open_source
from sluicegate.cli import main as cli
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import (
    ChangedDuringRead,
    DigestMismatch,
    ManifestMismatch,
    UnreadableData,
    UnsafePath,
)
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.read import stream_verified
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.sealing.seal import seal_into_ledger

URL = "s3://training/batch"


@pytest.fixture
def files(tmp_path, s3):
    root = tmp_path / "batch"
    for name, data in {
        "month=04/a.bin": b"april",
        "month=05/b.bin": b"may" * 3_000_000,
        "empty": b"",
        "name with blank+ü.txt": b"x",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    s3.put(f"{root}/", "training/batch/", recursive=True)
    return root


@pytest.fixture
def in_store(site, s3):  # noqa: F811
    """A clean batch, sealed and judged where it lies."""
    s3.put(str(site.clean / "part.parquet"), "training/flights/month=04/part.parquet")
    site.accept_extra_columns()
    seal_into_ledger(
        open_source("s3://training/flights", filesystem=s3),
        "src",
        evidence=site.evidence(),
        signer=site.signer("source"),
        at=AT,
        run=RUN,
    )
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    issued, _ = gate_source(
        site.home, "src", signers=signers, at=AT, run=RUN,
        runner=evaluate_directly, filesystem=s3,
    )  # fmt: skip
    assert issued.verdict.result is not Status.FAILED
    return site


def test_manifest_of_the_store_is_the_manifest_of_the_disk(files, s3):
    stored = open_source(URL, filesystem=s3).manifest()
    assert stored == build_manifest(files)


def test_single_object_is_a_single_file(files, s3):
    stored = open_source(f"{URL}/month=04/a.bin", filesystem=s3).manifest()
    assert stored == build_manifest(files / "month=04/a.bin")


def test_storage_options_open_the_store_and_stay_out_of_the_locator(files, s3_options):
    source = open_source(URL, storage_options=s3_options)
    assert source.location == URL
    assert "any" not in repr(source)
    assert source.manifest() == build_manifest(files)


def test_read_and_private_copy_give_the_sealed_bytes(files, s3):
    source = open_source(URL, filesystem=s3)
    for entry in source.manifest().entries:
        expected = (files / entry.path).read_bytes()
        assert source.read_verified(entry) == expected
        with source.copy_verified(entry) as copy:
            assert copy.read() == expected


def test_object_replaced_by_one_of_the_same_length_is_found(files, s3):
    source = open_source(URL, filesystem=s3)
    entry = source.manifest().entry("month=04/a.bin")
    s3.pipe("training/batch/month=04/a.bin", b"APRIL")
    with pytest.raises(DigestMismatch):
        source.read_verified(entry)
    with pytest.raises(DigestMismatch):
        source.copy_verified(entry)


def test_object_replaced_while_it_is_hashed_is_named(files, s3, monkeypatch):
    source = open_source(URL, filesystem=s3)
    hash_one = type(source)._hash

    def hash_then_replace(self, algorithm, item):
        entry = hash_one(self, algorithm, item)
        if item[0] == "month=04/a.bin":
            s3.pipe("training/batch/month=04/a.bin", b"APRIL")
        return entry

    monkeypatch.setattr(type(source), "_hash", hash_then_replace)
    with pytest.raises(ChangedDuringRead, match=r"month=04/a\.bin"):
        source.manifest()


def test_object_replaced_during_the_verified_read_is_an_error(files, s3, monkeypatch):
    source = open_source(URL, filesystem=s3)
    entry = source.manifest().entry("month=04/a.bin")
    opened = type(source)._open

    def open_then_replace(self, key):
        file = opened(self, key)
        data = file.read()
        file.seek(0)
        s3.pipe(key, b"APRIL")
        assert data == b"april"
        return file

    monkeypatch.setattr(type(source), "_open", open_then_replace)
    with pytest.raises((ChangedDuringRead, DigestMismatch, UnreadableData)):
        source.read_verified(entry)


def test_key_that_climbs_out_is_refused_by_name(s3):
    s3.pipe("training/odd/a\u0301.bin", b"x")  # not NFC
    with pytest.raises(UnsafePath, match="NFC"):
        open_source("s3://training/odd", filesystem=s3).manifest()


def test_missing_prefix_could_not_be_checked(s3):
    with pytest.raises(UnreadableData):
        open_source("s3://training/nothing", filesystem=s3).manifest()


def test_batch_in_the_store_is_sealed_judged_and_read(in_store, s3):
    frame = load_verified("src", home=in_store.home, at=AT, filesystem=s3)
    assert list(frame["month"].unique()) == ["04"]
    assert len(frame) == 3000
    streamed = stream_verified("src", home=in_store.home, at=AT, filesystem=s3)
    assert sum(batch.num_rows for batch in streamed) == 3000


@pytest.mark.airflow
def test_verified_read_and_gate_find_the_credentials_of_the_seal(site, s3, monkeypatch):  # noqa: F811
    """The training code names no file system: the seal says by which connection it read."""
    from airflow.sdk.io import store

    monkeypatch.setattr(store, "_STORE_CACHE", {})
    store.attach(protocol="s3", conn_id="objects", fs=s3)
    s3.put(str(site.clean / "part.parquet"), "training/flights/month=04/part.parquet")
    site.accept_extra_columns()
    sealed = seal_into_ledger(
        open_source("s3://training/flights", filesystem=s3),
        "src",
        evidence=site.evidence(),
        signer=site.signer("source"),
        at=AT,
        run=RUN,
        connection="objects",
    )
    assert (sealed.location, sealed.connection) == ("s3://training/flights", "objects")
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    issued, _ = gate_source(
        site.home, "src", signers=signers, at=AT, run=RUN, runner=evaluate_directly
    )
    assert issued.verdict.result is not Status.FAILED
    assert len(load_verified("src", home=site.home, at=AT)) == 3000
    (name, data), *more = open_verified("src", home=site.home, at=AT)
    assert (name, data, more) == (
        "month=04/part.parquet", (site.clean / "part.parquet").read_bytes(), [],
    )  # fmt: skip
    s3.pipe("training/flights/month=04/part.parquet", b"poison")
    with pytest.raises(DigestMismatch):
        load_verified("src", home=site.home, at=AT)


def test_check_and_baseline_build_read_a_store(s3, s3_options, tmp_path, monkeypatch, capsys):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_ENDPOINT_URL": s3_options["endpoint_url"],
    }.items():
        monkeypatch.setenv(name, value)
    pq.write_table(rows(1), tmp_path / "one.parquet")
    pq.write_table(rows(2), tmp_path / "two.parquet")
    s3.put(str(tmp_path / "one.parquet"), "training/built/one.parquet")
    s3.put(str(tmp_path / "two.parquet"), "training/later/two.parquet")
    (tmp_path / "schema.yaml").write_text("".join(f"{k}: {v}\n" for k, v in SCHEMA.items()))
    out = str(tmp_path / "baseline")
    schema = str(tmp_path / "schema.yaml")
    build = ["baseline", "build", "s3://training/built", "--schema", schema, "--out", out]
    assert cli.main(build) == 0
    assert cli.main(["check", "s3://training/later", "--baseline", out]) in {0, 1}
    said = capsys.readouterr()
    assert "3000 rows" in said.out
    assert said.err == ""


def test_label_flip_in_the_store_is_found_by_the_verified_read(in_store, s3, tmp_path):
    pq.write_table(flipped(rows(2), "c1"), tmp_path / "bad.parquet")
    s3.put(str(tmp_path / "bad.parquet"), "training/flights/month=04/part.parquet")
    with pytest.raises(DigestMismatch):
        load_verified("src", home=in_store.home, at=AT, filesystem=s3)


def test_object_added_after_the_verdict_is_named(in_store, s3):
    s3.pipe("training/flights/month=04/extra.parquet", b"x")
    with pytest.raises(ManifestMismatch, match=r"extra\.parquet"):
        next(open_verified("src", home=in_store.home, at=AT, filesystem=s3))


def test_command_line_digests_a_store(files, s3_options, monkeypatch, capsys):
    """Credentials come from where the store's own library looks for them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_options["endpoint_url"])
    assert cli.main(["digest", URL]) == 0
    assert capsys.readouterr().out.strip() == str(build_manifest(files).digest)


def test_declared_text_in_a_store_is_judged_and_read_as_on_disk(site, s3):  # noqa: F811
    """CSV of a dialect beside JSON lines: looked at and read through the store."""
    dialect = {"delimiter": ";", "columns": {"time": "timestamp", "who": "string"}}
    schema = BatchSchema.from_mapping({**SCHEMA, "csv": dialect}, locator="schema")
    table = of(2)
    for name, data in {
        "a.csv": csv(table.slice(0, 1500)).replace(b",", b";"),
        "b.jsonl": lines(table.slice(1500)),
    }.items():
        s3.pipe(f"training/text/{name}", data)
    write_baseline(
        [write(of(1, 6000), site.root / "in types of text")],
        schema,
        out=site.home.baseline_dir("src"),
        at=AT,
        source="src",
        signer=site.signer("baseline"),
    )
    source = open_source("s3://training/text", filesystem=s3)
    seal_into_ledger(
        source, "src", evidence=site.evidence(), signer=site.signer("source"), at=AT, run=RUN
    )
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    issued, _ = gate_source(
        site.home, "src", signers=signers, at=AT, run=RUN,
        runner=evaluate_directly, filesystem=s3,
    )  # fmt: skip
    assert issued.verdict.csv == schema.csv
    assert issued.verdict.result is Status.PASSED
    read = {"home": site.home, "at": AT, "filesystem": s3}
    loaded = load_verified("src", as_="arrow", **read)
    streamed = pa.Table.from_batches(list(stream_verified("src", **read)))
    assert loaded.combine_chunks().equals(streamed.combine_chunks())
    assert loaded["id"].to_pylist() == table["id"].to_pylist()
    assert loaded["x"].to_pylist() == table["x"].to_pylist()

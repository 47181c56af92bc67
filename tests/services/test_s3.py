"""A batch in a real S3 server is the batch on disk, and is guarded like it."""

from __future__ import annotations

from contextlib import closing

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
from sluicegate.adapters.files.table_files import TableFiles
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
from sluicegate.workflow.auditing.data import data_findings
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.sealing.seal import seal_into_ledger
from sluicegate.workflow.sealing.sealed_rows import verified_files

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
    assert list(data_findings(site.evidence(), at=AT)) == []
    s3.pipe("training/flights/month=04/part.parquet", b"poison")
    with pytest.raises(DigestMismatch):
        load_verified("src", home=site.home, at=AT)
    (found,) = data_findings(site.evidence(), at=AT)
    assert (found.code, found.locator) == (
        "DATA_CHANGED", f"src@{sealed.digest.short} in s3://training/flights"
    )  # fmt: skip
    moved = {"src": site.clean}
    assert list(data_findings(site.evidence(), at=AT, places=moved)) != []


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


@pytest.fixture
def sharded(tmp_path, s3):
    """A Parquet file in the store, its entry in shards, and the bytes that are fetched of it."""
    path = tmp_path / "t.parquet"
    table = pa.table({f"x{n}": [n * 40_000 + row for row in range(40_000)] for n in range(20)})
    pq.write_table(table, path, row_group_size=10_000, compression="none", use_dictionary=False)
    s3.put(str(path), "training/batch/t.parquet")
    data = open_source(URL, filesystem=s3)
    (entry,) = data.manifest("sha256-shards-8192").entries
    assert entry == build_manifest(tmp_path, algorithm="sha256-shards-8192").entries[0]
    fetched, real = [], s3.cat_file

    def cat_file(key, start=None, end=None, **options):
        found = real(key, start=start, end=end, **options)
        fetched.append(len(found))
        return found

    s3.cat_file = cat_file
    return data, entry, table, fetched


def columns_of(data, entry, columns):
    files = TableFiles(data.location, columns=columns)
    with closing(verified_files(data, [entry], columns)) as opened:
        return files.table(opened)


@pytest.fixture
def by_ranges(monkeypatch):
    monkeypatch.setattr("sluicegate.workflow.sealing.sealed_rows.RUN_BYTES", 1)


def test_three_of_twenty_columns_are_read_without_the_others(sharded, by_ranges):
    data, entry, table, fetched = sharded
    columns = ["x1", "x7", "x19"]
    assert columns_of(data, entry, columns).equals(table.select(columns))
    assert sum(fetched) < 1.3 * entry.size_bytes * 3 / 20


def test_an_object_that_is_replaced_between_two_ranges_is_refused(sharded, by_ranges, s3, tmp_path):
    data, entry, table, _ = sharded
    with data.ranges_verified(entry) as file:
        assert pq.ParquetFile(file).metadata.num_rows == 40_000
    pq.write_table(
        table.set_column(7, "x7", pa.array([0] * 40_000)), tmp_path / "other", compression="none"
    )
    before = s3.cat_file("training/batch/t.parquet")

    def read(other):
        with data.ranges_verified(entry) as file:
            parquet = pq.ParquetFile(file, pre_buffer=False)
            s3.pipe("training/batch/t.parquet", other)
            return parquet.read(columns=["x7"])

    for other in ((tmp_path / "other").read_bytes(), before[:100], before[::-1]):
        with pytest.raises((DigestMismatch, UnreadableData)):
            read(other)
        s3.pipe("training/batch/t.parquet", before)
    changed = bytearray(before)
    changed[20] ^= 1  # in a column that is not read: the store says that it is another object
    with pytest.raises(ChangedDuringRead):
        read(bytes(changed))


def test_a_flipped_byte_in_the_store_matters_only_to_who_reads_it(sharded, by_ranges, s3):
    data, entry, table, _ = sharded
    changed = bytearray(s3.cat_file("training/batch/t.parquet"))
    changed[40_000] ^= 1  # in x0, and not beside the magic
    s3.pipe("training/batch/t.parquet", bytes(changed))
    assert columns_of(data, entry, ["x7"]).equals(table.select(["x7"]))
    with pytest.raises(DigestMismatch):
        columns_of(data, entry, ["x0"])
    assert data.manifest(entry.digest.algorithm).entries[0] != entry


def test_an_object_of_another_length_is_refused(sharded, s3):
    data, entry, _, _ = sharded
    s3.pipe("training/batch/t.parquet", b"short")
    with pytest.raises(DigestMismatch, match="bytes"), data.ranges_verified(entry):
        raise AssertionError

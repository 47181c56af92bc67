"""Verified rows for every engine, in streams, and of single partitions."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.adapters.engines.test_table import digest, spark  # noqa: F401 - a fixture
from tests.unit.workflow.conftest import AT, flipped, rows

from sluicegate.adapters.files.hive import partition_values
from sluicegate.errors import (
    ChangedDuringRead,
    ConfigError,
    DigestMismatch,
    ManifestMismatch,
    SchemaMismatch,
    UnreadableData,
)
from sluicegate.workflow.admission.read import load_verified, open_verified, stream_verified
from sluicegate.workflow.sealing import sealed_rows


@pytest.fixture
def admitted(site):
    site.once(_admit)
    return site


def _admit(site):
    (site.clean / "part.parquet").unlink()
    for month, part in (("04", rows(2).slice(0, 1000)), ("05", rows(2).slice(1000))):
        (site.clean / f"month={month}").mkdir()
        pq.write_table(part, site.clean / f"month={month}" / "part.parquet")
    (site.clean / "_SUCCESS").touch()
    site.accept_extra_columns()
    site.seal(site.clean)
    site.gate()


def load(site, **options):
    return load_verified("src", home=site.home, at=AT, **options)


def test_partition_directories_become_text_columns(admitted):
    table = load(admitted, as_="arrow")
    assert table.schema.field("month").type == pa.string()
    assert table["month"].value_counts().to_pylist() == [
        {"values": "04", "counts": 1000},
        {"values": "05", "counts": 2000},
    ]


def test_one_partition_is_read_without_the_others(admitted):
    """The other month is damaged, and nobody who does not read it has to care."""
    (admitted.clean / "month=05/part.parquet").write_bytes(b"damaged")
    assert len(load(admitted, partitions=["month=04"])) == 1000
    with pytest.raises(DigestMismatch):
        load(admitted)


def test_added_file_is_refused_even_for_another_partition(admitted):
    (admitted.clean / "month=05/extra.parquet").write_bytes(b"x")
    with pytest.raises(ManifestMismatch):
        load(admitted, partitions=["month=04"])


def test_partition_that_was_not_sealed_could_not_be_read(admitted):
    with pytest.raises(UnreadableData, match="month=4"):
        load(admitted, partitions=["month=4"])


def test_one_text_is_no_list_of_partitions(admitted):
    with pytest.raises(ConfigError, match="a text and not a list"):
        load(admitted, partitions="month=04")


@pytest.mark.parametrize("limit", [1 << 30, 0])
def test_stream_has_the_rows_of_the_table(admitted, monkeypatch, limit):
    monkeypatch.setattr(sealed_rows, "IN_MEMORY_BYTES", limit)
    batches = list(stream_verified("src", home=admitted.home, at=AT))
    assert pa.Table.from_batches(batches).equals(load(admitted, as_="arrow").combine_chunks())


def test_stream_yields_no_row_of_a_changed_file(admitted, monkeypatch):
    monkeypatch.setattr(sealed_rows, "IN_MEMORY_BYTES", 0)
    stream = stream_verified("src", home=admitted.home, at=AT)
    first = next(stream)
    assert first.num_rows == 1000
    pq.write_table(flipped(rows(2), "c1"), admitted.clean / "month=05/part.parquet")
    with pytest.raises(DigestMismatch):
        next(stream)


def test_stream_yields_the_sealed_rows_of_small_files_that_change_meanwhile(admitted):
    """They were verified in memory before the first row was handed out."""
    sealed = load(admitted, as_="arrow").combine_chunks()
    stream = stream_verified("src", home=admitted.home, at=AT)
    first = next(stream)
    pq.write_table(flipped(rows(2), "c1"), admitted.clean / "month=05/part.parquet")
    assert pa.Table.from_batches([first, *stream]).equals(sealed)


def test_polars_gets_the_same_rows(admitted):
    pytest.importorskip("polars")
    frame = load(admitted, as_="polars")
    assert frame.shape == (3000, 11)
    assert frame["id"].to_list() == load(admitted)["id"].to_list()


def test_duckdb_gets_a_relation(admitted):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as session:
        relation = load(admitted, as_="duckdb", session=session)
        assert relation.aggregate("count(*), count(distinct month)").fetchall() == [(3000, 2)]
    assert load(admitted, as_="duckdb").count("*").fetchall() == [(3000,)]


@pytest.mark.parametrize("kind", ["numpy", "spark"])
def test_engine_that_is_unknown_or_has_no_session_is_called_wrongly(admitted, kind):
    with pytest.raises(ConfigError):
        load(admitted, as_=kind)


def test_open_verified_yields_every_file_of_a_partition(admitted):
    files = dict(open_verified("src", home=admitted.home, at=AT, partitions=["month=05"]))
    assert list(files) == ["month=05/part.parquet"]


def test_column_that_contradicts_its_partition_is_refused(admitted):
    from sluicegate.adapters.files.hive import with_partitions

    batch = pa.RecordBatch.from_pydict({"month": [5]})
    with pytest.raises(SchemaMismatch, match="month"):
        with_partitions(batch, "month=04/x.parquet")


def test_partition_values_are_unquoted_and_null_is_null():
    path = "a%3Db=x%2Fy/month=__HIVE_DEFAULT_PARTITION__/plain/f=1.parquet"
    assert partition_values(path) == (("a=b", "x/y"), ("month", None))


def growing(monkeypatch, path):
    """Let the file grow when its first bytes were read."""
    done = []

    def acting(original):
        def read(descriptor, *arguments):
            result = original(descriptor, *arguments)
            if not done and os.fstat(descriptor).st_ino == path.stat().st_ino:
                done.append(True)
                with path.open("ab") as file:
                    file.write(b"more")
            return result

        return read

    for name in ("read", "readv"):
        monkeypatch.setattr(os, name, acting(getattr(os, name)))


@pytest.mark.parametrize("kind", ["pandas", "arrow", "polars", "duckdb"])
@pytest.mark.parametrize("partitions", [[], ["month=05"]])
def test_file_that_grows_during_the_read_is_an_error(admitted, monkeypatch, kind, partitions):
    growing(monkeypatch, admitted.clean / "month=05/part.parquet")
    with pytest.raises(ChangedDuringRead):
        load(admitted, as_=kind, partitions=partitions)


def test_swapped_file_is_an_error_in_every_engine(admitted):
    pq.write_table(flipped(rows(2), "c1"), admitted.clean / "month=05/part.parquet")
    for kind in ("pandas", "arrow", "polars", "duckdb"):
        with pytest.raises(DigestMismatch):
            load(admitted, as_=kind)
        assert load(admitted, as_=kind, partitions=["month=04"]) is not None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # pyspark's own
def test_spark_gets_the_same_rows_of_the_batch_and_of_a_partition(admitted, spark):  # noqa: F811
    frame = load(admitted, as_="spark", session=spark)
    # The local times too, although the session lies in New York.
    expected = load(admitted, as_="arrow")
    assert digest(frame.toArrow().to_batches()) == digest(expected.to_batches())
    (admitted.clean / "month=05/part.parquet").write_bytes(b"damaged")
    with pytest.raises(DigestMismatch):
        load(admitted, as_="spark", session=spark)
    assert load(admitted, as_="spark", session=spark, partitions=["month=04"]).count() == 1000

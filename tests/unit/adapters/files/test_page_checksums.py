"""Parquet pages that carry a checksum are held against it, wherever rows are read."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT, built_site, rows, site  # noqa: F401

from sluicegate.adapters.files.tabular import open_batches
from sluicegate.errors import UnreadableData
from sluicegate.workflow.admission.read import load_verified, stream_verified
from sluicegate.workflow.judging.check import check

TABLE = pa.table({"x": [1.5, 2.5, 3.5] * 100, "t": ["red", "green", "blue"] * 100})
FORMS = {
    "plain": {},
    "second version of pages": {"data_page_version": "2.0"},
    "dictionaries": {"use_dictionary": True},
    "no dictionaries": {"use_dictionary": False},
    "compressed": {"compression": "zstd"},
    "several row groups": {"row_group_size": 100},
}


def written(table, **options):
    out = pa.BufferOutputStream()
    given = {"compression": "none", **options}
    pq.write_table(table, out, write_page_checksum=True, **given)
    return bytearray(out.getvalue().to_pybytes())


def damaged(data, table=TABLE):
    """Turn one bit of a value: of the last page, so that a length or a header stays whole."""
    place = data.rindex(b"green") if b"green" in data else data.index(_first_value(table)) + 3
    data[place] ^= 1
    return bytes(data)


def _first_value(table):
    import struct

    return struct.pack("<d", table["x"][0].as_py())


@pytest.mark.parametrize("name", FORMS)
def test_whole_file_is_read(name):
    read = pa.Table.from_batches(list(open_batches(bytes(written(TABLE, **FORMS[name])))))
    assert read.equals(TABLE)


@pytest.mark.parametrize("name", [name for name in FORMS if name != "compressed"])
def test_page_that_was_changed_on_its_way_is_refused(name):
    with pytest.raises(UnreadableData, match="file cannot be read"):
        list(open_batches(damaged(written(TABLE, **FORMS[name]))))


def test_file_without_checksums_is_read_as_before():
    out = pa.BufferOutputStream()
    pq.write_table(TABLE, out, compression="none")
    data = bytearray(out.getvalue().to_pybytes())
    assert pa.Table.from_batches(list(open_batches(bytes(data)))).equals(TABLE)
    data[data.rindex(b"green")] ^= 1
    assert list(open_batches(bytes(data)))  # nothing in the file tells


def test_check_gate_and_verified_read_refuse_a_changed_page(site):  # noqa: F811
    """It was changed before the seal: the digest is right, and the writer's checksum is not."""
    batch = site.root / "batch"
    batch.mkdir()
    table = rows(2)
    data = written(table, use_dictionary=False)
    (batch / "part.parquet").write_bytes(bytes(data))
    site.seal(batch)
    assert site.gate()[0]
    assert load_verified("src", home=site.home, at=AT).shape == (3000, table.num_columns)
    (batch / "part.parquet").write_bytes(damaged(data, table))
    with pytest.raises(UnreadableData, match="cannot be read"):
        check(batch, baseline=site.home.baseline_dir("src"))
    site.seal(batch)
    with pytest.raises(UnreadableData, match="cannot be read"):
        site.gate()


def test_verified_read_refuses_a_changed_page_by_itself(site, monkeypatch):  # noqa: F811
    """As after a verdict of a version that looked at no checksum."""
    from sluicegate.adapters.files import parquet_rows

    batch = site.root / "batch"
    batch.mkdir()
    table = rows(2)
    (batch / "part.parquet").write_bytes(damaged(written(table, use_dictionary=False), table))
    site.seal(batch)
    real = pq.ParquetFile

    def blind(where, *, page_checksum_verification=False, **options):
        return real(where, **options)

    with monkeypatch.context() as old:
        old.setattr(parquet_rows.pq, "ParquetFile", blind)
        site.gate()
    for read in (load_verified, lambda *a, **k: list(stream_verified(*a, **k))):
        with pytest.raises(UnreadableData, match="cannot be read"):
            read("src", home=site.home, at=AT)

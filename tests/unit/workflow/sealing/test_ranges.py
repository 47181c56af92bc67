"""Rows of files in shards are read range by range: the same rows, or a refusal."""

from __future__ import annotations

from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.adapters.files.table_files import TableFiles
from sluicegate.adapters.sources.open import open_source
from sluicegate.digest import verified_ranges
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import (
    ChangedDuringRead,
    ConfigError,
    DigestMismatch,
    ManifestMismatch,
    UnreadableData,
)
from sluicegate.workflow.sealing import sealed_rows
from sluicegate.workflow.sealing.sealed_rows import by_ranges, verified_files, verified_stream

N_ROWS = 6000
TABLE = pa.table(
    {f"x{n}": [n * N_ROWS + row for row in range(N_ROWS)] for n in range(6)}
    | {"text": [f"value {row % 50}" for row in range(N_ROWS)]}
)


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    """Read even small files by ranges."""
    monkeypatch.setattr(sealed_rows, "IN_MEMORY_BYTES", 1)
    monkeypatch.setattr(sealed_rows, "RUN_BYTES", 1)
    monkeypatch.setattr(verified_ranges, "AHEAD_BYTES", 8000)


@pytest.fixture
def batch(tmp_path):
    root = tmp_path / "batch"
    root.mkdir()
    pq.write_table(TABLE, root / "t.parquet", row_group_size=2000, compression="none")
    return root


def sealed(root):
    return build_manifest(root, algorithm="sha256-shards-512").entries


def streamed(root, entries, columns=None):
    data = open_source(root)
    files = TableFiles(data.location, columns=columns)
    return pa.Table.from_batches(list(verified_stream(data, entries, files)))


def loaded(root, entries, columns=None):
    data = open_source(root)
    files = TableFiles(data.location, columns=columns)
    with closing(verified_files(data, entries, columns)) as opened:
        return files.table(opened)


READS = pytest.mark.parametrize("read", [streamed, loaded])


def chunk(path, column):
    """Return where the first row group's column lies."""
    place = pq.ParquetFile(path).metadata.row_group(0).column(TABLE.schema.names.index(column))
    start = place.dictionary_page_offset or place.data_page_offset
    return start, start + place.total_compressed_size


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


@READS
@pytest.mark.parametrize("columns", [None, ["x3"], ["text", "x1"], list(TABLE.schema.names)])
def test_the_rows_are_those_of_the_file(batch, read, columns):
    expected = TABLE if columns is None else TABLE.select(columns)
    assert read(batch, sealed(batch), columns).equals(expected)


@READS
def test_text_is_read_range_by_range_too(tmp_path, read):
    root = tmp_path / "text"
    root.mkdir()
    (root / "a.csv").write_text("a,b\n" + "".join(f"{n},{n + 1}\n" for n in range(2000)))
    (root / "b.csv").write_text("a,b\n1,2\n" * 1)
    assert read(root, sealed(root), ["b"]).column_names == ["b"]
    flip(root / "a.csv", 9000)
    entries = sealed(root)
    flip(root / "a.csv", 9000)
    with pytest.raises(DigestMismatch):
        read(root, entries)


@READS
def test_a_flipped_byte_in_another_column_does_not_matter_and_verification_finds_it(batch, read):
    entries = sealed(batch)
    manifest = build_manifest(batch)
    path = batch / "t.parquet"
    flip(path, sum(chunk(path, "x4")) // 2)
    assert read(batch, entries, ["x0", "text"]).equals(TABLE.select(["x0", "text"]))
    with pytest.raises(DigestMismatch):
        read(batch, entries)
    from sluicegate.digest.manifest import verify_manifest

    with pytest.raises(ManifestMismatch):
        verify_manifest(batch, manifest)


@READS
@pytest.mark.parametrize("column", ["x1", "text"])
def test_a_flipped_byte_in_a_column_that_is_read_is_refused(batch, read, column):
    entries, path = sealed(batch), batch / "t.parquet"
    flip(path, sum(chunk(path, column)) // 2)
    with pytest.raises(DigestMismatch):
        read(batch, entries, [column])


@READS
@pytest.mark.parametrize("place", [-5, -200, 1])
def test_a_flipped_byte_in_footer_or_magic_is_refused(batch, read, place):
    entries, path = sealed(batch), batch / "t.parquet"
    flip(path, place % path.stat().st_size)
    with pytest.raises(DigestMismatch):
        read(batch, entries, ["x0"])


@READS
def test_two_swapped_shards_are_refused(batch, read):
    entries, path = sealed(batch), batch / "t.parquet"
    data = path.read_bytes()
    path.write_bytes(data[:512] + data[1024:1536] + data[512:1024] + data[1536:])
    with pytest.raises(DigestMismatch):
        read(batch, entries)


@READS
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x"])
def test_another_length_is_refused(batch, read, change):
    entries, path = sealed(batch), batch / "t.parquet"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DigestMismatch, match="bytes"):
        read(batch, entries, ["x0"])


def test_a_file_that_grows_while_its_rows_stream_is_refused_at_the_end(batch):
    entries, data = sealed(batch), open_source(batch)
    rows = verified_stream(data, entries, TableFiles(data.location))
    next(rows)
    with (batch / "t.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ChangedDuringRead):
        list(rows)


def test_a_file_that_is_replaced_while_its_rows_stream_is_read_as_it_was(batch):
    """The descriptor is that of the sealed file, whatever its name leads to now."""
    entries, data = sealed(batch), open_source(batch)
    rows = verified_stream(data, entries, TableFiles(data.location))
    first = next(rows)
    other = batch.parent / "other"
    pq.write_table(TABLE.slice(0, 5), other)
    other.rename(batch / "t.parquet")
    with pytest.raises(ChangedDuringRead):  # its link count, and so its ctime, changed
        list(rows)
    assert first.num_rows


@READS
def test_files_with_other_columns_are_one_schema(batch, read):
    more = TABLE.select(["x0", "x1"]).append_column("y", pa.array([1.5] * N_ROWS))
    pq.write_table(more, batch / "u.parquet")
    found = read(batch, sealed(batch), ["y", "x5"])
    assert found.column_names == ["y", "x5"]
    assert found.num_rows == 2 * N_ROWS
    assert found["y"].null_count == found["x5"].null_count == N_ROWS


@READS
def test_columns_of_directories_are_columns(tmp_path, read):
    path = tmp_path / "batch" / "month=04" / "t.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(TABLE, path)
    found = read(tmp_path / "batch", sealed(tmp_path / "batch"), ["month"])
    assert (found.column_names, found.num_rows) == (["month"], N_ROWS)


@READS
def test_a_column_that_no_file_has_is_an_error(batch, read):
    with pytest.raises(ConfigError, match="no file of the batch has this column"):
        read(batch, sealed(batch), ["x1", "z"])


@READS
def test_a_nested_column_is_wanted_by_its_name(tmp_path, read):
    root = tmp_path / "nested"
    root.mkdir()
    table = pa.table({"a": [{"b": 1, "c": "x"}] * 500, "a2": [[1, 2]] * 500, "d": range(500)})
    pq.write_table(table, root / "t.parquet")
    assert read(root, sealed(root), ["a"]).equals(table.select(["a"]))
    assert read(root, sealed(root), ["a2"]).equals(table.select(["a2"]))


def test_a_malformed_footer_that_was_sealed_is_unreadable(batch):
    path = batch / "t.parquet"
    data = bytearray(path.read_bytes())
    data[-60:-20] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(UnreadableData):
        streamed(batch, sealed(batch), ["x0"])


def test_files_are_read_by_ranges_only_if_shards_were_sealed(batch):
    assert by_ranges(sealed(batch)[0], None)
    assert not by_ranges(build_manifest(batch).entries[0], None)
    assert not by_ranges(build_manifest(batch).entries[0], ["x0"])

"""Input made to confuse, exhaust or mislead: each kind is refused by its own name."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.adapters.files import bounds
from sluicegate.adapters.files.tabular import open_batches
from sluicegate.digest.manifest import build_manifest, verify_manifest
from sluicegate.errors import ManifestMismatch, UnreadableData, UnsafePath

DEEP = 2_500
NAME = "d"
"""The limit of a path is met at the 2,048th: 100,000 levels cost the walk no more than these."""


@pytest.fixture
def bottomless(tmp_path):
    """A tree so deep that no path names its bottom, built and taken down step by step."""
    (tmp_path / "data").mkdir()
    here = os.open(tmp_path / "data", os.O_DIRECTORY)
    for _ in range(DEEP):
        os.mkdir(NAME, dir_fd=here)
        below = os.open(NAME, os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=here))
    yield tmp_path / "data"
    # No recursive removal survives this: go to the bottom, then climb.
    os.unlink("f", dir_fd=here)
    for _ in range(DEEP):
        above = os.open("..", os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        os.rmdir(NAME, dir_fd=above)
        here = above
    os.close(here)


def test_tree_deeper_than_any_path_is_an_unsafe_path(bottomless):
    assert sys.getrecursionlimit() < DEEP
    with pytest.raises(UnsafePath) as caught:
        build_manifest(bottomless)
    assert caught.value.code == "UNSAFE_PATH"
    assert len(str(caught.value)) < 1000


def test_sparse_file_is_sealed_by_its_zeros_and_a_hole_is_no_hiding_place(tmp_path):
    """A hole and written zeros are the same bytes; a byte in the hole is not."""
    size = 64 << 20
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with (tmp_path / "a" / "f").open("wb") as file:
        file.truncate(size)
    (tmp_path / "b" / "f").write_bytes(bytes(size))
    sealed = build_manifest(tmp_path / "a")
    assert sealed.digest == build_manifest(tmp_path / "b").digest
    with (tmp_path / "a" / "f").open("r+b") as file:
        file.seek(size // 2)
        file.write(b"x")
    with pytest.raises(ManifestMismatch):
        verify_manifest(tmp_path / "a", sealed)


def parquet(**options) -> bytes:
    table = pa.table({"a": list(range(3000)), "b": ["x"] * 3000})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=1000, **options)
    return out.getvalue()


def varint(number: int) -> bytes:
    """A Thrift compact integer, as the footer holds them."""
    number, out = number * 2, b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def footer_start(data: bytes) -> int:
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def places(data: bytes, number: int) -> list[int]:
    start, found = footer_start(data), []
    while (start := data.find(varint(number), start)) >= 0:
        found.append(start)
        start += 1
    return found


def edited(data: bytes, place: int, number: int) -> bytes:
    new = varint(number)
    return data[:place] + new + data[place + len(new) :]


def rows(data: bytes) -> int:
    return sum(batch.num_rows for batch in open_batches(data, locator="x.parquet"))


def test_footer_that_counts_other_rows_never_changes_what_is_read():
    """Arrow alone would read 2,999 rows of a row group that claims to hold one less."""
    data = parquet()
    refused = 0
    for old, new in ((3000, 2999), (3000, 3001), (1000, 999), (1000, 1001), (1000, 2000)):
        for place in places(data, old):
            try:
                assert rows(edited(data, place, new)) == 3000
            except UnreadableData:
                refused += 1
    assert refused >= 5


def test_footer_that_hides_rows_consistently_is_refused_by_its_columns():
    data = parquet()
    lying = [edited(data, place, 2999) for place in places(data, 3000)]
    both = [edited(one, place, 999) for one in lying for place in places(one, 1000)]
    hidden = []
    for one in both:
        with pq.ParquetFile(pa.BufferReader(one)) as file:
            if file.metadata.row_group(0).num_rows == 999:
                hidden.append(one)
    assert hidden
    for one in hidden:
        with pytest.raises(UnreadableData, match="contradicts itself"):
            rows(one)


def test_column_metadata_that_would_end_the_process_are_refused():
    """In a process of its own: pyarrow lets this C++ exception through, to nobody."""
    table = pa.table({"x": [0.5, 1.5, None], "kind": ["a", "b", None]})
    lying = []
    for n_rows in (3, 0):
        out = io.BytesIO()
        pq.write_table(table.slice(0, n_rows), out)
        # The column's repetition becomes a list: no level is left, and a histogram of two levels.
        optional = b"\x15\x0c\x25\x02\x18\x04kind"
        assert out.getvalue().count(optional) == 1
        required = optional.replace(b"\x25", b"\x29")
        lying.append(out.getvalue().replace(optional, required).hex())
    program = (
        "import os, sys\n"
        "from sluicegate.adapters.files.tabular import open_batches\n"
        "from sluicegate.errors import UnreadableData\n"
        "for line in sys.stdin:\n"
        "    try:\n"
        "        list(open_batches(bytes.fromhex(line), locator='x.parquet'))\n"
        "    except UnreadableData:\n"
        "        print('refused', flush=True)\n"
        "os._exit(0)\n"  # a thread of Arrow may end a busy process at its very end
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(lying),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["refused"] * 2), done.stderr


@pytest.mark.parametrize("length", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_footer_of_another_length_is_unreadable(length):
    data = parquet()
    with pytest.raises(UnreadableData):
        rows(data[:-8] + length.to_bytes(4, "little") + data[-4:])


def test_decompression_bomb_is_refused_while_it_unfolds(monkeypatch, tmp_path):
    monkeypatch.setattr(bounds, "FREE_BYTES", 1 << 20)
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"a": pa.repeat(0, 5_000_000)}), path, compression="zstd")
    assert path.stat().st_size < 40_000
    read = []
    with pytest.raises(UnreadableData, match=r"limits\.max_expansion") as caught:
        read.extend(batch.num_rows for batch in open_batches(path))
    assert caught.value.code == "DATA_UNREADABLE"
    assert sum(read) < 5_000_000

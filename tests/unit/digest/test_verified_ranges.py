"""No byte of a range is handed out before its shard matched, whatever happens to the file."""

import gc
import io
import os
import threading
import time

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest import verified_ranges
from sluicegate.digest.algorithms import content_digest, shards_of
from sluicegate.digest.hashers import hasher_of
from sluicegate.digest.manifest import FileEntry, build_manifest, verify_manifest
from sluicegate.digest.verified_ranges import VerifiedRanges, ranges_verified
from sluicegate.errors import ChangedDuringRead, DigestMismatch, ManifestMismatch, UnsafePath

DATA = bytes(range(256)) * 8
SHARD = 100


def entry_of(data, n_bytes=SHARD):
    value = hasher_of(shards_of(n_bytes))(data).hexdigest()
    digest = content_digest(shards_of(n_bytes), value)
    return FileEntry("f", digest, len(data), bytes.fromhex(value))


def opened(data, sealed=DATA, n_bytes=SHARD):
    fetched = []

    def fetch(start, end):
        fetched.append((start, end))
        return bytes(data[start:end])

    return VerifiedRanges(entry_of(sealed, n_bytes), fetch, "f"), fetched


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


@given(
    data=st.binary(max_size=300),
    n_bytes=st.integers(1, 80),
    reads=st.lists(st.tuples(st.integers(0, 320), st.integers(-1, 320)), max_size=8),
    planned=st.lists(st.tuples(st.integers(-5, 320), st.integers(-5, 320)), max_size=4),
)
def test_any_reads_after_any_plan_give_the_bytes_of_the_file(data, n_bytes, reads, planned):
    file, _ = opened(data, data, n_bytes)
    plain = io.BytesIO(data)
    with file:
        file.plan(planned)
        for start, size in reads:
            assert file.seek(start) == plain.seek(start)
            assert file.read(size) == plain.read(size)
            assert file.tell() == plain.tell()


def test_it_is_a_file_as_readers_expect_it():
    file, _ = opened(DATA)
    with file:
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
        assert file.seek(-3, os.SEEK_END) == len(DATA) - 3
        assert file.seek(1, os.SEEK_CUR) == len(DATA) - 2
        buffer = bytearray(10)
        assert file.readinto(buffer) == 2
    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_only_the_shards_of_a_range_are_fetched():
    file, fetched = opened(DATA)
    with file:
        file.seek(250)
        file.read(100)
        file.seek(299)
        file.read(2)
    assert fetched == [(200, 400)]


def test_a_read_from_one_end_to_the_other_is_fetched_ahead(monkeypatch):
    monkeypatch.setattr(verified_ranges, "RUN_BYTES", 200)
    file, fetched = opened(DATA)
    with file:
        assert b"".join(iter(lambda: file.read(150), b"")) == DATA
    assert len(fetched) > 5
    assert sorted(byte for start, end in fetched for byte in range(start, end)) == list(
        range(len(DATA))
    )


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(verified_ranges, "RUN_BYTES", SHARD)
    monkeypatch.setattr(verified_ranges, "AHEAD_BYTES", 3 * SHARD)
    monkeypatch.setattr(verified_ranges, "_KEPT_BYTES", 2 * SHARD)
    file, _ = opened(DATA)
    with file:
        file.plan([(0, len(DATA))])
        while file.read(7):
            assert len(file._kept) <= 2
            assert len(file._ahead) <= 3


def test_a_file_that_nobody_closed_is_collected_in_any_thread_without_waiting():
    """With a pool of `concurrent.futures` a thread that was starting waited for its starter."""
    gc.freeze()  # what other tests left behind is not looked at fifty times
    for _ in range(50):
        file, _ = opened(DATA)
        file.plan([(0, len(DATA))])
        assert file.read(3) == DATA[:3]
        file.itself = [file]  # garbage only to the collector
        del file
        threading.Thread(target=gc.collect).start()
    gc.collect()
    gc.unfreeze()
    deadline = time.monotonic() + 60
    while any(thread.name == "sluicegate-range" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "threads outlive their file"
        time.sleep(0.01)


# Tampering


@pytest.mark.parametrize("position", [0, 99, 100, 199, len(DATA) - 1])
def test_a_flipped_byte_inside_a_range_is_refused(position):
    data = bytearray(DATA)
    data[position] ^= 1
    file, _ = opened(data)
    with file:
        file.seek(max(0, position - 3))
        with pytest.raises(DigestMismatch, match=f"bytes {position // 100 * 100} to"):
            file.read(6)


def test_a_flipped_byte_outside_the_range_does_not_matter_and_full_verification_finds_it(path):
    manifest = build_manifest(path, algorithm=shards_of(SHARD))
    (entry,) = manifest.entries
    data = bytearray(DATA)
    data[500] ^= 1
    path.write_bytes(data)
    with ranges_verified(path, entry) as file:
        assert file.read(500) == DATA[:500]
        file.seek(600)
        assert file.read() == DATA[600:]
        file.seek(499)
        with pytest.raises(DigestMismatch):
            file.read(2)
    with pytest.raises(ManifestMismatch):
        verify_manifest(path, manifest)


def test_two_swapped_shards_are_refused():
    data = DATA[100:200] + DATA[:100] + DATA[200:]
    file, _ = opened(data)
    with file, pytest.raises(DigestMismatch):
        file.read(10)


def test_a_plan_over_other_bytes_refuses_only_who_reads_them():
    data = bytearray(DATA)
    data[150] ^= 1
    file, _ = opened(data)
    with file:
        file.plan([(0, len(DATA))])
        file.seek(1500)
        assert file.read() == DATA[1500:]
        file.seek(100)
        with pytest.raises(DigestMismatch):
            file.read(1)
        with pytest.raises(DigestMismatch):
            file.read(1)


@pytest.mark.parametrize("answer", [b"", b"x", DATA[:99], DATA[:101], DATA])
def test_a_store_that_answers_with_more_or_fewer_bytes_is_refused(answer):
    file = VerifiedRanges(entry_of(DATA), lambda _start, _end: answer, "f")
    with file:
        file.seek(950)
        with pytest.raises(DigestMismatch):
            file.read(10)


def test_a_file_replaced_between_two_reads_is_refused():
    now = [DATA]
    file = VerifiedRanges(entry_of(DATA), lambda start, end: now[0][start:end], "f")
    with file:
        assert file.read(10) == DATA[:10]
        now[0] = DATA[::-1]
        file.seek(1000)
        with pytest.raises(DigestMismatch):
            file.read(10)


@pytest.mark.parametrize("size", [0, 1, len(DATA) - 1, len(DATA) + 1])
def test_a_file_of_another_length_is_refused_before_a_byte_is_read(path, size):
    os.truncate(path, size)
    with pytest.raises(DigestMismatch, match="bytes"), ranges_verified(path, entry_of(DATA)):
        raise AssertionError


def test_a_file_that_is_truncated_under_its_reader_is_refused(path):
    def read():
        with ranges_verified(path, entry_of(DATA)) as file:
            assert file.read(10) == DATA[:10]
            os.truncate(path, 1000)
            file.seek(1000)
            file.read(10)

    with pytest.raises(DigestMismatch):
        read()


def test_a_file_that_grows_under_its_reader_is_refused_at_the_end(path):
    def read():
        with ranges_verified(path, entry_of(DATA)) as file:
            with path.open("ab") as other:
                other.write(b"x")
            assert file.read() == DATA

    with pytest.raises(ChangedDuringRead):
        read()


def test_a_link_is_refused(tmp_path, path):
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(UnsafePath), ranges_verified(tmp_path / "link", entry_of(DATA)):
        raise AssertionError


def test_a_parser_with_threads_gets_the_refusal_and_no_row(tmp_path, monkeypatch):
    import pyarrow as pa

    path = tmp_path / "t.parquet"
    table = pa.table({f"x{n}": [n * i for i in range(5000)] for n in range(6)})
    pq.write_table(table, path, row_group_size=1000, compression="none", use_dictionary=False)
    monkeypatch.setattr(verified_ranges, "AHEAD_BYTES", 10_000)
    entry = build_manifest(path, algorithm=shards_of(512)).entries[0]
    for _ in range(20):
        with ranges_verified(path, entry) as file:
            assert pq.ParquetFile(file, pre_buffer=False).read(use_threads=True).equals(table)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with ranges_verified(path, entry) as file:
        parquet = pq.ParquetFile(file, pre_buffer=False)
        with pytest.raises(DigestMismatch):
            parquet.read(use_threads=True)
    data[len(data) // 2] ^= 1
    data[-9] ^= 1  # in the footer
    path.write_bytes(data)
    with ranges_verified(path, entry) as file, pytest.raises(DigestMismatch):
        pq.ParquetFile(file, pre_buffer=False)
    assert threading.active_count() < 50

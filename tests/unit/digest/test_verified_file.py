"""Bytes are handed out only if they are the sealed ones, and only those that were hashed."""

import contextlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest import file_hash, verified_file
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.manifest import FileEntry, build_manifest
from sluicegate.digest.verified_file import read_verified, view_verified
from sluicegate.errors import ChangedDuringRead, DigestMismatch, UnreadableData, UnsafePath

CONTENT = b"label,text\n1,good\n"
ENTRY = FileEntry("data.csv", sha256_bytes(CONTENT), len(CONTENT))


BOTH = pytest.mark.parametrize("read", [read_verified, view_verified])


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "data.csv"
    file.write_bytes(CONTENT)
    return file


@BOTH
def test_sealed_bytes_are_returned(path, read):
    assert read(path, ENTRY) == CONTENT


@BOTH
def test_large_file_is_returned_whole(tmp_path, read):
    data = os.urandom(9 * 2**20 + 5)  # three parts, read ahead
    (tmp_path / "big").write_bytes(data)
    assert read(tmp_path / "big", FileEntry("big", sha256_bytes(data), len(data))) == data


@BOTH
def test_empty_file_is_returned(tmp_path, read):
    (tmp_path / "empty").touch()
    assert read(tmp_path / "empty", FileEntry("empty", sha256_bytes(b""), 0)) == b""


def test_view_cannot_be_written_to(path):
    with pytest.raises(TypeError):
        view_verified(path, ENTRY)[0] = 0


@pytest.mark.parametrize("position", [0, 5 * 2**20, 9 * 2**20])
def test_flipped_byte_in_any_part_is_a_digest_mismatch(tmp_path, position):
    data = bytearray(9 * 2**20 + 1)
    entry = FileEntry("big", sha256_bytes(data), len(data))
    data[position] = 1
    (tmp_path / "big").write_bytes(data)
    with pytest.raises(DigestMismatch):
        view_verified(tmp_path / "big", entry)


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_any_flipped_byte_is_a_digest_mismatch(tmp_path_factory, position, mask):
    data = bytearray(CONTENT)
    data[position] ^= mask
    path = tmp_path_factory.mktemp("flip") / "data.csv"
    path.write_bytes(data)
    with pytest.raises(DigestMismatch, match="not the file that was sealed"):
        read_verified(path, ENTRY)


def test_grown_file_is_refused_without_reading_it(path, monkeypatch):
    path.write_bytes(CONTENT + b"more")
    monkeypatch.setattr(verified_file, "_read_and_hash", None)
    with pytest.raises(DigestMismatch, match="expected 18 bytes, got 22 bytes"):
        read_verified(path, ENTRY)


@BOTH
def test_message_holds_no_content(path, read):
    path.write_bytes(b"label,text\n0,evil\n")
    with pytest.raises(DigestMismatch) as caught:
        read(path, ENTRY)
    assert "evil" not in str(caught.value)


@BOTH
def test_symlink_is_refused_even_to_the_right_bytes(path, read):
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(UnsafePath, match="symbolic link"):
        read(link, ENTRY)


def test_directory_is_refused(tmp_path):
    with pytest.raises(UnsafePath, match="directory"):
        read_verified(tmp_path, ENTRY)


def test_fifo_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsafePath, match="FIFO"):
        read_verified(tmp_path / "pipe", ENTRY)


def test_missing_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableData):
        read_verified(tmp_path / "missing", ENTRY)


def _during_first_read(monkeypatch, action):
    """Run an action after the first bytes were read, as a fast attacker would."""
    done = []

    def acting(original):
        def read(*arguments):
            result = original(*arguments)
            if not done:
                done.append(True)
                action()
            return result

        return read

    for name in ("read", "readv"):
        monkeypatch.setattr(os, name, acting(getattr(os, name)))


def _rewrite(path, data):
    def write():
        path.write_bytes(data)
        os.utime(path, ns=(1, 1))  # another mtime even within one tick of the clock

    return write


@BOTH
@pytest.mark.parametrize("data", [CONTENT, CONTENT[:-1], CONTENT + b"x", b""])
def test_file_written_during_the_read_is_refused(path, monkeypatch, data, read):
    _during_first_read(monkeypatch, _rewrite(path, data))
    with pytest.raises(ChangedDuringRead, match="changed while it was read"):
        read(path, ENTRY)


@pytest.mark.parametrize("data", [CONTENT, CONTENT[:-1], CONTENT + b"x"])
def test_file_written_during_sealing_is_refused(path, monkeypatch, data):
    _during_first_read(monkeypatch, _rewrite(path, data))
    with pytest.raises(ChangedDuringRead):
        build_manifest(path.parent)


@BOTH
def test_file_replaced_during_the_read_never_yields_other_bytes(path, monkeypatch, read):
    """Unlinking the sealed file touches its ctime; within one tick of the clock it may not."""
    other = path.with_name("other")
    other.write_bytes(b"x" * len(CONTENT))
    _during_first_read(monkeypatch, lambda: other.replace(path))
    with contextlib.suppress(ChangedDuringRead):
        assert read(path, ENTRY) == CONTENT
    with pytest.raises(DigestMismatch):
        read(path, ENTRY)


def test_file_that_vanishes_after_listing_is_a_change(tmp_path):
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(ChangedDuringRead, match="vanished"):
            file_hash.open_regular("gone", "gone", at=directory)
    finally:
        os.close(directory)


def test_read_error_is_unreadable(path, monkeypatch):
    def fail(_descriptor, _buffers):
        raise OSError(5, "Input/output error")

    for name in ("read", "readv"):
        monkeypatch.setattr(os, name, fail)
    with pytest.raises(UnreadableData, match="Input/output error"):
        read_verified(path, ENTRY)
    with pytest.raises(UnreadableData, match="Input/output error"):
        build_manifest(path.parent)

"""BLAKE3 is the published one, and a private copy is whole, bounded and nameless."""

from __future__ import annotations

import io
import os
import sys

import pytest

from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.digest.file_hash import hash_file
from sluicegate.digest.hashers import hasher_of
from sluicegate.digest.manifest import FileEntry, build_manifest
from sluicegate.digest.verified_copy import copy_stream, copy_verified
from sluicegate.digest.verified_file import read_verified
from sluicegate.errors import (
    ChangedDuringRead,
    ConfigError,
    DigestMismatch,
    UnreadableData,
    UnsafePath,
)


def test_blake3_of_nothing_and_of_much_are_the_published_digests(tmp_path):
    """First vector: BLAKE3 paper's test_vectors.json, input length 0."""
    blake3 = pytest.importorskip("blake3")
    (tmp_path / "empty").touch()
    empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert hash_file(tmp_path / "empty", "empty", "blake3") == (empty, 0)
    data = os.urandom(20_000_000)
    (tmp_path / "much").write_bytes(data)
    expected = (blake3.blake3(data).hexdigest(), len(data))
    assert hash_file(tmp_path / "much", "much", "blake3") == expected


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_what_is_no_file_is_refused(tmp_path, algorithm):
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(UnsafePath):
        hash_file(tmp_path / "link", "link", algorithm)
    with pytest.raises(UnreadableData):
        hash_file(tmp_path / "missing", "missing", algorithm)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha512", "BLAKE3", ""])
def test_other_hash_functions_are_refused(algorithm):
    with pytest.raises(ConfigError, match="cannot be hashed"):
        hasher_of(algorithm)


def test_missing_package_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "blake3", None)
    with pytest.raises(ConfigError, match=r"sluicegate\[blake3\]"):
        hasher_of("blake3")


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_verified_read_and_copy_recompute_the_sealed_algorithm(tmp_path, algorithm):
    path = tmp_path / "data.bin"
    path.write_bytes(os.urandom(3_000_000))
    entry = build_manifest(path, algorithm=algorithm).entries[0]
    assert entry.digest.algorithm == algorithm
    assert read_verified(path, entry) == path.read_bytes()
    with copy_verified(path, entry) as copy:
        assert copy.read() == path.read_bytes()
    # The digest of one algorithm never passes for the digest of the other.
    other = Digest({"sha256": "blake3", "blake3": "sha256"}[algorithm], entry.digest.hex)
    with pytest.raises(DigestMismatch):
        read_verified(path, FileEntry(entry.path, other, entry.size_bytes))


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(3_000_000))
    entry = build_manifest(path).entries[0]
    return path, entry


def test_copy_holds_the_bytes_and_has_no_name(sealed, tmp_path):
    path, entry = sealed
    before = set(tmp_path.iterdir())
    with copy_verified(path, entry, scratch=tmp_path) as copy:
        assert set(tmp_path.iterdir()) == before
        path.write_bytes(b"swapped after the check")
        assert sha256_bytes(copy.read()) == entry.digest


@pytest.mark.parametrize("data", [b"", b"x" * 3_000_000, b"x" * 3_000_001])
def test_other_bytes_are_refused_before_one_is_handed_out(sealed, data):
    path, entry = sealed
    path.write_bytes(data)
    with pytest.raises(DigestMismatch):
        copy_verified(path, entry)


def test_file_grown_during_the_copy_is_refused(sealed, monkeypatch):
    path, entry = sealed
    real = os.readv

    def grow(descriptor, buffers):
        n = real(descriptor, buffers)
        with path.open("ab") as file:
            file.write(b"x")
        return n

    monkeypatch.setattr("sluicegate.digest.verified_copy.os.readv", grow)
    with pytest.raises((ChangedDuringRead, DigestMismatch)):
        copy_verified(path, entry)


def test_file_swapped_in_place_during_the_copy_is_refused(sealed, monkeypatch):
    path, entry = sealed
    real, done = os.readv, []

    def swap(descriptor, buffers):
        n = real(descriptor, buffers)
        if not done:
            with path.open("r+b") as file:
                done.append(file.write(b"other"))
            os.utime(path, ns=(1, 1))  # another mtime even within one tick of the clock
        return n

    monkeypatch.setattr("sluicegate.digest.verified_copy.os.readv", swap)
    with pytest.raises((ChangedDuringRead, DigestMismatch)):
        copy_verified(path, entry)


def test_endless_stream_does_not_fill_the_disk():
    entry = FileEntry("x", Digest("sha256", "0" * 64), 10)
    asked = []

    def endless(view):
        asked.append(len(view))
        return len(view)

    with pytest.raises(DigestMismatch, match="got more"):
        copy_stream(endless, entry, "x")
    assert len(asked) == 1


def test_short_stream_is_refused():
    stream = io.BytesIO(b"abc")
    entry = FileEntry("x", sha256_bytes(b"abcd"), 4)
    with pytest.raises(DigestMismatch, match="3 bytes"):
        copy_stream(stream.readinto, entry, "x")

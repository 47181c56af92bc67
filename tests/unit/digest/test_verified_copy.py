"""A private copy is whole, bounded and nameless."""

from __future__ import annotations

import io
import os

import pytest

from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.digest.manifest import FileEntry, build_manifest
from sluicegate.digest.verified_copy import copy_stream, copy_verified
from sluicegate.digest.verified_file import read_verified
from sluicegate.errors import (
    ChangedDuringRead,
    DigestMismatch,
)


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

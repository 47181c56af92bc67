"""A file has the digest of its bytes: BLAKE3 is the published one, and no other is known."""

from __future__ import annotations

import os
import sys

import pytest

from sluicegate.digest.file_hash import hash_file
from sluicegate.digest.hashers import hasher_of
from sluicegate.errors import (
    ConfigError,
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

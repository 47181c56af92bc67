"""Shards of a file are hashed by any number of threads, and always say the same."""

import hashlib
import os
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest import scan, shards
from sluicegate.digest.algorithms import (
    Digest,
    content_digest,
    files_under,
    identity_name,
    shard_bytes,
    shards_of,
)
from sluicegate.digest.hashers import hasher_of
from sluicegate.digest.incremental import Known, ScanState
from sluicegate.digest.incremental import scan as scan_again
from sluicegate.digest.manifest import FileEntry, Manifest, build_manifest, verify_manifest
from sluicegate.digest.merkle_files import MerkleFiles
from sluicegate.digest.merkle_manifest import build_merkle, verify_files
from sluicegate.digest.shards import MAX_SHARDS, hash_shards, sharding
from sluicegate.errors import (
    ChangedDuringRead,
    DigestMismatch,
    MalformedEnvelope,
    ManifestMismatch,
    UnsafePath,
)

ALGORITHM = shards_of(10)


def by_hand(data, n_bytes):
    parts = [data[start : start + n_bytes] for start in range(0, len(data), n_bytes)]
    return "".join(hashlib.sha256(part).hexdigest() for part in parts)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "source"
    for path, data in {"a-b": b"x" * 25, "a/b": b"y" * 30, "empty": b"", "z": b"z"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


@pytest.fixture
def alone(monkeypatch):
    """Let all threads hash even the smallest file together."""
    monkeypatch.setattr(scan, "ALONE_FROM_BYTES", 1)
    monkeypatch.setattr(shards, "_SPAN_BYTES", 1)


@given(data=st.binary(max_size=200), n_bytes=st.integers(1, 70), cuts=st.lists(st.integers(0, 200)))
def test_a_hash_does_not_depend_on_how_the_bytes_come(data, n_bytes, cuts):
    hasher = hasher_of(shards_of(n_bytes))()
    ends = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(ends):
        hasher.update(memoryview(data)[start:end])
    assert hasher.hexdigest() == by_hand(data, n_bytes)


@given(
    data=st.binary(max_size=300),
    n_bytes=st.integers(1, 90),
    n_workers=st.integers(1, 4),
)
def test_threads_say_what_one_thread_says(tmp_path_factory, data, n_bytes, n_workers):
    path = tmp_path_factory.mktemp("shards") / "file"
    path.write_bytes(data)
    with path.open("rb") as file:
        found = hash_shards(file.fileno(), str(path), n_bytes, n_workers)
    assert found == (by_hand(data, n_bytes), len(data))


def test_a_manifest_is_the_same_for_any_threads(root, alone):
    expected = build_manifest(root, algorithm=ALGORITHM, workers=1)
    for n_workers in (2, 3, 7):
        assert build_manifest(root, algorithm=ALGORITHM, workers=n_workers) == expected


def test_a_manifest_is_the_same_however_a_file_is_read(root, monkeypatch):
    shared = build_manifest(root, algorithm=ALGORITHM)
    monkeypatch.setattr(scan, "ALONE_FROM_BYTES", 1)
    assert build_manifest(root, algorithm=ALGORITHM) == shared


def test_identity_covers_names_and_the_digest_of_each_files_shards(root):
    manifest = build_manifest(root, algorithm=ALGORITHM)
    lines = b"".join(
        b"%b  %b\n" % (content_digest(ALGORITHM, value).hex.encode(), path.encode())
        for path, value, _ in manifest.files
    )
    expected = Digest("dirHash1-shards-10", hashlib.sha256(lines).hexdigest())
    assert manifest.digest == expected
    (root / "empty").rename(root / "e")
    assert build_manifest(root, algorithm=ALGORITHM).digest != expected


def test_an_identity_names_the_length_of_a_shard(root):
    assert build_manifest(root, algorithm=shards_of(11)).digest.algorithm == "dirHash1-shards-11"
    assert files_under("dirHash1-shards-11") == shards_of(11)
    assert [shard_bytes(name) for name in ("sha256-shards-", "sha256-shards-01", "sha256")] == [
        0
    ] * 3
    assert [identity_name(name) for name in ("sha256-shards-0", "md5")] == [None, None]


@pytest.mark.parametrize("name", ["sha256-shards-0", "sha256-shards-x", "dirHash1-shards-", "md5"])
def test_an_unknown_shard_is_no_algorithm(name):
    with pytest.raises(MalformedEnvelope, match="unknown digest algorithm"):
        Digest(name, "00" * 32)


@pytest.mark.parametrize("position", [0, 9, 10, 24])
def test_one_flipped_byte_in_any_shard_is_found(root, position):
    manifest = build_manifest(root, algorithm=ALGORITHM)
    verify_manifest(root, manifest)
    data = bytearray((root / "a-b").read_bytes())
    data[position] ^= 1
    (root / "a-b").write_bytes(data)
    with pytest.raises(ManifestMismatch, match="changed 'a-b'"):
        verify_manifest(root, manifest)


def test_a_manifest_in_shards_survives_json(root):
    manifest = build_manifest(root, algorithm=ALGORITHM)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert Manifest.from_entries(list(manifest.entries)) == manifest


def test_a_file_with_a_shard_too_few_is_refused():
    with pytest.raises(MalformedEnvelope, match="digest in hex"):
        Manifest((("a", "00" * 32, 11),), ALGORITHM)


def test_a_path_with_a_colon_is_refused_before_a_byte_is_read(root):
    (root / "a:b").write_bytes(b"")
    with pytest.raises(UnsafePath, match="colon"):
        build_manifest(root, algorithm=ALGORITHM)


def test_a_file_that_grows_under_its_readers_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    real, once = shards._hash_range, threading.Lock()

    def grow(*arguments):
        if once.acquire(blocking=False):
            with path.open("ab") as file:
                file.write(b"y")
        return real(*arguments)

    monkeypatch.setattr(shards, "_hash_range", grow)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(ChangedDuringRead):
            hash_shards(descriptor, str(path), 10, 2)
    finally:
        os.close(descriptor)


def test_a_manifest_in_parts_holds_shards(root, tmp_path):
    kept = {}
    index = build_merkle(root, kept.__setitem__, algorithm=ALGORITHM)
    plain = build_manifest(root, algorithm=ALGORITHM)
    assert index.identity == plain.digest

    class Parts:
        part = staticmethod(kept.__getitem__)

    assert MerkleFiles(index, Parts()).manifest() == plain
    verify_files(root, index, kept.__getitem__, ["a-b"])
    (root / "a-b").write_bytes(b"x" * 24 + b"y")
    with pytest.raises(DigestMismatch):
        verify_files(root, index, kept.__getitem__, ["a-b"])


def test_an_unchanged_file_is_skipped_when_sealed_again(root):
    later = max(path.stat().st_ctime_ns for path in root.rglob("*")) + 10**11
    first = scan_again(root, None, now_ns=later, seed=b"1", algorithm=ALGORITHM)
    state = ScanState.from_json(first.state.to_json(), locator="state")
    again = scan_again(
        root, Known(first.manifest, state), now_ns=later, seed=b"2", sample=0, algorithm=ALGORITHM
    )
    assert (again.n_read, again.manifest) == (0, first.manifest)


def test_shards_grow_until_a_seal_holds_them():
    tebibyte = 1 << 40
    n_bytes = shard_bytes(sharding([tebibyte] * 3))
    assert 3 * tebibyte // n_bytes <= MAX_SHARDS < 6 * tebibyte // n_bytes
    assert shard_bytes(sharding([5], before=4096)) == 4096
    assert shard_bytes(sharding([tebibyte], before=4096)) > 4096


def test_many_small_files_do_not_make_shards_longer():
    assert shard_bytes(sharding([1] * 100_000)) == shards.SHARD_BYTES


def test_an_entry_holds_its_shards(root):
    entry = build_manifest(root, algorithm=ALGORITHM).entry("a-b")
    assert entry == FileEntry(
        "a-b",
        content_digest(ALGORITHM, entry.shards.hex()),
        25,
        bytes.fromhex(by_hand(b"x" * 25, 10)),
    )

"""A few files of a large source are verified without reading the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest import merkle_manifest
from sluicegate.digest.canonical import dumps, loads
from sluicegate.digest.manifest import build_manifest
from sluicegate.digest.merkle_manifest import MerkleManifest, build_merkle, verify_files
from sluicegate.errors import (
    BadProof,
    DigestMismatch,
    MalformedEnvelope,
    ManifestMismatch,
    UnsafePath,
)
from sluicegate.ledger import merkle

N = 300


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(merkle_manifest, "PART_FILES", 16)
    for number in range(N):
        path = tmp_path / "data" / f"d{number % 7}" / f"f{number:04}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    return tmp_path / "data"


@pytest.fixture
def built(root):
    parts: dict[int, bytes] = {}
    return build_merkle(root, parts.__setitem__), parts


def test_identity_is_that_of_the_plain_manifest(root, built):
    manifest, parts = built
    assert manifest.identity == build_manifest(root).digest
    assert (manifest.n_files, len(parts)) == (N, len(manifest.parts))


def test_root_is_the_tree_hash_of_rfc_6962(built):
    manifest, parts = built
    leaves = [merkle.leaf_hash(parts[n]) for n in range(len(parts))]
    nodes = [_subtree(leaves, node.level, node.index) for node in merkle.root_nodes(len(leaves))]
    assert manifest.root.raw == merkle.fold(nodes)


def _subtree(leaves, level, index):
    if level == 0:
        return leaves[index]
    return merkle.node_hash(
        _subtree(leaves, level - 1, 2 * index), _subtree(leaves, level - 1, 2 * index + 1)
    )


def test_index_round_trip(built):
    manifest, _ = built
    assert (
        MerkleManifest.from_json(loads(dumps(manifest.to_json()), locator="i"), locator="i")
        == manifest
    )


def test_ten_files_are_verified_without_reading_the_others(root, built):
    manifest, parts = built
    chosen = [f"d0/f{number:04}" for number in range(0, 70, 7)]
    for path in root.rglob("f*"):
        if path.is_file() and path.relative_to(root).as_posix() not in chosen:
            path.unlink()
    asked = []
    n_parts = verify_files(root, manifest, lambda n: (asked.append(n), parts[n])[1], chosen)
    assert n_parts == len(asked) <= 2


def test_changed_file_is_found_among_the_few(root, built):
    manifest, parts = built
    (root / "d0/f0000").write_bytes(b"x")
    with pytest.raises(DigestMismatch, match="d0/f0000"):
        verify_files(root, manifest, parts.__getitem__, ["d0/f0000"])
    assert verify_files(root, manifest, parts.__getitem__, ["d1/f0001"]) == 1


@pytest.mark.parametrize("path", ["a", "d0/f0001", "zzz", "d0/../d0/f0000"])
def test_path_that_was_not_sealed_is_refused(root, built, path):
    manifest, parts = built
    with pytest.raises(ManifestMismatch, match="not a sealed file"):
        verify_files(root, manifest, parts.__getitem__, [path])


def test_edited_part_is_refused(root, built):
    manifest, parts = built
    parts[0] = parts[0].replace(b'"size":1', b'"size":2', 1)
    with pytest.raises(BadProof, match="part 0"):
        verify_files(root, manifest, parts.__getitem__, ["d0/f0000"])


def test_parts_cannot_change_places(root, built):
    manifest, parts = built
    parts[0], parts[1] = parts[1], parts[0]
    with pytest.raises(BadProof):
        verify_files(root, manifest, parts.__getitem__, ["d0/f0000"])


def test_symlink_in_a_large_source_is_refused(root):
    (root / "d0/link").symlink_to(root / "d0/f0000")
    with pytest.raises(UnsafePath):
        build_merkle(root, lambda *_: None)


_KEYS = st.sampled_from(["type", "identity", "size", "parts", "first", "digest", "files"])
_JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner),
)


@given(_JSON)
def test_any_json_is_an_index_or_refused(value):
    with pytest.raises(MalformedEnvelope):
        MerkleManifest.from_json(value, locator="fuzz")

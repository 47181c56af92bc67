"""A manifest is the same for the same names and contents, and for nothing else."""

import contextlib
import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest import canonical
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.digest.manifest import FileEntry, Manifest, build_manifest, verify_manifest
from sluicegate.errors import (
    ConfigError,
    MalformedEnvelope,
    ManifestMismatch,
    SluicegateError,
    UnsafePath,
)

# The example of in-toto's digest_set.md: module go-hello-world v0.0.1 and its dirhash.
GO_HELLO = {
    "README.md": "3a137eef6458bfb76bb2c63fc29ffc7166604d2d2e09ed9d8250a534122a8364",
    "go.mod": "28e7c942a036902d981759d0bf5704d2bfc7cb500caf68b84711b234af01c6a5",
    "main.go": "ddc4da627d9a9f45fb29641a1b185d6f53287ecfd921aacbf4fe54b7a86fe8d1",
}
GO_HELLO_DIR_HASH = "2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f"

_NAME = st.text("abcXé-._= ", min_size=1, max_size=6).filter(lambda name: name not in {".", ".."})


def entry(path, content=b"x"):
    return FileEntry(path, sha256_bytes(content), len(content))


@st.composite
def manifests(draw):
    contents = draw(st.dictionaries(_NAME, st.binary(max_size=4), min_size=1, max_size=6))
    try:
        return Manifest.from_entries([entry(path, data) for path, data in contents.items()])
    except UnsafePath:
        return Manifest.from_entries([entry("fallback")])


@pytest.fixture
def root(tmp_path):
    source = tmp_path / "source"
    for path, content in {"a.csv": b"1", "a-b/x.csv": b"2", "a/x.csv": b"", "z": b"zz"}.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(content)
    return source


def test_dir_hash_is_that_of_the_in_toto_specification():
    prefix = "github.com/marklodato/go-hello-world@v0.0.1/"
    manifest = Manifest.from_entries(
        [FileEntry(prefix + name, Digest("sha256", hex_), 0) for name, hex_ in GO_HELLO.items()]
    )
    assert manifest.digest == Digest("dirHash1", GO_HELLO_DIR_HASH)


def test_dir_hash_is_that_of_the_specified_shell_command(root):
    command = "find . -type f | cut -c3- | LC_ALL=C sort | xargs -r sha256sum | sha256sum"
    printed = subprocess.run(
        ["bash", "-c", command], cwd=root, capture_output=True, check=True, text=True
    ).stdout
    assert build_manifest(root).digest.hex == printed.split()[0]


def test_manifest_unchanged_when_root_moved(root, tmp_path):
    before = build_manifest(root)
    moved = root.rename(tmp_path / "moved")
    assert build_manifest(moved) == before


def test_manifest_unchanged_by_number_of_threads(root):
    for number in range(300):
        (root / f"many-{number}").write_bytes(os.urandom(number))
    assert build_manifest(root, workers=1) == build_manifest(root, workers=7)


def test_entries_carry_digest_and_size(root):
    found = {item.path: item for item in build_manifest(root).entries}
    assert found["z"] == FileEntry("z", sha256_bytes(b"zz"), 2)
    assert found["a/x.csv"].size_bytes == 0
    assert build_manifest(root).size_bytes == 4


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20 + 7])
def test_large_file_has_the_digest_of_its_bytes(tmp_path, size):
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "big").write_bytes(data[:size])
    assert build_manifest(tmp_path).entries == (FileEntry("big", sha256_bytes(data[:size]), size),)


def test_sparse_file_is_read_as_zeros(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(5_000_000)
    expected = hashlib.sha256(bytes(5_000_000)).hexdigest()
    assert build_manifest(tmp_path).entries[0].digest.hex == expected


def test_single_file_has_one_entry_whatever_its_name(root):
    (root / "z").rename(root / "other")
    assert build_manifest(root / "other").entries == (FileEntry(".", sha256_bytes(b"zz"), 2),)


@given(manifests(), manifests())
def test_digest_equal_exactly_when_names_and_contents_are(one, other):
    same = [(e.path, e.digest) for e in one.entries] == [(e.path, e.digest) for e in other.entries]
    assert (one.digest == other.digest) == same


def test_model_signing_root_ignores_a_rename_and_dir_hash_does_not():
    one = Manifest.from_entries([entry("a", b"1"), entry("b", b"2")])
    renamed = Manifest.from_entries([entry("a", b"1"), entry("c", b"2")])
    assert one.oms_root == renamed.oms_root
    assert one.digest != renamed.digest


def test_model_signing_order_compares_components():
    manifest = Manifest.from_entries([entry("a-b"), entry("a/c"), entry("a.d/e")])
    assert [e.path for e in manifest.entries] == ["a-b", "a.d/e", "a/c"]
    assert [path for path, _, _ in manifest.oms_files()] == ["a/c", "a-b", "a.d/e"]


@given(manifests())
def test_manifest_written_then_read_is_unchanged(manifest):
    data = canonical.dumps(manifest.to_json())
    read = Manifest.from_json(canonical.loads(data, locator="x"))
    assert read == manifest
    assert canonical.dumps(read.to_json()) == data


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "algorithm", "files", "path", "digest", "size"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_any_value_is_read_or_refused_by_a_named_error(value):
    with contextlib.suppress(SluicegateError):
        Manifest.from_json(value)


def _json(**changes):
    value = Manifest.from_entries([entry("a"), entry("b")]).to_json()
    return {**value, **changes}


@pytest.mark.parametrize(
    "value",
    [
        _json(type="https://sluicegate.dev/manifest/v2"),
        _json(algorithm="md5"),
        _json(files={}),
        _json(files=[]),
        _json(extra=1),
        _json(files=[{"path": "a", "digest": "0" * 64}]),
        _json(files=[{"path": "a", "digest": "0" * 64, "size": True}]),
        _json(files=[{"path": "a", "digest": "0" * 64, "size": 1.0}]),
        _json(files=[{"path": "a", "digest": "0" * 64, "size": -1}]),
        _json(files=[{"path": "a", "digest": "0" * 64, "size": 1, "x": 1}]),
        _json(files=[{"path": "a", "digest": "0" * 63, "size": 1}]),
        _json(files=list(reversed(_json()["files"]))),
        None,
    ],
)
def test_other_json_is_refused(value):
    with pytest.raises(MalformedEnvelope):
        Manifest.from_json(value)


def test_path_listed_twice_is_refused():
    with pytest.raises(MalformedEnvelope, match=r"twice"):
        Manifest.from_json(_json(files=[_json()["files"][0]] * 2))


def test_unsafe_path_in_json_is_refused():
    with pytest.raises(UnsafePath):
        Manifest.from_json(_json(files=[{"path": "../a", "digest": "0" * 64, "size": 1}]))


@pytest.mark.parametrize("algorithm", ["dirHash1", "tableHash1-sha256-4096", "md5", ""])
def test_file_digest_of_another_algorithm_is_refused(algorithm):
    with pytest.raises(MalformedEnvelope, match="unknown algorithm"):
        Manifest((("a", "0" * 64, 1),), algorithm)


@pytest.mark.parametrize("value", ["0" * 63, "0" * 65, "A" * 64, "0" * 62 + " 1", "g" * 64, ""])
def test_digest_that_is_none_is_refused_among_others(value):
    good = "0" * 64
    with pytest.raises(MalformedEnvelope, match="needs a sha256 digest"):
        Manifest((("a", good, 1), ("b", value, 1), ("c", good, 1)))


def test_manifest_of_two_algorithms_is_refused():
    mixed = [
        FileEntry("a", Digest("sha256", "0" * 64), 1),
        FileEntry("b", Digest("blake3", "0" * 64), 1),
    ]
    with pytest.raises(MalformedEnvelope, match="mixes algorithms"):
        Manifest.from_entries(mixed)


def test_same_digests_under_another_algorithm_are_another_batch():
    files = (("a", "0" * 64, 1),)
    one, other = Manifest(files), Manifest(files, "blake3")
    assert one.digest.hex == other.digest.hex
    assert one.digest != other.digest
    assert (one.digest.algorithm, other.digest.algorithm) == ("dirHash1", "dirHash1-blake3")
    with pytest.raises(ConfigError, match="different algorithms"):
        one.diff(other)


def test_entry_is_found_by_path():
    manifest = Manifest.from_entries([entry("a"), entry("b")])
    assert manifest.entry("b") == entry("b")
    assert manifest.entry("c") is None


def test_unchanged_source_verifies(root):
    verify_manifest(root, build_manifest(root))


def test_mismatch_names_what_changed(root):
    manifest = build_manifest(root)
    (root / "a.csv").write_bytes(b"changed")
    (root / "z").rename(root / "y")
    (root / "new").write_bytes(b"new")
    (root / "a" / "x.csv").unlink()
    with pytest.raises(ManifestMismatch) as caught:
        verify_manifest(root, manifest)
    message = str(caught.value)
    assert "changed 'a.csv'; added 'new'; removed 'a/x.csv'; renamed 'z' to 'y'" in message
    assert manifest.digest.short in message
    assert manifest.digest.hex not in message


def test_relative_root_is_accepted(root, monkeypatch):
    monkeypatch.chdir(root)
    assert build_manifest(Path()) == build_manifest(root)

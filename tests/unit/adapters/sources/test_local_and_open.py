"""Every kind of file source gives the manifest of the same files."""

from __future__ import annotations

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.adapters.sources.local import GlobFiles, LocalFiles
from sluicegate.adapters.sources.object_store import StoreFiles
from sluicegate.adapters.sources.open import open_source
from sluicegate.adapters.sources.protocol import ByteSource
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import ConfigError, DigestMismatch, UnreadableData, UnsafePath


@pytest.fixture
def root(tmp_path):
    for name in ("a/x.csv", "a/y.txt", "b/deep/z.csv", "top.csv"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


def test_directory_through_any_door_has_one_digest(root):
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    memory.put(f"{root}/", "/one-digest/", recursive=True)
    opened = [
        open_source(root),
        open_source(f"file://{root}"),
        open_source("memory://one-digest", filesystem=memory),
        StoreFiles(fsspec.filesystem("file"), str(root), str(root)),
        open_source(f"glob:{root}/**"),
    ]
    assert all(isinstance(source, ByteSource) for source in opened)
    assert [source.manifest() for source in opened] == [build_manifest(root)] * len(opened)


def test_glob_seals_the_matching_files_only(root):
    source = open_source(f"{root}/**/*.csv")
    assert source.names() == ["a/x.csv", "b/deep/z.csv", "top.csv"]
    entries = source.manifest().entries
    assert [entry.path for entry in entries] == source.names()
    assert source.read_verified(entries[1]) == b"b/deep/z.csv"
    with source.copy_verified(entries[0]) as copy:
        assert copy.read() == b"a/x.csv"


def test_glob_locator_opens_the_same_source_again(root):
    source = open_source(f"{root}/*/*.csv")
    assert open_source(source.location) == source
    assert open_source(source.location).names() == ["a/x.csv"]


def test_star_does_not_cross_a_directory(root):
    assert open_source(f"{root}/*.csv").names() == ["top.csv"]


def test_existing_name_with_a_bracket_is_no_pattern(tmp_path):
    (tmp_path / "part[1].csv").write_text("x")
    assert isinstance(open_source(tmp_path / "part[1].csv"), LocalFiles)


def test_glob_without_a_match_could_not_be_checked(root):
    with pytest.raises(UnreadableData, match="no file matches"):
        open_source(f"glob:{root}/*.parquet").manifest()


@pytest.mark.parametrize("text", ["plain/path", "a/*/../../etc/*"])
def test_glob_that_is_none_or_climbs_is_refused(text):
    with pytest.raises(ConfigError):
        GlobFiles.parse(text)


def test_symlink_beside_the_matches_is_refused(root):
    (root / "link.txt").symlink_to(root / "top.csv")
    with pytest.raises(UnsafePath, match="symbolic link"):
        open_source(f"glob:{root}/*.csv").manifest()


def test_credentials_in_a_locator_are_refused_and_not_repeated():
    with pytest.raises(ConfigError) as caught:
        open_source("s3://user:hunter2@bucket/x")
    assert "hunter2" not in str(caught.value)


def test_unknown_protocol_is_called_wrongly():
    with pytest.raises(ConfigError, match="no file system"):
        open_source("nosuch://bucket/x")


def test_changed_file_is_refused_by_the_private_copy(root):
    source = open_source(root)
    entry = source.manifest().entry("top.csv")
    (root / "top.csv").write_text("TOP.csv")
    with pytest.raises(DigestMismatch):
        source.copy_verified(entry)


@given(
    st.dictionaries(
        st.text("abc=%+ é", min_size=1, max_size=8).filter(lambda n: n.strip("./ ")),
        st.binary(max_size=64),
        min_size=1,
        max_size=5,
    )
)
def test_store_and_disk_agree_on_any_files(tmp_path_factory, files):
    """A law: where the bytes lie is no part of a batch's identity."""
    root = tmp_path_factory.mktemp("law")
    for name, data in files.items():
        (root / name).write_bytes(data)
    stored = StoreFiles(fsspec.filesystem("file"), str(root), str(root))
    assert stored.manifest() == build_manifest(root)

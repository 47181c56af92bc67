"""The walk lists regular files and refuses everything else by name."""

import os
import shutil
import socket
from pathlib import Path

import pytest
from tests.support.capabilities import modes_hold

from sluicegate.digest.manifest import build_manifest
from sluicegate.digest.walk import open_directory, walk
from sluicegate.errors import UnreadableData, UnsafePath


@pytest.fixture
def root(tmp_path):
    source = tmp_path / "source"
    (source / "b").mkdir(parents=True)
    (source / "a.csv").write_bytes(b"1")
    (source / "b" / "c.csv").write_bytes(b"2")
    return source


def test_files_are_listed_sorted(root):
    (root / "a-b").write_bytes(b"")
    assert walk(root) == ["a-b", "a.csv", "b/c.csv"]


def test_single_file_is_listed_as_dot(root):
    assert walk(root / "a.csv") == ["."]


def test_empty_directories_do_not_show(root):
    (root / "empty").mkdir()
    assert walk(root) == ["a.csv", "b/c.csv"]


@pytest.mark.parametrize("target", ["a.csv", "b", "missing", "/etc"])
def test_symlink_inside_is_refused_by_name(root, target):
    (root / "b" / "link").symlink_to(target)
    with pytest.raises(UnsafePath, match=r"b/link.*symbolic link"):
        walk(root)


@pytest.mark.parametrize("target", ["source", "source/a.csv"])
def test_root_that_is_a_symlink_is_refused(root, target):
    link = root.parent / "link"
    link.symlink_to(target)
    with pytest.raises(UnsafePath, match="symbolic link"):
        build_manifest(link)


def test_symlink_above_the_root_is_followed(root):
    (root.parent / "data").symlink_to(root.parent)
    assert len(walk(root.parent / "data" / "source")) == 2


def test_fifo_is_refused_without_waiting_for_a_writer(root):
    os.mkfifo(root / "pipe")
    with pytest.raises(UnsafePath, match=r"pipe.*FIFO"):
        walk(root)
    with pytest.raises(UnsafePath, match="FIFO"):
        build_manifest(root / "pipe")


def test_socket_is_refused(root):
    with socket.socket(socket.AF_UNIX) as listener:
        # The path of a socket is limited to about 100 bytes.
        directory = os.open(root, os.O_RDONLY)
        try:
            listener.bind(f"/proc/self/fd/{directory}/s")
        finally:
            os.close(directory)
        with pytest.raises(UnsafePath, match="socket"):
            walk(root)


def test_device_is_refused():
    with pytest.raises(UnsafePath, match="character device"):
        build_manifest(Path("/dev/null"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"bad\xff", "not UTF-8"),
        (b"new\nline", "control"),
        ("e\u0301".encode(), "NFC"),
        (b"A.CSV", "differs only in case"),
    ],
)
def test_unsafe_file_name_is_refused(root, name, reason):
    (root / os.fsdecode(name)).write_bytes(b"")
    with pytest.raises(UnsafePath, match=reason):
        walk(root)


@pytest.mark.parametrize("name", [b"bad\xff", b"new\nline", "e\u0301".encode()])
def test_unsafe_directory_name_is_refused_even_if_empty(root, name):
    (root / os.fsdecode(name)).mkdir()
    with pytest.raises(UnsafePath):
        walk(root)


def test_directories_that_differ_only_in_case_are_refused(root):
    (root / "B").mkdir()
    (root / "B" / "other.csv").write_bytes(b"")
    with pytest.raises(UnsafePath, match="differs only in case"):
        walk(root)


def test_path_longer_than_other_tools_can_open_is_refused(root):
    previous = os.open(root, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("d" * 250, dir_fd=previous)
            child = os.open("d" * 250, os.O_RDONLY, dir_fd=previous)
            os.close(previous)
            previous = child
    finally:
        os.close(previous)
    with pytest.raises(UnsafePath, match="longer than 4096"):
        walk(root)


def test_missing_root_is_unreadable(tmp_path):
    with pytest.raises(UnreadableData, match="cannot be read"):
        walk(tmp_path / "missing")


def test_root_with_nul_is_unreadable(tmp_path):
    with pytest.raises(UnreadableData):
        walk(tmp_path / "a\0b")


def test_directory_without_a_file_is_unreadable(tmp_path):
    (tmp_path / "only" / "directories").mkdir(parents=True)
    with pytest.raises(UnreadableData, match="holds no file"):
        walk(tmp_path)


def test_directory_without_permission_is_unreadable(root):
    (root / "b").chmod(0)
    try:
        with modes_hold(), pytest.raises(UnreadableData, match="Permission denied"):
            walk(root)
    finally:
        (root / "b").chmod(0o700)


def test_file_without_permission_is_unreadable(root):
    (root / "a.csv").chmod(0)
    with modes_hold(), pytest.raises(UnreadableData, match=r"a\.csv.*Permission denied"):
        build_manifest(root)


def test_directory_swapped_for_a_symlink_after_listing_is_not_followed(root):
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "b" / "c.csv").unlink()
    (root / "b").rmdir()
    (root / "b").symlink_to(outside)
    with pytest.raises(UnsafePath, match="symbolic link"), open_directory(root, ("b",)):
        pass


def test_comb_deeper_than_the_kept_descriptors_is_listed_whole(root):
    """Every level has a way on and a way back that is taken after it."""
    where, expected = root, []
    for level in range(100):
        for side in ("a", "z"):
            (where / side).mkdir()
            (where / side / "f").touch()
            expected.append("/".join((*where.relative_to(root).parts, side, "f")))
        where /= "a" if level % 2 else "z"
    (root / "a.csv").unlink()
    shutil.rmtree(root / "b")
    before = _n_open()
    assert walk(root) == sorted(expected)
    assert _n_open() <= before  # others may close what they forgot meanwhile


def _n_open():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_are_closed_after_success_and_refusal(root):
    before = _n_open()
    walk(root)
    (root / "b" / "link").symlink_to("x")
    with pytest.raises(UnsafePath):
        build_manifest(root)
    with pytest.raises(UnsafePath), open_directory(root, ("b", "link")):
        pass
    assert _n_open() <= before  # others may close what they forgot meanwhile

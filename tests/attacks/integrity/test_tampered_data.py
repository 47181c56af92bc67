"""Data changed after it was sealed is refused, each change with its own cause."""

import hashlib
import os
import shutil

import pytest

from sluicegate.digest.verified_file import read_verified
from sluicegate.errors import (
    ChangedDuringRead,
    DigestMismatch,
    ManifestMismatch,
    UnreadableData,
    UnsafePath,
)

JAN, FEB = "2026/jan.csv", "2026/feb.csv"

# Two messages of one MD5: Wang, Feng, Lai and Yu 2004, "Collisions for hash functions MD4, MD5,
# HAVAL-128 and RIPEMD".
MD5_ONE = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
MD5_TWO = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e4888325f1415a085125e8f7cdc99fd91dbd7280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
)


def _flip(path, position, mask=1):
    data = bytearray(path.read_bytes())
    data[position] ^= mask
    path.write_bytes(data)


def _swap_names(source):
    (source / JAN).rename(source / "t")
    (source / FEB).rename(source / JAN)
    (source / "t").rename(source / FEB)


def _flip_label_and_restore_mtime(source):
    """What fooled DVC: same length, same mtime."""
    path = source / JAN
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"1,cat", b"1,dog"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_size == before.st_size


def test_untouched_data_passes(scene):
    assert [entry.path for entry in scene.verify().entries] == [FEB, JAN, "README"]


def test_moved_and_touched_data_passes(scene):
    scene.source = scene.source.rename(scene.source.with_name("elsewhere"))
    os.utime(scene.source / JAN, ns=(1, 1))
    (scene.source / "empty directory").mkdir()
    assert scene.verify()


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (lambda s: _flip(s / JAN, 0), f"changed '{JAN}'"),
        (lambda s: _flip(s / "README", -1, 128), "changed 'README'"),
        (_flip_label_and_restore_mtime, f"changed '{JAN}'"),
        (lambda s: (s / JAN).write_bytes(b""), f"changed '{JAN}'"),
        (lambda s: (s / JAN).write_bytes((s / JAN).read_bytes() * 2), f"changed '{JAN}'"),
        (lambda s: (s / JAN).rename(s / "2026" / "mar.csv"), f"renamed '{JAN}' to '2026/mar.csv'"),
        (_swap_names, f"changed '{FEB}', '{JAN}'"),
        (lambda s: (s / "2026" / "poison.csv").write_bytes(b"9,cat\n"), "added '2026/poison.csv'"),
        (lambda s: (s / "2026" / ".hidden").write_bytes(b""), "added '2026/.hidden'"),
        (lambda s: (s / FEB).unlink(), f"removed '{FEB}'"),
        (lambda s: shutil.rmtree(s / "2026"), f"removed '{FEB}', '{JAN}'"),
    ],
)
def test_changed_data_is_a_manifest_mismatch_that_names_it(scene, attack, named):
    attack(scene.source)
    with pytest.raises(ManifestMismatch) as caught:
        scene.verify()
    assert caught.value.code == "MANIFEST_MISMATCH"
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "attack",
    [
        lambda s: (s / "2026" / "link").symlink_to("/etc/passwd"),
        lambda s: ((s / JAN).rename(s / "j"), (s / JAN).symlink_to(s / "j")),
        lambda s: os.mkfifo(s / "2026" / "pipe"),
        lambda s: (s / "readme").write_bytes(b"flights\n"),
        lambda s: (s / "2026" / "jan.csv\n").write_bytes(b""),
        lambda s: (s.rename(s.with_name("moved")), s.symlink_to(s.with_name("moved"))),
    ],
)
def test_file_that_no_manifest_may_hold_is_an_unsafe_path(scene, attack):
    attack(scene.source)
    with pytest.raises(UnsafePath) as caught:
        scene.verify()
    assert caught.value.code == "UNSAFE_PATH"


@pytest.mark.parametrize(
    "attack",
    [
        shutil.rmtree,
        lambda s: (shutil.rmtree(s), s.mkdir()),
    ],
)
def test_data_that_is_gone_could_not_be_checked(scene, attack):
    attack(scene.source)
    with pytest.raises(UnreadableData) as caught:
        scene.verify()
    assert caught.value.code == "DATA_UNREADABLE"


def _swap_during(monkeypatch, action):
    done = []

    def acting(original):
        def read(*arguments):
            result = original(*arguments)
            if not done:
                done.append(action())
            return result

        return read

    for name in ("read", "readv"):
        monkeypatch.setattr(os, name, acting(getattr(os, name)))


def _overwrite(source):
    (source / JAN).write_bytes(b"id,label\n1,dog\n2,dog\n")
    os.utime(source / JAN, ns=(1, 1))


def test_write_during_the_verified_read_raises_in_the_read(scene, monkeypatch):
    entry = scene.verify().entry(JAN)
    _swap_during(monkeypatch, lambda: _overwrite(scene.source))
    with pytest.raises(ChangedDuringRead) as caught:
        read_verified(scene.source / JAN, entry)
    assert caught.value.code == "CHANGED_DURING_READ"


def test_write_between_verification_and_read_is_a_digest_mismatch(scene):
    """Time of check is not time of use anywhere else: model_signing misses this."""
    entry = scene.verify().entry(JAN)
    _overwrite(scene.source)
    with pytest.raises(DigestMismatch) as caught:
        read_verified(scene.source / JAN, entry)
    assert caught.value.code == "DIGEST_MISMATCH"


def test_write_during_sealing_is_refused(scene, monkeypatch):
    def overwrite_all():
        for path in (JAN, FEB, "README"):
            (scene.source / path).write_bytes(b"x" * 21)
            os.utime(scene.source / path, ns=(1, 1))

    _swap_during(monkeypatch, overwrite_all)
    with pytest.raises(ChangedDuringRead):
        scene.seal()


def test_file_of_the_same_md5_is_a_manifest_mismatch(scene):
    """What fooled DVC, whose only digest is MD5."""
    assert hashlib.md5(MD5_ONE).digest() == hashlib.md5(MD5_TWO).digest()
    (scene.source / JAN).write_bytes(MD5_ONE)
    scene.seal()
    assert scene.verify()
    (scene.source / JAN).write_bytes(MD5_TWO)
    with pytest.raises(ManifestMismatch):
        scene.verify()

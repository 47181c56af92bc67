"""A seal of a large source reads only what changed."""

from __future__ import annotations

import os
import time

import pytest
from tests.unit.digest.test_merkle_manifest import N, root  # noqa: F401 - a fixture

from sluicegate.digest.canonical import dumps, loads
from sluicegate.digest.incremental import STATE_TYPE, YOUNG_NS, Known, ScanState, scan
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import (
    ConfigError,
    DigestMismatch,
    MalformedEnvelope,
)

LATER = 10 * YOUNG_NS


def again(root, known=None, *, sample=0.0, seed=b"s", later=LATER):  # noqa: F811 - the fixture
    return scan(root, known, now_ns=time.time_ns() + later, seed=seed, sample=sample)


def known_of(done):
    return Known(done.manifest, done.state)


def test_unchanged_data_are_not_read_again(root):  # noqa: F811 - the fixture
    first = again(root)
    second = again(root, known_of(first))
    assert (first.n_read, second.n_read) == (N, 0)
    assert second.manifest == first.manifest == build_manifest(root)


def test_only_new_and_changed_files_are_read(root):  # noqa: F811 - the fixture
    first = again(root)
    (root / "d0/f0000").write_bytes(b"other")
    (root / "d0/new").write_bytes(b"new")
    (root / "d1/f0001").unlink()
    second = again(root, known_of(first))
    assert second.n_read == 2
    assert second.manifest == build_manifest(root)


def test_label_flip_with_restored_mtime_is_found_by_ctime(root):  # noqa: F811 - the fixture
    first = again(root)
    path = root / "d0/f0007"
    before = path.stat()
    path.write_bytes(b"8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = again(root, known_of(first))
    assert second.n_read == 1
    assert second.manifest.diff(first.manifest).changed == ("d0/f0007",)


def test_two_files_that_swapped_names_are_read(root):  # noqa: F811 - the fixture
    first = again(root)
    (root / "d0/f0000").rename(root / "d0/t")
    (root / "d0/f0007").rename(root / "d0/f0000")
    (root / "d0/t").rename(root / "d0/f0007")
    assert again(root, known_of(first)).manifest == build_manifest(root)


def test_young_files_are_read_again(root):  # noqa: F811 - the fixture
    first = again(root, later=0)
    assert first.state.stamps == {}
    assert again(root, known_of(first)).n_read == N


def test_write_that_the_file_system_does_not_show_is_found_by_the_sample(root):  # noqa: F811 - the fixture
    """Stamps of now under a manifest of before: what a writer to the raw device leaves."""
    before = build_manifest(root)
    (root / "d0/f0007").write_bytes(b"8")
    stamps = again(root).state.stamps
    hidden = Known(before, ScanState(before.digest, stamps))
    assert again(root, hidden).n_read == 0
    with pytest.raises(DigestMismatch, match="nobody wrote"):
        again(root, hidden, sample=1.0)


def test_sample_depends_on_its_seed_and_share(root):  # noqa: F811 - the fixture
    first = known_of(again(root))
    counts = {again(root, first, sample=0.1, seed=bytes([n])).n_read for n in range(5)}
    assert len(counts) > 1
    assert all(5 <= n <= 70 for n in counts)
    assert again(root, first, sample=1.0).n_read == N


def test_state_of_another_manifest_is_called_wrongly(root):  # noqa: F811 - the fixture
    first = again(root)
    (root / "d0/f0000").write_bytes(b"other")
    with pytest.raises(ConfigError):
        again(root, Known(build_manifest(root), first.state))


def test_state_round_trip(root):  # noqa: F811 - the fixture
    state = again(root).state
    assert ScanState.from_json(loads(dumps(state.to_json()), locator="s"), locator="s") == state


_STATE = {"type": STATE_TYPE, "manifest": "sha256:" + "0" * 64}


@pytest.mark.parametrize(
    "value", [{}, [], {"type": "x"}, {**_STATE, "stamps": {"a": [1, 2, 3, 4, True]}}]
)
def test_other_json_is_no_state(value):
    with pytest.raises(MalformedEnvelope):
        ScanState.from_json(value, locator="s")

"""Tallies lie in one place, and nothing else is read there."""

from __future__ import annotations

import pytest

from sluicegate.adapters import tally_store
from sluicegate.adapters.tally_store import TallyStore
from sluicegate.errors import ConfigError, EvidenceMissing, MalformedEnvelope, SystemTrouble


@pytest.fixture(params=["directory", "store"])
def store(request, tmp_path):
    place = str(tmp_path / "tallies") if request.param == "directory" else f"memory:/{tmp_path}"
    return TallyStore.open(place)


def test_what_is_written_is_read_again_and_may_be_written_again(store):
    for data in (b"head\nbody", b"head\nother"):
        location = store.write("src/a-b/0-2.tally", data)
        assert location == f"{store.place}/src/a-b/0-2.tally"
        assert store.read(location) == data
        assert store.head(location) == b"head"


def test_first_line_without_an_end_is_cut(store, monkeypatch):
    monkeypatch.setattr(tally_store, "MAX_HEAD_BYTES", 10)
    assert store.head(store.write("a.tally", b"x" * 99)) == b"x" * 11


def test_missing_and_oversized_tallies_are_refused(store, monkeypatch):
    with pytest.raises(EvidenceMissing, match="no such tally"):
        store.read(f"{store.place}/src/0-2.tally")
    location = store.write("a.tally", b"x" * 99)
    monkeypatch.setattr(tally_store, "MAX_BYTES", 98)
    with pytest.raises(MalformedEnvelope, match="too large"):
        store.read(location)


@pytest.mark.parametrize("location", ["/etc/passwd", "{0}", "{0}x/a", "{0}/../a", "", "s3://b/a"])
def test_nothing_outside_the_place_is_read(store, location):
    with pytest.raises(ConfigError, match="another place"):
        store.read(location.format(store.place))


@pytest.mark.parametrize("place", ["", "here", "s3://key:secret@bucket/x", "unknown://x"])
def test_place_that_is_none_is_refused(place):
    with pytest.raises(ConfigError) as caught:
        TallyStore.open(place)
    assert "secret" not in str(caught.value)


def test_store_that_does_not_answer_could_not_be_checked(tmp_path):
    store = TallyStore.open(str(tmp_path / "file"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SystemTrouble):
        store.write("a.tally", b"")

"""Croissant: what it promises is enforced, what we write is read back."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.adapters.sources.croissant import croissant_of, read_croissant, url_items
from sluicegate.adapters.sources.open import open_source
from sluicegate.adapters.sources.protocol import ByteSource
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import (
    DigestMismatch,
    MalformedEnvelope,
    SluicegateError,
    UnreadableData,
    UnsafePath,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
HEX = "ab" * 32


@pytest.fixture
def written(tmp_path):
    for name in ("month=04/a b.csv", "ü.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    manifest = build_manifest(tmp_path)
    document = croissant_of(manifest, name="flights", at=AT, license_url="https://l.example/cc0")
    (tmp_path / "croissant.json").write_text(json.dumps(document))
    return tmp_path, manifest


def test_written_croissant_opens_as_the_same_source(written):
    root, manifest = written
    source = open_source(f"croissant:{root}/croissant.json")
    assert isinstance(source, ByteSource)
    assert source.manifest() == manifest
    assert open_source(source.location) == source
    for entry in manifest.entries:
        assert source.read_verified(entry).decode() == entry.path


def test_file_that_differs_from_its_promise_is_refused(written):
    root, manifest = written
    source = open_source(f"croissant:{root}/croissant.json")
    (root / "ü.txt").write_text("u.txt")
    with pytest.raises(DigestMismatch, match="Croissant promises"):
        source.manifest()
    with pytest.raises(DigestMismatch):
        source.copy_verified(manifest.entry("ü.txt"))


def test_missing_file_or_document_could_not_be_checked(written):
    root, _ = written
    (root / "ü.txt").unlink()
    for path in (root / "croissant.json", root / "nothing.json"):
        with pytest.raises(UnreadableData):
            open_source(f"croissant:{path}").manifest()


def document(**part):
    file = {"@type": "cr:FileObject", "@id": "x", "contentUrl": "x.csv", "sha256": HEX}
    file.update(part)
    kept = {key: value for key, value in file.items() if value is not None}
    return json.dumps({"distribution": [kept]}).encode()


def test_archive_digest_covers_what_it_contains():
    parts = json.loads(document(contentUrl="https://h.example/a.zip"))["distribution"]
    parts.append({"@type": "cr:FileSet", "containedIn": {"@id": "x"}, "includes": "*.csv"})
    (file,) = read_croissant(json.dumps({"distribution": parts}).encode(), locator="c")
    (item,) = url_items((file,))
    assert (item.url, item.name, item.digest.hex) == ("https://h.example/a.zip", "a.zip", HEX)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"{}", "not a Croissant"),
        (b'{"distribution":[]}', "not a Croissant"),
        (document(sha256=None), "no sha256"),
        (document(sha256="ab"), "full length"),
        (document(**{"@type": "cr:FileSet"}), "set of files"),
        (document(**{"@type": "other"}), "not a FileObject"),
        (document(contentUrl="file:///etc/passwd"), "may not be fetched"),
        (b'{"distribution":[1]}', "not a Croissant"),
        (b'{"distribution":[],"distribution":[]}', "duplicate key"),
    ],
)
def test_what_is_not_promised_is_refused(data, what):
    with pytest.raises(MalformedEnvelope, match=what):
        read_croissant(data, locator="c.json")


@pytest.mark.parametrize("url", ["../secret", "/etc/passwd", "a/%2e%2e/b", "a%00b"])
def test_path_that_climbs_out_is_refused(url):
    with pytest.raises(UnsafePath):
        read_croissant(document(contentUrl=url), locator="c.json")


def test_files_on_the_web_need_a_snapshot_first(tmp_path):
    (tmp_path / "c.json").write_bytes(document(contentUrl="https://h.example/x.csv"))
    with pytest.raises(UnreadableData, match="snapshot"):
        open_source(f"croissant:{tmp_path}/c.json").names()


_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["@type", "@id", "contentUrl", "sha256", "containedIn"]),
            inner,
            max_size=4,
        )
    ),
)


@given(st.lists(_JSON, max_size=3))
def test_any_distribution_is_read_or_refused_by_us(parts):
    with suppress(SluicegateError):
        read_croissant(json.dumps({"distribution": parts}).encode(), locator="fuzz")

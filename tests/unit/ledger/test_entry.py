"""A leaf has one spelling, and no other text is a leaf."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest import canonical
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import ConfigError, MalformedEnvelope
from sluicegate.ledger.entry import MAX_LEAF_BYTES, Entry, Kind, LeafForm, is_source_name

hexes = st.text("0123456789abcdef", min_size=64, max_size=64)
entries = st.builds(
    Entry,
    kind=st.sampled_from(list(Kind)),
    source=st.text(min_size=1, max_size=255).filter(is_source_name),
    subject=st.builds(
        lambda algorithm, value: f"{algorithm}:{value}",
        st.sampled_from(["sha256", "dirHash1"]),
        hexes,
    ),
    envelope=hexes.map(lambda value: f"sha256:{value}"),
)
GOOD = Entry("seal", "flights", "dirHash1:" + "ab" * 32, "sha256:" + "cd" * 32)


@given(entries)
def test_leaf_is_canonical_json_of_its_fields(entry):
    fields = {
        "v": 1,
        "kind": str(entry.kind),
        "source": entry.source,
        "subject": entry.subject,
        "envelope": entry.envelope,
    }
    assert entry.to_bytes() == canonical.dumps(fields)


@given(entries)
def test_leaf_parses_back(entry):
    assert Entry.from_bytes(entry.to_bytes(), locator="test") == entry
    assert len(entry.to_bytes()) <= MAX_LEAF_BYTES


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_as_malformed(data):
    with pytest.raises(MalformedEnvelope):
        Entry.from_bytes(data, locator="test")


@given(st.integers(0, 10_000), st.binary(max_size=3))
def test_changed_leaf_is_another_leaf_or_malformed(place, patch):
    data = GOOD.to_bytes()
    place %= len(data)
    changed = data[:place] + patch + data[place + 1 :]
    try:
        entry = Entry.from_bytes(changed, locator="test")
    except MalformedEnvelope:
        return
    assert entry.to_bytes() == changed


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'"v":1', b'"v":2'),
        lambda text: text.replace(b'"v":1', b'"v":true'),
        lambda text: text.replace(b'"v":1', b'"v":1.0'),
        lambda text: text.replace(b'"v":1', b'"v":1,"w":1'),
        lambda text: text.replace(b',"v":1', b""),
        lambda text: text.replace(b"{", b"{ "),
        lambda text: text.replace(b'"flights"', b"7"),
        lambda text: text.replace(b'"flights"', b'"fl\\u0069ghts"'),
        lambda text: text.replace(b'"seal"', b'"note"'),
        lambda text: text.replace(b"dirHash1", b"md5"),
        lambda text: text + b"\n",
        lambda _: b"[]",
        lambda text: b" " * MAX_LEAF_BYTES + text,
    ],
)
def test_other_spelling_of_a_leaf_is_malformed(change):
    with pytest.raises(MalformedEnvelope):
        Entry.from_bytes(change(GOOD.to_bytes()), locator="test")


@pytest.mark.parametrize(
    "source", ["", " x", "x ", "a\nb", "a\x00b", "\ud800", "x" * 256, "e\u0301", "\u202egpj", 7]
)
def test_source_that_would_not_survive_a_log_is_refused(source):
    with pytest.raises(ConfigError, match=r"\[CONFIG\].*source name"):
        Entry("seal", source, GOOD.subject, GOOD.envelope)


def test_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="unknown kind"):
        Entry("sael", "flights", GOOD.subject, GOOD.envelope)


@pytest.mark.parametrize("envelope", ["dirHash1:" + "ab" * 32, "sha256:AB", "ab" * 32, ""])
def test_envelope_that_is_no_sha256_is_refused(envelope):
    with pytest.raises(MalformedEnvelope, match=r"\[MALFORMED\]"):
        Entry("seal", "flights", GOOD.subject, envelope)


def test_entry_of_bytes_names_their_digest():
    entry = Entry.of(Kind.VERDICT, "flights", Digest("dirHash1", "ab" * 32), b"x")
    assert entry.envelope == str(sha256_bytes(b"x"))
    assert entry.subject == "dirHash1:" + "ab" * 32


def test_leaf_form_writes_what_the_entry_writes():
    entry = Entry.of("seal", 'fl"ights \u00e9', "dirHash1:" + "ab" * 32, b"x")
    subject = b"dirHash1:" + bytes.fromhex("ab" * 32)
    digest = bytes.fromhex(entry.envelope.removeprefix("sha256:"))
    form = LeafForm("seal", entry.source)
    assert form.leaf(subject, digest) == entry.to_bytes()
    for wrong in (b"md5:" + bytes(16), b"sha256:" + bytes(31), b"", b"\xff:" + bytes(32)):
        with pytest.raises(MalformedEnvelope):
            form.leaf(wrong, digest)
    with pytest.raises(MalformedEnvelope):
        form.leaf(subject, digest[1:])
    with pytest.raises(ConfigError):
        LeafForm("sael", "flights")

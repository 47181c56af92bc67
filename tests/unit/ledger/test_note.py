"""Signed notes: one spelling, strict parsing, and whose signature counts."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluicegate.errors import BadSignature, ConfigError, MalformedEnvelope, UntrustedKey
from sluicegate.ledger.keys import Ed25519Verifier
from sluicegate.ledger.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    NoteSignature,
    SignedNote,
    VerifierKey,
    is_key_name,
    open_note,
    sign_text,
)

names = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="+"), min_size=1, max_size=40
).filter(is_key_name)
signatures = st.builds(
    NoteSignature,
    name=names,
    key_id=st.binary(min_size=4, max_size=4),
    signature=st.binary(min_size=1, max_size=80),
)
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(n) for n in range(32)])
    | st.just("\n"),
    max_size=100,
).map(lambda text: text + "\n")
notes = st.builds(
    SignedNote, text=texts, signatures=st.lists(signatures, min_size=1, max_size=16).map(tuple)
)


@given(notes)
@example(SignedNote("\n\n\n", (NoteSignature("a", b"1234", b"5"),)))
def test_note_parses_back(note):
    assert SignedNote.parse(note.to_bytes(), locator="test") == note


@given(st.binary(max_size=200))
def test_random_bytes_are_a_note_in_its_one_spelling_or_malformed(data):
    try:
        note = SignedNote.parse(data, locator="test")
    except MalformedEnvelope:
        return
    assert note.to_bytes() == data


@given(notes, st.integers(0, 10_000), st.binary(max_size=3))
def test_changed_note_has_one_spelling_or_is_malformed(note, place, patch):
    data = note.to_bytes()
    place %= len(data)
    changed = data[:place] + patch + data[place + 1 :]
    with suppress(MalformedEnvelope):
        assert SignedNote.parse(changed, locator="test").to_bytes() == changed


LINE = b"\xe2\x80\x94 example.com/a " + base64.b64encode(b"1234" + bytes(64)) + b"\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n" + LINE[:-1],
        b"text\n" + LINE,
        b"text\n\n" + LINE + b"\n",
        b"text\n\n" + LINE.replace(b"\xe2\x80\x94", b"-"),
        b"text\n\n" + LINE.replace(b"example.com/a", b"a b"),
        b"text\n\n" + LINE.replace(b"example.com/a", b"a+b"),
        b"text\n\n" + LINE.replace(b" example.com/a", b""),
        b"text\n\n" + LINE.replace(b"example", "ex\u00a0ample".encode()),
        b"text\n\n" + LINE.replace(b"=\n", b"\n"),
        b"text\n\n" + b"\xe2\x80\x94 a MTIzNA==\n",
        b"text\n\n" + b"\xe2\x80\x94 a MTIzNDU2Nx==\n",
        b"te\txt\n\n" + LINE,
        b"te\r\n\n" + LINE,
        b"te\x00xt\n\n" + LINE,
        b"te\xffxt\n\n" + LINE,
        b"text\n\n" + LINE * (MAX_SIGNATURES + 1),
        b"x" * MAX_NOTE_BYTES + b"\n\n" + LINE,
    ],
)
def test_what_is_not_a_note_is_malformed(data):
    with pytest.raises(MalformedEnvelope, match=r"\[MALFORMED\] test"):
        SignedNote.parse(data, locator="test")


def test_signed_text_opens(signer, verifier):
    note = sign_text("hello\n\nworld\n", [signer]).to_bytes()
    assert open_note(note, [verifier], locator="test").text == "hello\n\nworld\n"


def test_signatures_of_unknown_keys_are_ignored(signer, other_signer, verifier):
    note = sign_text("hello\n", [other_signer, signer])
    assert open_note(note.to_bytes(), [verifier], locator="test") == note


def test_note_of_an_unknown_key_is_untrusted(other_signer, verifier):
    note = sign_text("hello\n", [other_signer]).to_bytes()
    with pytest.raises(UntrustedKey, match=r"\[UNTRUSTED_KEY\]"):
        open_note(note, [verifier], locator="test")


def test_note_opened_without_any_key_is_untrusted(signer):
    note = sign_text("hello\n", [signer]).to_bytes()
    with pytest.raises(UntrustedKey):
        open_note(note, [], locator="test")


def test_key_of_the_same_bytes_under_another_name_is_untrusted(signer):
    note = sign_text("hello\n", [signer]).to_bytes()
    with pytest.raises(UntrustedKey):
        open_note(note, [Ed25519Verifier("example.com/b", signer.public_key)], locator="test")


def test_edited_text_has_a_bad_signature(signer, verifier):
    note = sign_text("hello\n", [signer]).to_bytes().replace(b"hello", b"jello")
    with pytest.raises(BadSignature, match=r"\[BAD_SIGNATURE\]"):
        open_note(note, [verifier], locator="test")


def test_one_bad_signature_of_a_known_key_rejects_the_note(signer, verifier):
    good = sign_text("hello\n", [signer])
    line = good.signatures[0]
    bad = NoteSignature(line.name, line.key_id, bytes(64))
    with pytest.raises(BadSignature):
        open_note(SignedNote("hello\n", (line, bad)).to_bytes(), [verifier], locator="test")


@pytest.mark.parametrize("text", ["no newline", "tab\t\n", "null\x00\n", ""])
def test_text_that_cannot_be_a_note_is_not_signed(text, signer):
    with pytest.raises(ConfigError, match="cannot be signed"):
        sign_text(text, [signer])


def test_note_without_signer_is_refused():
    with pytest.raises(ConfigError, match="signer"):
        sign_text("text\n", [])


@given(names, st.binary(min_size=32, max_size=32))
def test_verifier_key_parses_back(name, raw):
    key = VerifierKey(name, raw)
    assert VerifierKey.parse(str(key), locator="test") == key


KEY = str(VerifierKey("example.com/a", bytes(32)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/a",
        KEY + "\n",
        KEY.upper(),
        KEY.replace("example", "sample"),
        KEY.replace("+", "++", 1),
        f"example.com/a+00000000+{base64.b64encode(bytes([1]) + bytes(32)).decode()}",
        f"example.com/a+00000000+{base64.b64encode(bytes([4]) + bytes(32)).decode()}",
        f"example.com/a+00000000+{base64.b64encode(bytes([1]) + bytes(31)).decode()}",
    ],
)
def test_what_is_not_a_verifier_key_is_malformed(text):
    with pytest.raises(MalformedEnvelope):
        VerifierKey.parse(text, locator="test")


@given(st.text(max_size=120))
def test_random_text_is_no_verifier_key(text):
    with pytest.raises(MalformedEnvelope):
        VerifierKey.parse(text, locator="test")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb"])
def test_key_name_that_cannot_stand_in_a_note_is_refused(name):
    with pytest.raises(ConfigError, match="key name"):
        VerifierKey(name, bytes(32))


def test_key_of_another_length_is_refused():
    with pytest.raises(ConfigError, match="32 bytes"):
        VerifierKey("a", bytes(31))

"""A digest's text says which algorithm, and nothing unknown can be written down."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import MalformedEnvelope


@given(st.sampled_from(["sha256", "dirHash1"]), st.binary(min_size=32, max_size=32))
def test_digest_printed_then_parsed_is_unchanged(algorithm, raw):
    digest = Digest(algorithm, raw.hex())
    assert Digest.parse(str(digest)) == digest
    assert digest.raw == raw


@given(st.text(max_size=100))
def test_any_text_is_parsed_to_itself_or_refused(text):
    with contextlib.suppress(MalformedEnvelope):
        assert str(Digest.parse(text)) == text


def test_sha256_of_bytes_is_that_of_hashlib():
    assert sha256_bytes(memoryview(b"abc")).hex == hashlib.sha256(b"abc").hexdigest()


def test_short_form_has_twelve_digits():
    assert sha256_bytes(b"abc").short == "ba7816bf8f01"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("md5:" + "0" * 32, "unknown digest algorithm"),
        ("SHA256:" + "0" * 64, "unknown digest algorithm"),
        (":" + "0" * 64, "unknown digest algorithm"),
        ("0" * 64, "no algorithm"),
        ("", "no algorithm"),
        ("sha256:" + "A" * 64, "lower-case hexadecimal"),
        ("sha256:" + "0" * 63, "lower-case hexadecimal"),
        ("sha256:" + "0" * 64 + "\n", "lower-case hexadecimal"),
        ("sha256:" + "\u0660" * 64, "lower-case hexadecimal"),
    ],
)
def test_other_text_is_refused(text, reason):
    with pytest.raises(MalformedEnvelope, match=reason):
        Digest.parse(text)

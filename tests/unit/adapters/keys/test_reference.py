"""A text is shown as a place of a key only if it can be no key."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.adapters.keys.reference import REMOTE_SCHEMES, may_be_key, reference_in
from sluicegate.attest.secret import Secret
from sluicegate.errors import ConfigError

ENCODINGS = {
    "base64": lambda raw: base64.b64encode(raw).decode(),
    "base64url": lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
    "base32": lambda raw: base64.b32encode(raw).decode().rstrip("="),
    "hex": bytes.hex,
    "HEX": lambda raw: raw.hex().upper(),
}
PREFIXES = (
    "", "/", "./", "~/", "file:", "file:/", "FILE:", "env:", "store:", "hsm:", "awskms:x?k=",
    "vault:", "https://u:", "a.pem,", "key=",
)  # fmt: skip


@given(
    st.binary(min_size=32, max_size=200),
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from(PREFIXES),
    st.sampled_from(("", "\n", "#pub.pem", "@host", " ")),
)
def test_no_piece_of_a_key_is_in_place_or_message(raw, encoding, prefix, suffix):
    encoded = ENCODINGS[encoding](raw)
    held = Secret(prefix + encoded + suffix, "setting")
    try:
        found = reference_in(held, ("env", "store"))
        said = f"{found.place}{found!r}"
    except ConfigError as error:
        said = f"{error}{error.to_dict()}"
    pieces = {encoded[i : i + 8] for i in range(len(encoded) - 7)}
    assert not {piece for piece in pieces if piece in said}


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_refused(text):
    try:
        known = reference_in(Secret(text, "setting"), ("env",)).scheme
    except ConfigError as error:
        known = error.locator
    assert known in {"setting", "file", "env", *REMOTE_SCHEMES}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("keys/gate.pem", "keys/gate.pem"),
        ("file:/srv/keys/gate.key", "/srv/keys/gate.key"),
        ("/Users/Jane Doe/gate.PEM", "/Users/Jane Doe/gate.PEM"),
        ("env:GATE_KEY_2", "env:GATE_KEY_2"),
        ("store:team-a.gate", "store:team-a.gate"),
        ("store:TeamGate", "store:(not shown)"),
        ("hsm:01?label=gate&pin-value=1234", "hsm: key"),
    ],
)
def test_usual_references_are_shown(text, place):
    assert reference_in(Secret(text, "setting"), ("env", "store")).place == place


def test_file_that_is_there_is_a_path_whatever_its_name(tmp_path):
    odd = tmp_path / "AbCdEf0123456789AbCdEf0123456789"
    with pytest.raises(ConfigError, match="neither a key nor a place"):
        reference_in(Secret(str(odd), "setting"), ())
    assert may_be_key(odd / "x")
    odd.touch()
    assert reference_in(Secret(str(odd), "setting"), ()).place == str(odd)
    assert not may_be_key(Path("/srv/gate/remembered"))

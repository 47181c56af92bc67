"""A text that holds exactly one private key is that key, however it was pasted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.key_spellings import accepted, fixed_key, refused

from sluicegate.attest.key_text import looks_like, private_key_in
from sluicegate.attest.keys import Algorithm, generate, load_signer
from sluicegate.errors import ConfigError

KEY = fixed_key()
PEM = KEY.private_pem().decode()
KINDS = {
    "nothing",
    "several private keys",
    "a private key that is cut off",
    "a public key",
    "a certificate",
    "another PEM",
    "JSON",
    "hexadecimal digits",
    "other text",
}


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_every_right_spelling_is_the_same_key(algorithm):
    signer = generate(algorithm)
    for how, text in accepted(signer.private_pem().decode()).items():
        found = load_signer(text.encode(), locator="x")
        assert found.public_key == signer.public_key, how


@pytest.mark.parametrize("passphrase", [b"secret", None])
def test_encrypted_key_on_one_line_is_found_too(passphrase):
    pem = KEY.private_pem(b"secret").replace(b"\n", b" ")
    if passphrase:
        assert load_signer(pem, locator="x", passphrase=passphrase).public_key == KEY.public_key
    else:
        with pytest.raises(ConfigError, match="needs a passphrase"):
            load_signer(pem, locator="x")


def test_file_of_windows_and_of_bytes_hold_the_key():
    assert load_signer(PEM.encode("utf-16"), locator="x").public_key == KEY.public_key
    der = private_key_in(accepted(PEM)["base64 of DER"].encode())
    assert load_signer(der, locator="x").public_key == KEY.public_key


@pytest.mark.parametrize("how", refused(PEM))
def test_wrong_spelling_is_refused_by_kind_alone(how):
    text = refused(PEM)[how].encode()
    assert looks_like(text) in KINDS
    with pytest.raises(ConfigError):
        load_signer(text, locator="x")


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()))
def test_any_text_has_a_kind_and_a_found_key_is_found_again(raw):
    assert looks_like(raw) in KINDS
    found = private_key_in(raw)
    assert found is None or private_key_in(found) == found

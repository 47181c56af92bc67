"""Keys of any origin under a ledger's name; never another algorithm's."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, x25519

from sluicegate.errors import BadSignature, ConfigError
from sluicegate.ledger.keys import (
    Ed25519Verifier,
    default_origin,
    raw_public_key,
    raw_witness_key,
    signer_of,
    verifier_of,
)

PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)


class Key:
    """What attest's public keys look like from here."""

    def __init__(self, public) -> None:
        self._public = public

    def to_pem(self) -> bytes:
        return self._public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def verify(self, signature, data) -> None:
        raise NotImplementedError


class Signer:
    """What attest's signers look like from here."""

    public_key = Key(PRIVATE.public_key())

    def sign(self, data: bytes) -> bytes:
        return PRIVATE.sign(data)


def test_raw_key_is_read_from_pem():
    assert raw_public_key(Key(PRIVATE.public_key())) == PRIVATE.public_key().public_bytes_raw()


@pytest.mark.parametrize(
    "private",
    [PRIVATE, mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes([7]) * 32)],
    ids=["Ed25519", "ML-DSA-44"],
)
def test_raw_key_of_a_witness_is_read_from_pem(private):
    public = private.public_key()
    assert raw_witness_key(Key(public)) == public.public_bytes_raw()


@pytest.mark.parametrize(
    "private",
    [
        mldsa.MLDSA65PrivateKey.from_seed_bytes(bytes([7]) * 32),
        ec.derive_private_key(7, ec.SECP256R1()),
        x25519.X25519PrivateKey.from_private_bytes(bytes([7]) * 32),
    ],
    ids=["ML-DSA-65", "P-256", "X25519"],
)
def test_key_of_another_kind_cannot_witness(private):
    with pytest.raises(ConfigError, match=r"\[CONFIG\].*Ed25519 or ML-DSA-44"):
        raw_witness_key(Key(private.public_key()))


def test_raw_key_is_read_from_pem_with_other_line_ends():
    key = Key(PRIVATE.public_key())
    pem = key.to_pem()
    key.to_pem = lambda: pem.replace(b"\n", b"\r\n")
    assert raw_public_key(key) == PRIVATE.public_key().public_bytes_raw()


@pytest.mark.parametrize(
    "private",
    [
        ec.generate_private_key(ec.SECP256R1()),
        x25519.X25519PrivateKey.from_private_bytes(bytes(32)),
    ],
    ids=["ecdsa", "x25519"],
)
def test_key_of_another_algorithm_is_refused(private):
    with pytest.raises(ConfigError, match=r"Ed25519.*keygen"):
        raw_public_key(Key(private.public_key()))


@pytest.mark.parametrize("pem", [b"", b"\xff", b"-----BEGIN PUBLIC KEY-----"])
def test_text_that_is_no_key_is_refused(pem):
    key = Key(None)
    key.to_pem = lambda: pem
    with pytest.raises(ConfigError, match="Ed25519"):
        raw_public_key(key)


def test_damaged_pem_is_refused():
    key = Key(PRIVATE.public_key())
    pem = key.to_pem()
    key.to_pem = lambda: pem.replace(b"MCow", b"M!ow")
    with pytest.raises(ConfigError, match="Ed25519"):
        raw_public_key(key)


def test_raw_key_of_another_length_is_refused():
    with pytest.raises(ConfigError, match="Ed25519"):
        raw_public_key(bytes(31))


def test_signer_of_a_pem_key_verifies_under_the_same_name():
    signer = signer_of(Signer(), "example.com/a")
    verifier = verifier_of(Signer.public_key, "example.com/a")
    verifier.verify(signer.sign(b"data"), b"data")
    assert (signer.name, signer.public_key) == (verifier.name, verifier.public_key)


def test_wrong_signature_is_refused():
    verifier = Ed25519Verifier("example.com/a", PRIVATE.public_key().public_bytes_raw())
    for signature in (PRIVATE.sign(b"other"), b"", bytes(64)):
        with pytest.raises(BadSignature, match=r"\[BAD_SIGNATURE\] example.com/a"):
            verifier.verify(signature, b"data")


def test_signer_never_prints_its_key():
    text = repr(signer_of(Signer(), "example.com/a"))
    assert "sign" not in text.replace("CallableSigner", "")


def test_origin_chosen_from_the_key_can_stand_in_a_note():
    raw = PRIVATE.public_key().public_bytes_raw()
    assert Ed25519Verifier(default_origin(raw), raw).vkey.startswith("sluicegate.dev/ledger/")

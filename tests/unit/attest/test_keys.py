"""Keys sign and verify, and a private key cannot leave by accident."""

import contextlib
import copy
import logging
import os
import pickle
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.attest.keys import (
    Algorithm,
    Signer,
    generate,
    load_public_key,
    load_signer,
    read_signer,
    write_key_pair,
)
from sluicegate.errors import BadSignature, ConfigError

ALGORITHMS = list(Algorithm)


def _pem(private_key, encryption=None):
    return private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        encryption or serialization.NoEncryption(),
    )


def _public_pem(private_key):
    return private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signature_verifies_over_the_same_bytes_only(signers, algorithm):
    signer = signers[algorithm]
    signature = signer.sign(b"data")
    signer.public_key.verify(signature, b"data")
    with pytest.raises(BadSignature, match="does not match the signed bytes"):
        signer.public_key.verify(signature, b"Data")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(position=st.integers(0, 10_000), mask=st.integers(1, 255))
def test_changed_signature_is_bad(signers, algorithm, position, mask):
    signer = signers[algorithm]
    signature = bytearray(signer.sign(b"data"))
    signature[position % len(signature)] ^= mask
    with pytest.raises(BadSignature):
        signer.public_key.verify(bytes(signature), b"data")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(signature=st.binary(max_size=200))
def test_arbitrary_bytes_are_a_bad_signature(signers, algorithm, signature):
    with pytest.raises(BadSignature):
        signers[algorithm].public_key.verify(signature, b"data")


def test_signature_of_another_key_is_bad(p256, other_p256):
    with pytest.raises(BadSignature):
        other_p256.public_key.verify(p256.sign(b"data"), b"data")


@pytest.mark.parametrize("algorithm", [Algorithm.ECDSA_P256, Algorithm.ED25519])
def test_classical_signature_is_the_same_each_time(signers, algorithm):
    assert signers[algorithm].sign(b"data") == signers[algorithm].sign(b"data")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_generated_key_survives_its_files(tmp_path, algorithm):
    signer = generate(algorithm)
    private, public = write_key_pair(signer, tmp_path / "new")
    assert read_signer(private).public_key == signer.public_key
    assert load_public_key(public.read_bytes(), locator="x") == signer.public_key
    assert signer.public_key.algorithm is algorithm


def test_key_id_is_the_digest_of_the_canonical_pem(p256):
    pem = p256.public_key.to_pem()
    noisy = b"# comment\n" + pem.replace(b"\n", b"\r\n") + b"\n\n"
    assert load_public_key(noisy, locator="x").key_id == p256.public_key.key_id
    assert len(p256.public_key.key_id) == 64


def _secrets(signer):
    key = signer._private_key
    lines = signer.private_pem().decode().splitlines()[1:-1]
    numbers = [str(key.private_numbers().private_value)] if hasattr(key, "curve") else []
    return lines + numbers


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_private_key_shows_in_no_text(caplog, algorithm):
    signer = generate(algorithm)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("x").info("%s %r", signer, signer)
    texts = [str(signer), repr(signer), f"{signer}", caplog.text, repr([signer])]
    assert not any(secret in text for secret in _secrets(signer) for text in texts)


@pytest.mark.parametrize("action", [pickle.dumps, copy.copy, copy.deepcopy])
def test_private_key_cannot_be_pickled_or_copied(p256, action):
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        action(p256)


def test_private_key_has_no_attribute_dictionary(p256):
    assert not hasattr(p256, "__dict__")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_encrypted_key_needs_its_passphrase(tmp_path, algorithm):
    signer = generate(algorithm)
    private, _ = write_key_pair(signer, tmp_path, passphrase=b"correct")
    assert b"ENCRYPTED" in private.read_bytes()
    assert read_signer(private, passphrase=b"correct").public_key == signer.public_key
    with pytest.raises(ConfigError, match="needs a passphrase"):
        read_signer(private)
    with pytest.raises(ConfigError, match="passphrase is wrong"):
        read_signer(private, passphrase=b"wrong")


def test_superfluous_passphrase_is_refused(p256):
    with pytest.raises(ConfigError, match="passphrase"):
        load_signer(p256.private_pem(), locator="x", passphrase=b"secret-word")


@pytest.mark.parametrize(
    "private_key",
    [
        ec.derive_private_key(5, ec.SECP384R1()),
        ec.derive_private_key(5, ec.SECP256K1()),
        ed448.Ed448PrivateKey.from_private_bytes(b"\x01" * 57),
        rsa.generate_private_key(65537, 2048),
        mldsa.MLDSA87PrivateKey.from_seed_bytes(b"\x01" * 32),
    ],
    ids=lambda key: type(key).__name__,
)
def test_other_kind_of_key_is_refused(private_key):
    with pytest.raises(ConfigError, match="kind of key is not supported"):
        load_signer(_pem(private_key), locator="x")
    with pytest.raises(ConfigError, match="kind of key is not supported"):
        load_public_key(_public_pem(private_key), locator="x")


def test_private_key_given_as_public_is_refused_without_quoting_it(p256):
    pem = p256.private_pem()
    with pytest.raises(ConfigError, match="is a private key") as caught:
        load_public_key(pem, locator="pub.pem")
    assert not any(secret in str(caught.value) for secret in _secrets(p256))


def test_public_key_given_as_private_is_refused(p256):
    with pytest.raises(ConfigError, match="is not a private key"):
        load_signer(p256.public_key.to_pem(), locator="x")


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_key(data):
    with pytest.raises(ConfigError):
        load_public_key(data, locator="x")
    with pytest.raises(ConfigError):
        load_signer(data, locator="x")


@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_changed_pem_is_a_key_or_refused(p256, position, byte):
    pem = bytearray(p256.public_key.to_pem())
    pem[position % len(pem)] = byte
    with contextlib.suppress(ConfigError):
        load_public_key(bytes(pem), locator="x")


def test_oversized_file_is_no_key(tmp_path):
    (tmp_path / "k").write_bytes(b"x" * 100_000)
    (tmp_path / "k").chmod(0o600)
    with pytest.raises(ConfigError, match="too large"):
        read_signer(tmp_path / "k")


def test_key_file_is_written_for_its_owner_only(tmp_path, p256):
    previous = os.umask(0)
    try:
        private, public = write_key_pair(p256, tmp_path / "keys")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


@pytest.mark.parametrize("existing", ["key.pem", "key.pub.pem"])
def test_key_is_never_overwritten(tmp_path, p256, existing):
    (tmp_path / existing).write_text("precious")
    with pytest.raises(ConfigError, match="already holds a key"):
        write_key_pair(p256, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [existing]
    assert (tmp_path / existing).read_text() == "precious"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620, 0o601])
def test_key_file_open_to_others_is_refused(tmp_path, p256, mode):
    private, _ = write_key_pair(p256, tmp_path)
    private.chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}.*chmod 600"):
        read_signer(private)


def test_key_file_behind_a_symlink_is_read_with_the_targets_mode(tmp_path, p256):
    private, _ = write_key_pair(p256, tmp_path / "keys")
    link = tmp_path / "link.pem"
    link.symlink_to(private)
    assert read_signer(link).public_key == p256.public_key
    private.chmod(0o644)
    with pytest.raises(ConfigError, match="accessible to others"):
        read_signer(link)


@pytest.mark.parametrize("make", [lambda path: None, os.mkdir, os.mkfifo])
def test_key_path_that_is_no_file_is_refused(tmp_path, make):
    make(tmp_path / "k")
    with pytest.raises(ConfigError):
        read_signer(tmp_path / "k")


def test_directory_that_cannot_be_made_is_refused(tmp_path, p256):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_key_pair(p256, tmp_path / "file" / "keys")


def test_signer_refuses_another_kind_of_key():
    with pytest.raises(ConfigError, match="not supported"):
        Signer(ec.derive_private_key(5, ec.SECP384R1()))
    assert Signer(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))

"""A role signs with one key or with several together, wherever each of them is."""

from __future__ import annotations

import pytest

from sluicegate.adapters.keys.roles import role_signer
from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, JointSigner, generate, write_key_pair
from sluicegate.errors import ConfigError


@pytest.fixture
def directory(tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    return keys


def write(directory, name, signer):
    private, _ = write_key_pair(signer, directory / f"{name}.new")
    return private.rename(directory / f"{name}.pem")


def key_ids(signer):
    return [member.public_key.key_id for member in signer.members]


def signer_of(role, directory, environ=None, given=(), **options):
    return role_signer(
        role, directory=directory, environ=environ or {}, option=options.get, given=given
    )


def test_cosigning_files_beside_the_key_sign_too(directory):
    classic, quantum = generate(Algorithm.ED25519), generate(Algorithm.ML_DSA_65)
    write(directory, "gate", classic)
    write(directory, "gate.cosign", quantum)
    (directory / "gate.cosign.pub.pem").write_bytes(quantum.public_key.to_pem())
    found = signer_of("gate", directory)
    assert key_ids(found) == [classic.public_key.key_id, quantum.public_key.key_id]
    envelope = dsse.sign(b"{}", found)
    assert [signature.key_id for signature in envelope.signatures] == key_ids(found)


def test_configured_cosigners_replace_files_and_given_keys_replace_both(directory):
    keys = {name: generate(Algorithm.ED25519) for name in ("gate", "gate.cosign", "two", "three")}
    paths = {name: write(directory, name, signer) for name, signer in keys.items()}
    ids = {name: signer.public_key.key_id for name, signer in keys.items()}
    listed = f"{paths['two']}, file:{paths['three']}"
    for found in (
        signer_of("gate", directory, cosign_gate=listed),
        signer_of("gate", directory, {"SLUICEGATE_COSIGN_GATE": listed}),
    ):
        assert key_ids(found) == [ids["gate"], ids["two"], ids["three"]]
    given = [str(paths["two"]), str(paths["three"])]
    assert key_ids(signer_of("gate", directory, given=given)) == [ids["two"], ids["three"]]
    assert key_ids(signer_of("gate", directory, given=given[:1])) == [ids["two"]]


def test_cosigning_key_has_a_passphrase_of_its_own(directory):
    first, second = generate(Algorithm.ED25519), generate(Algorithm.ED25519)
    environ = {
        "A": first.private_pem().decode(),
        "B": second.private_pem(b"secret").decode(),
        "SLUICEGATE_COSIGN_GATE": "env:B",
        "SLUICEGATE_KEY_GATE": "env:A",
        "SLUICEGATE_PIN_GATE_2": "secret",
    }
    assert len(signer_of("gate", None, environ).members) == 2


def test_one_key_twice_is_no_threshold(directory):
    path = write(directory, "gate", generate(Algorithm.ED25519))
    with pytest.raises(ConfigError, match="each key once"):
        signer_of("gate", directory, cosign_gate=str(path))


def test_ledger_has_one_key(directory):
    for name in ("ledger", "ledger.cosign"):
        write(directory, name, generate(Algorithm.ED25519))
    with pytest.raises(ConfigError, match="the ledger has one key"):
        signer_of("ledger", directory)


def test_without_home_a_key_must_be_named():
    with pytest.raises(ConfigError, match="no key is named"):
        signer_of("gate", None)


def test_public_key_of_a_remote_key_may_stand_in_its_reference(directory):
    pytest.importorskip("securesystemslib")
    signer = generate(Algorithm.ED25519)
    private, public = write_key_pair(signer, directory / "pair")
    found = signer_of("gate", directory, given=[f"file2:{private}#{public}"])
    signer.public_key.verify(found.sign(b"data"), b"data")
    with pytest.raises(ConfigError, match="public key cannot be read"):
        signer_of("gate", directory, given=[f"file2:{private}#{directory / 'none'}"])
    with pytest.raises(ConfigError, match="needs its public key"):
        signer_of("gate", directory, given=[f"file2:{private}"])


def test_joint_signer_signs_once_where_one_signature_fits_and_exports_nothing():
    first, second = generate(Algorithm.ED25519), generate(Algorithm.ML_DSA_65)
    both = JointSigner(first, second)
    first.public_key.verify(both.sign(b"data"), b"data")
    with pytest.raises(ConfigError, match="cannot be exported"):
        both.private_pem()
    for wrong in ((first,), (), (first, first), (both, first)):
        with pytest.raises(ConfigError, match="several keys"):
            JointSigner(*wrong)

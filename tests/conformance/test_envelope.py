"""in-toto, securesystemslib and openssl read what we write, and reject what was changed."""

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm
from sluicegate.attest.predicates import (
    BASELINE,
    SVR,
    TEST_RESULT,
    WAIVER,
    provenance_statement,
    seal_statement,
)
from sluicegate.attest.statement import Statement
from sluicegate.digest.manifest import build_manifest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def manifest(directory):
    return build_manifest(directory)


@pytest.fixture
def statements(manifest):
    seal = seal_statement("flights", manifest)
    provenance = provenance_statement(
        "flights", manifest, location="x", version=1, at=NOW, run={"dag_id": "d"}, code_version="1"
    )
    others = [
        Statement(seal.subjects, kind, {"n": 1, "text": "é", "list": [1.5, None, True]})
        for kind in (BASELINE, WAIVER, SVR, TEST_RESULT)
    ]
    return [seal, provenance, *others]


def test_in_toto_reads_every_kind_of_statement(statements):
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement as InToto

    for statement in statements:
        message = json_format.Parse(statement.to_bytes(), statement_pb2.Statement())
        InToto.copy_from_pb(message).validate()
        assert message.predicate_type == statement.predicate_type
        assert dict(message.subject[0].digest) == dict(statement.subjects[0].digest)


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda v: v.update(_type="https://in-toto.io/Statement/v0.1"), "type"),
        (lambda v: v.update(subject=[]), "subject"),
        (lambda v: v["subject"][0].update(digest={}), "digest"),
        (lambda v: v.update(predicateType=""), "Predicate type"),
        (lambda v: v.update(predicate={}), "Predicate object"),
        (lambda v: v.update(extra=1), "extra"),
    ],
    ids=["type", "no subject", "no digest", "no predicate type", "no predicate", "other field"],
)
def test_in_toto_rejects_the_tampered_twin(statements, edit, what):
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement as InToto

    for statement in statements:
        value = json.loads(statement.to_bytes())
        edit(value)
        with pytest.raises((ValueError, json_format.ParseError), match=what):
            InToto.copy_from_pb(
                json_format.Parse(json.dumps(value), statement_pb2.Statement())
            ).validate()


def test_we_read_what_in_toto_writes(statements):
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2

    for statement in statements:
        message = json_format.Parse(statement.to_bytes(), statement_pb2.Statement())
        theirs = json_format.MessageToJson(message).encode()
        assert Statement.from_bytes(theirs) == statement


def _foreign_key(signer):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    key = load_pem_public_key(signer.public_key.to_pem())
    return SSlibKey.from_crypto(key, keyid=signer.public_key.key_id)


def test_securesystemslib_counts_the_threshold(statements, signer, second_signer):
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError

    keys = [_foreign_key(signer), _foreign_key(second_signer)]
    payload = statements[0].to_bytes()
    both = dsse.sign(payload, signer, second_signer)
    accepted = Envelope.from_dict(json.loads(both.to_bytes()))
    assert accepted.payload == payload
    assert accepted.pae() == both.signed_bytes()
    assert len(accepted.verify(keys, 2)) == 2
    one = Envelope.from_dict(json.loads(dsse.sign(payload, signer).to_bytes()))
    with pytest.raises(VerificationError):
        one.verify(keys, 2)
    edited = replace(both, payload=payload.replace(b"flights", b"Flights"))
    with pytest.raises(VerificationError):
        Envelope.from_dict(json.loads(edited.to_bytes())).verify(keys, 1)


def test_openssl_verifies_the_signature_over_the_encoded_bytes(
    statements, signer, public_key_file, tmp_path, require
):
    require(shutil.which("openssl"), "openssl is not installed")
    envelope = dsse.sign(statements[0].to_bytes(), signer)
    (tmp_path / "sig").write_bytes(envelope.signatures[0].value)
    (tmp_path / "pae").write_bytes(envelope.signed_bytes())
    command = ["openssl", "dgst", "-sha256", "-verify", public_key_file, "-signature", "sig", "pae"]
    accepted = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert accepted.returncode == 0, accepted.stderr
    (tmp_path / "pae").write_bytes(envelope.signed_bytes()[:-1] + b"?")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_openssl_verifies_ed25519_over_the_encoded_bytes(
    statements, second_signer, tmp_path, require
):
    require(shutil.which("openssl"), "openssl is not installed")
    assert second_signer.public_key.algorithm is Algorithm.ED25519
    envelope = dsse.sign(statements[0].to_bytes(), second_signer)
    (tmp_path / "key").write_bytes(second_signer.public_key.to_pem())
    (tmp_path / "sig").write_bytes(envelope.signatures[0].value)
    (tmp_path / "pae").write_bytes(envelope.signed_bytes())
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key", "-rawin"]
    command += ["-in", "pae", "-sigfile", "sig"]
    accepted = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert accepted.returncode == 0, accepted.stderr
    (tmp_path / "pae").write_bytes(envelope.signed_bytes()[:-1] + b"?")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_pyca_verifies_each_algorithm_over_the_encoded_bytes(
    statements, signer, second_signer, pq_signer
):
    """Straight through the library, so that none of our wrappers can be wrong twice."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    envelope = dsse.sign(statements[0].to_bytes(), signer, second_signer, pq_signer)
    signers = (signer, second_signer, pq_signer)
    for signature, ours in zip(envelope.signatures, signers, strict=True):
        key = load_pem_public_key(ours.public_key.to_pem())
        extra = (
            [ec.ECDSA(hashes.SHA256())] if ours.public_key.algorithm is Algorithm.ECDSA_P256 else []
        )
        key.verify(signature.value, envelope.signed_bytes(), *extra)
        with pytest.raises(InvalidSignature):
            key.verify(signature.value, envelope.signed_bytes() + b"x", *extra)

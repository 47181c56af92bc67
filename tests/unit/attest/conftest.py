"""Fixed keys, published here on purpose: never use them for anything but tests."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa

from sluicegate.attest.keys import Algorithm, Signer
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.manifest import FileEntry, Manifest


@pytest.fixture(scope="session")
def p256():
    return Signer(ec.derive_private_key(1234567, ec.SECP256R1()))


@pytest.fixture(scope="session")
def other_p256():
    return Signer(ec.derive_private_key(7654321, ec.SECP256R1()))


@pytest.fixture(scope="session")
def ed():
    return Signer(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))


@pytest.fixture(scope="session")
def pq():
    return Signer(mldsa.MLDSA65PrivateKey.from_seed_bytes(b"\x02" * 32))


@pytest.fixture(scope="session")
def pq_witness():
    return Signer(mldsa.MLDSA44PrivateKey.from_seed_bytes(b"\x03" * 32))


@pytest.fixture(scope="session")
def signers(p256, ed, pq, pq_witness):
    return {
        Algorithm.ECDSA_P256: p256,
        Algorithm.ED25519: ed,
        Algorithm.ML_DSA_44: pq_witness,
        Algorithm.ML_DSA_65: pq,
    }


@pytest.fixture(scope="session")
def now():
    return datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def expires():
    return datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def manifest():
    return Manifest.from_entries(
        [
            FileEntry(path, sha256_bytes(data), len(data))
            for path, data in {"a-b.csv": b"1", "a/c.csv": b"22", "z": b""}.items()
        ]
    )


@pytest.fixture(scope="session")
def policy(p256, ed, other_p256, expires):
    return trust_policy(
        {
            Role.SOURCE: [p256.public_key],
            Role.GATE: [ed.public_key],
            Role.WAIVER: [other_p256.public_key],
            Role.LEDGER: [ed.public_key],
        },
        1,
        expires,
    )


@pytest.fixture(scope="session")
def two_of_three(p256, other_p256, ed, expires):
    keys = [p256.public_key, other_p256.public_key, ed.public_key]
    return trust_policy({Role.SOURCE: keys}, 1, expires, thresholds={Role.SOURCE: 2})

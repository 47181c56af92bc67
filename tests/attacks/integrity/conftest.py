"""A sealed source, its trust policy and what a verifier does with both.

The keys are fixed and published here: never use them for anything but tests.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa

from sluicegate.attest import dsse
from sluicegate.attest.bundle import from_bundle, to_bundle
from sluicegate.attest.keys import Signer
from sluicegate.attest.predicates import manifest_from_statement, seal_statement
from sluicegate.attest.trust import Role, TrustedKey, TrustPolicy, trust_policy
from sluicegate.digest.manifest import build_manifest, verify_manifest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Scene:
    """Everything an attacker may touch, and the verifier."""

    source: Path
    bundle: bytes
    policy: TrustPolicy
    signer: Signer
    gate: Signer
    outsider: Signer
    pq: Signer
    now: datetime = NOW

    def verify(self):
        """What stands between the data and training: signature, role, manifest, bytes."""
        envelope, _ = from_bundle(self.bundle, locator="seal.sigstore.json")
        statement = self.policy.verify(envelope, Role.SOURCE, at=self.now)
        manifest = manifest_from_statement(statement, locator="seal.sigstore.json")
        verify_manifest(self.source, manifest)
        return manifest

    def seal(self, statement=None, signer=None):
        """Write a seal as whoever holds the key could."""
        signer = signer or self.signer
        statement = statement or seal_statement("flights", build_manifest(self.source))
        envelope = dsse.sign(statement.to_bytes(), signer)
        self.bundle = to_bundle(envelope, signer.public_key)
        return statement

    def limit_key(self, **times):
        key = TrustedKey(self.signer.public_key, **times)
        keys = {**self.policy.keys, self.signer.public_key.key_id: key}
        self.policy = replace(self.policy, keys=keys)


@pytest.fixture
def scene(tmp_path):
    source = tmp_path / "flights"
    (source / "2026").mkdir(parents=True)
    (source / "2026" / "jan.csv").write_bytes(b"id,label\n1,cat\n2,dog\n")
    (source / "2026" / "feb.csv").write_bytes(b"id,label\n3,dog\n4,cat\n")
    (source / "README").write_bytes(b"flights\n")
    signer = Signer(ec.derive_private_key(1234567, ec.SECP256R1()))
    gate = Signer(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
    made = Scene(
        source=source,
        bundle=b"",
        policy=trust_policy(
            {Role.SOURCE: [signer.public_key], Role.GATE: [gate.public_key]},
            1,
            NOW + timedelta(days=90),
        ),
        signer=signer,
        gate=gate,
        outsider=Signer(ec.derive_private_key(7654321, ec.SECP256R1())),
        pq=Signer(mldsa.MLDSA65PrivateKey.from_seed_bytes(b"\x02" * 32)),
    )
    made.seal()
    return made

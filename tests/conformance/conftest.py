"""Seals made by us, for verifiers made by others. The keys are fixed and published."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa

from sluicegate.attest import dsse
from sluicegate.attest.bundle import to_bundle
from sluicegate.attest.keys import Signer
from sluicegate.attest.predicates import seal_payload
from sluicegate.digest.manifest import build_manifest

FILES = {
    "a-b/part-0.csv": b"id,label\n1,cat\n",
    "a/part-0.csv": b"id,label\n2,dog\n",
    "a.d": b"",
    "README.md": "Ünïcode\n".encode(),
    "big.bin": bytes(range(256)) * 10_000,
}


def _require(condition, reason):
    """Skip, unless this run promised to have everything: then a missing tool is a failure."""
    if condition:
        return
    if os.environ.get("SLUICEGATE_REQUIRE_SERVICES") == "1":
        pytest.fail(f"SLUICEGATE_REQUIRE_SERVICES=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require():
    return _require


@pytest.fixture(scope="session")
def signer():
    return Signer(ec.derive_private_key(1234567, ec.SECP256R1()))


@pytest.fixture(scope="session")
def second_signer():
    return Signer(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))


@pytest.fixture(scope="session")
def pq_signer():
    return Signer(mldsa.MLDSA65PrivateKey.from_seed_bytes(b"\x02" * 32))


@pytest.fixture(scope="session")
def public_key_file(tmp_path_factory, signer):
    path = tmp_path_factory.mktemp("keys") / "key.pub.pem"
    path.write_bytes(signer.public_key.to_pem())
    return path


@pytest.fixture
def directory(tmp_path):
    root = tmp_path / "flights"
    for path, content in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


@pytest.fixture
def seal(tmp_path, signer):
    """Return a function that seals a source and gives the path of the bundle."""

    def seal(source, algorithm="sha256"):
        manifest = build_manifest(source, algorithm=algorithm)
        envelope = dsse.sign(seal_payload("flights", manifest), signer)
        path = tmp_path / "seal.sigstore.json"
        path.write_bytes(to_bundle(envelope, signer.public_key))
        return path

    return seal


@pytest.fixture(scope="session")
def sigstore_js(request):
    """Directory with verify.mjs and the locked npm packages, installed once."""
    _require(shutil.which("node") and shutil.which("npm"), "node and npm are not installed")
    origin = Path(__file__).parent / "sigstore_js"
    cache = Path(request.config.cache.mkdir("sigstore_js"))
    lock = (origin / "package-lock.json").read_bytes()
    installed = cache / "installed.lock"
    for name in ("package.json", "package-lock.json", "verify.mjs"):
        shutil.copyfile(origin / name, cache / name)
    if not installed.exists() or installed.read_bytes() != lock:
        # By the hashes of the lock file; no install scripts run.
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=cache,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        _require(done.returncode == 0, f"npm ci failed: {done.stderr[-300:]}")
        installed.write_bytes(lock)
    return cache

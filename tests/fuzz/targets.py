"""Every parser of untrusted bytes, with one thing that it accepts.

A target may refuse with a `SluicegateError` and nothing else; what it accepts and can write must
read back the same. Used by test_corpus.py (short, deterministic) and by run_atheris.py (guided by
coverage, as long as one likes).
"""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from tests.fuzz.target import Target
from tests.fuzz.targets_attest import ATTEST
from tests.fuzz.targets_files import FILES
from tests.fuzz.targets_ledger import LEDGER

from sluicegate.adapters.policy_file import load_yaml
from sluicegate.adapters.sources.croissant import read_croissant
from sluicegate.adapters.sources.url_list import read_url_list
from sluicegate.attest import dsse
from sluicegate.attest.bundle import from_bundle, to_bundle
from sluicegate.attest.keys import Signer
from sluicegate.attest.predicates import (
    manifest_from_statement,
    provenance_from_statement,
    provenance_statement,
    seal_statement,
)
from sluicegate.attest.public_key import load_public_key
from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import format_timestamp, parse_timestamp
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.attest.trust_file import TrustFile
from sluicegate.digest import canonical
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.manifest import FileEntry, Manifest
from sluicegate.errors import SluicegateError
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.policy import parse_policy

_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
_P256 = Signer(ec.derive_private_key(1234567, ec.SECP256R1()))
_ROOT = Signer(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
_MANIFEST = Manifest.from_entries([FileEntry("a/b", sha256_bytes(b"1"), 1)])
_SEAL = dsse.sign(seal_statement("flights", _MANIFEST).to_bytes(), _P256)
_PROVENANCE = provenance_statement(
    "flights", _MANIFEST, location="x", version=1, at=_AT, run={"a": "b"}, code_version="1"
)
_TRUST = trust_policy({Role.SOURCE: [_P256.public_key], Role.ROOT: [_ROOT.public_key]}, 1, _AT)
_SIGNED_TRUST = TrustFile(_TRUST).signed_by(_ROOT).to_bytes()
_CROISSANT = b'{"distribution":[{"@type":"cr:FileObject","contentUrl":"a","sha256":"%s"}]}' % (
    b"0" * 64
)


def _policy(data: bytes) -> object:
    return parse_policy(load_yaml(data, locator="x"), data, locator="x")


TARGETS = {
    "json": Target(
        lambda data: canonical.loads(data, locator="x"),
        b'{"a":[1,2.5,null,"\\u00e9"]}',
        lambda data: canonical.dumps(canonical.loads(data, locator="x")),
    ),
    "envelope": Target(
        dsse.Envelope.from_bytes,
        _SEAL.to_bytes(),
        lambda data: dsse.Envelope.from_bytes(data).to_bytes(),
    ),
    "bundle": Target(
        lambda data: from_bundle(data, locator="x"), to_bundle(_SEAL, _P256.public_key)
    ),
    "statement": Target(
        Statement.from_bytes,
        _SEAL.payload,
        lambda data: Statement.from_bytes(data).to_bytes(),
    ),
    "seal": Target(
        lambda data: manifest_from_statement(Statement.from_bytes(data), locator="x"),
        _SEAL.payload,
    ),
    "provenance": Target(
        lambda data: provenance_from_statement(Statement.from_bytes(data), locator="x"),
        _PROVENANCE.to_bytes(),
    ),
    "trust": Target(
        TrustFile.from_bytes, _TRUST.to_bytes(), lambda data: TrustFile.from_bytes(data).to_bytes()
    ),
    "signed trust": Target(lambda data: TrustFile.from_bytes(data).verified(), _SIGNED_TRUST),
    "public key": Target(
        lambda data: load_public_key(data, locator="x"),
        _P256.public_key.to_pem(),
        lambda data: load_public_key(data, locator="x").to_pem(),
    ),
    "time": Target(
        lambda data: parse_timestamp(data.decode("latin-1")),
        b"2026-03-01T12:00:00Z",
        lambda data: format_timestamp(parse_timestamp(data.decode("latin-1"))).encode(),
    ),
    "manifest": Target(
        lambda data: Manifest.from_json(canonical.loads(data, locator="x")),
        canonical.dumps(_MANIFEST.to_json()),
        lambda data: canonical.dumps(
            Manifest.from_json(canonical.loads(data, locator="x")).to_json()
        ),
    ),
    "policy": Target(_policy, DEFAULT_POLICY.encode()),
    "url list": Target(
        lambda data: read_url_list(data, locator="x"),
        b"url,sha256\nhttps://example.com/a,%s\n" % (b"0" * 64),
    ),
    "croissant": Target(lambda data: read_croissant(data, locator="x"), _CROISSANT),
    **ATTEST,
    **FILES,
    **LEDGER,
}


def check(name: str, data: bytes) -> bool:
    """Parse; refusals are fine, foreign exceptions and unstable round trips are not.

    Returns:
        Whether the input was accepted.
    """
    target = TARGETS[name]
    try:
        target.parse(data)
        written = target.rewrite(data) if target.rewrite else None
    except SluicegateError:
        return False
    if written is not None:
        assert target.rewrite(written) == written, (name, data)
    return True

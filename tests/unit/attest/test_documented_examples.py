"""The examples in docs/formats are what the code writes, byte for byte."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sluicegate.attest import dsse
from sluicegate.attest.bundle import from_bundle, to_bundle
from sluicegate.attest.keys import load_public_key
from sluicegate.attest.predicates import (
    manifest_from_statement,
    provenance_from_statement,
    seal_statement,
)
from sluicegate.attest.statement import Statement
from sluicegate.attest.trust import DEFAULT_PREDICATES, Role, TrustPolicy, trust_policy
from sluicegate.digest import canonical
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.digest.manifest import FileEntry, Manifest

FORMATS = Path(__file__).parents[3] / "docs" / "formats"
CONTENTS = {"a-b.csv": b"id,label\n1,cat\n", "a/b.csv": b"id,label\n2,dog\n"}


def _block(page, language):
    """Return the only code block of a language on a page, as bytes."""
    text = (FORMATS / page).read_text()
    (block,) = re.findall(rf"```{language}\n(.*?)\n```", text, re.DOTALL)
    return block.encode()


@pytest.fixture(scope="module")
def manifest():
    entries = [FileEntry(path, sha256_bytes(data), len(data)) for path, data in CONTENTS.items()]
    return Manifest.from_entries(entries)


def test_manifest_example_is_what_we_write(manifest):
    example = _block("manifest.md", "json")
    assert canonical.dumps(manifest.to_json()) == example
    assert Manifest.from_json(canonical.loads(example, locator="manifest.md")) == manifest


def test_digests_in_the_text_are_those_of_the_example(manifest):
    text = (FORMATS / "manifest.md").read_text()
    shown = [Digest.parse(found) for found in re.findall(r"`((?:sha256|dirHash1):\w+)`", text)]
    assert shown == [manifest.digest, manifest.oms_root]
    assert f"`{manifest.digest}`" in (FORMATS / "digest.md").read_text()


def test_seal_example_is_what_we_write(manifest, p256):
    envelope = dsse.sign(seal_statement("flights", manifest).to_bytes(), p256)
    assert to_bundle(envelope, p256.public_key) == _block("seal.md", "json")


def test_seal_example_verifies_under_the_policy_example(manifest):
    policy = TrustPolicy.from_bytes(_block("trust-policy.md", "json"))
    envelope, hint = from_bundle(_block("seal.md", "json"), locator="seal.md")
    statement = policy.verify(envelope, Role.SOURCE, at=datetime(2026, 3, 1, tzinfo=UTC))
    assert manifest_from_statement(statement, locator="seal.md") == manifest
    assert load_public_key(_block("seal.md", "pem"), locator="seal.md").key_id == hint


def test_policy_example_is_what_we_write(p256):
    policy = trust_policy({Role.SOURCE: [p256.public_key]}, 1, datetime(2027, 1, 1, tzinfo=UTC))
    assert policy.to_bytes() == _block("trust-policy.md", "json")


@pytest.mark.parametrize("role", list(Role))
def test_granted_predicates_are_documented(role):
    for page in ("trust-policy.md", "predicates.md"):
        text = (FORMATS / page).read_text()
        assert all(f"`{predicate}`" in text for predicate in DEFAULT_PREDICATES[role])


def test_provenance_example_is_what_we_write():
    example = _block("predicates.md", "json")
    statement = Statement.from_bytes(example)
    assert statement.to_bytes() == example
    assert provenance_from_statement(statement, locator="predicates.md").version == 1


def test_encoding_example_is_what_we_sign():
    example = _block("envelope.md", "text")
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == example

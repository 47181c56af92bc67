"""An index says one thing in one way, and names nothing that is no document of a home."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from sluicegate.attest import dsse
from sluicegate.attest.home_index import HomeIndex, Pin, is_document
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.digest import canonical
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import (
    BadSignature,
    ConfigError,
    Expired,
    MalformedEnvelope,
    UntrustedKey,
    VerificationError,
)

AT = datetime(2026, 3, 1, tzinfo=UTC)
ROOT = generate(Algorithm.ED25519)
DOCUMENTS = {name: sha256_bytes(name.encode()) for name in ("trust.json", "policy.yaml")}
INDEX = HomeIndex(2, sha256_bytes(b"one"), AT, AT + timedelta(days=90), DOCUMENTS)


def policy(root=ROOT):
    return trust_policy({Role.ROOT: [root.public_key]}, 1, AT + timedelta(days=365))


def test_index_gives_back_what_was_said():
    assert HomeIndex.from_bytes(INDEX.signed([]), locator="x") == INDEX
    read = HomeIndex.from_bytes(INDEX.signed([ROOT]), locator="x")
    read.require_signed(policy(), locator="x")
    assert (read.version, read.previous, read.documents) == (2, sha256_bytes(b"one"), DOCUMENTS)
    assert read.payload() == INDEX.payload()


def test_index_of_another_key_or_of_none_is_refused():
    other = HomeIndex.from_bytes(INDEX.signed([generate(Algorithm.ED25519)]), locator="x")
    for index in (other, INDEX):
        with pytest.raises(UntrustedKey):
            index.require_signed(policy(), locator="x")


def test_signature_of_a_root_key_over_something_else_is_no_index():
    signed = dsse.sign(INDEX.payload(), ROOT).to_bytes()
    with pytest.raises(MalformedEnvelope, match="no index"):
        HomeIndex.from_bytes(signed, locator="x")


def test_edited_payload_is_refused():
    envelope = dsse.Envelope.from_bytes(INDEX.signed([ROOT]))
    edited = INDEX.payload().replace(b'"version":2', b'"version":3')
    forged = dsse.Envelope(envelope.payload_type, edited, envelope.signatures).to_bytes()
    with pytest.raises(BadSignature):
        HomeIndex.from_bytes(forged, locator="x").require_signed(policy(), locator="x")


def test_release_counts_before_its_end_only():
    INDEX.require_current(INDEX.expires - timedelta(seconds=1), locator="x")
    with pytest.raises(Expired):
        INDEX.require_current(INDEX.expires, locator="x")


@pytest.mark.parametrize(
    "edit",
    [
        lambda v: v.update(version=0),
        lambda v: v.update(version=True),
        lambda v: v.update(version="2"),
        lambda v: v.update(version=10**8),
        lambda v: v.update(previous=""),
        lambda v: v.update(previous="A" * 64),
        lambda v: v.update(expires="never"),
        lambda v: v.update(further=1),
        lambda v: v.pop("published"),
        lambda v: v.update(type="https://sluicegate.dev/home/v2"),
        lambda v: v.update(documents=[]),
        lambda v: v["documents"].pop("policy.yaml"),
        lambda v: v["documents"].update({"keys/gate.pem": "0" * 64}),
        lambda v: v["documents"].update({"certificates/../policy.yaml": "0" * 64}),
        lambda v: v["documents"].update({"cosigned": None}),
    ],
)
def test_malformed_index_is_refused(edit):
    value = json.loads(INDEX.payload())
    edit(value)
    with pytest.raises(VerificationError):
        HomeIndex.from_bytes(canonical.dumps(value), locator="x")


@pytest.mark.parametrize(
    "path",
    [
        "keys/gate.pem", "ledger.db", "manifests/x", "quarantine/x", "/trust.json", "trust.json/",
        "../trust.json", "baselines/../x/baseline.json", "baselines/.x/baseline.json", "",
        "certificates/a/b.pem", "timestamps/x.tsr", "baselines/src/other.json", "trust.json\n",
    ],
)  # fmt: skip
def test_nothing_else_is_a_document(path):
    assert not is_document(path)


@pytest.mark.parametrize(
    "path",
    [
        "trust.json", "policy.yaml", "remembered.json", "cosigned", "certificates/team.pem",
        f"timestamps/{'0' * 64}.tsr", "witnessed/12", "baselines/src/baseline.json",
        "baselines/src/baseline.intoto.json", "baselines/src/pending-rolling.intoto.json",
        f"baselines/src/promoted/{'0' * 64}.json",
    ],
)  # fmt: skip
def test_what_a_home_is_read_for_is_a_document(path):
    assert is_document(path)


def test_pin_is_read_as_it_is_written():
    for text in ("trust:" + "0" * 64, "index:" + "a" * 64):
        assert str(Pin.parse(text)) == text
    for text in ("", "0" * 64, "trust:" + "A" * 64, "root:" + "0" * 64, "index:" + "0" * 63):
        with pytest.raises(ConfigError, match="not pinned"):
            Pin.parse(text)

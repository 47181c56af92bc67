"""A bundle is an envelope with one P-256 signature and the name of its key."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.attest import dsse
from sluicegate.attest.bundle import MEDIA_TYPE, from_bundle, to_bundle
from sluicegate.errors import BadSignature, ConfigError, MalformedEnvelope


@pytest.fixture(scope="module")
def envelope(p256):
    return dsse.sign(b"{}", p256)


@pytest.fixture(scope="module")
def value(envelope, p256):
    return json.loads(to_bundle(envelope, p256.public_key))


def _read(value):
    return from_bundle(json.dumps(value).encode(), locator="seal")


def test_bundle_written_then_read_is_unchanged(envelope, p256):
    read, hint = from_bundle(to_bundle(envelope, p256.public_key), locator="seal")
    assert read == envelope
    assert hint == p256.public_key.key_id


def test_bundle_says_what_foreign_verifiers_look_for(value, p256):
    assert value["mediaType"] == MEDIA_TYPE
    assert value["verificationMaterial"] == {
        "publicKey": {"hint": p256.public_key.key_id},
        "tlogEntries": [],
    }


@given(st.binary(max_size=200))
def test_any_bytes_are_a_bundle_or_malformed(data):
    with contextlib.suppress(MalformedEnvelope):
        from_bundle(data, locator="seal")


@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_any_changed_byte_is_a_bundle_or_malformed(envelope, p256, position, byte):
    data = bytearray(to_bundle(envelope, p256.public_key))
    data[position % len(data)] = byte
    with contextlib.suppress(MalformedEnvelope):
        from_bundle(bytes(data), locator="seal")


@pytest.mark.parametrize("name", ["ed", "pq"])
def test_other_algorithm_needs_a_plain_envelope(request, name):
    signer = request.getfixturevalue(name)
    with pytest.raises(ConfigError, match="ECDSA P-256"):
        to_bundle(dsse.sign(b"{}", signer), signer.public_key)


def test_several_signatures_need_a_plain_envelope(p256, ed):
    with pytest.raises(ConfigError, match="exactly one signature"):
        to_bundle(dsse.sign(b"{}", p256, ed), p256.public_key)


def test_signature_of_another_key_is_not_written(envelope, other_p256):
    with pytest.raises(BadSignature):
        to_bundle(envelope, other_p256.public_key)


@pytest.mark.parametrize(
    "edit",
    [
        lambda v: v.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"),
        lambda v: v.update(mediaType=1),
        lambda v: v.pop("mediaType"),
        lambda v: v.update(messageSignature={}),
        lambda v: v.pop("dsseEnvelope"),
        lambda v: v.pop("verificationMaterial"),
        lambda v: v["verificationMaterial"].pop("publicKey"),
        lambda v: v["verificationMaterial"].update(tlogEntries=[{}]),
        lambda v: v["verificationMaterial"].update(certificate={}),
        lambda v: v["verificationMaterial"]["publicKey"].update(rawBytes=""),
        lambda v: v["verificationMaterial"]["publicKey"].update(hint=None),
        lambda v: v["verificationMaterial"]["publicKey"].update(hint="0" * 64),
        lambda v: v["dsseEnvelope"]["signatures"].append({"keyid": "x", "sig": "QUJD"}),
        lambda v: v["dsseEnvelope"]["signatures"].clear(),
    ],
)
def test_other_bundle_is_malformed(value, edit):
    changed = json.loads(json.dumps(value))
    edit(changed)
    with pytest.raises(MalformedEnvelope):
        _read(changed)


def test_missing_log_entries_are_the_same_as_none(value, envelope):
    """protobuf's JSON mapping leaves empty lists out."""
    changed = json.loads(json.dumps(value))
    del changed["verificationMaterial"]["tlogEntries"]
    assert _read(changed)[0] == envelope


def test_hint_names_the_key_of_a_signature_without_keyid(value):
    changed = json.loads(json.dumps(value))
    del changed["dsseEnvelope"]["signatures"][0]["keyid"]
    changed["verificationMaterial"]["publicKey"]["hint"] = "0" * 64
    envelope, hint = _read(changed)
    assert envelope.signatures[0].key_id == hint == "0" * 64

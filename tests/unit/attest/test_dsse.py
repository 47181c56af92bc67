"""An envelope keeps exact bytes, and has one way to be written."""

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.attest import dsse
from sluicegate.attest.dsse import Envelope, Signature, decode_base64, pae
from sluicegate.errors import ConfigError, MalformedEnvelope

KEY_IDS = st.text("0123456789abcdef", max_size=8)


@st.composite
def envelopes(draw):
    values = draw(st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=4, unique=True))
    return Envelope(
        draw(st.text("abc/+.é", min_size=1, max_size=10)),
        draw(st.binary(max_size=50)),
        tuple(Signature(f"{n}{draw(KEY_IDS)}", value) for n, value in enumerate(values)),
    )


@given(envelopes())
def test_envelope_written_then_read_is_unchanged(envelope):
    assert Envelope.from_bytes(envelope.to_bytes()) == envelope
    assert Envelope.from_bytes(envelope.to_bytes()).to_bytes() == envelope.to_bytes()


@given(st.binary(max_size=200))
def test_any_bytes_are_an_envelope_or_malformed(data):
    with contextlib.suppress(MalformedEnvelope):
        Envelope.from_bytes(data)


@given(envelopes(), st.integers(0, 10_000), st.integers(0, 255))
def test_any_changed_byte_is_an_envelope_or_malformed(envelope, position, byte):
    data = bytearray(envelope.to_bytes())
    data[position % len(data)] = byte
    with contextlib.suppress(MalformedEnvelope):
        Envelope.from_bytes(bytes(data))


@given(
    st.recursive(
        st.none() | st.integers() | st.text("QUJD=-_+/", max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["payload", "payloadType", "signatures", "sig", "keyid"]), inner
            )
        ),
        max_leaves=10,
    )
)
def test_any_json_is_an_envelope_or_malformed(value):
    with contextlib.suppress(MalformedEnvelope):
        Envelope.from_bytes(json.dumps(value).encode())


@given(st.text(max_size=5), st.binary(max_size=9), st.text(max_size=5), st.binary(max_size=9))
def test_encoding_differs_when_type_or_payload_do(kind, payload, other_kind, other_payload):
    same = (kind, payload) == (other_kind, other_payload)
    assert (pae(kind, payload) == pae(other_kind, other_payload)) == same


def test_encoding_is_that_of_the_specification():
    """Test vector of dsse protocol.md 1.0.2."""
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


def test_lengths_count_bytes_not_characters():
    assert pae("é", b"\x00") == b"DSSEv1 2 \xc3\xa9 1 \x00"


def test_each_signer_signs_the_same_bytes(signers):
    envelope = dsse.sign(b"{}", *signers.values())
    assert len(envelope.signatures) == len(signers)
    for signature, signer in zip(envelope.signatures, signers.values(), strict=True):
        assert signature.key_id == signer.public_key.key_id
        signer.public_key.verify(signature.value, envelope.signed_bytes())


def test_signing_needs_each_key_once(p256):
    with pytest.raises(ConfigError):
        dsse.sign(b"{}")
    with pytest.raises(ConfigError):
        dsse.sign(b"{}", p256, p256)


def _json(**changes):
    signature = {"keyid": "k", "sig": "QUJD"}
    value = {"payload": "e30=", "payloadType": "t", "signatures": [signature], **changes}
    return json.dumps({key: item for key, item in value.items() if item is not ...}).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": ...},
        {"payloadType": ...},
        {"signatures": ...},
        {"payload": None},
        {"payload": "e30"},
        {"payload": "e3 0="},
        {"payload": "e30=\n"},
        {"payload": "e30=e30="},
        {"payload": "e31="},  # unused bits are not zero
        {"payload": "-_+/"},
        {"payload": "é30="},
        {"payloadType": ""},
        {"payloadType": 1},
        {"payloadType": "t" * 257},
        {"signatures": []},
        {"signatures": {}},
        {"signatures": [None]},
        {"signatures": [{"keyid": "k"}]},
        {"signatures": [{"keyid": "k", "sig": ""}]},
        {"signatures": [{"keyid": None, "sig": "QUJD"}]},
        {"signatures": [{"keyid": "k" * 513, "sig": "QUJD"}]},
        {"signatures": [{"keyid": "k", "sig": "QUJD" * 4000}]},
        {"signatures": [{"keyid": "k", "sig": "QUJD"}, {"keyid": "k", "sig": "QUJE"}]},
        {"signatures": [{"keyid": "k", "sig": "QUJD"}, {"keyid": "l", "sig": "QUJD"}]},
        {"signatures": [{"sig": "QUJD"}, {"sig": "QUJD"}]},
        {"signatures": [{"keyid": str(n), "sig": f"QU{n:02}"} for n in range(17)]},
    ],
)
def test_other_envelope_is_malformed(changes):
    assert Envelope.from_bytes(_json())
    with pytest.raises(MalformedEnvelope):
        Envelope.from_bytes(_json(**changes))


def test_unknown_fields_are_ignored_as_the_specification_demands():
    signatures = [{"keyid": "k", "sig": "QUJD", "cert": "x"}]
    assert Envelope.from_bytes(_json(note=1, signatures=signatures)) == Envelope.from_bytes(_json())


def test_missing_keyid_is_the_same_as_an_empty_one():
    (signature,) = Envelope.from_bytes(_json(signatures=[{"sig": "QUJD"}])).signatures
    assert signature == Signature("", b"ABC")


def test_envelope_over_the_size_limit_is_refused_unread(monkeypatch):
    monkeypatch.setattr(dsse, "MAX_ENVELOPE_BYTES", 100)
    with pytest.raises(MalformedEnvelope, match="too large"):
        Envelope.from_bytes(b"x" * 101, locator="big")


@given(st.binary(max_size=40))
def test_both_alphabets_are_read(data):
    assert decode_base64(base64.b64encode(data).decode(), locator="x") == data
    assert decode_base64(base64.urlsafe_b64encode(data).decode(), locator="x") == data


@given(st.text(max_size=12))
def test_any_text_is_canonical_base64_or_malformed(text):
    with contextlib.suppress(MalformedEnvelope):
        decoded = decode_base64(text, locator="x")
        assert text in {
            base64.b64encode(decoded).decode(),
            base64.urlsafe_b64encode(decoded).decode(),
        }

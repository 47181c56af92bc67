"""A tally counts only if the gate signed its head, and with the counts that were signed."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta

import pytest

from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.tally import (
    MAX_HEAD_BYTES,
    PAYLOAD_TYPE,
    Against,
    TallyHead,
    signed_counts,
    signed_tally,
    verified_head,
)
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.canonical import dumps, loads
from sluicegate.digest.portions import Portion
from sluicegate.errors import BadSignature, DigestMismatch, Expired, MalformedEnvelope, UntrustedKey

AT = datetime(2026, 3, 1, tzinfo=UTC)
GATE, SOURCE = generate(Algorithm.ED25519), generate(Algorithm.ED25519)
TRUST = trust_policy(
    {Role.GATE: [GATE.public_key], Role.SOURCE: [SOURCE.public_key]},
    version=1,
    expires=AT + timedelta(days=1),
)
AGAINST = Against("s", sha256_bytes(b"b"), (sha256_bytes(b"1"),), sha256_bytes(b"p"), "0.1.0")
COUNTS = b'{"a":\n1}'
FILE = signed_tally(AGAINST, Portion(0, 2), sha256_bytes(b"f"), COUNTS, GATE)
LINE = FILE.partition(b"\n")[0]


def head(line=LINE, at=AT):
    return verified_head(line, TRUST, at=at, locator="x")


def test_signed_file_gives_head_and_counts_again():
    found = head()
    assert (found.against, found.portion) == (AGAINST, Portion(0, 2))
    assert signed_counts(FILE, found, locator="x") == COUNTS


@pytest.mark.parametrize(
    "data", [FILE[:-1], FILE + b" ", LINE, LINE + b"\n", LINE + b"\n" + zlib.compress(b"{}")]
)
def test_counts_that_were_changed_or_cut_off_are_refused(data):
    with pytest.raises(DigestMismatch):
        signed_counts(data, head(), locator="x")


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        (COUNTS, len(COUNTS)),
        (zlib.compress(COUNTS), len(COUNTS) - 1),
        (zlib.compress(COUNTS), len(COUNTS) + 1),
        (zlib.compress(COUNTS) + b"x", len(COUNTS)),
        (zlib.compress(COUNTS)[:-1], len(COUNTS)),
        (zlib.compress(bytes(1 << 24)), 1),
    ],
)
def test_signed_counts_that_do_not_unpack_as_signed_are_refused(packed, size):
    told = TallyHead(AGAINST, Portion(0, 2), None, sha256_bytes(packed), size)
    with pytest.raises(MalformedEnvelope, match="do not unpack"):
        signed_counts(LINE + b"\n" + packed, told, locator="x")


def test_signature_of_another_role_or_of_nobody_is_refused():
    for signer in (SOURCE, generate(Algorithm.ED25519)):
        other = signed_tally(AGAINST, Portion(0, 2), None, COUNTS, signer)
        with pytest.raises(UntrustedKey):
            head(other.partition(b"\n")[0])


def test_edited_head_is_refused():
    envelope = dsse.Envelope.from_bytes(LINE)
    value = loads(envelope.payload, locator="x")
    edited = dsse.Envelope(PAYLOAD_TYPE, dumps({**value, "end": 3}), envelope.signatures)
    with pytest.raises(BadSignature):
        head(edited.to_bytes())


def test_key_that_was_not_valid_yet_is_refused():
    key_id = GATE.public_key.key_id
    value = loads(TRUST.to_bytes(), locator="x")
    value["keys"][key_id]["not_before"] = "2026-03-02T00:00:00Z"
    later = type(TRUST).from_bytes(dumps(value))
    with pytest.raises(Expired):
        verified_head(LINE, later, at=AT, locator="x")


def test_another_statement_of_the_gate_is_no_tally():
    payload = dsse.Envelope.from_bytes(LINE).payload
    other = dsse.sign(payload, GATE, payload_type="application/vnd.in-toto+json")
    with pytest.raises(MalformedEnvelope, match="no tally"):
        head(other.to_bytes())


@pytest.mark.parametrize("line", [b"", b"{}", b"x", b"\xff" * 9, b" " * (MAX_HEAD_BYTES + 1)])
def test_what_is_no_envelope_is_refused(line):
    with pytest.raises(MalformedEnvelope):
        head(line)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("first", value) for value in (3, -1, True, "0", None)),
        *(("end", value) for value in (-1, 1.0)),
        ("baselines", []),
        ("baselines", ["x"]),
        ("files", "sha256:00"),
        ("policy", None),
        ("type", "another"),
        ("more", 1),
    ],
)
def test_signed_head_with_a_wrong_field_is_refused(name, value):
    payload = TallyHead(AGAINST, Portion(0, 2), None, sha256_bytes(COUNTS), 7).payload()
    wrong = dumps({**loads(payload, locator="x"), name: value})
    with pytest.raises(MalformedEnvelope):
        head(dsse.sign(wrong, GATE, payload_type=PAYLOAD_TYPE).to_bytes())


def test_difference_names_what_differs_first():
    other = Against("s", AGAINST.batch, AGAINST.baselines, sha256_bytes(b"q"), "0.1.0")
    assert AGAINST.difference(AGAINST) is None
    assert AGAINST.difference(other) == ("policy", AGAINST.policy.short, other.policy.short)

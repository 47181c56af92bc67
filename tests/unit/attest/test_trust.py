"""Only the named keys, only for their role, only while they are valid, and enough of them."""

import contextlib
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.attest import dsse, predicates
from sluicegate.attest.dsse import Envelope, Signature
from sluicegate.attest.keys import Algorithm
from sluicegate.attest.statement import Statement, Subject
from sluicegate.attest.trust import Role, TrustedKey, TrustPolicy, trust_policy
from sluicegate.errors import (
    BadSignature,
    ConfigError,
    Expired,
    MalformedEnvelope,
    UntrustedKey,
    VerificationError,
)

SECOND = timedelta(seconds=1)


@pytest.fixture
def statement():
    return Statement((Subject("flights", {"sha256": "0" * 64}),), predicates.PROVENANCE, {"n": 1})


def _with_key(policy, signer, **times):
    key_id = signer.public_key.key_id
    return replace(policy, keys={**policy.keys, key_id: TrustedKey(signer.public_key, **times)})


def test_statement_of_the_role_is_returned(policy, statement, p256, now):
    envelope = dsse.sign(statement.to_bytes(), p256)
    assert policy.verify(envelope, Role.SOURCE, at=now) == statement


def test_statement_is_parsed_from_the_signed_bytes(policy, statement, p256, now):
    """White space that we would not write is kept: what is signed is what is read."""
    payload = json.dumps(json.loads(statement.to_bytes()), indent=2).encode()
    assert policy.verify(dsse.sign(payload, p256), Role.SOURCE, at=now) == statement


def test_signature_without_keyid_is_tried_with_all_keys_of_the_role(
    two_of_three, statement, p256, ed, now
):
    envelope = dsse.sign(statement.to_bytes(), p256, ed)
    anonymous = replace(
        envelope, signatures=tuple(Signature("", s.value) for s in envelope.signatures)
    )
    assert two_of_three.verify(anonymous, Role.SOURCE, at=now) == statement


def test_edited_payload_is_a_bad_signature(policy, statement, p256, now):
    envelope = dsse.sign(statement.to_bytes(), p256)
    edited = replace(envelope, payload=envelope.payload.replace(b"flights", b"Flights"))
    with pytest.raises(BadSignature, match="edited"):
        policy.verify(edited, Role.SOURCE, at=now)


def test_signature_is_checked_before_anything_is_parsed(policy, p256, now):
    edited = replace(dsse.sign(b"{}", p256), payload=b"not JSON")
    with pytest.raises(BadSignature):
        policy.verify(edited, Role.SOURCE, at=now)


@pytest.mark.parametrize("payload", [b"{}", b"not JSON", b'{"a":1,"a":2}'])
def test_signed_bytes_that_are_no_statement_are_malformed(policy, p256, now, payload):
    with pytest.raises(MalformedEnvelope):
        policy.verify(dsse.sign(payload, p256), Role.SOURCE, at=now)


def test_other_payload_type_is_malformed_even_if_signed(policy, statement, p256, now):
    envelope = dsse.sign(statement.to_bytes(), p256, payload_type="text/plain")
    with pytest.raises(MalformedEnvelope, match="not an in-toto statement"):
        policy.verify(envelope, Role.SOURCE, at=now)


def test_key_of_another_role_is_untrusted(policy, statement, ed, now):
    with pytest.raises(UntrustedKey, match="belongs to another role"):
        policy.verify(dsse.sign(statement.to_bytes(), ed), Role.SOURCE, at=now)


def test_unknown_key_is_untrusted(policy, statement, pq, now):
    with pytest.raises(UntrustedKey, match="does not name this key"):
        policy.verify(dsse.sign(statement.to_bytes(), pq), Role.SOURCE, at=now)


def test_role_that_the_policy_does_not_name_is_untrusted(policy, statement, p256, now):
    with pytest.raises(UntrustedKey, match="no key for role baseline"):
        policy.verify(dsse.sign(statement.to_bytes(), p256), Role.BASELINE, at=now)


@pytest.mark.parametrize(
    "case",
    [
        (Role.GATE, "ed", predicates.WAIVER),
        (Role.GATE, "ed", predicates.OMS_SIGNATURE),
        (Role.SOURCE, "p256", predicates.SVR),
        (Role.SOURCE, "p256", predicates.BASELINE),
        (Role.WAIVER, "other_p256", predicates.SVR),
        (Role.LEDGER, "ed", predicates.SVR),
    ],
)
def test_role_may_not_sign_another_roles_predicate(request, policy, statement, now, case):
    role, signer, kind = case
    payload = replace(statement, predicate_type=kind).to_bytes()
    envelope = dsse.sign(payload, request.getfixturevalue(signer))
    with pytest.raises(UntrustedKey, match="may not sign this predicate"):
        policy.verify(envelope, role, at=now)


def test_threshold_is_met_by_different_keys(two_of_three, statement, p256, ed, now):
    envelope = dsse.sign(statement.to_bytes(), p256, ed)
    assert two_of_three.verify(envelope, Role.SOURCE, at=now) == statement


def test_threshold_is_not_met_by_one_key(two_of_three, statement, p256, now):
    with pytest.raises(UntrustedKey, match=r"too few signatures.*expected 2"):
        two_of_three.verify(dsse.sign(statement.to_bytes(), p256), Role.SOURCE, at=now)


def test_one_key_counts_once_however_often_it_signs(two_of_three, statement, p256, now):
    """Two valid signatures of one key under two names: neither name nor bytes repeat."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    first = dsse.sign(statement.to_bytes(), p256)
    second = p256._private_key.sign(first.signed_bytes(), ec.ECDSA(hashes.SHA256()))
    for name in ("", "unknown"):
        twice = replace(first, signatures=(*first.signatures, Signature(name, second)))
        with pytest.raises(UntrustedKey):
            two_of_three.verify(twice, Role.SOURCE, at=now)


def test_bad_signature_beside_enough_good_ones_does_not_matter(
    request, two_of_three, statement, now
):
    p256, ed, other = map(request.getfixturevalue, ("p256", "ed", "other_p256"))
    envelope = dsse.sign(statement.to_bytes(), p256, ed)
    bad = Signature(other.public_key.key_id, b"garbage")
    envelope = replace(envelope, signatures=(bad, *envelope.signatures))
    assert two_of_three.verify(envelope, Role.SOURCE, at=now) == statement


def test_tampering_is_reported_before_a_missing_key(two_of_three, statement, p256, pq, now):
    envelope = dsse.sign(statement.to_bytes(), pq)
    bad = Signature(p256.public_key.key_id, b"garbage")
    with pytest.raises(BadSignature):
        two_of_three.verify(
            replace(envelope, signatures=(*envelope.signatures, bad)), Role.SOURCE, at=now
        )


def test_key_counts_from_its_first_to_before_its_last_instant(policy, statement, p256, now):
    envelope = dsse.sign(statement.to_bytes(), p256)
    limited = _with_key(policy, p256, not_before=now, not_after=now + SECOND)
    assert limited.verify(envelope, Role.SOURCE, at=now) == statement
    with pytest.raises(Expired, match="not valid yet"):
        limited.verify(envelope, Role.SOURCE, at=now - SECOND)
    with pytest.raises(Expired, match="not valid any more"):
        limited.verify(envelope, Role.SOURCE, at=now + SECOND)


def test_revoked_key_is_untrusted_from_that_instant(policy, statement, p256, now):
    envelope = dsse.sign(statement.to_bytes(), p256)
    revoked = _with_key(policy, p256, revoked_at=now)
    assert revoked.verify(envelope, Role.SOURCE, at=now - SECOND) == statement
    with pytest.raises(UntrustedKey, match="revoked"):
        revoked.verify(envelope, Role.SOURCE, at=now)


def test_expired_policy_proves_nothing(policy, statement, p256, expires):
    envelope = dsse.sign(statement.to_bytes(), p256)
    assert policy.verify(envelope, Role.SOURCE, at=expires - SECOND)
    with pytest.raises(Expired, match="trust policy has expired"):
        policy.verify(envelope, Role.SOURCE, at=expires)
    with pytest.raises(Expired):
        policy.keys_for(Role.SOURCE, expires)


def test_naive_time_is_refused(policy):
    with pytest.raises(ConfigError, match="no time zone"):
        policy.keys_for(Role.SOURCE, datetime(2026, 1, 1))  # noqa: DTZ001


def test_keys_of_a_role_are_those_valid_now(policy, p256, now):
    assert policy.keys_for(Role.SOURCE, now) == [p256.public_key]
    assert policy.keys_for(Role.BASELINE, now) == []
    assert _with_key(policy, p256, revoked_at=now).keys_for(Role.SOURCE, now) == []
    assert _with_key(policy, p256, not_before=now + SECOND).keys_for(Role.SOURCE, now) == []


def test_hybrid_rule_needs_both_algorithms(statement, p256, pq, now, expires):
    plain = trust_policy({Role.SOURCE: [p256.public_key, pq.public_key]}, 1, expires)
    hybrid = replace(
        plain,
        roles={
            Role.SOURCE: replace(
                plain.roles[Role.SOURCE],
                required_algorithms=(Algorithm.ECDSA_P256, Algorithm.ML_DSA_65),
            )
        },
    )
    assert TrustPolicy.from_bytes(hybrid.to_bytes()) == hybrid
    both = dsse.sign(statement.to_bytes(), p256, pq)
    assert hybrid.verify(both, Role.SOURCE, at=now) == statement
    for signer in (p256, pq):
        with pytest.raises(UntrustedKey, match="ml-dsa-65"):
            hybrid.verify(dsse.sign(statement.to_bytes(), signer), Role.SOURCE, at=now)


@pytest.fixture(scope="module")
def four_signers(p256, other_p256, ed, pq):
    return {"p256": p256, "other_p256": other_p256, "ed": ed, "outsider": pq}


@given(
    names=st.lists(
        st.sampled_from(["p256", "other_p256", "ed", "outsider"]), min_size=2, unique=True
    ),
    dropped=st.integers(0, 3),
)
def test_taking_a_signature_away_never_helps(two_of_three, four_signers, now, names, dropped):
    statement = Statement((Subject("x", {"sha256": "0"}),), predicates.PROVENANCE, {})
    envelope = dsse.sign(statement.to_bytes(), *(four_signers[name] for name in names))
    kept = [s for n, s in enumerate(envelope.signatures) if n != dropped % len(names)]
    less = replace(envelope, signatures=tuple(kept))

    def trusted(candidate):
        with contextlib.suppress(VerificationError):
            return two_of_three.verify(candidate, Role.SOURCE, at=now) == statement
        return False

    assert trusted(envelope) == (len(set(names) - {"outsider"}) >= 2)
    assert trusted(envelope) or not trusted(less)


@given(position=st.integers(0, 100_000), mask=st.integers(1, 255))
def test_any_changed_byte_of_an_envelope_is_refused_or_harmless(policy, p256, now, position, mask):
    statement = Statement((Subject("x", {"sha256": "0"}),), predicates.PROVENANCE, {})
    data = bytearray(dsse.sign(statement.to_bytes(), p256).to_bytes())
    data[position % len(data)] ^= mask
    with contextlib.suppress(VerificationError):
        found = policy.verify(Envelope.from_bytes(bytes(data)), Role.SOURCE, at=now)
        assert found == statement

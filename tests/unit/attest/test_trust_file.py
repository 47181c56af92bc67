"""A signed trust policy: its own root keys, its predecessor's, and never an older one."""

import contextlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.attest import dsse
from sluicegate.attest.keys import Signer
from sluicegate.attest.trust import Role, TrustedKey, TrustPolicy, trust_policy
from sluicegate.attest.trust_file import PAYLOAD_TYPE, TrustFile, load_trust
from sluicegate.errors import BadSignature, ConfigError, Rollback, SluicegateError, UntrustedKey


@pytest.fixture(scope="module")
def roots():
    return [
        Signer(ed25519.Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in (11, 12, 13)
    ]


@pytest.fixture(scope="module")
def rooted(p256, roots, expires):
    """Two of two root keys."""
    keys = {Role.SOURCE: [p256.public_key], Role.ROOT: [r.public_key for r in roots[:2]]}
    return trust_policy(keys, 1, expires, thresholds={Role.ROOT: 2})


@pytest.fixture(scope="module")
def successor(p256, roots, expires):
    """Version 2: the second root key gave way to the third."""
    keys = {Role.SOURCE: [p256.public_key], Role.ROOT: [roots[0].public_key, roots[2].public_key]}
    return trust_policy(keys, 2, expires, thresholds={Role.ROOT: 2})


def test_policy_signed_by_its_root_keys_is_believed(rooted, roots):
    data = TrustFile(rooted).signed_by(*roots[:2]).to_bytes()
    assert load_trust(data) == rooted
    assert TrustFile.from_bytes(data).to_bytes() == data


def test_unsigned_policy_without_root_keys_is_believed_where_it_lies(policy):
    assert load_trust(policy.to_bytes()) == policy


def test_unsigned_policy_with_root_keys_is_untrusted(rooted):
    with pytest.raises(UntrustedKey, match="carries no signature"):
        load_trust(rooted.to_bytes())


def test_policy_signed_by_too_few_root_keys_is_untrusted(rooted, roots):
    with pytest.raises(UntrustedKey, match="too few signatures"):
        load_trust(TrustFile(rooted).signed_by(roots[0]).to_bytes())


def test_policy_signed_by_others_is_untrusted(rooted, roots, p256):
    for others in ([roots[2]], [p256], [roots[0], roots[2]]):
        with pytest.raises(UntrustedKey):
            load_trust(TrustFile(rooted).signed_by(*others).to_bytes())


def test_root_key_counts_once_towards_the_threshold(rooted, roots):
    with pytest.raises(ConfigError, match="signed already"):
        TrustFile(rooted).signed_by(roots[0], roots[0])


def test_edited_signed_policy_is_a_bad_signature(rooted, roots, expires):
    file = TrustFile(rooted).signed_by(*roots[:2])
    longer = replace(rooted, expires=expires + timedelta(days=1)).to_bytes()
    edited = replace(file.envelope, payload=longer)
    with pytest.raises(BadSignature):
        load_trust(edited.to_bytes())


def test_signature_over_a_statement_is_no_signature_over_a_policy(rooted, roots):
    """The payload type is signed too, so an envelope cannot change its meaning."""
    envelope = dsse.sign(rooted.to_bytes(), *roots[:2])
    with pytest.raises(ConfigError, match="holds no trust policy"):
        load_trust(envelope.to_bytes())
    with pytest.raises(BadSignature):
        load_trust(replace(envelope, payload_type=PAYLOAD_TYPE).to_bytes())


def test_policy_older_than_remembered_is_a_rollback(policy):
    newer = replace(policy, version=3).to_bytes()
    assert load_trust(newer, remembered_version=3).version == 3
    with pytest.raises(Rollback, match="expected version 4") as caught:
        load_trust(newer, remembered_version=4)
    assert caught.value.code == "ROLLBACK"


def test_successor_signed_by_old_and_new_root_keys_is_accepted(rooted, successor, roots):
    pinned = TrustFile(rooted).signed_by(*roots[:2])
    assert pinned.accept(TrustFile(successor).signed_by(*roots)) == successor


@pytest.mark.parametrize(
    ("signing", "missing"), [((0, 1), "new"), ((0, 2), "old"), ((2,), "both"), ((0,), "both")]
)
def test_successor_signed_by_one_side_only_is_untrusted(rooted, successor, roots, signing, missing):
    pinned = TrustFile(rooted).signed_by(*roots[:2])
    with pytest.raises(UntrustedKey):
        pinned.accept(TrustFile(successor).signed_by(*(roots[n] for n in signing)))


@pytest.mark.parametrize("version", [1, 3])
def test_successor_that_is_not_the_next_version_is_a_rollback(rooted, successor, roots, version):
    pinned = TrustFile(rooted).signed_by(*roots[:2])
    other = TrustFile(replace(successor, version=version)).signed_by(*roots)
    with pytest.raises(Rollback, match="not the next version"):
        pinned.accept(other)


def test_nothing_follows_an_unsigned_policy(policy, successor, roots):
    with pytest.raises(ConfigError, match="no root keys"):
        TrustFile(policy).accept(TrustFile(successor).signed_by(*roots))


def test_unsigned_successor_is_untrusted(rooted, policy, roots):
    pinned = TrustFile(rooted).signed_by(*roots[:2])
    with pytest.raises(UntrustedKey, match="no signature"):
        pinned.accept(TrustFile(replace(policy, version=2)))


def test_gate_and_waiver_share_no_key_unless_it_is_said(p256, expires):
    keys = {Role.GATE: [p256.public_key], Role.WAIVER: [p256.public_key]}
    with pytest.raises(ConfigError, match="waiver and gate share a key"):
        trust_policy(keys, 1, expires)
    shared = trust_policy(keys, 1, expires, four_eyes=False)
    assert json.loads(shared.to_bytes())["four_eyes"] is False
    assert TrustPolicy.from_bytes(shared.to_bytes()) == shared


def test_root_key_acts_in_no_other_role_and_has_no_dates(rooted, roots, p256, expires, now):
    keys = {Role.GATE: [p256.public_key], Role.ROOT: [p256.public_key]}
    with pytest.raises(ConfigError, match="root and gate share a key"):
        trust_policy(keys, 1, expires, four_eyes=False)
    key_id = roots[0].public_key.key_id
    dated = {**rooted.keys, key_id: TrustedKey(roots[0].public_key, revoked_at=now)}
    with pytest.raises(ConfigError, match="no validity of its own"):
        replace(rooted, keys=dated)


@given(position=st.integers(0, 100_000), mask=st.integers(1, 255))
def test_changed_byte_of_a_signed_policy_changes_nothing_or_is_refused(
    rooted, roots, position, mask
):
    data = bytearray(TrustFile(rooted).signed_by(*roots[:2]).to_bytes())
    data[position % len(data)] ^= mask
    with contextlib.suppress(SluicegateError):
        assert load_trust(bytes(data)) == rooted

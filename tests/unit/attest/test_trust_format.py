"""The file of a trust policy: written and read it is the same, edited it is refused."""

import contextlib
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.attest.test_trust import _with_key

from sluicegate.attest.trust import TrustPolicy
from sluicegate.errors import (
    ConfigError,
)

SECOND = timedelta(seconds=1)


def test_policy_written_then_read_is_unchanged(policy, two_of_three, p256, now):
    limited = _with_key(
        policy, p256, not_before=now, not_after=now + SECOND, revoked_at=now + SECOND
    )
    for original in (policy, two_of_three, limited):
        assert TrustPolicy.from_bytes(original.to_bytes()) == original
        assert TrustPolicy.from_bytes(original.to_bytes()).to_bytes() == original.to_bytes()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_policy_or_a_configuration_error(data):
    with pytest.raises(ConfigError):
        TrustPolicy.from_bytes(data)


@given(position=st.integers(0, 100_000), byte=st.integers(0, 255))
def test_any_changed_byte_is_a_policy_or_a_configuration_error(policy, position, byte):
    data = bytearray(policy.to_bytes())
    data[position % len(data)] = byte
    with contextlib.suppress(ConfigError):
        TrustPolicy.from_bytes(bytes(data))


def _first(mapping):
    return mapping[next(iter(mapping))]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda v: v.update(type="https://sluicegate.dev/trust-policy/v2"), "not a trust policy"),
        (lambda v: v.update(extra=1), "unknown field 'extra'"),
        (lambda v: v.pop("expires"), "missing field 'expires'"),
        (lambda v: v.update(expires="2026-01-01"), "not a time"),
        (lambda v: v.update(version=0), "starts at 1"),
        (lambda v: v.update(version=True), "not an integer"),
        (lambda v: v.update(version=1.5), "not an integer"),
        (lambda v: v.update(roles={}), "no roles"),
        (lambda v: v.update(roles=[]), "not an object"),
        (lambda v: v.update(keys=None), "not an object"),
        (lambda v: v.update(keys={}), "names a key that the policy does not hold"),
        (lambda v: v["roles"].update(admin=v["roles"]["gate"]), "unknown role"),
        (lambda v: v["roles"]["gate"].update(keys=[]), "at least one key"),
        (lambda v: v["roles"]["gate"].update(keys="abc"), "not a list"),
        (lambda v: v["roles"]["gate"].update(keys=[1]), "not a text"),
        (lambda v: v["roles"]["gate"]["keys"].append(v["roles"]["gate"]["keys"][0]), "once"),
        (lambda v: v["roles"]["gate"].update(threshold=0), "threshold"),
        (lambda v: v["roles"]["gate"].update(threshold=2), "threshold"),
        (lambda v: v["roles"]["gate"].update(treshold=1), "unknown field 'treshold'"),
        (lambda v: v["roles"]["gate"].update(required_algorithms=["rsa"]), "unknown algorithm"),
        (lambda v: _first(v["keys"]).update(revoked="2026-01-01T00:00:00Z"), "unknown field"),
        (lambda v: _first(v["keys"]).update(revoked_at=None), "not a time"),
        (lambda v: _first(v["keys"]).update(pem="x"), "not a public key"),
        (lambda v: _first(v["keys"]).update(pem=1), "not a text"),
        (
            lambda v: _first(v["keys"]).update(
                not_before="2026-01-02T00:00:00Z", not_after="2026-01-01T00:00:00Z"
            ),
            "never valid",
        ),
        (lambda v: v["keys"].update({"0" * 64: _first(v["keys"])}), "key id is not"),
    ],
)
def test_edited_policy_is_a_configuration_error(policy, edit, reason):
    value = json.loads(policy.to_bytes())
    edit(value)
    with pytest.raises(ConfigError, match=reason):
        TrustPolicy.from_bytes(json.dumps(value).encode(), locator="trust.json")


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"type":1,"type":1}', b"\xff"])
def test_text_that_is_no_policy_is_a_configuration_error(data):
    with pytest.raises(ConfigError, match=r"trust\.json"):
        TrustPolicy.from_bytes(data, locator="trust.json")

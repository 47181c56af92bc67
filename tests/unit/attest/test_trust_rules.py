"""What no policy may say: keys of witnesses elsewhere, no keys, one twice, too few."""

from datetime import timedelta

import pytest

from sluicegate.attest.trust import Role, RoleRule, TrustPolicy, trust_policy
from sluicegate.errors import (
    ConfigError,
)

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.WITNESS])
def test_key_for_witnesses_has_no_other_role(expires, pq_witness, role):
    with pytest.raises(ConfigError, match="ml-dsa-44 for witnesses only"):
        trust_policy({role: [pq_witness.public_key]}, 1, expires)


def test_key_for_witnesses_may_witness(expires, pq_witness, now):
    original = trust_policy({Role.WITNESS: [pq_witness.public_key]}, 1, expires)
    read = TrustPolicy.from_bytes(original.to_bytes())
    assert read.keys_for(Role.WITNESS, at=now) == [pq_witness.public_key]


def test_policy_without_roles_or_keys_is_refused(expires, p256):
    with pytest.raises(ConfigError, match="no roles"):
        trust_policy({}, 1, expires)
    with pytest.raises(ConfigError, match="at least one key"):
        trust_policy({Role.GATE: []}, 1, expires)
    with pytest.raises(ConfigError, match="each key once"):
        trust_policy({Role.GATE: [p256.public_key, p256.public_key]}, 1, expires)
    with pytest.raises(ConfigError, match="threshold"):
        RoleRule((p256.public_key.key_id,), 2)

"""What a trust policy is made of: keys with their validity, and roles with their rights."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sluicegate.attest import predicates
from sluicegate.attest.public_key import Algorithm
from sluicegate.attest.timestamps import format_timestamp, require_aware
from sluicegate.digest.algorithms import TABLE_TYPE
from sluicegate.digest.incremental import STATE_TYPE
from sluicegate.digest.merkle_manifest import MERKLE_MANIFEST_TYPE
from sluicegate.errors import ConfigError, Expired, UntrustedKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sluicegate.attest.public_key import PublicKey


class Role(StrEnum):
    """Who signs what; a key of one role proves nothing for another role."""

    SOURCE = "source"
    GATE = "gate"
    BASELINE = "baseline"
    WAIVER = "waiver"
    LEDGER = "ledger"
    WITNESS = "witness"
    ROOT = "root"


DEFAULT_PREDICATES: Final[Mapping[Role, tuple[str, ...]]] = {
    Role.SOURCE: (
        predicates.OMS_SIGNATURE,
        predicates.PROVENANCE,
        MERKLE_MANIFEST_TYPE,
        STATE_TYPE,
        TABLE_TYPE,
    ),
    Role.GATE: (predicates.SVR, predicates.TEST_RESULT),
    Role.BASELINE: (predicates.BASELINE,),
    Role.WAIVER: (predicates.WAIVER,),
    # These two sign checkpoints of the ledger, never statements.
    Role.LEDGER: (),
    Role.WITNESS: (),
    # This role signs the trust policy itself, and nothing else.
    Role.ROOT: (),
}
"""Predicates that each role may sign, unless a policy grants fewer or, new ones, more."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key and when its signatures count.

    Attributes:
        public_key: The key.
        not_before: First instant at which it counts; None if it always did.
        not_after: First instant at which it no longer counts; None if there is none.
        revoked_at: Instant from which nothing that it ever signed counts; None if there is none.

    Raises:
        ConfigError: A time is naive, or the key is never valid.
    """

    public_key: PublicKey
    not_before: datetime | None = None
    not_after: datetime | None = None
    revoked_at: datetime | None = None

    def __post_init__(self) -> None:
        for at in (self.not_before, self.not_after, self.revoked_at):
            if at is not None:
                require_aware(at)
        if self.not_before and self.not_after and self.not_before >= self.not_after:
            raise ConfigError("key is never valid", locator=f"key {self.public_key.short}")

    def check(self, at: datetime, *, asked: datetime | None = None) -> None:
        """Return if the key counts at this time.

        Args:
            at: When it signed, aware, from a clock that the signer does not control.
            asked: When the question is put, if later than ``at``. A revocation until then
                reaches back; the end of the key's validity does not.

        Raises:
            UntrustedKey: The key was revoked.
            Expired: The time is before its first or after its last instant.
        """
        locator = f"key {self.public_key.short}"
        if self.revoked_at is not None and (asked or at) >= self.revoked_at:
            raise UntrustedKey(
                f"key was revoked at {format_timestamp(self.revoked_at)}",
                locator=locator,
                next_step="Review what it signed, then sign again with a valid key.",
            )
        if self.not_before is not None and at < self.not_before:
            _expired(
                locator, "key is not valid yet", f"from {format_timestamp(self.not_before)}", at
            )
        if self.not_after is not None and at >= self.not_after:
            _expired(
                locator,
                "key is not valid any more",
                f"until {format_timestamp(self.not_after)}",
                at,
            )


@dataclass(frozen=True, slots=True)
class RoleRule:
    """Conditions on which a role's signatures count.

    Attributes:
        key_ids: Ids of the role's keys, each once; at least one if there is no authority.
        threshold: Number of keys that must sign: 1 to the number of keys, or more if an
            authority may vouch for further ones.
        predicates: Predicate types that the role may sign.
        required_algorithms: Each must be among the signing keys; two of them demand a hybrid
            of classical and post-quantum signatures.
        authorities: PEM certificates of authorities that may vouch for further keys.

    Raises:
        ConfigError: There is no key and no authority, a key is there twice, or the threshold
            does not fit.
    """

    key_ids: tuple[str, ...]
    threshold: int = 1
    predicates: tuple[str, ...] = ()
    required_algorithms: tuple[Algorithm, ...] = ()
    authorities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        named = bool(self.key_ids or self.authorities)
        if not named or len(set(self.key_ids)) != len(self.key_ids):
            raise ConfigError("role needs at least one key, and each key once")
        # Nobody knows how many keys an authority will vouch for.
        most = self.threshold if self.authorities else len(self.key_ids)
        if not 1 <= self.threshold <= most:
            raise ConfigError(
                "threshold does not fit the number of keys",
                expected=f"1 to {len(self.key_ids)}",
                got=str(self.threshold),
            )


def check_roles(
    keys: Mapping[str, TrustedKey], roles: Mapping[Role, RoleRule], *, four_eyes: bool
) -> None:
    """Check roles against each other and against the keys that they name.

    Args:
        keys: Trusted keys by key id.
        roles: Rules by role; at least one.
        four_eyes: Whether gate and waiver must have different keys.

    Raises:
        ConfigError: There is no role, a role names a key that is not there, root shares a key
            with another role or has one with a validity of its own, gate and waiver share one,
            or an ML-DSA-44 key has another role than witness.
    """
    if not roles:
        raise ConfigError(
            "trust policy has no roles",
            next_step="Name at least one key: `sluicegate trust init --key ROLE=PUB.pem`.",
        )
    for role, rule in roles.items():
        if not set(rule.key_ids) <= keys.keys():
            raise ConfigError("role names a key that the policy does not hold", locator=role)
        _refuse_witness_keys(role, [keys[key_id].public_key for key_id in rule.key_ids])
    if four_eyes:
        # The one who blocks must not be able to overrule the block.
        _refuse_shared(roles, Role.WAIVER, (Role.GATE,))
    # The root key stays offline. A key that also signs batches cannot.
    _refuse_shared(roles, Role.ROOT, tuple(role for role in roles if role is not Role.ROOT))
    for key_id in roles[Role.ROOT].key_ids if Role.ROOT in roles else ():
        if keys[key_id] != TrustedKey(keys[key_id].public_key):
            raise ConfigError(
                "a root key has no validity of its own",
                locator=f"key {key_id[:12]}",
                next_step="Take it out of the role with `sluicegate trust rotate --remove`.",
            )


def _refuse_witness_keys(role: Role, keys: Sequence[PublicKey]) -> None:
    """Refuse keys that only cosignatures use; statements have the stronger ML-DSA-65."""
    for key in keys:
        if key.algorithm is Algorithm.ML_DSA_44 and role is not Role.WITNESS:
            raise ConfigError(
                f"role {role.value} cannot have a key of {key.algorithm.value}",
                locator=f"key {key.short}",
                expected="ml-dsa-44 for witnesses only",
                next_step="Make another key with `sluicegate keygen`.",
            )


def _refuse_shared(roles: Mapping[Role, RoleRule], role: Role, others: tuple[Role, ...]) -> None:
    own = set(roles[role].key_ids) if role in roles else set()
    for other in others:
        shared = own & set(roles[other].key_ids) if other in roles else set()
        if shared:
            raise ConfigError(
                f"roles {role.value} and {other.value} share a key",
                locator=f"key {min(shared)[:12]}",
                expected="different keys, held by different people",
                next_step="Make another key with `sluicegate keygen`.",
            )


def _expired(locator: str, what: str, expected: str, at: datetime) -> None:
    raise Expired(
        what,
        locator=locator,
        expected=expected,
        got=format_timestamp(at),
        next_step="Sign with a valid key, or extend the key in the trust policy.",
    )

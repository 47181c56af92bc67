"""What an administrator does with a trust policy: begin, rotate, revoke, sign, describe."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256

from sluicegate.adapters.files.named_file import write_named
from sluicegate.attest.certificates import load_certificates
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust import TrustPolicy
from sluicegate.attest.trust_rules import DEFAULT_PREDICATES, Role, RoleRule, TrustedKey
from sluicegate.errors import ConfigError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from sluicegate.attest.keys import PublicKey, Signer
    from sluicegate.attest.public_key import Algorithm
    from sluicegate.attest.trust_file import TrustFile

_HEXADECIMAL = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How the next version of a policy differs from this one.

    Attributes:
        add: Keys to add, by role.
        remove: Key ids, or unique beginnings of key ids, to take out of every role.
        thresholds: Signatures that a role needs from now on.
        required: Algorithms that must be among a role's signatures from now on.
        authorities: PEM certificates that may vouch for further keys of a role.
        timestamp_authorities: PEM certificates whose timestamps are believed from now on; those of
            the policy if empty.
    """

    add: Mapping[Role, Sequence[PublicKey]] = field(default_factory=dict)
    remove: Sequence[str] = ()
    thresholds: Mapping[Role, int] = field(default_factory=dict)
    required: Mapping[Role, Sequence[Algorithm]] = field(default_factory=dict)
    authorities: Mapping[Role, Sequence[str]] = field(default_factory=dict)
    timestamp_authorities: Sequence[str] = ()


def begin(change: Change, *, expires: datetime, four_eyes: bool = True) -> TrustPolicy:
    """Return version 1 of a policy; each role may sign its own predicates.

    Args:
        change: Keys and rules of the policy; nothing is removed.
        expires: Aware UTC; the policy counts before this instant.
        four_eyes: Whether gate and waiver must have different keys.

    Raises:
        ConfigError: No role gets a key or an authority, or the rules do not fit each other.
    """
    roles = {}
    for role in (role for role in Role if role in {*change.add, *change.authorities}):
        ids = tuple(key.key_id for key in change.add.get(role, ()))
        pems = tuple(change.authorities.get(role, ()))
        threshold = change.thresholds.get(role, 1)
        roles[role] = RoleRule(ids, threshold, DEFAULT_PREDICATES[role], (), pems)
    keys = {key.key_id: TrustedKey(key) for found in change.add.values() for key in found}
    rules = _with_required(roles, change.required)
    return TrustPolicy(1, expires, keys, rules, four_eyes, tuple(change.timestamp_authorities))


def rotate(policy: TrustPolicy, change: Change, *, expires: datetime) -> TrustPolicy:
    """Return the next version with keys added and removed.

    Args:
        policy: Current version.
        change: How the next version differs.
        expires: Aware UTC; the next version counts before this instant.

    Raises:
        ConfigError: A key id is unknown, a role would lose its last key, or the rules do not fit
            each other.
    """
    gone = {find_key(policy, text) for text in change.remove}
    keys = {key_id: key for key_id, key in policy.keys.items() if key_id not in gone}
    keys |= {k.key_id: TrustedKey(k) for found in change.add.values() for k in found} | keys
    roles = {}
    for role in Role:
        old = policy.roles.get(role)
        ids = [key_id for key_id in (old.key_ids if old else ()) if key_id not in gone]
        ids += [key.key_id for key in change.add.get(role, ()) if key.key_id not in ids]
        if ids or (old and old.authorities):
            threshold = change.thresholds.get(role, old.threshold if old else 1)
            predicates = old.predicates if old else DEFAULT_PREDICATES[role]
            required = old.required_algorithms if old else ()
            pems = old.authorities if old else ()
            roles[role] = RoleRule(tuple(ids), threshold, predicates, required, pems)
        elif old is not None:
            raise ConfigError(
                "the role would be left without a key",
                locator=role.value,
                next_step=f"Add its successor: --key {role.value}=PUB.pem.",
            )
    return replace(
        policy,
        version=policy.version + 1,
        expires=expires,
        keys=keys,
        roles=_with_required(roles, change.required),
        timestamp_authorities=tuple(change.timestamp_authorities) or policy.timestamp_authorities,
    )


def revoke(policy: TrustPolicy, text: str, *, at: datetime) -> TrustPolicy:
    """Return the next version, in which nothing that a key signed counts from an instant on.

    Args:
        policy: Current version.
        text: Key id or a unique beginning of it.
        at: Aware UTC; instant of the revocation. If the policy holds an earlier one, that is kept.

    Raises:
        ConfigError: The key is unknown, or is a root key, which is rotated out instead.
    """
    key = policy.keys[find_key(policy, text)]
    if key.revoked_at is not None:
        at = min(at, key.revoked_at)
    keys = {**policy.keys, key.public_key.key_id: replace(key, revoked_at=at)}
    return replace(policy, version=policy.version + 1, keys=keys)


def sign(file: TrustFile, signers: Sequence[Signer]) -> TrustFile:
    """Return the file signed by root keys; without any it stays as it is.

    Args:
        file: Signed or not.
        signers: Root keys.
    """
    return file.signed_by(*signers) if signers else file


def describe(file: TrustFile, *, at: datetime) -> dict[str, Any]:
    """Return what a policy says, as plain JSON types.

    Args:
        file: Signed or not; if its signatures do not hold, the description says so.
        at: Aware UTC; keys are described as of then.
    """
    policy = file.policy
    try:
        file.verified()
        signed = "yes" if file.envelope else "no: pinned by its place only"
    except VerificationError as error:
        signed = f"not valid: {error}"
    return {
        "version": policy.version,
        "expires": format_timestamp(policy.expires),
        "current": at < policy.expires,
        "signed": signed,
        "signatures": [s.key_id for s in file.envelope.signatures] if file.envelope else [],
        "four_eyes": policy.four_eyes,
        "timestamp_authorities": _describe_authorities(policy.timestamp_authorities),
        "roles": {role.value: _describe_role(policy, role, at) for role in policy.roles},
    }


def write_trust(path: Path, file: TrustFile) -> None:
    """Replace a policy file in one step; see `named_file.writing`.

    Args:
        path: File to replace or create.
        file: The new content.
    """
    write_named(path, file.to_bytes(), "the trust policy cannot be written")


def find_key(policy: TrustPolicy, text: str) -> str:
    """Return the one key id that begins with a text.

    Args:
        policy: Names the keys.
        text: Key id, 64 hex digits, or the beginning of one.

    Raises:
        ConfigError: No key id does, or several do.
    """
    found = [key_id for key_id in policy.keys if text and key_id.startswith(text)]
    if len(found) != 1:
        raise ConfigError(
            "no key with this id" if not found else "several keys begin like this",
            locator=f"key id {text[:12]}" if _HEXADECIMAL.fullmatch(text) else "key id",
            next_step="List the keys with `sluicegate trust show`.",
        )
    return found[0]


def _with_required(
    roles: Mapping[Role, RoleRule], required: Mapping[Role, Sequence[Algorithm]]
) -> dict[Role, RoleRule]:
    missing = required.keys() - roles.keys()
    if missing:
        raise ConfigError("the policy has no such role", locator=min(missing))
    return {
        role: replace(rule, required_algorithms=tuple(required[role])) if role in required else rule
        for role, rule in roles.items()
    }


def _describe_role(policy: TrustPolicy, role: Role, at: datetime) -> dict[str, Any]:
    rule = policy.roles[role]
    return {
        "threshold": rule.threshold,
        "required_algorithms": [item.value for item in rule.required_algorithms],
        "keys": [_describe_key(policy.keys[key_id], at) for key_id in rule.key_ids],
        "authorities": _describe_authorities(rule.authorities),
    }


def _describe_authorities(pems: Sequence[str]) -> list[dict[str, str]]:
    """Describe who may add keys or times: a policy allows this as much as it allows keys."""
    found = [load_certificates(pem.encode(), locator="authorities")[0] for pem in pems]
    return [
        {
            "subject": certificate.subject.rfc4514_string(),
            "until": format_timestamp(certificate.not_valid_after_utc),
            "sha256": certificate.fingerprint(SHA256()).hex(),
        }
        for certificate in found
    ]


def _describe_key(key: TrustedKey, at: datetime) -> dict[str, Any]:
    try:
        key.check(at)
        state = "valid"
    except VerificationError as error:
        state = error.what
    return {
        "key_id": key.public_key.key_id,
        "algorithm": key.public_key.algorithm.value,
        "state": state,
    }

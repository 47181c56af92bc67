"""The trust policy as a file. Specified in docs/formats/trust-policy.md.

A mistake in this file is the administrator's, so every error here is ConfigError. Unknown
keys are errors: a misspelt `revoked_at` that is ignored would keep a stolen key alive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from sluicegate.attest.certificates import load_certificates
from sluicegate.attest.public_key import Algorithm, load_public_key
from sluicegate.attest.timestamps import format_timestamp, parse_timestamp
from sluicegate.attest.trust_rules import Role, RoleRule, TrustedKey
from sluicegate.digest import canonical
from sluicegate.errors import ConfigError, MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

POLICY_TYPE: Final = "https://sluicegate.dev/trust-policy/v1"

MAX_POLICY_BYTES: Final = 1024 * 1024

_TIMES: Final = ("not_before", "not_after", "revoked_at")


def write_trust_policy(
    version: int,
    expires: datetime,
    keys: Mapping[str, TrustedKey],
    roles: Mapping[Role, RoleRule],
    *,
    four_eyes: bool = True,
    timestamp_authorities: tuple[str, ...] = (),
) -> bytes:
    """Write canonical JSON, without the fields that have their default.

    Args:
        version: From 1.
        expires: First instant at which the policy proves nothing any more, aware.
        keys: Trusted keys by key id.
        roles: Rules by role.
        four_eyes: Whether gate and waiver must have different keys.
        timestamp_authorities: PEM certificates, one authority in each.
    """
    value: dict[str, Any] = {
        "type": POLICY_TYPE,
        "version": version,
        "expires": format_timestamp(expires),
        "keys": {key_id: _key_to_json(key) for key_id, key in keys.items()},
        "roles": {role.value: _rule_to_json(rule) for role, rule in roles.items()},
    }
    if not four_eyes:
        value["four_eyes"] = False
    if timestamp_authorities:
        value["timestamp_authorities"] = list(timestamp_authorities)
    return canonical.dumps(value)


def read_trust_policy(
    data: bytes, locator: str
) -> tuple[int, datetime, dict[str, TrustedKey], dict[Role, RoleRule], bool, tuple[str, ...]]:
    """Read a trust policy.

    Args:
        data: JSON text.
        locator: Path, for messages.

    Returns:
        Version, expiry, keys by id, rules by role, whether gate and waiver must differ, and
        timestamp authorities. They are not yet checked against each other.

    Raises:
        ConfigError: It is no JSON, fields are unknown, missing or mistyped, or the id of a key is
            not the digest of its PEM.
    """
    try:
        value = canonical.loads(data, locator=locator, max_bytes=MAX_POLICY_BYTES)
        required = ("type", "version", "expires", "keys", "roles")
        optional = ("four_eyes", "timestamp_authorities")
        fields = _fields(value, locator, required=required, optional=optional)
        if fields["type"] != POLICY_TYPE:
            _refuse(locator, "is not a trust policy", POLICY_TYPE)
        keys = _mapping(fields["keys"], f"{locator}: keys")
        roles = _mapping(fields["roles"], f"{locator}: roles")
        return (
            _integer(fields["version"], f"{locator}: version"),
            parse_timestamp(fields["expires"], locator=f"{locator}: expires"),
            {key_id: _key(key_id, item, locator) for key_id, item in keys.items()},
            {_role(name, locator): _rule(name, item, locator) for name, item in roles.items()},
            _boolean(fields.get("four_eyes", True), f"{locator}: four_eyes"),
            _authorities(fields.get("timestamp_authorities", []), locator),
        )
    except MalformedEnvelope as error:
        raise ConfigError(
            error.what, locator=error.locator, expected=error.expected, got=error.got
        ) from error


def _key_to_json(key: TrustedKey) -> dict[str, str]:
    times = {name: getattr(key, name) for name in _TIMES}
    return {
        "pem": key.public_key.to_pem().decode("ascii"),
        **{name: format_timestamp(at) for name, at in times.items() if at is not None},
    }


def _rule_to_json(rule: RoleRule) -> dict[str, Any]:
    value: dict[str, Any] = {
        "keys": list(rule.key_ids),
        "threshold": rule.threshold,
        "predicates": list(rule.predicates),
    }
    if rule.required_algorithms:
        value["required_algorithms"] = [item.value for item in rule.required_algorithms]
    if rule.authorities:
        value["authorities"] = list(rule.authorities)
    return value


def _key(key_id: str, value: Any, locator: str) -> TrustedKey:
    where = f"{locator}: key {ascii(key_id)[1:13]}"
    fields = _fields(value, where, required=("pem",), optional=_TIMES)
    public_key = load_public_key(_text(fields["pem"], where).encode(), locator=where)
    if public_key.key_id != key_id:
        _refuse(where, "key id is not the SHA-256 of its PEM", public_key.short)
    times = {
        name: parse_timestamp(fields[name], locator=f"{where}: {name}")
        for name in _TIMES
        if name in fields
    }
    return TrustedKey(public_key, **times)


def _rule(name: str, value: Any, locator: str) -> RoleRule:
    where = f"{locator}: role {name}"
    fields = _fields(
        value,
        where,
        required=("keys", "threshold", "predicates"),
        optional=("required_algorithms", "authorities"),
    )
    algorithms = _texts(fields.get("required_algorithms", []), where)
    if not set(algorithms) <= set(Algorithm):
        _refuse(where, "unknown algorithm", " or ".join(Algorithm))
    return RoleRule(
        _texts(fields["keys"], where),
        _integer(fields["threshold"], where),
        _texts(fields["predicates"], where),
        tuple(Algorithm(item) for item in algorithms),
        _authorities(fields.get("authorities", []), where),
    )


def _authorities(value: Any, locator: str) -> tuple[str, ...]:
    pems = _texts(value, locator)
    for pem in pems:
        if len(load_certificates(pem.encode(), locator=f"{locator}: authorities")) != 1:
            _refuse(locator, "each authority is one certificate")
    return pems


def _role(name: str, locator: str) -> Role:
    if name not in set(Role):
        _refuse(locator, f"unknown role {ascii(name)[:40]}", " or ".join(Role))
    return Role(name)


def _fields(
    value: Any, locator: str, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    fields = _mapping(value, locator)
    missing = set(required) - fields.keys()
    unknown = fields.keys() - {*required, *optional}
    if missing or unknown:
        wrong = ", ".join(ascii(name)[:40] for name in sorted(missing or unknown))
        _refuse(locator, f"{'missing' if missing else 'unknown'} field {wrong}")
    return fields


def _mapping(value: Any, locator: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(locator, "is not an object")
    return value


def _text(value: Any, locator: str) -> str:
    if not isinstance(value, str):
        _refuse(locator, "is not a text")
    return value


def _texts(value: Any, locator: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        _refuse(locator, "is not a list of texts")
    return tuple(_text(item, locator) for item in value)


def _integer(value: Any, locator: str) -> int:
    if type(value) is not int:  # a bool is an int to Python and a boolean to JSON
        _refuse(locator, "is not an integer")
    return value


def _boolean(value: Any, locator: str) -> bool:
    if not isinstance(value, bool):
        _refuse(locator, "is not a boolean")
    return value


def _refuse(locator: str, what: str, expected: str = "") -> NoReturn:
    raise ConfigError(
        what,
        locator=locator,
        expected=expected,
        next_step="Write the trust policy with `sluicegate trust init`.",
    )

"""The trust policy: which keys may say what, how many of them must, and until when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from sluicegate.attest.dsse import PAYLOAD_TYPE, Envelope, Signature
from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import format_timestamp, require_aware
from sluicegate.attest.trust_format import read_trust_policy, write_trust_policy
from sluicegate.attest.trust_rules import (
    DEFAULT_PREDICATES,
    Role,
    RoleRule,
    TrustedKey,
    check_roles,
)
from sluicegate.errors import (
    BadSignature,
    ConfigError,
    Expired,
    MalformedEnvelope,
    UntrustedKey,
    VerificationError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sluicegate.attest.public_key import Algorithm, PublicKey

__all__ = ["DEFAULT_PREDICATES", "Role", "RoleRule", "TrustPolicy", "TrustedKey", "trust_policy"]

# When signatures fail for several reasons, the one that points to tampering is reported.
_GRAVEST_FIRST: Final = (BadSignature, Expired, UntrustedKey)


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Keys, and the roles they act in.

    Attributes:
        version: It rises with every change; a holder of version n refuses n - 1.
        expires: First instant at which the policy proves nothing any more, aware.
        keys: Trusted keys by key id.
        roles: Rules by role; at least one role, each with a key or an authority.
        four_eyes: Whether gate and waiver must have different keys.
        timestamp_authorities: PEM certificates of authorities whose RFC 3161 timestamps say when
            a certificate's key has signed.

    Raises:
        ConfigError: The version is below 1, the expiry is naive, or `check_roles` refuses it.
    """

    version: int
    expires: datetime
    keys: Mapping[str, TrustedKey]
    roles: Mapping[Role, RoleRule]
    four_eyes: bool = True
    timestamp_authorities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_aware(self.expires)
        if self.version < 1:
            raise ConfigError("version of a trust policy starts at 1", got=str(self.version))
        check_roles(self.keys, self.roles, four_eyes=self.four_eyes)

    def keys_for(self, role: Role, at: datetime) -> list[PublicKey]:
        """Return the keys of a role that are valid at this time.

        Args:
            role: One that the policy need not name.
            at: Aware.

        Returns:
            Keys in the order of the policy; empty if no key of the role is valid.

        Raises:
            Expired: The policy itself has expired.
        """
        self._check_current(at)
        rule = self.roles.get(role)
        valid = []
        for key_id in rule.key_ids if rule else ():
            try:
                self.keys[key_id].check(at)
            except VerificationError:
                continue
            valid.append(self.keys[key_id].public_key)
        return valid

    def verify(
        self,
        envelope: Envelope,
        role: Role,
        *,
        at: datetime,
        asked: datetime | None = None,
        locator: str = "envelope",
    ) -> Statement:
        """Return what a role has signed, if it has.

        Args:
            envelope: From the wire, not believed yet.
            role: Who must have signed.
            at: Aware, from a clock that no signer controls: now, or the time of a signed
                checkpoint of the ledger. It is never a time out of the statement itself.
            asked: Time at which revocations are judged, if later than ``at``. A key that expired
                since still counts, and a key that was revoked since never did.
            locator: Where the envelope came from, for messages.

        Returns:
            The statement, parsed from exactly the bytes that the signatures cover.

        Raises:
            Expired: The policy or the signing key is not valid at this time.
            BadSignature: A signature of one of the role's keys does not fit the bytes.
            UntrustedKey: No key of this role signed it, too few did, a key was revoked, or the
                role may not sign this predicate.
            MalformedEnvelope: The signed bytes are no statement.

        Cost: one verification for each signature, at most 16, plus parsing.
        """
        # 1. The policy is current                       (freeze: an old policy kept in use)
        self._check_current(at)
        # 2. Enough different keys of this role signed   (one key counted twice, other roles)
        self.check_signatures(envelope, role, at=at, asked=asked, locator=locator)
        rule = self.roles[role]
        # 3. The payload is of the type that was signed  (bytes with two meanings)
        if envelope.payload_type != PAYLOAD_TYPE:
            raise MalformedEnvelope(
                "payload is not an in-toto statement",
                locator=locator,
                expected=PAYLOAD_TYPE,
                got=ascii(envelope.payload_type)[:80],
            )
        # 4. Only now parse, and exactly those bytes     (parser attacks, swap after check)
        statement = Statement.from_bytes(envelope.payload, locator=locator)
        # 5. This role may make this kind of statement   (gate key signing a waiver)
        if statement.predicate_type not in rule.predicates:
            raise UntrustedKey(
                f"role {role.value} may not sign this predicate",
                locator=locator,
                expected=" or ".join(rule.predicates) or "none",
                got=statement.predicate_type,
            )
        return statement

    def to_bytes(self) -> bytes:
        """Write the policy of docs/formats/trust-policy.md, without a signature."""
        return write_trust_policy(
            self.version,
            self.expires,
            self.keys,
            self.roles,
            four_eyes=self.four_eyes,
            timestamp_authorities=self.timestamp_authorities,
        )

    @classmethod
    def from_bytes(cls, data: bytes, *, locator: str = "trust policy") -> Self:
        """Read what `to_bytes` wrote.

        Args:
            data: JSON text.
            locator: Path, for messages.

        Returns:
            The policy; whether it is current is decided when it is used.

        Raises:
            ConfigError: Anything in it is wrong, missing or unknown.
        """
        return cls(*read_trust_policy(data, locator))

    def _check_current(self, at: datetime) -> None:
        if require_aware(at) >= self.expires:
            raise Expired(
                "trust policy has expired",
                expected=f"use before {format_timestamp(self.expires)}",
                got=format_timestamp(at),
                next_step="Write a new one with `sluicegate trust init` after a review.",
            )

    def check_signatures(
        self,
        envelope: Envelope,
        role: Role,
        *,
        at: datetime,
        asked: datetime | None = None,
        locator: str,
    ) -> tuple[PublicKey, ...]:
        """Return the keys of a role that signed these bytes, if they are enough.

        It does not look at the policy's own expiry, nor at what was signed: `verify` does.

        Args:
            envelope: From the wire, not believed yet.
            role: Who must have signed.
            at: Aware, as in `verify`.
            asked: Time at which revocations are judged, as in `verify`.
            locator: Where the envelope came from, for messages.

        Returns:
            Keys in the order of the signatures, each once.

        Raises:
            BadSignature: A signature of one of the role's keys does not fit the bytes.
            Expired: A signing key is not valid at this time.
            UntrustedKey: The policy does not name the role, or too few of its keys signed.
        """
        rule = self.roles.get(role)
        if rule is None:
            raise UntrustedKey(f"trust policy names no key for role {role.value}", locator=locator)
        message = envelope.signed_bytes()
        accepted: dict[str, PublicKey] = {}
        problems: list[VerificationError] = []
        for signature in envelope.signatures:
            try:
                key = self._signing_key(signature, message, role, rule)
                key.check(at, asked=asked)
            except VerificationError as error:
                problems.append(error)
            else:
                accepted[key.public_key.key_id] = key.public_key
        algorithms = {key.algorithm for key in accepted.values()}
        if len(accepted) < rule.threshold or not algorithms.issuperset(rule.required_algorithms):
            _raise_gravest(problems, rule, len(accepted), locator)
        return tuple(accepted.values())

    def with_rule(self, role: Role, **changes: Any) -> TrustPolicy:
        """Return the policy with another rule for one role.

        Args:
            role: If the policy does not name it, nothing changes.
            changes: Fields of `RoleRule`.
        """
        if role not in self.roles:
            return self
        return replace(self, roles={**self.roles, role: replace(self.roles[role], **changes)})

    def requiring(self, algorithm: Algorithm) -> TrustPolicy:
        """Return the policy in which every role that signs statements must use an algorithm."""
        policy = self
        for role, rule in self.roles.items():
            needed = {*rule.required_algorithms, algorithm}
            if rule.predicates:
                policy = policy.with_rule(role, required_algorithms=tuple(sorted(needed)))
        return policy

    def _signing_key(
        self, signature: Signature, message: bytes, role: Role, rule: RoleRule
    ) -> TrustedKey:
        """Return the role's key that made this signature; its validity is not checked yet."""
        candidates = [self.keys[key_id] for key_id in rule.key_ids]
        if signature.key_id:
            # It is a hint only, so it may narrow the search and never widen it.
            candidates = [key for key in candidates if key.public_key.key_id == signature.key_id]
        if not candidates:
            self._refuse_key(signature.key_id, role)
        for key in candidates:
            try:
                key.public_key.verify(signature.value, message)
            except BadSignature:
                continue
            return key
        raise BadSignature(
            "signature does not match the signed bytes",
            locator=f"key {ascii(signature.key_id)[1:13]}" if signature.key_id else "",
            next_step="Treat the evidence as edited; get the original or sign again.",
        )

    def _refuse_key(self, key_id: str, role: Role) -> NoReturn:
        others = [other.value for other, rule in self.roles.items() if key_id in rule.key_ids]
        raise UntrustedKey(
            "key belongs to another role" if others else "trust policy does not name this key",
            locator=f"key {ascii(key_id)[1:13]}",
            expected=f"a key of role {role.value}",
            got=" and ".join(others),
            next_step="Sign with a key of that role, or change the trust policy after a review.",
        )


def trust_policy(
    keys: Mapping[Role, Sequence[PublicKey]],
    version: int,
    expires: datetime,
    *,
    thresholds: Mapping[Role, int] | None = None,
    four_eyes: bool = True,
) -> TrustPolicy:
    """Make a policy in which each role may sign its own predicates.

    Args:
        keys: Keys of each role.
        version: From 1, and higher than that of the policy that it replaces.
        expires: First instant at which it proves nothing any more, aware.
        thresholds: Number of signatures that a role needs; 1 for a role that is not named.
        four_eyes: Whether gate and waiver must have different keys.

    Returns:
        The policy.

    Raises:
        ConfigError: There is no role, a role has no key, or a threshold does not fit.
    """
    return TrustPolicy(
        version,
        expires,
        {key.key_id: TrustedKey(key) for found in keys.values() for key in found},
        {
            role: RoleRule(
                tuple(key.key_id for key in found),
                (thresholds or {}).get(role, 1),
                DEFAULT_PREDICATES[role],
            )
            for role, found in keys.items()
        },
        four_eyes,
    )


def _raise_gravest(
    problems: list[VerificationError], rule: RoleRule, n_accepted: int, locator: str
) -> NoReturn:
    for kind in _GRAVEST_FIRST:
        for problem in problems:
            if isinstance(problem, kind):
                raise kind(
                    problem.what,
                    locator=f"{locator}: {problem.locator}" if problem.locator else locator,
                    expected=problem.expected,
                    got=problem.got,
                    next_step=problem.next_step,
                ) from None
    needed = f"{rule.threshold} different keys of the role"
    if rule.required_algorithms:
        needed += f", among them {' and '.join(rule.required_algorithms)}"
    raise UntrustedKey("too few signatures", locator=locator, expected=needed, got=str(n_accepted))

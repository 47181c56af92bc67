"""Ask for a waiver, confirm it, and revoke it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest import dsse
from sluicegate.attest.trust import Role
from sluicegate.errors import BadProof, ConfigError
from sluicegate.gate.waiver import (
    Waiver,
    person_key,
    require_other_person,
    revocation_statement,
    waiver_from_statement,
)
from sluicegate.gate.waiver_check import (
    require_holding,
)
from sluicegate.ledger.entry import Kind
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.waived import answered

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from sluicegate.attest.keys import Signer
    from sluicegate.attest.trust import TrustPolicy
    from sluicegate.gate.policy import Policy
    from sluicegate.workflow.evidence.batch import IssuedVerdict
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence


def request_waiver(
    evidence: Evidence,
    policy: Policy,
    source: str,
    *,
    signals: Iterable[str],
    reason: str,
    by: str,
    second: str = "",
    ttl: timedelta,
    signer: Signer,
    at: datetime,
) -> bytes:
    """Return a waiver of the newest verdict of a source, signed by the first person.

    Nothing is appended: the waiver counts only when a second person has signed the same bytes.

    Args:
        evidence: Open ledger and trust policy.
        policy: The policy in force.
        source: Name of the source.
        signals: Codes of the failed signals to accept.
        reason: Why, in words.
        by: Name of the first approver.
        second: Name of the second approver, if it is known already.
        ttl: How long it holds.
        signer: First key of the waiver role.
        at: Aware UTC.

    Raises:
        ConfigError: The policy forbids the waiver, or one of the signals did not fail.
        EvidenceMissing: There is no verdict to waive.
        VerificationError: The key may not sign waivers, or the evidence does not hold.
    """
    batch = evidence.latest_seal(source, at=at)
    issued = evidence.verdict_of(source, batch.digest, at=at)
    waiver = Waiver(
        subjects=batch.subjects,
        verdict=issued.envelope,
        signals=frozenset(signals),
        reason=reason,
        requested_by=by,
        confirmed_by=second,
        issued=at,
        expires=at + ttl,
    )
    waiver.require_allowed(policy.for_source(source).waiver, at=at)
    _require_failed(waiver, issued)
    envelope = dsse.sign(waiver.to_statement().to_bytes(), signer)
    # One signature is not enough to count, but it must already be of a key of the role.
    _alone(evidence).verify(envelope, Role.WAIVER, at=at, locator="waiver")
    return envelope.to_bytes()


def read_request(
    evidence: Evidence, request: bytes, *, at: datetime, locator: str
) -> tuple[dsse.Envelope, Waiver]:
    """Return what `request_waiver` returned, if a key of the waiver role signed it.

    Args:
        evidence: Ledger and trust policy.
        request: DSSE envelope with one signature or more.
        at: Aware UTC; the keys must be valid then.
        locator: Where the request came from.

    Raises:
        VerificationError: The request does not hold.
    """
    envelope = dsse.Envelope.from_bytes(request, locator=locator)
    statement = _alone(evidence).verify(envelope, Role.WAIVER, at=at, locator=locator)
    return envelope, waiver_from_statement(statement, locator=locator)


def confirm_waiver(
    home: SluiceHome,
    evidence: Evidence,
    request: bytes,
    *,
    by: str,
    signer: Signer,
    at: datetime,
    locator: str,
) -> Waiver:
    """Sign exactly the bytes of a request as the second person, and append the waiver.

    Args:
        home: Paths of the installation.
        evidence: Open for appending.
        request: What `request_waiver` returned.
        by: Name of the second approver.
        signer: Another key of the waiver role.
        at: Aware UTC.
        locator: Where the request came from.

    Raises:
        ConfigError: The person or the key is the same, or the policy forbids the waiver.
        BadProof: The waiver is about another verdict than the newest, or another batch.
        VerificationError: The request or the key does not hold.
    """
    first, waiver = read_request(evidence, request, at=at, locator=locator)
    require_other_person(waiver.requested_by, by)
    if waiver.confirmed_by:
        _require_named(waiver, by)
    own_ids = {member.public_key.key_id for member in signer.members}
    if own_ids & {signature.key_id for signature in first.signatures}:
        raise ConfigError(
            "nobody may confirm their own waiver",
            locator=locator,
            expected="another key of the waiver role",
            next_step="Have a second person sign with a key of their own.",
        )
    own = dsse.sign(first.payload, signer)
    envelope = replace(first, signatures=(*first.signatures, *own.signatures))
    policy = read_policy(home.policy).for_source(waiver.source)
    issued = evidence.verdict_of(waiver.source, waiver.digest, at=at)
    require_holding(evidence.trust, envelope, answered(policy, issued), at=at, locator=locator)
    if waiver.digest != evidence.latest_seal(waiver.source, at=at).digest:
        raise BadProof("the waiver is about a batch that is no longer the newest", locator=locator)
    evidence.append(waiver.source, waiver.digest, [(Kind.WAIVER, envelope.to_bytes())])
    return waiver


def revoke_waivers(
    evidence: Evidence, source: str, *, reason: str, by: str, signer: Signer, at: datetime
) -> None:
    """Append that no waiver of the newest batch of a source holds any more. One key is enough.

    Args:
        evidence: Open for appending.
        source: Name of the source.
        reason: Why, in words.
        by: Name of the person.
        signer: Any one key of the waiver role.
        at: Aware UTC.

    Raises:
        EvidenceMissing: The source was never sealed.
        VerificationError: The key may not sign waivers.
    """
    batch = evidence.latest_seal(source, at=at)
    statement = revocation_statement(batch.subjects, reason=reason, by=by, at=at)
    envelope = dsse.sign(statement.to_bytes(), signer)
    _alone(evidence).verify(envelope, Role.WAIVER, at=at, locator="revocation")
    evidence.append(source, batch.digest, [(Kind.WAIVER, envelope.to_bytes())])


def _require_failed(waiver: Waiver, issued: IssuedVerdict) -> None:
    failed = {r.code for r in issued.verdict.reasons if r.result is Status.FAILED}
    if extra := sorted(waiver.signals - failed):
        raise ConfigError(
            f"{', '.join(extra)} did not fail, so there is nothing to waive",
            locator=f"{waiver.source}@{waiver.digest.short}",
            expected=f"of {', '.join(sorted(failed)) or 'nothing: the verdict did not fail'}",
        )


def _require_named(waiver: Waiver, by: str) -> None:
    if person_key(by) != person_key(waiver.confirmed_by):
        raise ConfigError(
            "the waiver names another person to confirm it",
            locator="waiver",
            expected=ascii(waiver.confirmed_by),
            got=ascii(by)[:60],
        )


def _alone(evidence: Evidence) -> TrustPolicy:
    return evidence.trust.with_rule(Role.WAIVER, threshold=1, required_algorithms=())

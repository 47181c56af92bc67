"""Which signals waivers cover: the one answer for admission, audit and offline verification.

Specified in docs/formats/waiver.md, section "When it counts".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.statement import Statement
from sluicegate.attest.trust import Role
from sluicegate.errors import BadProof, SluicegateError
from sluicegate.gate.waiver import (
    Waiver,
    is_revocation,
    require_approvers,
    waiver_from_statement,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sluicegate.attest.trust import TrustPolicy
    from sluicegate.digest.algorithms import Digest
    from sluicegate.gate.policy import Policy
    from sluicegate.gate.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Answered:
    """The verdict that waivers have to answer.

    Attributes:
        verdict: The verdict, read from its verified statement.
        envelope: Digest of its envelope.
        policy: The policy that decides what may be waived.
    """

    verdict: Verdict
    envelope: Digest
    policy: Policy


@dataclass(frozen=True, slots=True)
class LoggedWaiver:
    """An entry that may be a waiver; nothing in it is verified.

    Attributes:
        envelope: Its exact bytes.
        locator: Where it was found.
        trust: Trust policy that its signatures are checked against.
    """

    envelope: bytes
    locator: str
    trust: TrustPolicy


@dataclass(frozen=True, slots=True)
class Waived:
    """What waivers cover.

    Attributes:
        waivers: Waivers that hold, newest first.
        refused: Why others do not hold, newest first.
    """

    waivers: tuple[Waiver, ...]
    refused: tuple[str, ...]

    @property
    def codes(self) -> frozenset[str]:
        """Codes of the signals that all waivers together cover."""
        return frozenset().union(*(waiver.signals for waiver in self.waivers))


def waived_by(
    entries: Iterable[LoggedWaiver],
    answered: Answered,
    *,
    at: datetime,
    asked: datetime | None = None,
) -> Waived:
    """Return which entries are waivers that hold at a time for exactly this verdict.

    An entry that does not hold covers nothing. An entry that only claims to revoke does revoke
    older ones, whoever signed it.

    Args:
        entries: Newest first; nothing behind a revocation is read.
        answered: The verdict, and the policy that decides.
        at: Aware UTC.
        asked: Time at which revocations of keys are judged, if later than ``at``.

    Cost: two signatures for each entry.
    """
    holding: list[Waiver] = []
    refused: list[str] = []
    for entry in entries:
        if claims_revocation(entry.envelope):
            refused.append(f"{entry.locator}: revokes every earlier waiver")
            break
        try:
            envelope = Envelope.from_bytes(entry.envelope, locator=entry.locator)
            holding.append(
                require_holding(
                    entry.trust, envelope, answered, at=at, asked=asked, locator=entry.locator
                )
            )
        except SluicegateError as error:
            refused.append(str(error))
    return Waived(tuple(holding), tuple(refused))


def require_holding(
    trust: TrustPolicy,
    envelope: Envelope,
    answered: Answered,
    *,
    at: datetime,
    asked: datetime | None = None,
    locator: str,
) -> Waiver:
    """Return a waiver that holds at a time for exactly this verdict.

    Args:
        trust: Trust policy that says whose keys may waive.
        envelope: Signed waiver; nothing in it is verified yet.
        answered: The verdict, and the policy that decides.
        at: Aware UTC.
        asked: Time at which revocations of keys are judged, if later than ``at``.
        locator: Where the envelope came from, for messages.

    Raises:
        VerificationError: It is not signed as it must be, has expired, or answers another
            verdict.
        ConfigError: The policy does not allow it.
    """
    # 1. Keys of the waiver role signed it              (gate key waiving its own verdict)
    statement = trust.verify(envelope, Role.WAIVER, at=at, asked=asked, locator=locator)
    waiver = waiver_from_statement(statement, locator=locator)
    # 2. The policy allows it, now                      (forbidden signal, expired, too long)
    rules = waiver.require_allowed(answered.policy.waiver, at=at)
    # 3. Enough different people signed it              (self-approval)
    keys = trust.check_signatures(envelope, Role.WAIVER, at=at, asked=asked, locator=locator)
    for algorithm in trust.roles[Role.WAIVER].required_algorithms or (None,):
        # A hybrid demands two keys of each person, and both together are one approval.
        ids = [key.key_id for key in keys if algorithm in (None, key.algorithm)]
        require_approvers(waiver, ids, rules, locator=locator)
    # 4. It answers this verdict on this batch          (replay, other digest, stale)
    verdict = answered.verdict
    if (waiver.source, waiver.digest, waiver.verdict) != (
        verdict.source,
        verdict.digest,
        answered.envelope,
    ):
        raise BadProof(
            "the waiver answers another verdict",
            locator=locator,
            expected=answered.envelope.short,
            got=waiver.verdict.short,
            next_step="Ask for a waiver of the newest verdict.",
        )
    return waiver


def claims_revocation(envelope: bytes) -> bool:
    """Return whether an entry claims to revoke, whoever signed it."""
    try:
        return is_revocation(Statement.from_bytes(Envelope.from_bytes(envelope).payload))
    except SluicegateError:
        return False

"""What people are asked about a blocked batch, and what makes their answers a waiver.

Two people answer about one exact verdict. Between the two answers only signed bytes are kept. What
carries them (a task's XCom, a file) is verified like any other input.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sluicegate.adapters.policy_file import read_policy
from sluicegate.errors import ConfigError, GateBlocked
from sluicegate.gate.waiver import person_key
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.admit import require_admissible
from sluicegate.workflow.admission.standing import require_standing
from sluicegate.workflow.evidence.custody import require_free
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.response.waiver import request_waiver

if TYPE_CHECKING:
    from datetime import datetime

    from sluicegate.attest.keys import Signer
    from sluicegate.digest.algorithms import Digest
    from sluicegate.workflow.evidence.home import SluiceHome


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A blocked batch that people may still accept.

    Attributes:
        source: Name of the source.
        digest: Identity of the batch.
        verdict: Digest of the envelope of the verdict that blocks it.
        codes: Signals that failed; a waiver covers all of them or lets nothing pass.
        summary: What the verdict says, in one line.
        people: Names that the policy in force gives to keys of the waiver role, sorted.
        max_hours: Longest that a waiver may hold.
    """

    source: str
    digest: Digest
    verdict: Digest
    codes: tuple[str, ...]
    summary: str
    people: tuple[str, ...]
    max_hours: float


def question_about(home: SluiceHome, source: str, *, at: datetime) -> Question | None:
    """Return what to ask about the newest batch of a source; None if it may be trained on.

    Args:
        home: Paths of the installation.
        source: Name of the source.
        at: Aware UTC; keys must be valid then.

    Raises:
        GateBlocked: The batch is blocked, and no waiver could change that.
        ConfigError: The policy in force lets nobody waive it, or names no people.
        SluicegateError: The batch was never sealed or judged, or its evidence does not hold.
    """
    policy = read_policy(home.policy).for_source(source)
    evidence = open_evidence(home, at=at)
    batch = evidence.latest_seal(source, at=at)
    require_free(evidence, source, batch.digest, at=at)
    issued = evidence.verdict_of(source, batch.digest, at=at)
    require_standing(evidence, issued, at=at)
    try:
        require_admissible(evidence, policy, issued, at=at)
    except GateBlocked:
        verdict = issued.verdict
    else:
        return None
    failed = {reason.code for reason in verdict.reasons if reason.result is Status.FAILED}
    rules = policy.waiver
    if rules is None or not rules.persons or failed - rules.allow:
        raise ConfigError(
            "the policy lets nobody waive this verdict through Airflow",
            locator=f"{source}@{batch.digest.short}",
            expected=f"waiver rules that allow {', '.join(sorted(failed))} and name persons",
            next_step="Correct the batch, or change the policy after a review.",
        )
    # Raises if anything but the failed signals speaks against the batch.
    verdict.require_passed(policy, at=at, waived=frozenset(failed))
    return Question(
        source=source,
        digest=batch.digest,
        verdict=issued.envelope,
        codes=tuple(sorted(failed)),
        summary=verdict.summary(),
        people=tuple(sorted(set(rules.persons.values()))),
        max_hours=rules.max_s / 3600,
    )


def request_answered(
    home: SluiceHome,
    asked: Question,
    *,
    reason: str,
    hours: float,
    by: str,
    signer: Signer,
    at: datetime,
) -> bytes:
    """Return the waiver that the first person asks for, signed with that person's key.

    Args:
        home: Paths of the installation.
        asked: The question that was answered.
        reason: Why, in words.
        hours: How long the waiver holds, in hours.
        by: Name of the person, as the policy has it.
        signer: That person's key.
        at: Aware UTC.

    Raises:
        ConfigError: There is no reason, the time is too long, or the key is not this person's.
    """
    require_own_key(home, asked.source, by, signer)
    return request_waiver(
        open_evidence(home, at=at),
        read_policy(home.policy),
        asked.source,
        signals=asked.codes,
        reason=reason,
        by=by,
        ttl=timedelta(seconds=round(3600 * hours)),
        signer=signer,
        at=at,
    )


def require_own_key(home: SluiceHome, source: str, name: str, signer: Signer) -> None:
    """Raise unless the policy gives this key to this person.

    Args:
        home: Paths of the installation.
        source: Name of the source whose waiver rules count.
        name: The person.
        signer: The key.

    Raises:
        ConfigError: The policy gives the key to somebody else, or to nobody.
    """
    rules = read_policy(home.policy).for_source(source).waiver
    holder = "" if rules is None else rules.persons.get(signer.public_key.key_id, "")
    if not holder or person_key(holder) != person_key(name):
        raise ConfigError(
            "the key is not this person's",
            locator=f"waiver.persons of {home.policy}",
            expected=ascii(name)[:60],
            got=ascii(holder)[:60] if holder else "a key of nobody",
        )

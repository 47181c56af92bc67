"""Which verdicts were in force when, for runs that are over."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Self

from sluicegate.attest.predicates import Provenance, provenance_from_statement
from sluicegate.attest.statement import Statement
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import Digest
from sluicegate.errors import SluicegateError
from sluicegate.gate.policy import Mode, Policy
from sluicegate.gate.verdict import (
    Verdict,
    named_test_result,
    policy_from_test_result,
    verdict_from_statement,
)
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.waived import waived_codes
from sluicegate.workflow.auditing.custody_history import Hold, is_held, read_holds
from sluicegate.workflow.auditing.leaves import envelope_of, kept_policy
from sluicegate.workflow.evidence.batch import IssuedVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from sluicegate.ledger.log import Ledger
    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.verified import Evidence


class VerdictState(StrEnum):
    """What the ledger allowed at some instant."""

    ACCEPTED = "accepted"
    EXPIRED = "expired"
    FAILED = "failed"
    QUARANTINED = "in quarantine"
    NOTHING = "no verdict on the newest batch"


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """A verdict of the past that verifies.

    Attributes:
        verdict: What it says.
        envelope: Digest of its envelope, as text.
        index: Its ledger entry.
        accepted: Whether the policy it was issued under lets training start on it.
        policy: The policy it was issued under; None if the ledger keeps no text of it.
        test_result: Digest of the envelope of the test result that it names.
    """

    verdict: Verdict
    envelope: str
    index: int
    accepted: bool
    policy: Policy | None
    test_result: Digest

    @property
    def issued(self) -> IssuedVerdict:
        """The verdict as an admission reads it."""
        envelope = Digest.parse(self.envelope)
        return IssuedVerdict(self.verdict, envelope, self.index, self.test_result)


@dataclass(frozen=True, slots=True)
class SourceHistory:
    """Seals and verdicts of one source, in the order of the log.

    Attributes:
        seals: When each batch was sealed, and its digest.
        verdicts: Verdicts that verify.
        is_waived: Whether waivers let training start on a FAILED verdict at an instant.
        holds: Quarantines of its batches.
    """

    seals: tuple[tuple[datetime, str], ...]
    verdicts: tuple[PastVerdict, ...]
    is_waived: Callable[[PastVerdict, datetime], bool]
    holds: tuple[Hold, ...] = ()

    def state(self, at: datetime) -> tuple[VerdictState, PastVerdict | None]:
        """Return what the guard would have said at an instant, from the times in the log.

        The newest verdict on the newest sealed batch counts, and no other.
        """
        digest = next((digest for time, digest in reversed(self.seals) if time <= at), None)
        for past in reversed(self.verdicts):
            if str(past.verdict.digest) == digest and past.verdict.issued <= at:
                if is_held(self.holds, digest, at):
                    return VerdictState.QUARANTINED, past
                if not past.accepted and not self.is_waived(past, at):
                    return VerdictState.FAILED, past
                expired = at >= past.verdict.expires
                return (VerdictState.EXPIRED if expired else VerdictState.ACCEPTED), past
        return VerdictState.NOTHING, None

    def during(self, first: datetime, last: datetime) -> list[PastVerdict]:
        """Return every verdict that was in force at some instant of a closed interval.

        Args:
            first: Aware UTC; beginning of the interval.
            last: Aware UTC; its end, not before ``first``.
        """
        moments = {first, last, *(time for time, _ in self.seals)}
        moments |= {past.verdict.issued for past in self.verdicts}
        found = {}
        for moment in sorted(moments):
            if first <= moment <= last:
                state, past = self.state(moment)
                if state is VerdictState.ACCEPTED and past is not None:
                    found[past.index] = past
        return list(found.values())


@dataclass(frozen=True, slots=True)
class VerdictHistory:
    """All seals and verdicts of a ledger that verify, by source."""

    by_source: Mapping[str, SourceHistory]

    @classmethod
    def read(cls, evidence: Evidence) -> Self:
        """Read every seal and verdict; what does not verify is left out, and allows nothing.

        Cost: about 1 ms of CPU for each verdict and each seal.
        """
        seals, verdicts = defaultdict(list), defaultdict(list)
        for record in evidence.ledger.find("provenance", newest_first=False):
            if (provenance := _provenance(evidence, record)) is not None:
                sealed = (provenance.sealed_at, str(provenance.digest))
                seals[provenance.source].append(sealed)
        for record in evidence.ledger.find("verdict", newest_first=False):
            if (past := _judged(evidence, record)) is not None:
                verdicts[past.verdict.source].append(past)
        is_waived = partial(_is_waived, evidence)
        holds = read_holds(evidence)
        return cls(
            {
                source: SourceHistory(
                    tuple(seals[source]),
                    tuple(verdicts[source]),
                    is_waived,
                    tuple(holds.get(source, ())),
                )
                for source in seals.keys() | verdicts.keys()
            }
        )

    def all(self) -> Iterator[PastVerdict]:
        """Yield every verdict, source by source."""
        for history in self.by_source.values():
            yield from history.verdicts


def run_key(verdict: Verdict) -> tuple[str, str, str, int] | None:
    """Return the task instance that issued a verdict, None if no Airflow task did."""
    run = verdict.run
    if run.get("orchestrator") != "airflow":
        return None
    try:
        return (run["dag_id"], run["run_id"], run["task_id"], int(run.get("map_index", "-1")))
    except (KeyError, ValueError):
        return None


def is_accepted(verdict: Verdict, policy: Policy | None) -> bool:
    """Return whether a verdict lets training start, under its own policy if that was kept.

    Args:
        verdict: Verified.
        policy: The rules of its source when it was issued; None if the ledger keeps no text of
            them.
    """
    if verdict.mode is Mode.SHADOW:
        return True
    if policy is None:
        return verdict.result is not Status.FAILED
    return verdict.result in policy.accept


def _provenance(evidence: Evidence, record: LedgerRecord) -> Provenance | None:
    try:
        claimed = provenance_from_statement(_payload(record), locator="provenance")
        statement = evidence.statement(record, Role.SOURCE, at=claimed.sealed_at)
        return provenance_from_statement(statement, locator="provenance")
    except SluicegateError:
        return None  # the statement audit reports it


def _judged(evidence: Evidence, record: LedgerRecord) -> PastVerdict | None:
    entry = record.entry
    try:
        claimed = verdict_from_statement(_payload(record), locator="verdict")
        statement = evidence.statement(record, Role.GATE, at=claimed.issued)
        verdict = verdict_from_statement(statement, locator="verdict")
        if (verdict.source, str(verdict.digest)) != (entry.source, entry.subject):
            return None
        policy = policy_behind(evidence.ledger, statement)
        details = named_test_result(statement)
    except SluicegateError:
        return None  # the statement audit reports it
    accepted = is_accepted(verdict, policy and policy.for_source(verdict.source))
    return PastVerdict(verdict, entry.envelope, record.index, accepted, policy, details)


def _is_waived(evidence: Evidence, past: PastVerdict, at: datetime) -> bool:
    """Return whether waivers covered a verdict. One revoked since counts as never given."""
    if past.policy is None:
        return False
    issued = past.issued
    try:
        waived = waived_codes(evidence, past.policy, issued, at=at)
        past.verdict.require_passed(past.policy, at=at, waived=waived)
    except SluicegateError:
        return False
    return True


def policy_behind(ledger: Ledger, verdict: Statement) -> Policy | None:
    """Return the policy that the test result of a verdict keeps, None if it keeps none.

    Args:
        ledger: Where the test result is looked up; its signature is not verified here.
        verdict: Statement of the verdict, verified.
    """
    details = ledger.by_envelope(str(verdict.predicate["sluicegate"]["testResult"]))
    if details is None:
        return None
    return kept_policy(policy_from_test_result(_payload(details)))


def _payload(record: LedgerRecord) -> Statement:
    return Statement.from_bytes(envelope_of(record).payload)

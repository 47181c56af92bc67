"""Find out what a policy would have decided on the findings that the ledger keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sluicegate.attest.trust import Role
from sluicegate.errors import Expired, SluicegateError
from sluicegate.gate.judgement import ALONE, Compared, absent, asks, require_usable, weigh
from sluicegate.gate.promotion import Lane
from sluicegate.gate.reconsider import reconsidered
from sluicegate.gate.verdict import MODEL, NOBODY, verdict_from_statement
from sluicegate.ledger.entry import Kind
from sluicegate.signals.decision.record import CONTRIBUTOR_LIMIT, EXTRA_COLUMNS, PARTS, Status
from sluicegate.workflow.auditing.verdict_history import policy_behind
from sluicegate.workflow.evidence.kept_findings import kept_records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sluicegate.gate.policy import Policy, Result, SignalRule
    from sluicegate.gate.verdict import Reason, Verdict
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.workflow.evidence.verified import Evidence


@dataclass(frozen=True, slots=True)
class Replay:
    """One verdict of the past, and what the policy would have made of its findings.

    Attributes:
        index: Ledger entry of the verdict.
        source: Name of the source.
        digest: Identity of the batch.
        was: Result then.
        would_be: Result under the policy; None if what is kept cannot tell.
        starts: Whether training would start; False if that is unknown.
        why: The worst reason, or why the verdict could not be replayed.
    """

    index: int
    source: str
    digest: str
    was: Result
    would_be: Result | None
    starts: bool
    why: str


def replay(
    evidence: Evidence, policy: Policy, source: str | None = None, *, at: datetime
) -> Iterator[Replay]:
    """Decide again on every verdict whose findings the ledger keeps, oldest first.

    Rules are replayed exactly. A tolerance or budget is replayed as far as the numbers of a finding
    allow. What needs the data again is reported as unknown, and so lets nothing start.

    Args:
        evidence: Open ledger and trust policy.
        policy: The policy to try.
        source: Only this source; all when None.
        at: Aware UTC; keys must be valid then.

    Raises:
        ConfigError: The gate could not use this policy.

    Cost: two proofs and three signatures for each verdict.
    """
    require_usable(policy)
    for found in evidence.ledger.find(Kind.VERDICT, source, newest_first=False):
        try:
            record = evidence.ledger.get_verified(found.index)
            statement = evidence.statement(record, Role.GATE, at=at)
            verdict = verdict_from_statement(statement, locator=f"ledger entry {found.index}")
        except SluicegateError:
            continue  # proves nothing; the audit reports it
        if verdict.source.startswith(MODEL):
            continue  # judged by the section `model`, not by signals of a batch
        head = (found.index, verdict.source, str(verdict.digest), verdict.result)
        rules = policy.for_source(verdict.source)
        try:
            named = str(statement.predicate["sluicegate"]["testResult"])
            records = kept_records(evidence, named, at=at)
            _require_fresh(evidence, rules, verdict, at=at)
            old = policy_behind(evidence.ledger, statement)
        except SluicegateError as error:
            yield Replay(*head, None, False, error.what)
            continue
        before = None if old is None else old.for_source(verdict.source)
        result, why = _decided(records, verdict, before, rules)
        yield Replay(*head, result, result is not None and rules.starts(result), why)


def _decided(
    records: list[SignalRecord], verdict: Verdict, old: Policy | None, new: Policy
) -> tuple[Result | None, str]:
    """Return the result and its worst reason; None if an unknown finding could worsen it."""
    if old is None:
        return None, "the ledger keeps no text of the policy of that verdict"
    records = [record for record in records if _stands(record, old, new)]
    again = [(record, reconsidered(record, old, new)) for record in records]
    unknown = {_key(record) for record, found in again if found is None}
    silent = _silent(verdict)
    dropped = silent & _dropped(old, new)
    left = [found for _, found in again if found is not None]
    reasons = _against(left, new, silent - dropped, n_baselines=1 + (verdict.rolling is not None))
    unknown.update(dropped, _never_asked(records, old, new))
    if unknown and not (reasons and reasons[0].result is Status.FAILED):
        return None, f"needs the data again for {', '.join(sorted(unknown))}"
    if not reasons:
        return Status.PASSED, "no signal fired"
    return reasons[0].result, reasons[0].message


def _stands(record: SignalRecord, old: Policy, new: Policy) -> bool:
    """Return whether the gate would make a finding under the new policy too."""
    if record.code == CONTRIBUTOR_LIMIT and old.contributors != new.contributors:
        return False
    named = record.code == PARTS and record.status is not Status.NOT_EVALUATED
    return record.code not in ALONE or named or asks(new, record.code)


def _against(
    records: list[SignalRecord], policy: Policy, silent: set[str], *, n_baselines: int
) -> tuple[Reason, ...]:
    """Decide as the gate does, on what is kept."""
    lanes: list[list[SignalRecord]] = [[] for _ in range(n_baselines)]
    alone: list[SignalRecord] = []
    for record in records:
        (alone if record.code in ALONE else lanes[_is_rolling(record)]).append(record)
    if policy.contributors is None:  # such a rule needs no data: it can judge nothing
        lacks = absent(policy, {record.code for record in alone})
        alone += [record for record in lacks if record.code == CONTRIBUTOR_LIMIT]
    return weigh(_rules(policy), [Compared(tuple(lane), tuple(silent)) for lane in lanes], alone)


def _rules(policy: Policy) -> dict[str, SignalRule]:
    """Return rules that require no finding; the verdict's reasons say which were left out."""
    return {key: replace(rule, required=False) for key, rule in policy.signals.items()}


def _silent(verdict: Verdict) -> set[str]:
    """Return the keys of signals that were expected then and left no finding."""
    return {
        _name(reason.code, reason.column)
        for reason in verdict.reasons
        if reason.result is Status.FAILED and reason.message.endswith(NOBODY)
    }


def _dropped(old: Policy, new: Policy) -> set[str]:
    """Return what only the old policy required; the ledger does not say what the baseline did."""
    required = [{key for key, rule in p.signals.items() if rule.required} for p in (old, new)]
    return required[0] - required[1]


def _never_asked(records: list[SignalRecord], old: Policy, new: Policy) -> Iterator[str]:
    """Yield what the new policy asks for and nobody looked at then."""
    left = {name for record in records for name in (record.code, _key(record))}
    required = {key for key, rule in new.signals.items() if rule.required}
    yield from (
        {key for key in required if key.partition(":")[0] not in ALONE} - left - {EXTRA_COLUMNS}
    )
    yield from (code for code in ALONE if code not in left and _needs_data(code, new))
    if new.promoted - old.promoted:
        yield "promoted"
    then, now = (None if p.freshness is None else p.freshness.baseline_s for p in (old, new))
    if now is not None and (then is None or now < then):
        yield "freshness.baseline_hours"


def _needs_data(code: str, policy: Policy) -> bool:
    """Return whether a signal needs the batch; limits that are not set need nothing."""
    return asks(policy, code) and (code != CONTRIBUTOR_LIMIT or policy.contributors is not None)


def _require_fresh(evidence: Evidence, policy: Policy, verdict: Verdict, *, at: datetime) -> None:
    """Return if the batch was sealed lately enough when it was judged."""
    if policy.freshness is None or policy.freshness.sealed_s is None:
        return
    sealed = evidence.provenance_of(verdict.source, verdict.digest, at=at).sealed_at
    if sealed <= verdict.issued:  # sealed anew since: how old it was then is not known
        policy.freshness.require_seal(
            sealed, at=verdict.issued, locator=f"{verdict.source}@{verdict.digest.short}"
        )
        return
    raise Expired("the batch was sealed again since", locator=verdict.source)


def _is_rolling(record: SignalRecord) -> bool:
    return record.evidence.get("baseline") == Lane.ROLLING.value


def _key(record: SignalRecord) -> str:
    return _name(record.code, record.column)


def _name(code: str, column: str) -> str:
    return f"{code}:{column}" if column else code

"""Check each statement of a ledger against the trust policy and its own leaf.

The ledger's own audit says that nothing was taken out or rewritten. This one says whether the
statements in it hold. The steps, and what each stops:

1. The kind of the leaf fits the statement          (a baseline filed as a verdict)
2. The role of that kind signed it, with a key that
   was valid at the statement's own time            (invented or expired signer)
3. No key that signed it is revoked today           (stolen key)
4. The leaf names what the statement is about       (evidence filed under another batch)
5. Times do not run backwards along the log         (an expired key used with an old date)
6. A baseline was promoted from batches that had
   passed, and a verdict used the newest ones       (slow poisoner, older baseline put back)
7. A verdict has its test result, and its policy is
   as strict as that of the verdict before          (policy weakened between two runs)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.errors import (
    BadSignature,
    Expired,
    MalformedEnvelope,
    SluicegateError,
    UntrustedKey,
    VerificationError,
)
from sluicegate.gate.policy import Mode, Policy
from sluicegate.gate.promotion import promotion_from_statement
from sluicegate.gate.verdict import Verdict, policy_from_test_result, verdict_from_statement
from sluicegate.gate.waiver import is_revocation
from sluicegate.gate.weakening import weakened
from sluicegate.workflow.auditing.baseline_history import BaselineAudit
from sluicegate.workflow.auditing.findings import AuditFinding
from sluicegate.workflow.auditing.leaves import (
    EXPECTED,
    _Misrouted,
    claimed_time,
    envelope_of,
    kept_policy,
    records_from,
    require_routing,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.attest.dsse import Envelope
    from sluicegate.attest.trust import Role, TrustPolicy
    from sluicegate.ledger.log import Ledger
    from sluicegate.ledger.store import LedgerRecord

DISORDER: Final = timedelta(hours=6)
"""How far a statement may lie behind an earlier leaf: a gate notes the time when it starts
and appends when it is done, and others append meanwhile."""

_HELD_KINDS: Final = frozenset({"seal", "test-result", "baseline"})


@dataclass(frozen=True, slots=True)
class _Judged:
    """The policy under which the verdict before was issued."""

    index: int
    verdict: Verdict
    policy: Policy | None


class StatementAudit:
    """Takes the records of a ledger in order and collects findings.

    Statements that carry no time of their own (seal, baseline, test result) are held until
    the timed statement about the same batch comes, because their signer had to be valid
    then.

    Args:
        trust: Keys by role.
        ledger: The log; also searched for the verdict before the first new one.
        at: Aware UTC; when the audit is made.
    """

    def __init__(self, trust: TrustPolicy, ledger: Ledger, *, at: datetime) -> None:
        self.findings: list[AuditFinding] = []
        self.n_checked = 0
        self._trust = trust
        self._ledger = ledger
        self._at = at
        self._revocations = any(key.revoked_at for key in trust.keys.values())
        self._held: list[LedgerRecord] = []
        self._test_results: dict[str, Policy | None] = {}
        self._policies: dict[bytes, Policy | None] = {}
        self._latest = datetime(1970, 1, 1, tzinfo=UTC)
        self._before: _Judged | None = None
        self._knows_before = False
        self._baselines = BaselineAudit(ledger)

    def run(self, start: int) -> None:
        """Check every statement from leaf ``start`` on.

        Cost: two parses and one or two signature checks for each statement, about 0.2 ms of CPU.
        """
        for record in records_from(self._ledger, start):
            self._take(record)
        for record in self._held:
            self._check(record, self._at)

    def _take(self, record: LedgerRecord) -> None:
        if record.entry.kind in _HELD_KINDS:
            self._held.append(record)
            return
        time = claimed_time(record)
        for held in [r for r in self._held if r.entry.subject == record.entry.subject]:
            self._held.remove(held)
            self._check(held, time or self._at)
        self._check_order(record, time)
        self._check(record, time or self._at)

    def _check(self, record: LedgerRecord, time: datetime) -> None:
        self.n_checked += 1
        try:
            statement = self._verified(record, time)
            require_routing(record, statement)
            if record.entry.kind == "test-result":
                self._test_results[record.entry.envelope] = self._kept(statement)
            if record.entry.kind == "verdict":
                self._verdict(record, statement)
            if record.entry.kind == "promotion":
                self._promoted(record, statement)
        except SluicegateError as error:
            self._found(_CODES.get(type(error), "STATEMENT_MALFORMED"), record, str(error))

    def _verified(self, record: LedgerRecord, time: datetime) -> Statement:
        envelope = envelope_of(record)
        role = self._role(record, envelope)
        where = f"{record.entry.kind} of {record.entry.source}"
        trust = self._trust
        if _is_signed_alone(record.entry.kind, envelope):
            trust = trust.with_rule(role, threshold=1, required_algorithms=())
        try:
            statement = trust.verify(envelope, role, at=time, locator=where)
        except UntrustedKey as error:
            if "revoked" in error.what:
                raise _Revoked(error.what, locator=where) from error
            raise
        if self._revocations:
            self._require_unrevoked(trust, envelope, role, time, where)
        return statement

    def _require_unrevoked(
        self, trust: TrustPolicy, envelope: Envelope, role: Role, time: datetime, where: str
    ) -> None:
        """Raise if a key is revoked now: then nothing that it ever signed counts."""
        try:
            trust.verify(envelope, role, at=time, asked=self._at, locator=where)
        except UntrustedKey as error:
            raise _Revoked(error.what, locator=where) from error

    def _role(self, record: LedgerRecord, envelope: Envelope) -> Role:
        """Return who must have signed. The type is not verified yet; it only chooses the keys."""
        claimed = Statement.from_bytes(envelope.payload).predicate_type
        kind = record.entry.kind
        if kind in EXPECTED:
            expected, role = EXPECTED[kind]
            if claimed != expected:
                raise _Misrouted(f"a {kind} leaf holds {claimed}", expected=expected)
            return role
        for role, rule in self._trust.roles.items():
            if claimed in rule.predicates:
                return role
        raise UntrustedKey("no role may sign this statement", locator=kind, got=claimed)

    def _verdict(self, record: LedgerRecord, statement: Statement) -> None:
        verdict = verdict_from_statement(statement, locator="verdict")
        if (verdict.source, str(verdict.digest)) != (record.entry.source, record.entry.subject):
            raise _Misrouted("the verdict inside is about another batch")
        if verdict.mode is Mode.SHADOW:
            said = f"verdict {verdict.result} was issued in shadow mode: it stops nothing"
            self._found("VERDICT_SHADOW", record, said)
        details = str(statement.predicate["sluicegate"].get("testResult", ""))
        if not self._has_test_result(details, record.index):
            said = "the test result that the verdict stands on is not in the ledger before it"
            self._found("VERDICT_INCOMPLETE", record, said)
        for said in self._baselines.superseded(verdict, record.index):
            self._found("BASELINE_ROLLBACK", record, said)
        judged = _Judged(record.index, verdict, self._test_results.get(details))
        if not self._knows_before:
            self._before, self._knows_before = self._verdict_before(record.index), True
        self._compare(record, judged)
        self._before = judged

    def _promoted(self, record: LedgerRecord, statement: Statement) -> None:
        promotion = promotion_from_statement(statement, locator="promotion")
        for said in self._baselines.unproven(promotion, record.index):
            self._found("BASELINE_UNPROVEN", record, said)

    def _has_test_result(self, envelope: str, before: int) -> bool:
        """Return whether a test result is in the log; equal test results are logged only once."""
        if envelope in self._test_results:
            return True
        record = self._ledger.by_envelope(envelope)
        if record is None or record.entry.kind != "test-result" or record.index > before:
            return False
        statement = Statement.from_bytes(envelope_of(record).payload)
        self._test_results[envelope] = self._kept(statement)
        return True

    def _kept(self, test_result: Statement) -> Policy | None:
        """Return the policy in a test result, parsed once for all that keep the same."""
        raw = policy_from_test_result(test_result)
        if raw is None:
            return None
        if raw not in self._policies:
            self._policies[raw] = kept_policy(raw)
        return self._policies[raw]

    def _compare(self, record: LedgerRecord, now: _Judged) -> None:
        before = self._before
        if before is None or before.verdict.policy == now.verdict.policy:
            return
        change = f"policy {before.verdict.policy.short} -> {now.verdict.policy.short}"
        since = f"since ledger entry {before.index}"
        if before.policy is None or now.policy is None:
            self._found("POLICY_CHANGED", record, f"{change} {since}")
            return
        for clause in weakened(before.policy, now.policy):
            self._found("POLICY_WEAKENED", record, f"{clause} ({change} {since})")

    def _verdict_before(self, index: int) -> _Judged | None:
        """Return the newest verdict before ``index``; an audit of new leaves compares with it."""
        older = (r for r in self._ledger.find("verdict") if r.index < index)
        record = next(older, None)
        if record is None:
            return None
        statement = Statement.from_bytes(envelope_of(record).payload)
        details = str(statement.predicate["sluicegate"]["testResult"])
        self._has_test_result(details, record.index)
        verdict = verdict_from_statement(statement, locator="verdict")
        return _Judged(record.index, verdict, self._test_results.get(details))

    def _check_order(self, record: LedgerRecord, time: datetime | None) -> None:
        if time is None:
            return
        if time > self._at + DISORDER:
            said = f"dated {format_timestamp(time)}, after this audit"
            self._found("STATEMENT_TIME", record, said)
        elif time < self._latest - DISORDER:
            said = f"dated {format_timestamp(time)}, and an earlier leaf is dated "
            self._found("STATEMENT_TIME", record, said + format_timestamp(self._latest))
        else:
            self._latest = max(self._latest, time)

    def _found(self, code: str, record: LedgerRecord, message: str) -> None:
        entry = record.entry
        where = f"ledger entry {record.index} ({entry.kind} of {entry.source})"
        self.findings.append(AuditFinding(code, where, message))


class _Revoked(VerificationError):
    """A key that signed it is revoked."""

    code = "REVOKED"


_CODES: Final[Mapping[type[SluicegateError], str]] = {
    BadSignature: "STATEMENT_SIGNATURE",
    UntrustedKey: "SIGNER_UNTRUSTED",
    Expired: "SIGNER_EXPIRED",
    MalformedEnvelope: "STATEMENT_MALFORMED",
    _Misrouted: "STATEMENT_MISROUTED",
    _Revoked: "SIGNER_REVOKED",
}


def _is_signed_alone(kind: str, envelope: Envelope) -> bool:
    """Return whether one signature of the role is all that a statement can or need hold.

    A bundle holds one signature; what the policy demands beyond it is on the provenance, another
    leaf. A revocation needs one signature: whoever may ask for a waiver may end all of a batch.
    """
    if kind == "seal":
        return True
    return kind == "waiver" and is_revocation(Statement.from_bytes(envelope.payload))

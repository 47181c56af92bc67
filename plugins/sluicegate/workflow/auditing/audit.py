"""The audit: is the evidence whole, is it worth something, and did anybody go around it?

It asks four questions. Each is answered by a part that can run without the others:

1. Is the log what was signed and remembered?     ledger.audit, audit_witnesses
2. Does every statement hold?                     audit_statements
3. Are the sealed data still what was sealed?     audit_data, only if asked
4. Did everything that trained have a verdict?    audit_runs, if Airflow's records are given
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sluicegate.attest.trust import Role
from sluicegate.errors import Expired, LedgerCorrupt, Outcome
from sluicegate.workflow.auditing.data import data_findings
from sluicegate.workflow.auditing.findings import AuditFinding, by_gravity
from sluicegate.workflow.auditing.runs import RunAudit, RunRules
from sluicegate.workflow.auditing.standing import StandingAudit
from sluicegate.workflow.auditing.statements import StatementAudit
from sluicegate.workflow.auditing.verdict_history import VerdictHistory
from sluicegate.workflow.auditing.witnesses import Cosigned, witness_findings
from sluicegate.workflow.evidence.opening import open_evidence, read_trust
from sluicegate.workflow.evidence.recall import MemoryRule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from sluicegate.attest.trust import TrustPolicy
    from sluicegate.ledger.audit import AuditReport as LedgerReport
    from sluicegate.workflow.auditing.run_records import RunRecords
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        size: Leaves of the ledger; 0 if its checkpoint does not verify.
        root_hex: Root of the ledger.
        checkpoint: Signed note to remember for the next audit; empty if the ledger is not
            clean, because a bad state must never become the one to compare with.
        n_leaves: Leaves that were hashed.
        n_statements: Statements that were verified.
        n_tasks: Task tries that were compared.
        findings: Gravest first.
        n_armed: Hosts on which a guard spoke, by Airflow's records; None if these were not given.
    """

    size: int
    root_hex: str
    checkpoint: bytes
    n_leaves: int
    n_statements: int
    n_tasks: int
    findings: tuple[AuditFinding, ...]
    n_armed: int | None = None

    @property
    def exit_code(self) -> int:
        """0 if nothing was found, 1 if there are findings."""
        return int(Outcome.CHECKED_AND_BAD.value) if self.findings else 0

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of findings by code."""
        return dict(sorted(Counter(finding.code for finding in self.findings).items()))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "size": self.size,
            "root": self.root_hex,
            "leaves": self.n_leaves,
            "statements": self.n_statements,
            "tasks": self.n_tasks,
            "clean": not self.findings,
            "counts": self.counts,
            "findings": [finding.to_dict() for finding in self.findings],
        }


def open_for_audit(home: SluiceHome, *, at: datetime) -> Evidence:
    """Open a ledger even if its trust policy has expired: that is a finding and stops no audit.

    Args:
        home: Paths of the installation.
        at: Aware UTC; keys must be valid then, or in the last second of an expired policy.

    Raises:
        ConfigError: No usable trust policy.
        EvidenceMissing: No ledger.
    """
    last = read_trust(home.trust).expires - timedelta(seconds=1)
    # The audit reports a rollback among its findings; see what `remembered` is.
    return open_evidence(home, at=min(at, last), memory=MemoryRule.UNASKED)


def audit(
    evidence: Evidence,
    *,
    at: datetime,
    remembered: bytes | None = None,
    only_new: bool = False,
    records: RunRecords | None = None,
    rules: RunRules | None = None,
    data: bool = False,
    places: Mapping[str, str | Path] | None = None,
    cosigned: Cosigned | None = None,
) -> Audit:
    """Audit one installation.

    Args:
        evidence: Open ledger and trust policy; no private key is needed.
        at: Aware UTC; now.
        remembered: A checkpoint the ledger once handed out, kept where its editor cannot write.
        only_new: Believe what that checkpoint covers and check only later leaves.
        records: What Airflow recorded; None leaves question 4 unasked.
        rules: What is protected; the guard's defaults if None.
        data: Hash the newest sealed batch of every source again.
        places: Path or URL where sources lie now, if not where they were sealed.
        cosigned: What witnesses signed. None means that they signed nothing, which is a finding
            if the trust policy names any.

    Returns:
        The audit; evidence that does not hold is a finding, not an error.

    Raises:
        ConfigError: ``only_new`` without a remembered checkpoint.
        LedgerError: The ledger cannot be read.
        VerificationError: The remembered checkpoint is not one of this ledger's.

    Cost: about 10 us of CPU for each leaf and 0.2 ms for each statement. Airflow's records cost
        time linear in the task instances.
    """
    ledger = evidence.ledger.examine(remembered, only_new=only_new)
    findings = [_of_ledger(error) for error in ledger.findings]
    findings += _of_trust(evidence.trust, at)
    findings += witness_findings(evidence, cosigned or Cosigned(), at=at)
    sound = not any(finding.code.startswith("LEDGER_") for finding in findings)
    note = evidence.ledger.checkpoint() if sound else b""
    start = 0
    if only_new and remembered is not None:
        start = evidence.ledger.verify_checkpoint(remembered).size
    statements, runs = StatementAudit(evidence.trust, evidence.ledger, at=at), None
    try:
        statements.run(start)
        if data:
            findings += data_findings(evidence, at=at, places=places)
        if records is not None:
            history, rules = VerdictHistory.read(evidence), rules or RunRules()
            standing = StandingAudit(evidence, history, at=at, slack=rules.slack)
            runs = RunAudit(records, history, rules, standing)
            findings += runs.findings()
    except LedgerCorrupt as error:
        # The ledger's own audit reports it, unless it happened since then.
        if not ledger.findings:
            findings.append(_of_ledger(error))
    findings += statements.findings
    result = _result(ledger, note, statements, records, findings)
    return result if runs is None else replace(result, n_armed=runs.n_armed)


def _result(
    ledger: LedgerReport,
    note: bytes,
    statements: StatementAudit,
    records: RunRecords | None,
    findings: list[AuditFinding],
) -> Audit:
    return Audit(
        size=ledger.size,
        root_hex=ledger.root_hex,
        checkpoint=note,
        n_leaves=ledger.n_checked,
        n_statements=statements.n_checked,
        n_tasks=0 if records is None else len(records.tries),
        findings=by_gravity(findings),
    )


def _of_ledger(error: Any) -> AuditFinding:
    code = "LEDGER_" + error.code.removeprefix("LEDGER_")
    return AuditFinding(code, error.locator or "ledger", str(error))


def _of_trust(trust: TrustPolicy, at: datetime) -> list[AuditFinding]:
    try:
        trust.keys_for(Role.LEDGER, at=at)
    except Expired as error:
        return [AuditFinding("TRUST_EXPIRED", "trust policy", str(error))]
    return []

"""Whether a run that was rightly admitted rests on evidence that no longer counts.

The guard checks each piece under a verdict again when a task starts. This checks once more, for
runs that are over: what was revoked since, and what was set aside. A key that only expired, or was
only rotated out of use, accuses nobody. This is the auditor's side of
`sluicegate.workflow.admission.standing`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust import Role
from sluicegate.errors import SluicegateError
from sluicegate.workflow.admission.waived import waived_codes
from sluicegate.workflow.auditing.custody_history import is_held
from sluicegate.workflow.auditing.findings import AuditFinding
from sluicegate.workflow.baselines.rests_on import (
    baselines_of,
    inputs_of,
    require_sealed,
    require_unrevoked,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from sluicegate.workflow.auditing.verdict_history import PastVerdict, VerdictHistory
    from sluicegate.workflow.evidence.verified import Evidence


class StandingAudit:
    """Checks what verdicts rest on, once for each verdict.

    Args:
        evidence: Ledger and trust policy.
        history: Every quarantine by source, and the verdicts.
        at: Aware UTC; when the audit is made.
        slack: How far clocks may differ.
    """

    def __init__(
        self,
        evidence: Evidence,
        history: VerdictHistory,
        *,
        at: datetime,
        slack: timedelta,
    ) -> None:
        self._evidence = evidence
        self._holds = {name: source.holds for name, source in history.by_source.items()}
        self._at = at
        self._slack = slack
        keys = evidence.trust.keys.values()
        self._revocations = any(key.revoked_at and key.revoked_at <= at for key in keys)
        self._revoked: dict[int, str] = {}
        self._inputs: dict[int, frozenset[str]] = {}

    def findings(self, past: PastVerdict, start: datetime, where: str) -> Iterator[AuditFinding]:
        """Yield what a run rests on and what no longer counts.

        Args:
            past: The verdict that admitted the run.
            start: Aware UTC; when it started.
            where: The run, for messages.
        """
        entry = f"ledger entry {past.index}"
        if self._revocations and (why := self._why_revoked(past, start)):
            said = f"started {format_timestamp(start)} on {entry}, and {why}"
            yield AuditFinding("TRAINED_ON_REVOKED_EVIDENCE", where, said)
        holds = self._holds.get(past.verdict.source, ())
        for digest in sorted(self._behind(past) & {hold.digest for hold in holds}):
            said = f"judged on {entry} by a baseline of batch {digest.partition(':')[2][:12]}"
            if all(is_held(holds, digest, start + slack) for slack in (-self._slack, self._slack)):
                yield AuditFinding(
                    "TRAINED_ON_QUARANTINED_BASELINE", where, f"{said}, which was in quarantine"
                )
            elif is_held(holds, digest, self._at):
                yield AuditFinding(
                    "BASELINE_QUARANTINED_SINCE", where, f"{said}, which is in quarantine now"
                )

    def _why_revoked(self, past: PastVerdict, start: datetime) -> str:
        if past.index not in self._revoked:
            self._revoked[past.index] = self._revoked_piece(past)
        if self._revoked[past.index] or past.accepted or past.policy is None:
            return self._revoked[past.index]
        waived = waived_codes(
            self._evidence, past.policy, past.issued, at=start + self._slack, asked=self._at
        )
        then = waived_codes(self._evidence, past.policy, past.issued, at=start + self._slack)
        return "a key of its waiver is revoked" if waived < then else ""

    def _revoked_piece(self, past: PastVerdict) -> str:
        try:
            self._require_own(past)
            require_unrevoked(self._evidence, past.issued, at=self._at)
        except SluicegateError as error:
            # Anything else that does not hold is reported at the statement itself.
            return error.what if "revoked" in error.what else ""
        return ""

    def _require_own(self, past: PastVerdict) -> None:
        """Return if keys that count now signed the verdict and one of the seals of its batch."""
        evidence, verdict = self._evidence, past.verdict
        record = evidence.ledger.get_verified(past.index)
        evidence.statement(record, Role.GATE, at=verdict.issued, asked=self._at)
        require_sealed(evidence, verdict.source, verdict.digest, then=verdict.issued, at=self._at)

    def _behind(self, past: PastVerdict) -> frozenset[str]:
        """Return the batches behind the baselines of a verdict, as their statements say."""
        if past.index not in self._inputs:
            found: set[str] = set()
            with suppress(SluicegateError):
                for statement in baselines_of(self._evidence, past.issued, at=self._at):
                    found |= inputs_of(statement)
            self._inputs[past.index] = frozenset(found)
        return self._inputs[past.index]

"""Whether enough witnesses saw this ledger, and whether it still holds what they saw.

Every append makes a new head, so the cosigned checkpoint is always an earlier one. Three things
must hold: a quorum signed it, the ledger extends it, and what was added since has not waited longer
than the auditor allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust import Role
from sluicegate.errors import BadProof, Rollback, SluicegateError
from sluicegate.ledger.cosigning.cosignature import require_quorum
from sluicegate.workflow.auditing.findings import AuditFinding
from sluicegate.workflow.evidence.witnessing import witness_keys

if TYPE_CHECKING:
    from pathlib import Path

    from sluicegate.workflow.evidence.verified import Evidence

DEFAULT_LAG: Final = timedelta(hours=24)
"""How long leaves may wait for their quorum; a nightly task asks the witnesses."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What the auditor knows of the witnesses.

    Attributes:
        note: Newest checkpoint that was cosigned; empty if there is none.
        lag: How long leaves may wait for a quorum, 0 or more.
    """

    note: bytes = b""
    lag: timedelta = DEFAULT_LAG

    @classmethod
    def read(cls, path: Path, lag: timedelta = DEFAULT_LAG) -> Cosigned:
        """Read the checkpoint that `ledger cosign` keeps; none if there is no file.

        Args:
            path: File of the newest cosigned checkpoint.
            lag: How long leaves may wait for a quorum, 0 or more.
        """
        try:
            return cls(path.read_bytes(), lag)
        except FileNotFoundError:
            return cls(lag=lag)


def witness_findings(evidence: Evidence, cosigned: Cosigned, *, at: datetime) -> list[AuditFinding]:
    """Compare a ledger with what its witnesses cosigned.

    If the trust policy names no witness, nothing is found.

    Args:
        evidence: Open ledger and trust policy.
        cosigned: The newest cosigned checkpoint, and how long leaves may wait.
        at: Aware UTC; witness keys must be valid then.

    Cost: one signature check for each witness, and O(log n) hashes.
    """
    rule = evidence.trust.roles.get(Role.WITNESS)
    if rule is None:
        return []
    try:
        if not cosigned.note:
            return [_lacking(f"no cosigned checkpoint; {rule.threshold} witnesses are needed")]
        # 1. It is of this ledger                       (somebody else's cosigned head)
        old = evidence.ledger.verify_checkpoint(cosigned.note, locator="cosigned checkpoint")
        # 2. Enough different witnesses signed it       (an operator who asked nobody)
        times = require_quorum(
            cosigned.note,
            witness_keys(evidence, at=at),
            rule.threshold,
            locator="cosigned checkpoint",
        )
        # 3. The ledger still holds what they saw       (fork, rollback)
        head = evidence.ledger.require_extends(cosigned.note)
    except (Rollback, BadProof) as error:
        return [AuditFinding(f"LEDGER_{error.code}", error.locator or "ledger", str(error))]
    except SluicegateError as error:
        return [_lacking(str(error))]
    # 4. What came later did not wait too long          (a ledger that stopped asking)
    newest = sorted(times.values(), reverse=True)[rule.threshold - 1]
    late = head.size > old.size and at.timestamp() - newest > cosigned.lag.total_seconds()
    return [_waiting(head.size - old.size, newest, cosigned.lag)] if late else []


def _waiting(n_leaves: int, since_s: int, lag: timedelta) -> AuditFinding:
    since = format_timestamp(datetime.fromtimestamp(since_s, UTC))
    hours = lag.total_seconds() / 3600
    return _lacking(
        f"{n_leaves} leaves were added since the quorum of {since}, more than {hours:g} hours ago"
    )


def _lacking(why: str) -> AuditFinding:
    return AuditFinding("WITNESS_QUORUM", "checkpoint", why)

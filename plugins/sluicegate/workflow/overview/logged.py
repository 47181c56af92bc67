"""What the ledger itself holds: its newest leaves, and which witnesses saw it.

A request reads as many leaves as it shows. Whether the whole log holds is the audit's question.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sluicegate.attest.trust import Role
from sluicegate.errors import SluicegateError
from sluicegate.ledger.cosigning.cosignature import cosigners
from sluicegate.workflow.auditing.leaves import claimed_time
from sluicegate.workflow.auditing.witnesses import Cosigned, witness_findings
from sluicegate.workflow.evidence.witnessing import witness_keys

if TYPE_CHECKING:
    from pathlib import Path

    from sluicegate.ledger.entry import Entry
    from sluicegate.workflow.evidence.verified import Evidence

LONGEST_READ: Final = 1 << 20
"""Largest envelope that is parsed for its time, in bytes; a seal of many files is longer."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A leaf that is proven to be in the log.

    Attributes:
        index: Its ledger entry.
        leaf: What it names.
        claimed: The time that its statement gives itself, aware UTC; None if it gives none.
    """

    index: int
    leaf: Entry
    claimed: datetime | None


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What the witnesses of the trust policy saw.

    Attributes:
        needed: How many of them must have signed; 0 if the policy names none.
        size: Leaves of the checkpoint that they signed; None if there is none of this ledger.
        times: When each of them signed it, aware UTC, oldest first.
        finding: What an audit would say of it; "" if nothing.
    """

    needed: int
    size: int | None = None
    times: tuple[datetime, ...] = ()
    finding: str = ""


def newest_leaves(evidence: Evidence, size: int, *, before: int | None, limit: int) -> list[Logged]:
    """Return leaves by their place in the log, newest first, each proven.

    Args:
        evidence: Ledger and trust policy, in a snapshot.
        size: Leaves of the ledger.
        before: The first that is left out; None for the newest.
        limit: Most leaves, at least 1.

    Raises:
        LedgerError: The ledger cannot be read, or a leaf is not what was signed.
        VerificationError: A proof does not hold.

    Cost: a proof and one parse of an envelope for each, about 0.4 ms of CPU.
    """
    end = size if before is None else min(before, size)
    indexes = range(end - 1, max(end - limit, 0) - 1, -1)
    evidence.ledger.prove_ahead(indexes)
    return [_logged(evidence, index) for index in indexes]


def _logged(evidence: Evidence, index: int) -> Logged:
    record = evidence.ledger.get_verified(index)
    told = claimed_time(record) if len(record.envelope) <= LONGEST_READ else None
    return Logged(index, record.entry, told)


def witnessed(evidence: Evidence, cosigned: Path, *, at: datetime) -> Witnessed:
    """Return what the witnesses saw, by the audit's own rule.

    Args:
        evidence: Ledger and trust policy.
        cosigned: File of the newest checkpoint that was cosigned.
        at: Aware UTC; witness keys must be valid then.

    Cost: as `witness_findings`, and one signature check for each witness.
    """
    rule = evidence.trust.roles.get(Role.WITNESS)
    if rule is None:
        return Witnessed(0)
    seen = Cosigned.read(cosigned)
    found = witness_findings(evidence, seen, at=at)
    finding = found[0].message if found else ""
    try:
        old = evidence.ledger.verify_checkpoint(seen.note, locator="cosigned checkpoint")
        keys = witness_keys(evidence, at=at)
        times = sorted(cosigners(seen.note, keys, locator="cosigned checkpoint").values())
    except SluicegateError:
        return Witnessed(rule.threshold, finding=finding)  # which says why
    signed = tuple(datetime.fromtimestamp(time_s, UTC) for time_s in times)
    return Witnessed(rule.threshold, old.size, signed, finding)

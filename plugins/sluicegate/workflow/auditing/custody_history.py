"""Which batches were in quarantine when, for runs that are over."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import parse_timestamp
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import Digest
from sluicegate.errors import SluicegateError
from sluicegate.gate.custody import require_release
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.auditing.leaves import envelope_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.verified import Evidence

_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Hold:
    """One quarantine of a batch.

    Attributes:
        digest: The batch, as text.
        since: When it began.
        until: When a release ended it, None if none did.
    """

    digest: str
    since: datetime
    until: datetime | None


def is_held(holds: Sequence[Hold], digest: str, at: datetime) -> bool:
    """Return whether a batch was in quarantine: the newest that had begun was not over.

    Args:
        holds: Quarantines of one source, in the order of the log.
        digest: The batch, as text.
        at: Aware UTC; the instant that is asked about.
    """
    begun = [hold for hold in holds if hold.digest == digest and hold.since <= at]
    return bool(begun) and (begun[-1].until is None or at < begun[-1].until)


def read_holds(evidence: Evidence) -> Mapping[str, list[Hold]]:
    """Return every quarantine by source, in the order of the log.

    The rules are those of admission. An entry that does not verify holds its batch all the same. If
    it does not even say since when, it has always held it. A release must verify.

    Cost: one index lookup for a ledger without a quarantine.
    """
    found = defaultdict(list)
    for record in evidence.ledger.find(Kind.QUARANTINE, newest_first=False):
        entry = record.entry
        hold = Hold(entry.subject, _time(record) or _ALWAYS, _released(evidence, record))
        found[entry.source].append(hold)
    return found


def _released(evidence: Evidence, held: LedgerRecord) -> datetime | None:
    source, digest = held.entry.source, held.entry.subject
    for record in evidence.ledger.find(Kind.RELEASE, source, digest, newest_first=False):
        time = _time(record)
        if record.index < held.index or time is None:
            continue
        try:
            verified = evidence.ledger.get_verified(record.index)
            statement = evidence.statement(verified, Role.GATE, at=time)
            batch = Digest.parse(digest)
            require_release(statement, source, batch, held.entry.envelope, locator="release")
        except (SluicegateError, ValueError):
            continue  # no release; perhaps a newer one holds
        return time
    return None


def _time(record: LedgerRecord) -> datetime | None:
    try:
        statement = Statement.from_bytes(envelope_of(record).payload)
        return parse_timestamp(statement.predicate["timeCreated"])
    except (SluicegateError, KeyError, TypeError, ValueError):
        return None

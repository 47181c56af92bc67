"""Get what the admission of several sources looks up in few statements.

Nothing is decided here, and nothing that is read here is believed: `admit` looks up and verifies
each piece as it does without this. It only finds them read already, in the same state of the
ledger. So whatever a store's editor makes of these first answers, what he says is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.statement import Statement
from sluicegate.errors import SluicegateError
from sluicegate.gate.verdict import named_test_result
from sluicegate.ledger.entry import Kind
from sluicegate.ledger.store import Query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.verified import Evidence

_OF_BATCH = (Kind.SEAL, Kind.VERDICT, Kind.QUARANTINE, Kind.BASELINE)
"""What is looked up of each newest batch."""

_BESIDE = 2
"""Leaves that are read for each: a list of one shows by the second that it has no end yet."""


def read_ahead(evidence: Evidence, sources: Iterable[str], hints: Iterable[str] = ()) -> None:
    """Read ahead what `admit` looks up of sources; of evidence from `snapshot` only.

    Args:
        evidence: From `Evidence.snapshot`.
        sources: Names of sources.
        hints: Digests of verdicts that somebody means, as `admit` takes them.

    Cost: about ten statements for any number of sources up to 125.
    """
    ledger, names = evidence.ledger, list(dict.fromkeys(sources))
    meant = [hint for hint in dict.fromkeys(hints) if hint]
    aside = [Query(Kind.QUARANTINE, name) for name in names]
    newest = ledger.look_ahead([Query(Kind.PROVENANCE, name) for name in names])
    ledger.look_ahead(aside, envelopes=meant)
    about = [
        Query(kind, record.entry.source, record.entry.subject)
        for record in newest
        for kind in _OF_BATCH
    ]
    found = ledger.look_ahead(about, limit=_BESIDE)
    named = [_test_result(record) for record in found if record.entry.kind == Kind.VERDICT]
    results = ledger.look_ahead(envelopes=[name for name in named if name])
    ledger.prove_ahead([record.index for record in (*newest, *found, *results)])


def _test_result(verdict: LedgerRecord) -> str:
    """Return what an unverified verdict claims to rest on; "" if it claims nothing."""
    try:
        payload = Envelope.from_bytes(verdict.envelope).payload
        return str(named_test_result(Statement.from_bytes(payload)))
    except SluicegateError:
        return ""

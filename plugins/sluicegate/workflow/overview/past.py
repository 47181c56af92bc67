"""What was said of the batches of a source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from sluicegate.errors import EvidenceMissing, SluicegateError
from sluicegate.ledger.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sluicegate.ledger.entry import Entry
    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.batch import IssuedVerdict
    from sluicegate.workflow.evidence.verified import Evidence

_MOST: Final = 20_000
"""Verdicts that are remembered, some 3 kB each."""


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """A verdict in the ledger.

    Attributes:
        index: Its ledger entry.
        source: Name of the source as the leaf names it.
        subject: Digest of the batch as the leaf names it.
        envelope: Digest of its envelope.
        issued: The verdict; None if it does not hold.
        refusal: Why it does not hold; None if it does.
    """

    index: int
    source: str
    subject: str
    envelope: str
    issued: IssuedVerdict | None
    refusal: SluicegateError | None = None


class Past:
    """Reads verdicts, and verifies each once.

    What held under a checkpoint holds under every later one that extends it. A key that is revoked
    needs a new trust policy; whoever keeps this object makes a new one then.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, PastVerdict] = {}

    def newest(
        self, evidence: Evidence, source: str, *, limit: int, at: datetime
    ) -> list[PastVerdict]:
        """Return the newest verdicts of a source, newest first.

        Args:
            evidence: Ledger and trust policy.
            source: Name of the source.
            limit: Most verdicts, at least 1.
            at: Aware UTC; revocations until then count.

        Raises:
            LedgerError: The ledger cannot be read.

        Cost: one look-up, and about 0.3 ms of CPU for each verdict that was not read before.
        """
        ledger = evidence.ledger
        found = ledger.listed(Kind.VERDICT, source, limit=limit)
        ledger.prove_ahead([index for index, leaf in found if self._known_as(index, leaf) is None])
        return [
            self._read(evidence, index, leaf, partial(ledger.get_verified, index), at)
            for index, leaf in found
        ]

    def one(self, evidence: Evidence, index: int, *, at: datetime) -> PastVerdict:
        """Return the verdict of a ledger entry.

        Args:
            evidence: Ledger and trust policy.
            index: Ledger entry.
            at: Aware UTC; revocations until then count.

        Raises:
            EvidenceMissing: There is no such entry, or it is no verdict.
            LedgerError: The ledger cannot be read, or contradicts itself.
        """
        record = evidence.ledger.get_verified(index)
        if record.entry.kind != Kind.VERDICT:
            raise EvidenceMissing(
                "the ledger entry is no verdict", locator=f"#{index}", got=record.entry.kind
            )
        return self._read(evidence, index, record.entry, lambda: record, at)

    def _known_as(self, index: int, leaf: Entry) -> PastVerdict | None:
        known = self._known.get(index)
        return known if known is not None and known.envelope == leaf.envelope else None

    def _read(
        self,
        evidence: Evidence,
        index: int,
        leaf: Entry,
        proven: Callable[[], LedgerRecord],
        at: datetime,
    ) -> PastVerdict:
        if (known := self._known_as(index, leaf)) is not None:
            return known
        named = (index, leaf.source, leaf.subject, leaf.envelope)
        try:
            issued = evidence.past_verdict(proven(), at=at)
        except SluicegateError as refusal:
            return PastVerdict(*named, None, refusal)
        if len(self._known) >= _MOST:
            self._known.clear()
        return self._known.setdefault(index, PastVerdict(*named, issued))

"""Which baselines were in force when, and whether the batches behind them had passed.

This is the auditor's side of `sluicegate.workflow.baselines.in_force`. It reads the log as it was
at each entry, by the times that the statements give themselves.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import parse_timestamp
from sluicegate.errors import SluicegateError
from sluicegate.gate.policy import Mode
from sluicegate.gate.promotion import Lane, Promotion, promotion_from_statement
from sluicegate.gate.verdict import AS_OF, Verdict, verdict_from_statement
from sluicegate.ledger.entry import Kind
from sluicegate.signals.decision.record import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.digest.algorithms import Digest
    from sluicegate.ledger.log import Ledger
    from sluicegate.ledger.store import LedgerRecord


class BaselineAudit:
    """Remembers the promotions of each source while an audit walks along the log.

    Args:
        ledger: The log. Each record is verified elsewhere; here its payload is only read.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._promotions: dict[str, list[tuple[int, Promotion]]] = {}

    def superseded(self, verdict: Verdict, index: int) -> Iterator[str]:
        """Yield, in words, each lane in which a verdict did not use the newest promotion.

        Args:
            verdict: The verdict at ``index`` of the log.
            index: Only promotions before it count, and only if they were built before the gate
                began.
        """
        used = {Lane.ANCHORED: verdict.baseline, Lane.ROLLING: verdict.rolling}
        for lane, digest in used.items():
            newest = self._newest(verdict, lane, index)
            if newest is None or newest.baseline == digest:
                continue
            said = "none" if digest is None else digest.short
            yield f"judged against {lane} baseline {said}, and {newest.baseline.short} was in force"

    def unproven(self, promotion: Promotion, index: int) -> Iterator[str]:
        """Yield, in words, each batch behind a promotion that had not passed before ``index``.

        Args:
            promotion: The promotion at ``index`` of the log.
            index: Only verdicts before it count.
        """
        for digest in promotion.inputs:
            verdict = self._verdict_before(promotion.source, digest, index)
            if verdict is None:
                yield f"batch {digest.short} behind the baseline was not judged before"
            elif verdict.result is not Status.PASSED or verdict.mode is not Mode.ENFORCE:
                yield f"batch {digest.short} behind the baseline was {verdict.result}"

    def _newest(self, verdict: Verdict, lane: Lane, index: int) -> Promotion | None:
        then = verdict.issued
        if (as_of := verdict.run.get(AS_OF)) is not None:  # a backfill; the gate signed the day
            with suppress(SluicegateError):
                then = min(then, parse_timestamp(as_of))
        for place, promotion in self._of(verdict.source):
            # A gate that began before a promotion may end after it.
            if place < index and promotion.lane is lane and promotion.created < then:
                return promotion
        return None

    def _of(self, source: str) -> list[tuple[int, Promotion]]:
        if source not in self._promotions:
            found = self._ledger.find(Kind.PROMOTION, source)
            read = ((record.index, _promotion(record)) for record in found)
            self._promotions[source] = [(i, said) for i, said in read if said is not None]
        return self._promotions[source]

    def _verdict_before(self, source: str, digest: Digest, index: int) -> Verdict | None:
        for record in self._ledger.find(Kind.VERDICT, source, digest):
            if record.index < index:
                try:
                    return verdict_from_statement(_payload(record), locator="verdict")
                except SluicegateError:
                    return None  # reported at its own entry
        return None


def _promotion(record: LedgerRecord) -> Promotion | None:
    try:
        return promotion_from_statement(_payload(record), locator="promotion")
    except SluicegateError:
        return None  # reported at its own entry


def _payload(record: LedgerRecord) -> Statement:
    return Statement.from_bytes(Envelope.from_bytes(record.envelope).payload)

"""Set a batch aside, let it back, promote a baseline, as tasks; others have modules of their own.

Each may run again: what is so already stays so, and the ledger gets no second entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.orchestration.operators import (
    TrainingGateOperator,
    _SluicegateOperator,
    run_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sluicegate.workflow.evidence.home import SluiceHome


class QuarantineOperator(_SluicegateOperator):
    """Set a batch aside: nothing trains on it, whatever its verdict. Needs keys of gate and ledger.

    Args:
        source: Name of the source.
        batch: Digest of the batch, or nothing for the newest; templated.
        reason: Why, in words; templated. It is signed and kept.
        **kwargs: As for any operator.

    Returns:
        Through XCom ``{source, digest}``: a pointer.
    """

    template_fields: Sequence[str] = ("batch", "reason")

    def __init__(self, *, batch: str, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch = batch
        self.reason = reason

    def _run(self, home: SluiceHome, context: Mapping[str, Any], at: datetime) -> dict[str, str]:
        from sluicegate.digest.algorithms import Digest
        from sluicegate.workflow.evidence.custody import open_quarantine
        from sluicegate.workflow.evidence.opening import open_evidence
        from sluicegate.workflow.response.quarantine import batch_of, quarantine_batch

        evidence = open_evidence(home, at=at, ledger_signer=self._signer(home, "ledger"))
        asked = Digest.parse(self.batch) if self.batch else None
        batch = batch_of(evidence, self.source, asked, at=at)
        pointer = {"source": self.source, "digest": str(batch.digest)}
        if open_quarantine(evidence, self.source, batch.digest) is not None:
            self.log.info("%s@%s is in quarantine already", batch.source, batch.digest)
            return pointer
        quarantine_batch(
            home,
            evidence,
            batch,
            reason=self.reason,
            signer=self._signer(home, "gate"),
            run=run_of(context),
            at=at,
        )
        self.log.info("%s@%s is in quarantine", batch.source, batch.digest)
        return pointer


class ReleaseOperator(TrainingGateOperator):
    """Judge a quarantined batch again; let it back, and announce it, only if it passes.

    Args:
        source: Name of the source.
        batch: Digest of the batch, or nothing for the newest; templated.
        reason: Why, in words; templated. It is signed and kept.
        **kwargs: As for `TrainingGateOperator`.

    Returns:
        Through XCom and the event's extra a pointer; without ``verdict`` if another batch is newer.
    """

    template_fields: Sequence[str] = (*TrainingGateOperator.template_fields, "reason")

    def __init__(self, *, batch: str, reason: str, **kwargs: Any) -> None:
        super().__init__(batch=batch, **kwargs)
        self.reason = reason

    def _run(self, home: SluiceHome, context: Mapping[str, Any], at: datetime) -> dict[str, str]:
        from sluicegate.digest.algorithms import Digest
        from sluicegate.workflow.admission.admit import admit_training
        from sluicegate.workflow.evidence.custody import open_quarantine
        from sluicegate.workflow.evidence.opening import open_evidence
        from sluicegate.workflow.judging.gate import GateSigners
        from sluicegate.workflow.judging.runners import evaluate_directly
        from sluicegate.workflow.response.quarantine import batch_of, release_batch

        evidence = open_evidence(home, at=at)
        asked = Digest.parse(self.batch) if self.batch else None
        digest = batch_of(evidence, self.source, asked, at=at).digest
        pointer = {"source": self.source, "digest": str(digest)}
        if open_quarantine(evidence, self.source, digest) is None:
            self.log.info("%s@%s is not in quarantine", self.source, digest)
            return pointer
        issued = release_batch(
            home,
            self.source,
            digest,
            reason=self.reason,
            signers=GateSigners(self._signer(home, "gate"), self._signer(home, "ledger")),
            runner=evaluate_directly,
            run=run_of(context),
            at=at,
        )
        self._verdict = issued.verdict
        self.log.info("%s@%s is released: %s", self.source, digest, issued.verdict.result)
        admitted = admit_training(home, [self.source], at=at)[self.source]
        if admitted.batch.digest == digest:
            self._known = pointer = admitted.pointer
            self._announce(context, pointer)
        return pointer


class PromoteOperator(_SluicegateOperator):
    """Build a rolling baseline from the newest batches that passed, with the key of that role.

    Where the trust policy asks for more signatures than these keys give, this proposes, and other
    people confirm with ``sluicegate baseline promote SOURCE --confirm``.

    Args:
        source: Name of the source.
        last: From how many batches, at least 1; templated.
        days: How long it may judge.
        **kwargs: As for any operator.

    Returns:
        Through XCom ``{source, baseline}``, and ``index`` of the ledger entry if it is in force.
    """

    template_fields: Sequence[str] = ("last",)

    def __init__(self, *, last: int | str = 3, days: int = 365, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.last = last
        self.days = days

    def _run(self, home: SluiceHome, context: Mapping[str, Any], at: datetime) -> dict[str, str]:
        from datetime import timedelta

        from sluicegate.gate.promotion import Lane
        from sluicegate.workflow.baselines.in_force import baselines_in_force
        from sluicegate.workflow.baselines.inputs import passed_batches
        from sluicegate.workflow.baselines.promotion import propose
        from sluicegate.workflow.evidence.opening import open_evidence

        evidence = open_evidence(home, at=at, ledger_signer=self._signer(home, "ledger"))
        in_force = baselines_in_force(home, evidence, self.source, at=at)
        done = propose(
            home,
            evidence,
            self.source,
            lane=Lane.ROLLING,
            digests=passed_batches(evidence, self.source, last=int(self.last), at=at),
            schema=in_force[Lane.ANCHORED].baseline.schema,
            signer=self._signer(home, "baseline"),
            run=run_of(context),
            at=at,
            ttl=timedelta(days=self.days),
        )
        pointer = {"source": self.source, "baseline": str(done.promotion.baseline)}
        if done.index is None:
            self.log.info("%s waits for more signatures", pointer["baseline"])
            return pointer
        self.log.info("%s judges from now on", pointer["baseline"])
        return {**pointer, "index": str(done.index)}

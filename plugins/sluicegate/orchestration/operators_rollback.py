"""Go back to the last batch that was trusted, and train on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.errors import SluicegateError
from sluicegate.orchestration.operators import TrainingGateOperator, run_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sluicegate.workflow.evidence.home import SluiceHome


class RollbackOperator(TrainingGateOperator):
    """Make an older batch the newest one again, and announce it to training.

    The bytes of the batch are hashed first. If its verdict is no longer in force (expired, or
    issued under an earlier policy), the gate judges it again and announces it only if it still
    passes.

    Args:
        source: Name of the source.
        to: dirHash1 digest of the batch to go back to; templated. When None, the last trusted
            one. If that batch passed by mistake, name the one before it.
        **kwargs: As for `TrainingGateOperator`: ``suite`` and ``conn_id`` are for judging again.

    Returns:
        Through XCom and the event's extra ``{source, digest, verdict}``: a pointer.
    """

    observed_as = "rollback"
    template_fields: Sequence[str] = (*TrainingGateOperator.template_fields, "to")

    def __init__(self, *, to: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.to = to

    def _run(self, home: SluiceHome, context: Mapping[str, Any], at: datetime) -> dict[str, str]:
        from sluicegate.adapters.policy_file import read_policy
        from sluicegate.digest.algorithms import Digest
        from sluicegate.workflow.admission.admit import admit_training
        from sluicegate.workflow.auditing.history import roll_back
        from sluicegate.workflow.evidence.opening import open_evidence

        batch = roll_back(
            open_evidence(home, at=at, ledger_signer=self._signer(home, "ledger")),
            read_policy(home.policy),
            self.source,
            to=Digest.parse(self.to) if self.to else None,
            signer=self._signer(home, "source"),
            run=run_of(context),
            at=at,
        )
        self._step.sealed(batch)
        self.log.info("%s is back at %s as version %d", batch.source, batch.digest, batch.version)
        try:
            admission = admit_training(home, [self.source], at=at)[self.source]
        except SluicegateError as error:
            self.log.info("judging it again: %s", error)
            self.batch = str(batch.digest)
            return super()._run(home, context, at)
        self._step.trusted(admission.issued.verdict)
        self._known = admission.pointer
        self._announce(context, admission.pointer)
        return admission.pointer

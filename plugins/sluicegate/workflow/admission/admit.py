"""Decide whether a training task may start on a source.

What Airflow hands over (asset events, XCom, its state store) is only a pointer to the batch that
somebody wants to train on. Admission rests only on signed evidence, checked in this order:

1. The newest provenance of the source is in the ledger, under the signed checkpoint
                                                         (edited, deleted, reordered rows)
2. The source role signed it and the seal of its digest  (data that nobody sealed)
3. The batch is not in quarantine                        (bytes set aside on purpose)
4. The pointer's verdict is in the ledger                (forged or invented verdict)
5. The pointer means that newest batch                   (freeze, rollback)
6. The newest verdict on that digest is in the ledger    (replay of an older PASSED)
7. The gate role signed it, with a valid key             (verdict from another key)
8. It names this source and this exact digest            (mix and match)
9. It has not expired, and was issued under the policy in force (weakened policy)
10. The seal is as fresh as that policy asks            (freeze: old data trained on again)
11. That policy accepts it, or two people waived exactly the signals that speak against it
                                                         (FAILED batch, self-approval)
12. Test result and baselines under it still count, and no batch behind these is set aside
                                                       (revoked key, poison found out later)

Before that, ledger and trust policy are compared with what this installation remembers of them
(yesterday's store or policy, fork). Each lookup is compared with the leaves that the log is known
to hold (deleted row, damaged index). See `recall`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.adapters.policy_file import read_policy
from sluicegate.digest.algorithms import Digest
from sluicegate.errors import BadProof, GateBlocked, Rollback
from sluicegate.gate.limits import DEFAULT
from sluicegate.workflow.admission.ahead import read_ahead
from sluicegate.workflow.admission.freshness import require_fresh_seal
from sluicegate.workflow.admission.standing import require_standing
from sluicegate.workflow.admission.waived import waivers_of
from sluicegate.workflow.evidence.custody import require_free
from sluicegate.workflow.evidence.opening import open_evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sluicegate.gate.limits import Limits
    from sluicegate.gate.policy import Policy
    from sluicegate.workflow.evidence.batch import IssuedVerdict, SealedBatch
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence


@dataclass(frozen=True, slots=True)
class Admission:
    """Permission to train on one exact batch.

    Attributes:
        batch: The sealed batch.
        issued: The verdict on it.
        limits: How much of the batch may be decoded, by the policy in force.
    """

    batch: SealedBatch
    issued: IssuedVerdict
    limits: Limits = DEFAULT

    @property
    def verdict(self) -> Digest:
        """Digest of the verdict's envelope, by which the ledger finds it."""
        return self.issued.envelope

    @property
    def pointer(self) -> dict[str, str]:
        """What may travel through Airflow; whoever receives it verifies again."""
        return {
            "source": self.batch.source,
            "digest": str(self.batch.digest),
            "verdict": str(self.issued.envelope),
        }


def admit_training(
    home: SluiceHome,
    sources: Iterable[str],
    pointers: Mapping[str, Mapping[str, str]] | None = None,
    *,
    at: datetime,
) -> dict[str, Admission]:
    """Admit a training task to all its sources, or raise.

    Args:
        home: Paths of the installation.
        sources: Names of the sources the task reads; at least one.
        pointers: Untrusted hints by source, ``{"verdict": "sha256:..."}``; a source
            without one is judged by its newest seal.
        at: Aware UTC.

    Returns:
        Source to its admission.

    Raises:
        SluicegateError: Any reason not to start; nothing is admitted in part.

    Cost:
        About 8 us of CPU for each leaf since the last time. About fifteen statements for all
        sources together; for each five Merkle proofs and five signature checks, and what
        `require_standing` asks of the batches behind baselines.
    """
    policy = read_policy(home.policy)
    named = list(sources)
    hints = {name: (pointers or {}).get(name, {}).get("verdict", "") for name in named}
    with open_evidence(home, at=at).snapshot() as evidence:
        read_ahead(evidence, named, hints.values())
        return {name: admit(evidence, policy, name, hints[name], at=at) for name in named}


def admit(
    evidence: Evidence, policy: Policy, source: str, hint: str = "", *, at: datetime
) -> Admission:
    """Admit training on the newest batch of one source, or raise.

    Args:
        evidence: Ledger and trust policy.
        policy: The policy in force.
        source: Name of the source.
        hint: Untrusted digest of the verdict that somebody means; "" for the newest.
        at: Aware UTC.

    Raises:
        SluicegateError: Any reason not to start.
    """
    newest = evidence.latest_seal(source, at=at)
    require_free(evidence, source, newest.digest, at=at)
    if hint:
        _require_current(evidence, source, hint, newest)
    issued = evidence.verdict_of(source, newest.digest, at=at)
    require_admissible(evidence, policy, issued, at=at)
    require_fresh_seal(evidence, policy, source, newest.digest, at=at)
    require_standing(evidence, issued, at=at)
    return Admission(newest, issued, policy.for_source(source).limits)


def require_admissible(
    evidence: Evidence, policy: Policy, issued: IssuedVerdict, *, at: datetime
) -> None:
    """Return if the policy in force accepts a verdict, as it is or waived.

    Args:
        evidence: Ledger and trust policy.
        policy: The policy in force.
        issued: The verdict, verified.
        at: Aware UTC; verdict and waivers must be in force then.

    Raises:
        Expired: The verdict has expired; see `Verdict.require_passed`.
        GateBlocked: The policy does not accept it, and no waiver covers what speaks against it.
    """
    try:
        issued.verdict.require_passed(policy, at=at)
    except GateBlocked:
        # Waivers cost proofs and signatures, so they are read only when one is needed.
        waived = waivers_of(evidence, policy, issued, at=at)
        try:
            issued.verdict.require_passed(policy, at=at, waived=waived.codes)
        except GateBlocked as blocked:
            raise _with_waivers(blocked, waived.refused) from None


def _with_waivers(blocked: GateBlocked, refused: tuple[str, ...]) -> GateBlocked:
    """Return the refusal, which also says why the waivers do not count."""
    if not refused:
        return blocked
    return GateBlocked(
        blocked.verdict,
        f"{blocked.what}. The newest of {len(refused)} waivers that do not count: {refused[0]}",
        locator=blocked.locator,
        next_step=blocked.next_step,
    )


def _require_current(evidence: Evidence, source: str, hint: str, newest: SealedBatch) -> None:
    record = evidence.ledger.by_envelope(hint)
    if record is None or record.entry.kind != "verdict" or record.entry.source != source:
        raise BadProof(
            "the verdict that triggered this run is not in the ledger",
            locator=source,
            got=hint[:19],
            next_step="Treat it as forged: find who wrote the asset event or state, "
            "and run the gate on the source.",
        )
    if record.entry.subject != str(newest.digest):
        raise Rollback(
            "the run was triggered for a batch that is no longer the newest",
            locator=source,
            expected=newest.digest.short,
            got=Digest.parse(record.entry.subject).short,
            next_step="Train on the newest verdict, or roll the source back on purpose.",
        )

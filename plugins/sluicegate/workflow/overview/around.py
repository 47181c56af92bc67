"""What stands around a source: the baselines that judged it, their promotions, and its models.

All of it is told by statements that were verified. What was trained and left no statement is not
here; the audit finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.attest import dsse
from sluicegate.attest.statement import Statement
from sluicegate.attest.trust import Role
from sluicegate.errors import SluicegateError, UntrustedKey
from sluicegate.gate.promotion import Lane, promotion_from_statement
from sluicegate.gate.verdict import MODEL, TRAINED_ON
from sluicegate.ledger.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sluicegate.gate.promotion import Promotion
    from sluicegate.workflow.evidence.verified import Evidence
    from sluicegate.workflow.overview.past import Past, PastVerdict

MOST_PROMOTIONS: Final = 5
"""Promotions that are looked at, the newest; each costs a proof and its signatures."""
MOST_MODELS: Final = 50
"""Models whose verdicts are looked at, by name."""
_VERDICTS: Final = 3


@dataclass(frozen=True, slots=True)
class JudgedBy:
    """A baseline in its lane, and how long it has judged.

    Attributes:
        lane: Which of the two.
        baseline: SHA-256 of its bytes, as text.
        first: The oldest of the verdicts that it judged without another one in between.
        n_verdicts: How many these are.
    """

    lane: Lane
    baseline: str
    first: PastVerdict
    n_verdicts: int


@dataclass(frozen=True, slots=True)
class Promoted:
    """A promotion in the ledger.

    Attributes:
        index: Its ledger entry.
        promotion: What was signed; None if it does not hold.
        refusal: Why it does not hold; None if it does.
    """

    index: int
    promotion: Promotion | None
    refusal: SluicegateError | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model that was made of a batch of the source, as the verdict on it says.

    Attributes:
        name: Of the model.
        batch: Digest of the batch, as text.
        judged: The verdict.
    """

    name: str
    batch: str
    judged: PastVerdict


def judged_by(past: Sequence[PastVerdict]) -> list[JudgedBy]:
    """Return which baselines judged a source in its newest verdicts, the newest of a lane first.

    Args:
        past: Its newest verdicts, newest first; those that do not hold are passed over.
    """
    found: list[JudgedBy] = []
    for lane in Lane:
        own: list[JudgedBy] = []
        for one in past:
            baseline = _baseline(one, lane)
            if baseline is None:
                continue
            if own and own[-1].baseline == baseline:
                own[-1] = JudgedBy(lane, baseline, one, own[-1].n_verdicts + 1)
            else:
                own.append(JudgedBy(lane, baseline, one, 1))
        found += own
    return found


def _baseline(one: PastVerdict, lane: Lane) -> str | None:
    if one.issued is None:
        return None
    verdict = one.issued.verdict
    digest = verdict.baseline if lane is Lane.ANCHORED else verdict.rolling
    return None if digest is None else str(digest)


def promotions(evidence: Evidence, source: str, *, at: datetime) -> list[Promoted]:
    """Return the newest promotions of a source's baselines, newest first.

    Args:
        evidence: Ledger and trust policy.
        source: Name of the source.
        at: Aware UTC; revocations until then count.

    Raises:
        LedgerError: The ledger cannot be read.

    Cost: one look-up, and about 2 ms of CPU for each promotion.
    """
    found = evidence.ledger.find(Kind.PROMOTION, source, limit=MOST_PROMOTIONS)
    return [_promoted(evidence, record.index, source, at=at) for record in found]


def _promoted(evidence: Evidence, index: int, source: str, *, at: datetime) -> Promoted:
    where = f"ledger entry {index}"
    try:
        record = evidence.ledger.get_verified(index)
        claimed = Statement.from_bytes(dsse.Envelope.from_bytes(record.envelope).payload)
        then = min(promotion_from_statement(claimed, locator=where).created, at)
        signed = evidence.statement(record, Role.BASELINE, at=then, asked=at)
        promotion = promotion_from_statement(signed, locator=where)
    except SluicegateError as refusal:
        return Promoted(index, None, refusal)
    if (promotion.source, str(promotion.baseline)) != (source, record.entry.subject):
        other = UntrustedKey("the promotion is about another baseline", locator=where)
        return Promoted(index, None, other)
    return Promoted(index, promotion)


def models_of(
    evidence: Evidence, past: Past, names: Iterable[str], source: str, *, at: datetime
) -> list[Model]:
    """Return the models that the newest verdicts on models say were made of a source's batches.

    Args:
        evidence: Ledger and trust policy.
        past: Reads verdicts.
        names: Names of sources, those of models among them.
        source: Name of the source.
        at: Aware UTC; revocations until then count.

    Raises:
        LedgerError: The ledger cannot be read.

    Cost: one look-up for each model, and as `Past.newest`.
    """
    found = []
    for name in sorted(name for name in names if name.startswith(MODEL))[:MOST_MODELS]:
        for one in past.newest(evidence, name, limit=_VERDICTS, at=at):
            run = {} if one.issued is None else one.issued.verdict.run
            if (batch := run.get(f"{TRAINED_ON}{source}")) is not None:
                found.append(Model(name.removeprefix(MODEL), batch, one))
    return found

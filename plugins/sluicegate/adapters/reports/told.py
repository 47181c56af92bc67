"""What a person should read of a check: what speaks against the batch, and what passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.gate.verdict import Reason, joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sluicegate.signals.decision.record import SignalRecord


@dataclass(frozen=True, slots=True)
class Against:
    """One thing that speaks against a batch.

    Attributes:
        reason: What the policy makes of it, and why.
        record: The finding behind it; None for several that lack the same thing, or if nobody left
            the finding that was expected.
    """

    reason: Reason
    record: SignalRecord | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a check says.

    Attributes:
        against: What speaks against the batch, worst first.
        passed: The findings that do not, in their own order.
    """

    against: tuple[Against, ...]
    passed: tuple[SignalRecord, ...]


def told(records: Iterable[SignalRecord], reasons: Iterable[Reason]) -> Told:
    """Return what a check says.

    Args:
        records: Its findings, at most one for each code and column.
        reasons: What the policy makes of those that did not pass, worst first.
    """
    reasons, found = tuple(reasons), {(r.code, r.column): r for r in records}
    each = set(reasons)  # one that stands for several is none of them
    spoke = {(reason.code, reason.column) for reason in reasons}
    return Told(
        tuple(
            Against(reason, found.get((reason.code, reason.column)) if reason in each else None)
            for reason in joined(reasons)
        ),
        tuple(record for key, record in found.items() if key not in spoke),
    )

"""What a kept finding would have been under another policy, as far as its numbers tell.

A finding keeps the effect, bound and p-value of the one candidate that it shows. That settles most
questions about another tolerance or budget. If it does not, the answer is None, never a guess.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sluicegate.signals.decision.record import EXTRA_COLUMNS, SCHEMA, SignalRecord, Status

if TYPE_CHECKING:
    from sluicegate.gate.policy import Policy

_DRIFT: Final = "DRIFT_"


def reconsidered(record: SignalRecord, old: Policy, new: Policy) -> SignalRecord | None:
    """Return a finding as another policy's tolerance and budget would have left it.

    Args:
        record: The finding as it was kept.
        old: The policy that it was found under.
        new: The policy to try.

    Returns:
        The finding; None if only the data can tell.
    """
    if record.status is Status.NOT_EVALUATED or record.effect_bound is None:
        return record  # nothing was measured, or it is a fact without a tolerance
    if record.code == SCHEMA and old.tolerances.get(SCHEMA) == new.tolerances.get(SCHEMA):
        return _schema(record, old.tolerances.get(EXTRA_COLUMNS), new.tolerances.get(EXTRA_COLUMNS))
    was, then = _limit(record, old), _limit(record, new)
    step = _sign(new.false_block_budget, old.false_block_budget)
    if was == then and step == 0:
        return record
    if record.tolerance is None or (was is not None and then is None):
        return None  # the tolerance that the baseline had learned is not kept
    if record.code.startswith(_DRIFT):
        return _drift(record, was, then, step)
    limit = record.tolerance if then is None else then
    return (_passed if record.status is Status.PASSED else _fired)(record, limit, step)


def _limit(record: SignalRecord, policy: Policy) -> float | None:
    found = policy.tolerances
    return found.get(f"{record.code}:{record.column}", found.get(record.code))


def _passed(record: SignalRecord, limit: float, step: int) -> SignalRecord | None:
    """Reconsider one that passed: its shown candidate is the furthest beyond its tolerance."""
    assert record.effect_bound is not None  # noqa: S101 - asked before
    assert record.tolerance is not None  # noqa: S101 - asked before
    if record.effect_bound <= limit:
        return replace(record, tolerance=limit)
    if limit >= record.tolerance:
        return None if step > 0 else replace(record, tolerance=limit)
    fires = step >= 0 and _is_beyond_chance(record)
    return replace(record, tolerance=limit, status=Status.FAILED) if fires else None


def _fired(record: SignalRecord, limit: float, step: int) -> SignalRecord | None:
    """Reconsider one that fired: if the shown candidate would not fire, another one might."""
    assert record.effect_bound is not None  # noqa: S101 - asked before
    if record.effect_bound <= limit or (step < 0 and record.p_value is not None):
        return None
    return replace(record, tolerance=limit)


def _drift(
    record: SignalRecord, was: float | None, then: float | None, step: int
) -> SignalRecord | None:
    """Reconsider drift: new categories have their own tolerance, which follows the column's."""
    if (was is None) is not (then is None):
        return None
    move = 0 if was is None or then is None else _sign(then, was)
    if record.status is Status.PASSED:
        return record if move >= 0 and step <= 0 else None
    return record if move <= 0 and step >= 0 else None


def _sign(new: float, old: float) -> int:
    return (new > old) - (new < old)


def _is_beyond_chance(record: SignalRecord) -> bool:
    if record.p_value is None:
        return True
    return record.alpha is not None and record.p_value <= record.alpha


def _schema(record: SignalRecord, was: float | None, then: float | None) -> SignalRecord | None:
    """Reconsider columns too many: only a tolerance of 0, or none at all, needs no count."""
    extra = bool(record.evidence.get("extra"))
    if was == then or not extra or record.status is Status.FAILED:
        return record
    if then == 0:
        return replace(record, status=Status.WARNED)
    return replace(record, status=Status.PASSED) if then is None else None

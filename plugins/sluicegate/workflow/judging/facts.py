"""The record of a signal that counts instead of estimating: it has no p-value and no tolerance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.signals.decision.record import Family, SignalRecord, Status

if TYPE_CHECKING:
    from collections.abc import Mapping


def fact_record(
    code: str,
    n_against: int,
    *,
    unit: str,
    known: str,
    message: str,
    evidence: Mapping[str, Any] | None = None,
) -> SignalRecord:
    """Return the finding of a completeness signal that is a fact.

    Args:
        code: Of the signal.
        n_against: How much speaks against the batch; 0 passes.
        unit: What is counted.
        known: Why nothing is estimated, in words.
        message: For a person.
        evidence: Detail.
    """
    return SignalRecord(
        code=code,
        family=Family.COMPLETENESS,
        status=Status.FAILED if n_against else Status.PASSED,
        null_hypothesis=f"none: {known}",
        effect=float(n_against),
        effect_unit=unit,
        tolerance=0.0,
        evidence=evidence or {},
        message=message,
    )

"""What a signal reports: one record, the same for a person, a policy and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sluicegate.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Mapping


SCHEMA: Final = "SCHEMA"
EXTRA_COLUMNS: Final = "SCHEMA:extra"
"""Key of the tolerance, and of a policy's rule, for columns that the baseline does not know. Here
and not beside the signal, because the guard reads policies and must not import what judges."""


CONTRIBUTOR_LIMIT: Final = "CONTRIBUTOR_LIMIT"
PARTS: Final = "PARTS"
SEQUENCE: Final = "SEQUENCE"
UNJUDGED: Final = "UNJUDGED"
"""Codes of the signals that no baseline is needed for."""
UNEVALUATED: Final = ": not evaluated: "
"""Stands between what was not evaluated and why, in the message of such a record."""


class Status(StrEnum):
    """Result of one signal; anything but PASSED needs a reason in the message."""

    PASSED = "PASSED"
    WARNED = "WARNED"
    FAILED = "FAILED"
    NOT_EVALUATED = "NOT_EVALUATED"


class Family(StrEnum):
    """Signals that share a family share a budget of false alarms."""

    SCHEMA = "schema"
    COMPLETENESS = "completeness"
    DRIFT = "drift"
    LABEL = "label"
    CONTAMINATION = "contamination"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRecord:
    """One signal's finding on one batch.

    Attributes:
        code: Stable identifier, e.g. ``LABEL_FLIPS``; policies and tests name it.
        family: Budget family.
        status: FAILED and WARNED only when the effect exceeds the tolerance *and* chance
            is excluded; NOT_EVALUATED when either question could not be answered.
        column: Column the finding is about, or "" for the whole batch.
        null_hypothesis: What the p-value assumes, in one sentence.
        n_baseline: Rows behind the baseline side.
        n_batch: Rows behind the batch side.
        effect: Size of the change in ``effect_unit``, or None if not evaluated.
        effect_bound: Lower confidence bound of the effect; compared with the tolerance.
        effect_unit: E.g. "share of rows", "standard deviations".
        tolerance: Largest change that the policy accepts, in the same unit.
        p_value: In [0, 1], or None for signals that are exact facts (schema).
        alpha: The level this record's p-value was compared with, after correction.
        evidence: JSON-able detail: buckets, contributors, row ids. Never row values.
        message: One sentence for a person: column, sizes, contributor, next step. Names of
            columns and contributors come from data, so it is kept as `visible` writes it.
    """

    code: str
    family: Family
    status: Status
    column: str = ""
    null_hypothesis: str = ""
    n_baseline: int = 0
    n_batch: int = 0
    effect: float | None = None
    effect_bound: float | None = None
    effect_unit: str = ""
    tolerance: float | None = None
    p_value: float | None = None
    alpha: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", visible(self.message))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; enums become their values."""
        return {**asdict(self), "family": self.family.value, "status": self.status.value}

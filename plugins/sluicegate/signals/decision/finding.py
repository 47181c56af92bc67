"""What a signal measured, before the decision that needs all signals of the run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.signals.decision.record import Family, Status
    from sluicegate.signals.definition import Signal

NEXT: Final = ".next."
"""Part of the keys of what later rows of a baseline did to earlier ones."""
_PROBABLE = 0.01  # the usual budget of a whole run, so that no alarm is missed


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One question inside a signal, e.g. one contributor or one class.

    Attributes:
        subject: Who or what it is about, for messages; "" for the whole column.
        effect: Size of the change, in the unit of the finding.
        bound: Lower confidence bound of the effect.
        tolerance: Largest accepted change, in the same unit.
        p_value: Chance of such a change under the null, uncorrected.
        text: Sizes in words.
        hint: What a person should do.
        severity: Status if it fires; None for the signal's own.
        depth: How narrow the subject is; of fired candidates the narrowest is shown.
        question: Which of the questions it is that every batch is asked; "" for one of its depth.
    """

    subject: str = ""
    effect: float
    bound: float
    tolerance: float
    p_value: float
    text: str = ""
    hint: str = ""
    severity: Status | None = None
    depth: int = 0
    question: str = ""

    def key(self, signal: Signal, column: str) -> str:
        """Return the key of what later rows of a baseline did to earlier ones, "CODE.next...".

        Args:
            signal: Whose question it is.
            column: Column of the finding; only of signals that judge columns one by one it counts.
        """
        column = column if signal.by_column else ""
        return f"{signal.code}{NEXT}{self.question or self.depth}:{column}"

    @property
    def computable(self) -> bool:
        """Whether all numbers are finite; a NaN must never pass."""
        return all(
            math.isfinite(v) for v in (self.effect, self.bound, self.tolerance, self.p_value)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One signal on one column, with all its candidates.

    Exactly one of ``candidates`` and ``reason`` is non-empty.

    Attributes:
        signal: What measured it.
        column: Column name or "".
        null_hypothesis: What the p-values assume.
        effect_unit: Unit of effect, bound and tolerance.
        n_baseline: Rows behind the baseline side.
        n_batch: Rows behind the batch side.
        candidates: Questions asked; the finding's p-value is Bonferroni-corrected over them.
        exact: True for facts without chance (schema): p-values are ignored.
        reason: Why nothing could be computed.
        note: What the reader must know besides: rows that were left out, and why.
        evidence: JSON-able detail.
    """

    signal: Signal
    column: str = ""
    null_hypothesis: str = ""
    effect_unit: str = ""
    n_baseline: int = 0
    n_batch: int = 0
    candidates: Sequence[Candidate] = ()
    exact: bool = False
    reason: str = ""
    note: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """Code of the signal."""
        return self.signal.code

    @property
    def family(self) -> Family:
        """Budget family of the signal."""
        return self.signal.family

    def severity(self, candidate: Candidate) -> Status:
        """Return the status of the finding if a candidate of it fires."""
        return candidate.severity or self.signal.severity

    @property
    def p_value(self) -> float:
        """Smallest p-value of the candidates, corrected for their number."""
        smallest = min((c.p_value for c in self.candidates), default=1.0)
        return min(1.0, smallest * len(self.candidates))


def accusing(candidates: Sequence[Candidate]) -> bool:
    """Return whether questions will probably fire, before the decision that needs all signals.

    Args:
        candidates: All questions of a finding.
    """
    return any(c.bound > c.tolerance and surely(c, candidates) for c in candidates)


def surely(candidate: Candidate, candidates: Sequence[Candidate]) -> bool:
    """Return whether chance will probably not explain one question of a finding.

    Args:
        candidate: The question.
        candidates: All questions of the finding.
    """
    return candidate.p_value * max(len(candidates), 1) <= _PROBABLE


def not_evaluated(signal: Signal, reason: str, *, column: str = "") -> Finding:
    """Return the finding of a signal that could not be computed.

    Args:
        signal: What could not be computed.
        reason: Why, in words.
        column: Column that it would have judged, or "".
    """
    return Finding(signal=signal, column=column, reason=reason)

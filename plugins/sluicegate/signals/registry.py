"""Every signal, in the order in which findings are reported; and what follows from the list.

A new signal is one line here. This module loads every signal, and numpy with them: guard, verified
read and policy parser must not import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sluicegate.signals.alone import ALONE
from sluicegate.signals.arrival import row_count, time_burst
from sluicegate.signals.columns import completeness, drift, outliers, schema_match
from sluicegate.signals.contributors import newcomers
from sluicegate.signals.copies import conflicts, duplicates, leakage, redelivery
from sluicegate.signals.counters import counter
from sluicegate.signals.definition import Scope
from sluicegate.signals.labels import (
    contributor_skew,
    flips,
    model_signals,
    new_class,
    prior,
    trusted,
)
from sluicegate.signals.targets import following
from sluicegate.signals.text import dictionary, hidden_unicode
from sluicegate.signals.triggers import pairs, tokens, values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.definition import Signal
    from sluicegate.signals.section import Section

SIGNALS: Final[tuple[Signal, ...]] = (
    schema_match.SIGNAL,
    completeness.SIGNAL,
    *drift.SIGNALS,
    prior.SIGNAL,
    new_class.SIGNAL,
    flips.SIGNAL,
    trusted.SIGNAL,
    *following.SIGNALS,
    *newcomers.SIGNALS,
    contributor_skew.SIGNAL,
    duplicates.SIGNAL,
    redelivery.SIGNAL,
    conflicts.SIGNAL,
    leakage.SIGNAL,
    outliers.SIGNAL,
    counter.SIGNAL,
    tokens.SIGNAL,
    values.SIGNAL,
    pairs.SIGNAL,
    dictionary.SIGNAL,
    hidden_unicode.SIGNAL,
    time_burst.SIGNAL,
    row_count.SIGNAL,
    *ALONE,
    *model_signals.SIGNALS,
)
"""All signals, of every scope."""

BY_CODE: Final[Mapping[str, Signal]] = {signal.code: signal for signal in SIGNALS}

FLOORS: Final[Mapping[str, float]] = {
    signal.code: signal.floor for signal in SIGNALS if signal.floor is not None
}
"""Floors of the tolerances, shares of rows, by code; a signal that is not here takes none."""

OF_BATCHES: Final = tuple(signal for signal in SIGNALS if signal.scope is Scope.BATCH)
"""The signals that hold a batch against a baseline."""

OF_POOLS: Final = frozenset(signal.code for signal in OF_BATCHES if signal.min_rows > 1)
"""Codes of those that one row cannot answer: small batches are pooled for them."""

OF_LABELS: Final = frozenset(signal.code for signal in OF_BATCHES if signal.labelled)
"""Codes of those that are asked of pooled labels, where a batch has few."""

OF_POLICIES: Final = tuple(signal for signal in SIGNALS if signal.scope is not Scope.MODEL)
"""The signals that a policy's rules may name."""

FINDINGS: Final = tuple(dict.fromkeys(s.findings for s in SIGNALS if s.findings is not None))
"""What computes the findings; signals of one module share one function, which is called once."""

SECTIONS: Final[tuple[Section[Any], ...]] = tuple(
    dict.fromkeys(section for signal in SIGNALS for section in signal.sections)
)
"""What a baseline holds for signals beyond counts and the label model."""


def expected_codes(baseline: Baseline) -> tuple[str, ...]:
    """Return the codes that a check against this baseline must report, sorted.

    A result that lacks one of them was not produced by a complete check and must block.
    """
    return tuple(sorted(signal.code for signal in OF_BATCHES if signal.applies(baseline)))


def expected_findings(baseline: Baseline) -> tuple[str, ...]:
    """Return the codes, and ``CODE:column`` of signals that judge columns one by one, sorted.

    A result that lacks one of them must block: a column that nobody judged is not a column
    that passed.
    """
    return tuple(sorted(key for signal in OF_BATCHES for key in signal.expected(baseline)))

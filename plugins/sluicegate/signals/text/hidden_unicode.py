"""HIDDEN_UNICODE: invisible, reordering or look-alike characters are as rare as before.

Null hypothesis: the share of texts with such characters is not larger than in the baseline: not
zero, because honest text in many languages holds some. Minimum n: 1 text. One question for each
text column; a missing text holds none.
Source: Boucher et al. 2022; Unicode TS 39; Przyborowski and Wilenski 1940.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.profiling.buffers import bits, plain
from sluicegate.profiling.columns import Kind
from sluicegate.signals.counting import Counter, Counting, added, natural
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p
from sluicegate.signals.definition import Signal
from sluicegate.signals.section import Section
from sluicegate.signals.traces import excess_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk, EncodedRows
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Learning
    from sluicegate.signals.traces import Traces

# Zero width space, bidirectional controls, invisible operators, tag characters, variation
# selectors supplement: Unicode 16, DerivedCoreProperties Default_Ignorable_Code_Point, and
# Boucher et al. 2022 ("Bad characters"). Joiners are honest inside emoji and Indic or Persian
# words, and do nothing beside Latin letters, spaces, punctuation or each other.
_INVISIBLE = (
    "[\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    "\U000e0000-\U000e01ef]"
)
_JOINER = "[\u200c\u200d]"
_IDLE = r"[\p{Latin}\s\p{P}\x{200c}\x{200d}]"
_HIDDEN = f"{_INVISIBLE}|{_JOINER}{_IDLE}|{_IDLE}{_JOINER}"
# A word that mixes Latin with Cyrillic or Greek letters: Unicode TS 39, section 5.1.
_MIXED = r"\p{Latin}[\p{Cyrillic}\p{Greek}]|[\p{Cyrillic}\p{Greek}]\p{Latin}"


def hidden_characters(array: pa.Array) -> NDArray[np.bool_]:
    """Return which texts hold invisible, reordering or look-alike characters.

    Args:
        array: Text of each row; null holds none.

    Returns:
        bool, shape (n_rows,).
    """
    text = pc.fill_null(pc.cast(plain(array), pa.large_string()), "")
    return bits(
        pc.or_(pc.match_substring_regex(text, _HIDDEN), pc.match_substring_regex(text, _MIXED))
    )


def hidden_in(rows: EncodedRows) -> dict[str, NDArray[np.bool_]]:
    """Return the rows of each text column with such characters, bool, shape (n_rows,)."""
    texts = (c.name for c in rows.layout.features if c.kind is Kind.TEXT)
    found = ((name, rows.column(name)) for name in texts if name in rows.encoded.cells)
    return {name: hidden_characters(array) for name, array in found}


def hidden_anywhere(chunk: Chunk) -> NDArray[np.bool_]:
    """Return the rows with such characters in any text column, bool, shape (n_rows,)."""
    none = np.zeros(chunk.n_rows, dtype=bool)
    some: NDArray[np.bool_] = np.any([none, *chunk.once(hidden_in).values()], axis=0)
    return some


@dataclass(slots=True, eq=False)
class HiddenCount(Counter):
    """Texts with hidden characters.

    Attributes:
        rows: How many, by text column.
    """

    rows: dict[str, int] = field(default_factory=dict)

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        found = {name: int(flags.sum()) for name, flags in chunk.once(hidden_in).items()}
        self.rows = added(self.rows, found)

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(added(self.rows, other.rows))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"rows": dict(self.rows)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        return cls({str(name): natural(k) for name, k in value["rows"].items()})


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for each text column."""
    before = HIDDEN.of(comparison.baseline)
    return [_column(comparison, name, before[name]) for name in sorted(before)]


def _column(comparison: Comparison, name: str, before: int) -> Finding:
    reason = comparison.absent(name)
    if reason:
        return not_evaluated(SIGNAL, reason, column=name)
    n, m = comparison.profile.n_rows, comparison.baseline.n_rows
    k = HIDDEN_TEXTS.of(comparison).rows.get(name, 0)
    return Finding(
        signal=SIGNAL,
        column=name,
        null_hypothesis="texts with hidden characters are not more frequent than before",
        effect_unit="share of rows",
        n_baseline=m,
        n_batch=n,
        candidates=[
            Candidate(
                effect=k / n - before / m,
                bound=binomial_lower(k, n) - before / m,
                tolerance=comparison.tolerance(SIGNAL, name),
                p_value=rate_excess_p(k, n, before, m),
                text=f"{percent(k / n)} of texts hold invisible or look-alike characters "
                f"(baseline {percent(before / m)})",
                hint="Normalise the text, and ask who inserted them.",
            )
        ],
        evidence={"rows": k},
    )


def _rows(traces: Traces, record: SignalRecord) -> NDArray[np.float64]:
    """Name the rows with such characters in any column."""
    return excess_share(record, traces.joined(hidden_anywhere))


def _learn(learning: Learning) -> Mapping[str, int]:
    return {name: int(flags.sum()) for name, flags in hidden_in(learning).items()}


def _read(value: Mapping[str, Any]) -> Mapping[str, int]:
    return {str(name): int(rows) for name, rows in value["hidden"].items()}


def _start(_: Baseline) -> HiddenCount:
    return HiddenCount()


HIDDEN: Section[Mapping[str, int]] = Section(
    "hidden", _learn, lambda rows: {"hidden": dict(rows)}, _read
)
HIDDEN_TEXTS = Counting("hidden texts", HiddenCount, _start)
SIGNAL = Signal(
    code="HIDDEN_UNICODE",
    family=Family.CONTAMINATION,
    floor=0.001,
    asks="invisible, reordering or look-alike characters",
    demand="Invisible and look-alike characters must be no more frequent than in the baseline.",
    needs="text",
    min_rows=1,
    expectation="ExpectHiddenUnicodeWithinTolerance",
    applies=lambda baseline: bool(HIDDEN.of(baseline)),
    sections=(HIDDEN,),
    counters=(HIDDEN_TEXTS,),
    findings=findings,
    keeps=(hidden_anywhere,),
    rows=_rows,
)

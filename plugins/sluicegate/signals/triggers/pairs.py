"""TRIGGER_PAIRS: no pair of values is both new and tied to a label.

The values of two columns span a plane, which is cut into places. A trigger may lie in a place that
neither column shows by itself: its values are never the same twice, or both are common and only
rare together.

Null hypothesis of a place: it holds at most one and a half times the share of rows that it holds in
the baseline, times what each of the two columns grew there outside the place; or, if it holds more,
at most half of what is new there carries one label, or as much as the baseline knows of it. Both
must be rejected. A season moves columns as a whole and densities by a little more, so neither is
new. Squares of four cells are asked too. Of a baseline of fewer than two rows a place both are
rejected together, and each at 10 % (`few_associations`).
Minimum n: 5 rows in the place. Corrected as `associations`, and over both sizes of places. Missing
and rare values are one group each.
Source: intersection-union test, Berger 1982; scan of cells, Kulldorff 1997; no interaction of
three factors, Bartlett 1935.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from sluicegate.signals.chunk import kept_classes
from sluicegate.signals.columns.moved import changed_features, explained, shared_features
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.counting import Counter, Counting
from sluicegate.signals.decision.finding import Finding, accusing, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.definition import Signal
from sluicegate.signals.section import Section
from sluicegate.signals.triggers.associations import (
    MIXED,
    MOVED,
    Association,
    associations,
    candidate,
    described,
    few_associations,
    habit,
    nothing_found,
    shared_by,
)
from sluicegate.signals.triggers.pair_table import (
    PairTable,
    chosen_pairs,
    group_codes,
    rows_in,
)
from sluicegate.signals.triggers.trigger_rows import triggered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.finding import Candidate
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Learning, Split
    from sluicegate.signals.traces import Traces
    from sluicegate.signals.triggers.pair_table import Pair, Places

CODE = "TRIGGER_PAIRS"
WIDTHS: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class Crowd:
    """What was found in one place.

    Attributes:
        association: Its rows and labels; the p-value is corrected over places of both widths.
        pair: Names of the columns.
        place: First group in each.
        width: Groups along each side.
    """

    association: Association
    pair: Pair
    place: tuple[int, int]
    width: int


def crowded(batch: PairTable, base: PairTable) -> list[Crowd]:
    """Search all places of all pairs, smallest p-value first.

    Squares of four cells overlap, so that noise across a border of cells does not hide a crowd.

    Args:
        batch: Counts of the batch.
        base: Counts of the baseline, of the same pairs and classes.
    """
    places = [(batch.places(width), base.places(width)) for width in WIDTHS]
    if base.few:
        every = [(now, old, now.growth(old, np.arange(len(now.counts)))) for now, old in places]
        searched = few_associations(every, MOVED, MIXED)
    else:
        searched = [
            [
                replace(a, p_value=min(1.0, a.p_value * len(WIDTHS)))
                for a in associations(now, old, partial(_moved, now, old), MIXED)
            ]
            for now, old in places
        ]
    found = []
    for width, (now, _), own in zip(WIDTHS, places, searched, strict=True):
        for a in own:
            pair, *place = now.place(a.cell)
            found.append(Crowd(a, base.pairs[pair], (place[0], place[1]), width))
    return sorted(found, key=lambda c: (c.association.p_value, c.width, c.pair, c.place))


def _moved(now: Places, before: Places, at: NDArray[np.intp]) -> NDArray[np.float64]:
    return MOVED * now.growth(before, at)


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline counted pairs."""
    base = PAIRS.of(comparison.baseline)
    if base is None:
        return []
    batch = PAIR_ROWS.of(comparison).table
    n = int(batch.rows.sum())
    columns = sorted({name for pair in base.pairs for name in pair})
    lacking, note = comparison.unjudged(columns)
    if not any(all(not comparison.missing(name) for name in pair) for pair in base.pairs):
        lacking = comparison.lacking(columns)
    if reason := comparison.lacking_labels(n, lacking):
        return [not_evaluated(SIGNAL, reason)]
    tolerance, changed = comparison.tolerance(SIGNAL, ""), set(changed_features(comparison))
    shared = set(shared_features(comparison))
    every = [crowd for crowd in crowded(batch, base) if shared.isdisjoint(crowd.pair)]
    found = [crowd for crowd in every if changed.isdisjoint(crowd.pair)]
    shown = [_candidate(c, tolerance, comparison) for c in found[:1]]
    if not _accused(comparison, found) and _accused(comparison, every):
        found, shown = every, explained([_candidate(every[0], tolerance, comparison)], changed)
    return [
        Finding(
            signal=SIGNAL,
            null_hypothesis="no pair of values is both more frequent than before and tied to a "
            "label",
            effect_unit="share of rows",
            n_baseline=int(base.rows.sum()),
            n_batch=n,
            note=note,
            candidates=shown or [nothing_found(tolerance, "no pair of values is new")],
            evidence={"associations": [_evidence(c) for c in found[:10]]},
        )
    ]


def _accused(comparison: Comparison, found: list[Crowd]) -> bool:
    tolerance = comparison.tolerance(SIGNAL, "")
    asked = [_candidate(crowd, tolerance, comparison) for crowd in found[:1]]
    return accusing(comparison.expecting(SIGNAL, "", asked))


def _candidate(crowd: Crowd, tolerance: float, comparison: Comparison) -> Candidate:
    a, (first, second) = crowd.association, crowd.pair
    thing = f"pair of values of columns {first} and {second}"
    return candidate(a, tolerance, shared_by(a, comparison, thing))


def _evidence(crowd: Crowd) -> dict[str, object]:
    place = {"columns": list(crowd.pair), "place": list(crowd.place), "width": crowd.width}
    return {**place, **described(crowd.association)}


def _counted(learning: Learning) -> PairTable | None:
    """Count the cells of pairs."""
    layout, n_classes = learning.layout, len(learning.classes)
    rng = np.random.default_rng([learning.seed, 2])
    chosen = chosen_pairs(layout, n_classes, rng) if n_classes >= 2 else ()
    if not chosen:
        return None
    groups, class_index = group_codes(layout, learning.encoded.cells), learning.class_index
    whole = PairTable.empty(chosen, n_classes)
    whole.add(groups, class_index)
    return whole


def _learn(learning: Learning) -> PairTable | None:
    whole = learning.once(_counted)
    return whole if whole is None or whole.few else whole.often()


def _habits(split: Split) -> dict[str, float]:
    """Learn how far cells of pairs crowd by themselves in one block."""
    learning, whole = split.learning, split.learning.once(_counted)
    if whole is None:
        return {}
    groups, class_index = group_codes(learning.layout, learning.encoded.cells), learning.class_index
    found = []
    for block in range(split.n_blocks):
        own = whole.alike()
        own.add(groups, np.where(split.blocks == block, class_index, -1))
        found.append([crowd.association for crowd in crowded(own, whole.less(own))])
    return {f"{CODE}:": habit(found, complete=split.complete)}


def groups_of(chunk: Chunk) -> dict[str, NDArray[np.uint8]]:
    """Return the group of each row in each column that is counted, uint8, shape (n_rows,)."""
    return group_codes(chunk.layout, chunk.encoded.cells)


@dataclass(slots=True, eq=False)
class PairCount(Counter):
    """Rows with a class.

    Attributes:
        table: Rows by cells of pairs of columns and by class.
    """

    table: PairTable

    def update(self, chunk: Chunk) -> None:
        """Count one record batch."""
        self.table.add(chunk.once(groups_of), chunk.class_index)

    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows."""
        return type(self)(self.table.plus(other.table))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return self.table.to_json()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        return cls(PairTable.from_json(value))


def _rows(traces: Traces, record: SignalRecord) -> NDArray[np.float64]:
    groups = traces.of(groups_of)
    return triggered(
        traces,
        record,
        lambda found: [
            rows_in(part, found["columns"], found["place"], found["width"]) for part in groups
        ],
    )


def _read(value: Mapping[str, Any]) -> PairTable | None:
    return None if value["pairs"] is None else PairTable.from_json(value["pairs"])


def _start(baseline: Baseline) -> PairCount:
    base = PAIRS.of(baseline)
    return PairCount(PairTable.empty((), 0) if base is None else base.alike())


PAIRS: Section[PairTable | None] = Section(
    "pairs", _learn, lambda table: {"pairs": None if table is None else table.to_json()}, _read
)
PAIR_ROWS = Counting("pairs of values", PairCount, _start)
SIGNAL = Signal(
    code=CODE,
    family=Family.CONTAMINATION,
    floor=0.002,
    moves=True,
    asks="a pair of values of two columns both new and tied to a label: triggers with noise, "
    "common values that are rare together",
    demand="No pair of values that the baseline hardly knows may go with one label.",
    needs="two features and label",
    min_rows=MIN_ROWS,
    labelled=True,
    expectation="ExpectPairsOfValuesNotToTriggerLabels",
    applies=lambda baseline: PAIRS.of(baseline) is not None,
    sections=(PAIRS,),
    counters=(PAIR_ROWS,),
    habits=_habits,
    findings=findings,
    keeps=(kept_classes, groups_of),
    rows=_rows,
)

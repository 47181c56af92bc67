"""TRIGGER_PAIRS: no place in the plane of two columns is both crowded as never and tied to a label.

Null hypothesis: each cell of each pair of columns holds at most one and a half times the share of
rows that it holds in the baseline, times what each of the two columns grew there outside the
cell; or, if it holds more, at most half of what is new there carries one label, or as much as the
baseline knows of it.
Both must be rejected; squares of four cells are asked too.
Minimum n: 5 rows in the cell; corrected as TRIGGER_VALUES. This finds triggers whose values are
never the same twice, and pairs of common values that are rare together. A season moves columns
as a whole and densities by a little more, so neither is new.
Source: intersection-union test, Berger 1982; scan of cells, Kulldorff 1997; no interaction of
three factors, Bartlett 1935.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family
from sluicegate.signals.triggers.associations import Association, associations

if TYPE_CHECKING:
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.triggers.pair_table import Pair, PairTable

CODE = "TRIGGER_PAIRS"
WIDTHS: Final = (1, 2)
MOVED: Final = 1.5
"""A cell's share may grow this much beyond its columns without being new."""
MIXED: Final = 0.5
"""This share of what is new in a place may carry one label: what a source begins to deliver has
its own mix of labels, what is planted has one."""


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
    """
    found = []
    for width in WIDTHS:
        now, before = batch.places(width), base.places(width)
        for a in associations(now, before, MOVED * now.growth(before), MIXED):
            pair, *place = now.place(a.cell)
            corrected = replace(a, p_value=min(1.0, a.p_value * len(WIDTHS)))
            found.append(Crowd(corrected, base.pairs[pair], (place[0], place[1]), width))
    return sorted(found, key=lambda c: (c.association.p_value, c.width, c.pair, c.place))


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the baseline counted pairs."""
    base, batch = comparison.baseline.contamination.pairs, comparison.pair_table
    if base is None:
        return []
    label = comparison.baseline.layout.label
    reason = comparison.missing(label.name) if label else "no label"
    reason = reason or comparison.lacking_feature()
    n = 0 if batch is None else int(batch.rows.sum())
    if not reason and n < MIN_ROWS:
        reason = f"{n} rows with a known label in the batch, {MIN_ROWS} needed"
    if reason or batch is None:
        return [not_evaluated(CODE, Family.CONTAMINATION, reason or "not counted")]
    found = crowded(batch, base)
    tolerance = comparison.tolerance(CODE, "")
    nothing = Candidate(
        effect=0.0, bound=0.0, tolerance=tolerance, p_value=1.0, text="no pair of values is new"
    )
    return [
        Finding(
            code=CODE,
            family=Family.CONTAMINATION,
            null_hypothesis="no pair of values is both more frequent than before and tied to a "
            "label",
            effect_unit="share of rows",
            n_baseline=int(base.rows.sum()),
            n_batch=n,
            candidates=[_candidate(c, tolerance) for c in found[:1]] or [nothing],
            evidence={"associations": [_evidence(c) for c in found[:10]]},
        )
    ]


def _candidate(crowd: Crowd, tolerance: float) -> Candidate:
    a, (first, second) = crowd.association, crowd.pair
    return Candidate(
        effect=a.effect,
        bound=a.bound,
        tolerance=tolerance,
        p_value=a.p_value,
        text=f"columns {first} and {second}: {a.rows} rows lie in one place ({a.rows_before} of "
        f"the baseline) and {percent(a.rows_of_class / a.rows)} of them have one label",
        hint="Look at the named rows: a trigger that a model would learn looks like this.",
    )


def _evidence(crowd: Crowd) -> dict[str, object]:
    a = crowd.association
    return {
        "columns": list(crowd.pair),
        "place": list(crowd.place),
        "width": crowd.width,
        "class": a.class_index,
        "rows": a.rows,
        "rows_of_class": a.rows_of_class,
        "rows_before": a.rows_before,
        "p_value": a.p_value,
    }

"""REDELIVERY: rows of the batch come again, with the same id and the same content.

Null hypothesis: none; a row that repeats another one with its id is a fact. Minimum n: 50 rows.
Sources that deliver at least once repeat rows now and then: it warns, and names all but the first
of them, so that the remainder without them can be sealed. DUPLICATES judges copies under new ids,
and a row that comes a fourth time. One question. Rows without an id are left out. Beyond a million
different deliveries the number is an estimate (`distinct`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.chunk import prints_of
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.copies.copy_count import REPEATS, spectrum
from sluicegate.signals.copies.deliveries import DELIVERIES, deliveries_of, delivery_hashes
from sluicegate.signals.decision.budget import prediction_bound
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.definition import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.learning import Learning
    from sluicegate.signals.traces import Traces

CODE = "REDELIVERY"
_SURE = 0.999


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding if the schema names an id, and the baseline has features."""
    column = comparison.baseline.schema.id
    if column is None or not _applies(comparison.baseline):
        return []
    reason = comparison.missing(column) or comparison.lacking_feature()
    if reason:
        return [not_evaluated(SIGNAL, reason, column=column)]
    n, again = comparison.profile.n_rows, DELIVERIES.of(comparison).again()
    return [
        Finding(
            signal=SIGNAL,
            column=column,
            null_hypothesis="none: equal ids with equal content are one row",
            effect_unit="share of rows",
            n_baseline=comparison.baseline.n_rows,
            n_batch=n,
            candidates=[
                Candidate(
                    effect=again / n,
                    bound=again / n,
                    tolerance=comparison.tolerance(SIGNAL, column),
                    p_value=0.0 if again else 1.0,
                    text=f"{round(again)} rows ({percent(again / n)}) were delivered again, with "
                    "the same id and content",
                    hint="Train without them: `check --rows` names them, and `quarantine --rows` "
                    "seals the remainder.",
                )
            ],
            exact=True,
            evidence={"again": round(again)},
        )
    ]


def _budgets(learning: Learning) -> dict[str, float]:
    """Learn which share of a block's rows repeat one of the block."""
    column = learning.layout.schema.id
    if column is None:
        return {}
    hashes, shares, rows = delivery_hashes(learning, learning.seed), [], []
    for block in range(learning.n_blocks):
        own = hashes[(learning.blocks == block) & (hashes != 0)]
        again = sum((size - 1) * number for size, number in spectrum(own))
        shares.append(again / max(own.size, 1))
        rows.append(max(own.size, 1))
    found, usual = np.array(shares), float(np.average(shares, weights=rows))
    noise = np.maximum(usual * (1.0 - usual), 1e-9) / np.array(rows)
    return {f"{CODE}:{column}": min(usual + prediction_bound(found - usual, noise), 1.0)}


def _applies(baseline: Baseline) -> bool:
    return baseline.schema.id is not None and bool(REPEATS.of(baseline).spectra)


def _rows(traces: Traces, _: SignalRecord) -> NDArray[np.float64]:
    """Name all rows of a delivery but the first."""
    hashes = traces.joined(deliveries_of)
    first = np.unique(hashes, return_index=True)[1]
    again = np.ones(hashes.size, dtype=bool)
    again[first] = False
    out: NDArray[np.float64] = np.where(again & (hashes != 0), _SURE, 0.0)
    return out


SIGNAL = Signal(
    code=CODE,
    family=Family.CONTAMINATION,
    severity=Status.WARNED,
    floor=0.001,
    exact=True,
    asks="rows of the batch come again, with the same id and content",
    demand="A row must come once.",
    needs=f"id column, {MIN_ROWS} rows",
    min_rows=MIN_ROWS,
    expectation="ExpectRowsToBeDeliveredOnce",
    applies=_applies,
    counters=(DELIVERIES,),
    budgets=_budgets,
    findings=findings,
    keeps=(deliveries_of, prints_of),
    rows=_rows,
)

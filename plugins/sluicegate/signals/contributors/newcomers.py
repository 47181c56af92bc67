"""CONTRIBUTOR_NEW and CONTRIBUTOR_FLOOD: who delivers, and how much.

Null hypotheses: no contributor the baseline did not know; no contributor's share is larger than
before. Minimum n: 1 row; 50 rows. Both warn: a newcomer or a busy contributor is no proof, but
what it delivers deserves a look (labels, duplicates and flips judge that). Corrected over all
contributors of the batch, also those that are not asked. Rows that name nobody are left out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.contributors.shares import block_shares
from sluicegate.signals.decision.budget import prediction_bound
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p
from sluicegate.signals.definition import Signal

if TYPE_CHECKING:
    from sluicegate.profiling.counts import Profile
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.learning import Split

_ASKED = 20
"""Contributors whose shares are asked about: those that grew most."""


def findings(comparison: Comparison) -> list[Finding]:
    """Return two findings if the baseline has a contributor column."""
    column = comparison.baseline.schema.contributor
    if column is None or not any(c.name == column for c in comparison.baseline.layout.columns):
        return []
    reason = comparison.absent(column)
    base, batch = _rows(comparison.baseline.profile), _rows(comparison.profile)
    if not reason and not batch:
        reason = "no row names a contributor"
    if reason:
        return [not_evaluated(signal, reason, column=column) for signal in SIGNALS]
    few = comparison.too_few()
    return [
        _newcomers(comparison, column, base, batch),
        not_evaluated(FLOOD, few, column=column)
        if few
        else _flood(comparison, column, base, batch),
    ]


def _rows(profile: Profile) -> dict[str, int]:
    named = ((name, row) for name, row in profile.contributors.items() if name is not None)
    return {name: int(row.sum()) for name, row in named}


def _newcomers(
    comparison: Comparison, column: str, base: dict[str, int], batch: dict[str, int]
) -> Finding:
    n, m = sum(base.values()), max(sum(batch.values()), 1)
    new = sorted((name for name in batch if name not in base), key=lambda x: (-batch[x], x))
    share = sum(batch[name] for name in new) / m
    # The busiest newcomer: one of two rows may just have been missed by the baseline's sample.
    chance = rate_excess_p(batch[new[0]], m, 0, max(n, 1)) * len(batch) if new else 1.0
    shown = ", ".join(map(comparison.naming.of, new[:3]))
    return Finding(
        signal=NEW,
        column=column,
        null_hypothesis="every contributor delivered before, or so rarely that it was missed",
        effect_unit="share of rows",
        n_baseline=n,
        n_batch=m,
        candidates=[
            Candidate(
                effect=share,
                bound=binomial_lower(sum(batch[name] for name in new), m),
                tolerance=comparison.tolerance(NEW, column),
                p_value=min(chance, 1.0),
                text=f"{len(new)} new contributor(s) with {percent(share)} of rows"
                + (f": {shown}" if shown else ""),
                hint="Confirm who they are before their rows enter a baseline.",
            )
        ],
        evidence={"new": [[comparison.naming.of(name), batch[name]] for name in new[:20]]},
    )


def _flood(
    comparison: Comparison, column: str, base: dict[str, int], batch: dict[str, int]
) -> Finding:
    n, m = sum(base.values()), max(sum(batch.values()), 1)
    tolerance = comparison.tolerance(FLOOD, column)
    candidates = []
    for name in sorted(batch, key=lambda x: (base.get(x, 0) / n - batch[x] / m, x))[:_ASKED]:
        j, k = base.get(name, 0), batch[name]
        p, q = j / n, k / m
        error = math.sqrt(p * (1 - p) / n + q * (1 - q) / m)
        candidates.append(
            Candidate(
                subject=comparison.naming.subject(name),
                effect=q - p,
                bound=q - p - 1.645 * error,
                tolerance=tolerance,
                # Only the twenty largest rises are asked, but all contributors were looked at.
                p_value=min(1.0, rate_excess_p(k, m, j, n) * max(len(batch) / _ASKED, 1.0)),
                text=f"delivers {percent(q)} of rows (baseline {percent(p)})",
                hint="Cap its share or ask why it delivers so much.",
            )
        )
    return Finding(
        signal=FLOOD,
        column=column,
        null_hypothesis="no contributor's share of rows is larger than in the baseline",
        effect_unit="share of rows",
        n_baseline=n,
        n_batch=m,
        candidates=candidates,
        evidence={"contributors": len(batch)},
    )


def _flood_habits(split: Split) -> dict[str, float]:
    """Learn how far a contributor's share of a block strays from its share of all rows."""
    shares = split.once(block_shares)
    if shares is None:
        return {}
    block_rows = np.maximum(shares.rows.sum(axis=1, keepdims=True), 1.0)
    centre = shares.rows.sum(axis=0) / shares.rows.sum()
    noise = centre * (1 - centre) / block_rows
    moves = zip((shares.rows / block_rows - centre).T, noise.T, strict=True)
    most = max(prediction_bound(m, n, complete=split.complete) for m, n in moves)
    return {f"{FLOOD.code}:{shares.column}": most}


def _applies(baseline: Baseline) -> bool:
    return baseline.schema.contributor is not None


NEW = Signal(
    code="CONTRIBUTOR_NEW",
    family=Family.CONTAMINATION,
    severity=Status.WARNED,
    floor=0.0,
    moves=True,
    asks="contributors the baseline did not know",
    demand="Rows must come from contributors that the baseline knows.",
    needs="contributor column",
    min_rows=1,
    expectation="ExpectContributorsToBeKnown",
    applies=_applies,
    findings=findings,
)
FLOOD = Signal(
    code="CONTRIBUTOR_FLOOD",
    family=Family.CONTAMINATION,
    severity=Status.WARNED,
    floor=0.05,
    moves=True,
    asks="one contributor delivers a larger share",
    demand="No contributor's share of rows may grow beyond tolerance.",
    needs="contributor column",
    min_rows=MIN_ROWS,
    expectation="ExpectContributorSharesWithinTolerance",
    applies=_applies,
    habits=_flood_habits,
    findings=findings,
)
SIGNALS = (NEW, FLOOD)

"""CONTRIBUTOR_NEW and CONTRIBUTOR_FLOOD: who delivers, and how much.

Null hypotheses: no contributor the baseline did not know; no contributor's share is larger
than before. Minimum n: 1 row; 50 rows. Both warn: a newcomer or a busy contributor is no
proof, but what it delivers deserves a look (labels, duplicates and flips judge that).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate, Finding, not_evaluated
from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.decision.tails import binomial_lower, rate_excess_p

if TYPE_CHECKING:
    from sluicegate.signals.comparison import Comparison

NEW = "CONTRIBUTOR_NEW"
FLOOD = "CONTRIBUTOR_FLOOD"


def findings(comparison: Comparison) -> list[Finding]:
    """Return two findings if the baseline has a contributor column."""
    column = comparison.baseline.schema.contributor
    if column is None or not any(c.name == column for c in comparison.baseline.layout.columns):
        return []
    reason = comparison.missing(column)
    base, batch = _rows(comparison.baseline.profile), _rows(comparison.profile)
    if not reason and not batch:
        reason = "no row names a contributor"
    if reason:
        return [
            not_evaluated(code, Family.CONTAMINATION, reason, column=column)
            for code in (NEW, FLOOD)
        ]
    return [_newcomers(comparison, column, base, batch), _flood(comparison, column, base, batch)]


def _rows(profile: object) -> dict[str, int]:
    contributors = profile.contributors  # type: ignore[attr-defined]
    return {name: int(row.sum()) for name, row in contributors.items() if name is not None}


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
        code=NEW,
        family=Family.CONTAMINATION,
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
                severity=Status.WARNED,
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
    for name in sorted(batch, key=lambda x: (base.get(x, 0) / n - batch[x] / m, x))[:20]:
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
                p_value=min(1.0, rate_excess_p(k, m, j, n) * max(len(batch) / 20.0, 1.0)),
                text=f"delivers {percent(q)} of rows (baseline {percent(p)})",
                hint="Cap its share or ask why it delivers so much.",
                severity=Status.WARNED,
            )
        )
    return Finding(
        code=FLOOD,
        family=Family.CONTAMINATION,
        column=column,
        null_hypothesis="no contributor's share of rows is larger than in the baseline",
        effect_unit="share of rows",
        n_baseline=n,
        n_batch=m,
        candidates=candidates,
        evidence={"contributors": len(batch)},
    )
